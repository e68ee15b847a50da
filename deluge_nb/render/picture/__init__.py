"""Draw the coloured completion as a picture: layout, SVG, rasteriser, PNG."""
