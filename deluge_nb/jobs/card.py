"""The card of a job: how far it is, what failed, and the distribution of the shares; live in a notebook.

Reasons of failures come from servers, so every text is escaped; nothing loads or runs anything.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from ..client.sending.progress import ProgressBar
from ..printable import printable
from ..text.counts import pluralize
from .progress import BINS, Progress

# Reasons that are listed; the others are counted.
_MOST_REASONS = 5
_LONGEST_REASON = 200
# Seconds between two pictures of a live card.
_REFRESH = 0.5
_STYLE = (
    ".deluge-job{font:13px/1.5 system-ui,sans-serif;color:light-dark(#1f1f1f,#e6e6e6);"
    "background:light-dark(#fff,#1c1c1c);border:1px solid light-dark(#d0d0d0,#4a4a4a);border-radius:6px;"
    "padding:8px 12px;max-width:640px}"
    ".deluge-job progress{width:100%;height:10px;accent-color:light-dark(#b35c00,#f0a848)}"
    ".deluge-job dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(110px,1fr));gap:2px 12px;margin:6px 0}"
    ".deluge-job dt{color:light-dark(#5c5c5c,#a8a8a8);font-size:12px}"
    ".deluge-job dd{margin:0;font-variant-numeric:tabular-nums}"
    ".deluge-job :is(dl,ul)>*{overflow-wrap:anywhere}"
    ".deluge-job ul{margin:4px 0;padding-left:18px}"
    ".deluge-job svg{display:block;width:100%;height:56px}"
    ".deluge-job rect{fill:light-dark(#b35c00,#f0a848)}"
    ".deluge-job small{color:light-dark(#5c5c5c,#a8a8a8)}"
)


def card_to_html(progress: Progress, names: Sequence[str], folder: str) -> str:
    """Return a job's card.

    Parameters
    ----------
    progress
        The counts.
    names
        The labels; without labels there is no histogram.
    folder
        The job's folder.

    Returns
    -------
    str
        HTML that loads nothing and runs no scripts.
    """
    facts = "".join(f"<div><dt>{name}</dt><dd>{_escape(value)}</dd></div>" for name, value in _facts(progress))
    done = f"{progress.rows_done:,} of {progress.rows:,} rows done"
    bar = f"<progress aria-label='{done}' max='{max(progress.rows, 1)}' value='{progress.rows_done}'></progress>"
    scheme = "color-scheme:light dark"
    return (
        f"<div class='deluge-job' role='group' aria-label='job' style='{scheme}'><style>{_STYLE}</style>{bar}"
        f"<dl>{facts}</dl>{_reasons(progress)}{_histogram(progress) if names else ''}"
        f"<small>{_escape(folder)}</small></div>"
    )


class Display:
    """Progress of a job while it runs: a card that is replaced in a notebook, a progress bar elsewhere.

    Parameters
    ----------
    names, folder
        As for :func:`card_to_html`.
    show
        False shows nothing.
    """

    def __init__(self, names: Sequence[str], folder: str, *, show: bool) -> None:
        self._names, self._folder = names, folder
        self._show = show
        self._bar: ProgressBar | None = None
        self._handle: Any = None
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, progress: Progress) -> None:
        """Show the counts; soon after the last ones, only the final counts are shown."""
        if not self._show:
            return
        if self._handle is None and self._bar is None:
            self._handle = _display_handle()
            if self._handle is None:
                self._bar = ProgressBar(progress.rows, show=True, unit="row")
        if self._bar is not None:
            self._bar.move(progress.rows_done)
            return
        now, is_last = time.monotonic(), progress.rows_done == progress.rows
        if is_last or now - self._shown > _REFRESH:
            self._shown = now
            _show(self._handle, card_to_html(progress, self._names, self._folder))


def _display_handle() -> Any:
    """Return a place in the output of the running cell; None outside notebooks."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import DisplayHandle
    except ImportError:
        return None
    return DisplayHandle() if hasattr(get_ipython(), "kernel") else None


def _show(handle: Any, content: str) -> None:
    bundle = {"text/html": content, "text/plain": "deluge_nb job"}
    show: Callable[..., object] = handle.update if getattr(handle, "is_shown", False) else handle.display
    handle.is_shown = True
    show(bundle, raw=True)


def _facts(progress: Progress) -> list[tuple[str, str]]:
    rate, left = progress.rate, progress.seconds_left
    facts = [
        ("rows", f"{progress.rows_done:,} of {progress.rows:,}"),
        ("parts", f"{progress.parts_done:,} of {progress.parts:,}"),
        ("failed", progress.describe_failed()),
    ]
    if rate is not None:
        facts.append(("rows a second", f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"))
    if progress.cost is not None:
        facts.append(("cost", f"${progress.cost:,.4g}"))
    if left is not None and progress.rows_done < progress.rows:
        facts.append(("time left", _duration(left)))
    elif progress.ended is not None:
        facts.append(("time", _duration(progress.seconds)))
    return facts


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _reasons(progress: Progress) -> str:
    if not progress.failures:
        return ""
    listed = progress.failures.most_common(_MOST_REASONS)
    items = [f"<li>{count:,} × {_escape(_excerpt(reason))}</li>" for reason, count in listed]
    others = len(progress.failures) - len(listed)
    more = f"<li>and {pluralize(others, 'other reason')}</li>" if others else ""
    retry = f"<small>job.retry() asks {progress.transient:,} of them again</small>" if progress.transient else ""
    return f"<ul aria-label='failures by reason'>{''.join(items)}{more}</ul>{retry}"


def _histogram(progress: Progress) -> str:
    most = max(progress.shares)
    if not most:
        return ""
    bars = "".join(
        f"<rect x='{index}' y='{10 - 10 * count / most:.3f}' width='0.9' height='{10 * count / most:.3f}'>"
        f"<title>{index / BINS:.0%} to {(index + 1) / BINS:.0%}: {count:,}</title></rect>"
        for index, count in enumerate(progress.shares)
    )
    label = f"share of the likeliest label in {sum(progress.shares):,} rows, from 0 % to 100 %"
    return (
        f"<svg role='img' aria-label='{label}' viewBox='0 0 {BINS} 10' preserveAspectRatio='none'>{bars}</svg>"
        f"<small>{label}</small>"
    )


def _excerpt(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _escape(text: str) -> str:
    return html.escape(printable(text))
