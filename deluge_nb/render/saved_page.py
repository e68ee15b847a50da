"""Save a widget as one HTML page that works without a kernel, a network or a server."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any

from .assets import read_asset


def saved_page(state: Mapping[str, Any], *, title: str, text: str, script: str, style: str) -> str:
    """Return a page that shows a widget from its traits.

    The page's content security policy forbids it to load anything, and to run any script but the widget's.

    Parameters
    ----------
    state
        Traits of the widget.
    title
        Title of the page.
    text
        Text for readers whose browser runs no scripts.
    script, style
        Names of the widget's files in the built front end.
    """
    binary = {name: value for name, value in state.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in state.items() if name not in binary}
    code, rules = read_asset(script), read_asset(style)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(code)}'",
            f"style-src '{_digest(rules)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    data = [_data("state", "application/json", _json(plain)), _data("binary", "application/json", _json(list(binary)))]
    for name, value in binary.items():
        packed = gzip.compress(value, compresslevel=6, mtime=0)
        data.append(_data(name, "text/plain", base64.b64encode(packed).decode()))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title or 'Token probabilities')}</title><style>{rules}</style></head>"
        f'<body class="deluge-page"><main></main><noscript><pre>{html.escape(text)}</pre></noscript>'
        f'{"".join(data)}<script type="module">{code}</script></body></html>'
    )


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _json(value: Any) -> str:
    # "</script>" inside a text would end the element.
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _data(name: str, kind: str, content: str) -> str:
    return f'<script type="{kind}" id="deluge-{name}">{content}</script>'
