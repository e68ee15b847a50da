"""The view in Chromium and in JupyterLab, beside other views."""
