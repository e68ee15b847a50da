"""Show of a class what people use: the signature they call, and inherited members of this package alone.

Widgets hide their signature behind that of a base class, and inherit some fifty members of other packages. Settings are
fields of a pydantic model.
"""

from __future__ import annotations

import inspect
from typing import Any

import traitlets
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import ExtensionMetadata


def signature_of(
    app: Sphinx, what: str, name: str, item: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Return the constructor's own signature for a class whose metaclass or base class has another."""
    if what != "class" or not isinstance(item, type):
        return None
    if issubclass(item, traitlets.HasTraits):
        parameters = list(inspect.signature(item.__init__).parameters.values())[1:]
    elif issubclass(item, BaseModel):
        keyword = inspect.Parameter.KEYWORD_ONLY
        fields = item.model_fields.items()
        parameters = [inspect.Parameter(name, keyword, default=field.default) for name, field in fields]
    else:
        return None
    return stringify_signature(inspect.Signature(parameters), show_annotation=False), None


def skips(app: Sphinx, what: str, name: str, item: Any, skip: bool, options: Any) -> bool | None:
    """Skip what a widget inherits from another package."""
    getter = getattr(item, "fget", item)
    module = getattr(getter, "__module__", None) or type(item).__module__
    return True if module.startswith(("anywidget", "ipywidgets", "traitlets")) else None


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to autodoc."""
    app.connect("autodoc-process-signature", signature_of)
    app.connect("autodoc-skip-member", skips)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
