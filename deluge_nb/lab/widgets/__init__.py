"""The widgets of the course: native inputs with names, for keyboards and screen readers."""
