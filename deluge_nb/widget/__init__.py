"""The two anywidgets and their protocol with the browser."""
