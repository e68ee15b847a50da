"""The card of a job: how far it is, what failed, and the distribution of the shares; live in a notebook.

Reasons of failures come from servers, so every text is escaped; nothing loads or runs anything.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from ..client.interruption import is_from_signal
from ..client.sending.progress import ProgressBar
from ..notebook import kernel_shell
from ..printable import printable
from ..text.counts import pluralize
from .progress import BINS, Progress

# Reasons that are listed; the others are counted.
_MOST_REASONS = 5
_LONGEST_REASON = 200
# Seconds between two pictures of a live card.
_REFRESH = 0.5
# The theme of the notebook takes precedence over the system's, as in the stylesheet of the views.
_STYLE = (
    ".deluge-job{color-scheme:light dark;--ink:light-dark(#1f2328,#e8e6e3);--soft:light-dark(#57606a,#a8b0b8);"
    "--line:light-dark(#d0d7de,#4a5058);--fill:light-dark(#a84300,#ffb066);--bad:light-dark(#a40e26,#ff9492);"
    "box-sizing:border-box;max-width:640px;margin:4px 0;padding:10px 14px;border:1px solid var(--line);"
    "border-radius:6px;color:var(--ink);background:light-dark(#fff,#16181c);"
    "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums;text-align:left}"
    "body[data-jp-theme-light='true'] .deluge-job,body.vscode-light .deluge-job,html[theme='light'] .deluge-job"
    "{color-scheme:light}"
    "body[data-jp-theme-light='false'] .deluge-job,body.vscode-dark .deluge-job,html[theme='dark'] .deluge-job,"
    "body.dark .deluge-job{color-scheme:dark}"
    ".deluge-job>div{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 12px}"
    ".deluge-job strong.bad,.deluge-job dd.bad{color:var(--bad)}"
    ".deluge-job progress{display:block;appearance:none;width:100%;height:8px;margin:4px 0 8px;border:0;"
    "border-radius:4px;overflow:hidden;background:var(--line);accent-color:var(--fill)}"
    ".deluge-job progress::-webkit-progress-bar{background:var(--line)}"
    ".deluge-job progress::-webkit-progress-value{background:var(--fill)}"
    ".deluge-job progress::-moz-progress-bar{background:var(--fill)}"
    ".deluge-job dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(96px,1fr));gap:4px 12px;margin:0}"
    # JupyterLab lets the terms of lists float.
    ".deluge-job :is(dt,dd){float:none;width:auto;margin:0;padding:0}"
    ".deluge-job dt{color:var(--soft);font-size:12px;font-weight:400}"
    ".deluge-job :is(dl,ul)>*,.deluge-job small{overflow-wrap:anywhere}"
    ".deluge-job ul{margin:8px 0 0;padding-left:18px}"
    ".deluge-job svg{display:block;width:100%;height:56px;margin-top:10px;border-bottom:1px solid var(--line)}"
    ".deluge-job svg+div{flex-wrap:nowrap;text-align:center}"
    ".deluge-job rect{fill:var(--fill)}"
    ".deluge-job small{color:var(--soft);font-size:12px}"
    ".deluge-job>small{display:block;margin-top:6px}"
    # Each picture of a live card begins anew, so that only one that has no successor gets there.
    ".deluge-job>.late{visibility:hidden;max-height:0;margin:0;overflow:hidden;animation:deluge-job-late 0s 60s both}"
    "@keyframes deluge-job-late{to{visibility:visible;max-height:6em}}"
    "@media(forced-colors:active){.deluge-job progress{appearance:auto}.deluge-job rect{fill:CanvasText}}"
)

# A kernel that was restarted cannot change its old card.
_LATE = "<small class='late'>No news for a minute. If the kernel was restarted, run the cell again to go on.</small>"


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
    facts = "".join(
        f"<div><dt>{name}</dt><dd{_mark(name == 'failed' and progress.failed)}>{_escape(value)}</dd></div>"
        for name, value in _facts(progress)
    )
    rows = f"{progress.rows_seen:,} of {progress.rows:,} {'row' if progress.rows == 1 else 'rows'}"
    most = max(progress.rows, 1)
    share = progress.rows_seen if progress.rows else most
    return (
        f"<div class='deluge-job' role='group' aria-label='job'><style>{_STYLE}</style>"
        f"<div><strong{_mark(progress.stopped_by)}>{_escape(_state(progress))}</strong><span>{rows}</span></div>"
        f"{_LATE if _is_running(progress) else ''}"
        f"<progress aria-label='{rows}' max='{most}' value='{share}'></progress>"
        f"<dl>{facts}</dl>{_reasons(progress)}{_histogram(progress) if names else ''}"
        f"<small>{_escape(folder)}</small></div>"
    )


def _mark(is_bad: object) -> str:
    return " class='bad'" if is_bad else ""


def _state(progress: Progress) -> str:
    if progress.stopped_by:
        how = "Interrupted" if progress.stopped_by == "KeyboardInterrupt" else f"Stopped by {progress.stopped_by}"
        return f"{how}: run the cell again to go on"
    return "Running" if _is_running(progress) else "Done"


def _is_running(progress: Progress) -> bool:
    return progress.ended is None and progress.rows_done < progress.rows


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
        self._shown_at = 0.0
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._handle is not None and self._progress is not None:
            self._draw(self._progress)

    def update(self, progress: Progress) -> None:
        """Show the counts, unless the last ones were shown a moment ago."""
        if not self._show:
            return
        if self._progress is None:
            self._progress = progress
            self._handle = _display_handle()
            if self._handle is None:
                self._bar = ProgressBar(progress.rows, show=True, unit="row")
        if self._bar is not None:
            self._bar.move(progress.rows_seen)
        elif time.monotonic() - self._shown_at > _REFRESH:
            self._draw(progress)

    def _draw(self, progress: Progress) -> None:
        self._shown_at = time.monotonic()
        try:
            _show(self._handle, card_to_html(progress, self._names, self._folder))
            progress.cell = current_cell()
        except Exception as error:  # the card is decoration: if it fails, it stays as it is, and the job goes on
            self._show, self._handle = False, None
            if is_from_signal(error):
                raise


def current_cell() -> int | None:
    """Return the number of the notebook's cell that is running; None outside notebooks."""
    shell = kernel_shell()
    return None if shell is None else shell.execution_count


def _display_handle() -> Any:
    """Return a place in the output of the running cell; None outside notebooks."""
    if current_cell() is None:
        return None
    from IPython.display import DisplayHandle

    return DisplayHandle()


def _show(handle: Any, content: str) -> None:
    bundle = {"text/html": content, "text/plain": "deluge_nb job"}
    show: Callable[..., object] = handle.update if getattr(handle, "is_shown", False) else handle.display
    handle.is_shown = True
    show(bundle, raw=True)


def _facts(progress: Progress) -> list[tuple[str, str]]:
    rate, left = progress.rate, progress.seconds_left
    facts = [
        ("parts", f"{progress.parts_done:,} of {progress.parts:,}"),
        ("failed", progress.describe_failed()),
    ]
    if rate is not None:
        facts.append(("rows a second", f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"))
    if progress.cost is not None:
        facts.append(("cost so far" if progress.ended is None else "cost", _dollars(progress.cost)))
    if left is not None and _is_running(progress):
        facts.append(("time left", _duration(left)))
    elif progress.ended is not None:
        facts.append(("time", _duration(progress.seconds)))
    return facts


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.2g}"


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
        "<div aria-hidden='true'><small>0 %</small><small>share of the likeliest label</small>"
        "<small>100 %</small></div>"
    )


def _excerpt(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _escape(text: str) -> str:
    return html.escape(printable(text))
