"""Every chart and view of the package with given texts, shown by every renderer of Altair. Notebooks import this."""

from __future__ import annotations

import threading
import urllib.request
import warnings
import webbrowser
from pathlib import Path
from typing import Any

import altair as alt
from IPython.display import display

from deluge_nb import (
    CalibrationReport,
    LogprobCompare,
    Logprobs,
    LogprobView,
    alternatives_chart,
    confidence_chart,
    entropy_chart,
    offline,
    surprisal_chart,
    token_chart,
)

# Each would be markup, a script, a style, a formula, an expression or an address somewhere.
HOSTILE = [
    "</script><img src=x a='",
    "' onerror='hacked=1//",
    "'>",
    "<!--<script>",
    "]]><svg onload=hacked=1>",
    "${hacked=1}`",
    "javascript:hacked=1",
    "http://evil.invalid/x.png",
    '{"image": "http://evil.invalid/y.png"}',
    "\u2028</SCRIPT >",
    "datum['constructor']",
    '"]; hacked=1; //',
    "</style></title></code></pre>",
    "<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    r"$\href{javascript:hacked=1}{x}$",
    r"\(y\) $$z$$",
    "<img src=x onerror=hacked=1>",
    "[x](javascript:hacked=1)",
    "&lt;b&gt;&#60;i&#62;",
    "__proto__",
]
# Where a hostile text has a mark in place of an invisible character, so has the harmless one.
HARMLESS = [("\u2028" if "\u2028" in text else "") + f"word{number}" for number, text in enumerate(HOSTILE)]
_OPTIONS: dict[str, dict[str, Any]] = {"browser": {"using": "writer", "offline": True}, "jupyter": {"offline": True}}


def views(texts: list[str]) -> tuple[LogprobView, LogprobCompare]:
    table = _table(texts)
    names = [texts[-1], texts[16]]
    return LogprobView(table, title=texts[0]), LogprobCompare(table, table[3:], names=names, title=texts[12])


def charts(texts: list[str], view: LogprobView, compare: LogprobCompare) -> tuple[Any, Any]:
    """Return all charts of the package in its own compounds, and some of them in compounds of Altair's classes."""
    table = view.table
    report = CalibrationReport([0.9, 0.8, 0.4], [1, 1, 0])
    titled = report.reliability_chart().properties(title=texts[0], description=texts[1])
    ours = (
        token_chart(view) & surprisal_chart(table) & (confidence_chart(table) + entropy_chart(table)) & compare.chart()
    )
    ours = ours & (alternatives_chart(table) | report.risk_coverage_chart()) & (titled | report.histogram_chart())
    # Vega itself cannot group by a name such as this one.
    named = [{"x": text} for text in texts[: HOSTILE.index("__proto__")]]
    plain = alt.Chart(alt.InlineData(values=named)).mark_bar(tooltip={"content": "data"}).encode(x="x:N")
    facets = alternatives_chart(table[:3]).properties(width=30, height=30).transform_filter("datum.place < 3")
    layers = alt.layer(confidence_chart(table), entropy_chart(table).mark_bar(tooltip={"content": "data"}))
    return ours, alt.vconcat(offline(plain), facets.facet("token:N"), layers, compare.chart("entropy"))


def show(name: str, texts: list[str]) -> None:
    """Display everything; the page that the renderer "browser" opens is written to the file of a name."""

    class Writer(webbrowser.BaseBrowser):
        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            threading.Thread(target=lambda: Path(name).write_bytes(urllib.request.urlopen(url).read())).start()
            return True

    webbrowser.register("writer", None, Writer())
    warnings.simplefilter("ignore")
    view, compare = views(texts)
    ours, theirs = charts(texts, view, compare)
    known: set[Any] = set()
    for renderer in sorted(alt.renderers.names()):
        enabled: Any = alt.renderers.enable(renderer, **_OPTIONS.get(renderer, {}))
        with enabled:
            active: Any = alt.renderers.get()
            function = "ours" if renderer == "default" else getattr(active, "func", active)
            # Names of a renderer that was there already show one chart only.
            display(*([confidence_chart(view)] if function in known else [ours, theirs]))
            known.add(function)
    display(view, compare)


def _table(texts: list[str]) -> Logprobs:
    top = [{"token": text, "logprob": -3.5} for text in texts]
    return Logprobs.from_entries([{"token": text, "logprob": -3.5, "top_logprobs": top} for text in texts])
