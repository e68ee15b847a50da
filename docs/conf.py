"""Sphinx configuration: ``make docs`` builds the site into build/docs, offline.

Nothing on a built page comes from another machine: formulas are MathML, fonts are the reader's own, and live views run
from the package's own bundle. ``tests/browser/test_docs_site.py`` checks that.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "deluge_nb"
author = "the deluge_nb contributors"
project_copyright = f"2026, {author}"
release = version = version_of("deluge-nb")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "fact_tables",
    "live_views",
    "mathml",
    "public_members",
    "repository_pages",
]
exclude_patterns = ["_extensions", "images", "live"]

# Markdown. GitHub shows the same files, so only syntax that it shows as well, or drops, is switched on.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# Notebooks are shown with the outputs they are committed with; `make test` runs them.
nb_execution_mode = "off"
smartquotes_action = "D"  # dashes alone: quotes are to be copied as they are
suppress_warnings = ["mystnb.unknown_mime_type"]  # Vega-Lite, beside which every chart brings a picture

# The reference. Types stand beside the descriptions: in signatures they would hide the names.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
autosummary_generate = False
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "deluge_nb"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"sidebar_hide_name": False}
copybutton_exclude = ".linenos, .gp, .go"

# Images that are shown live: the notebook whose widget replaces each, and the widget's position in it.
live_images = {
    "answer.png": ("01_first_look", 0),
    "view.png": ("02_reading_an_answer", 0),
    "compare.png": ("02_reading_an_answer", 2),
}
