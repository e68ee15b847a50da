"""Directives that write tables of facts from the code, so that no page copies what the code knows better.

``support-table``, ``servers-table``, ``magic-options``, ``magic-settings``, ``environment-variables`` and
``traits-table`` take no content; the last takes the name of a widget.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, ClassVar

import anywidget
import traitlets
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

import deluge_nb
from deluge_nb import cache_dir
from deluge_nb.local import weights
from deluge_nb.magic import DelugeMagics
from deluge_nb.models import endpoints


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; a bar inside a cell is escaped."""
    lines = [list(header), ["---" for _ in header], *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(*words: str) -> str:
    """Return each word as code, separated by commas."""
    return ", ".join(f"`{word}`" for word in words if word)


def support() -> str:
    """Return the registry of models."""
    found = deluge_nb.support_table()
    return table(found.header, found.rows)


def servers() -> str:
    """Return the built-in servers: prefix, dialect, and the variables of key and address."""
    rows = [
        (code(f"{server.name}/…"), server.label, server.dialect, code(*server.key_variables), code(server.url_variable))
        for server in endpoints.BUILT_IN
        if server.launch is None
    ]
    return table(("Prefix", "Server", "Dialect", "Key", "Address"), rows)


def magic_options() -> str:
    """Return the options of ``%%deluge``, from its parser."""
    parser: Any = DelugeMagics.deluge.parser  # type: ignore[missing-attribute]
    rows = []
    for action in parser._actions:
        names = [f"{name} {_value(action)}".rstrip() for name in action.option_strings]
        if names and "--help" not in names:
            rows.append((code(*names), _sentence(action.help or "")))
    return table(("Option", "Effect"), rows)


def _value(action: Any) -> str:
    if action.nargs == 0:
        return ""
    return "{" + ",".join(action.choices) + "}" if action.choices else action.dest.upper()


def _sentence(text: str) -> str:
    text = text.replace("$", r"\$")  # which would begin a formula
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def magic_settings() -> str:
    """Return the settings of ``%config DelugeMagics``."""
    traits = DelugeMagics.class_traits(config=True)
    rows = [
        (code(f"DelugeMagics.{name}"), code(repr(trait.default())), _sentence(trait.help))
        for name, trait in traits.items()
    ]
    return table(("Setting", "Default", "Meaning"), rows)


def environment() -> str:
    """Return the environment variables the package reads, without those of single servers."""
    rows = [
        (code(cache_dir.CACHE_VARIABLE), "The folder for the embedded model and for cached answers."),
        (code(weights.VARIABLE), "A GGUF file to use as the model `local`."),
        (code("OPENAI_API_KEY", "OPENAI_BASE_URL"), "Key and address of OpenAI, and of any server without its own."),
        (code("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"), "The proxy for requests."),
        (code("SSL_CERT_FILE", "SSL_CERT_DIR"), "Certificates to trust."),
        (code("DELUGE_NB_SKIP_BUNDLE"), "`1` installs from a clone without building the front end."),
    ]
    return table(("Variable", "Meaning"), rows)


# Traits that only the widgets' own scripts read.
_INTERNAL = ("link", "tree", "rows", "totals", "comparison")


def traits_of(widget: str) -> str:
    """Return the traits of a widget that are for users: those that are set, read and observed."""
    kind = getattr(deluge_nb, widget)
    inherited = set(anywidget.AnyWidget.class_traits())
    rows = []
    for name in kind.class_traits(sync=True):
        trait = kind.class_traits()[name]
        if name in inherited or name.startswith("_") or isinstance(trait, traitlets.Bytes) or name in _INTERNAL:
            continue
        values = (
            code(*map(repr, trait.values or ()))
            if isinstance(trait, traitlets.Enum)
            else trait.__class__.__name__.lower()
        )
        values = {"unicode": "text", "bool": "True or False"}.get(values, values)
        rows.append((code(name), f"{values} or None" if trait.allow_none else values, code(repr(trait.default()))))
    return table(("Trait", "Values", "Default"), rows)


class FactTable(SphinxDirective):
    """A table that a function of this module makes."""

    optional_arguments = 1
    option_spec: ClassVar[OptionSpec] = {}
    tables: ClassVar[dict[str, Any]] = {
        "support-table": support,
        "servers-table": servers,
        "magic-options": magic_options,
        "magic-settings": magic_settings,
        "environment-variables": environment,
        "traits-table": traits_of,
    }

    def run(self) -> list[nodes.Node]:
        """Make the table and parse it as the page's own text."""
        make = self.tables[self.name]
        for module in (deluge_nb.models, endpoints, inspect.getmodule(DelugeMagics)):
            self.env.note_dependency(str(inspect.getfile(module)))  # type: ignore[bad-argument-type]
        return self.parse_text_to_nodes(make(*self.arguments))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives."""
    for name in FactTable.tables:
        app.add_directive(name, FactTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
