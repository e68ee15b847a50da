"""`deluge_nb.stats` compared with other packages."""
