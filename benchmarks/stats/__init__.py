"""The mathematics beside other packages."""
