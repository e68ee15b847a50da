"""Write formulas as MathML, which browsers draw by themselves: no script, no fonts, nothing to load.

MathJax would add several megabytes of scripts and fonts to a site with a few dozen short formulas.
"""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

_FUNCTION = re.compile(r"<mi>(ln|log|exp|min|max)</mi>")


def to_mathml(formula: str, display: str = "inline") -> str:
    """Convert a formula, with a thin space before the names of functions."""
    return _FUNCTION.sub(
        r'<mspace width="0.17em" /><mi>\1</mi><mspace width="0.17em" />', convert(formula, display=display)
    )


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula inside a sentence."""
    translator.body.append(to_mathml(node.astext()))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    translator.body.append(f'<div class="math">{to_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
