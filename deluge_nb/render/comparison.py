"""Render a comparison of responses as a static HTML table, and as text for a terminal."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..logprobs.alignment import Alignment
from ..logprobs.columns import Floats
from ..logprobs.table import Logprobs
from ..printable import printable
from ..stats.sequences import SequenceStats, sequence_stats
from ..text.counts import pluralize
from ..text.glyphs import short_label
from .arguments import check_title
from .assets import COMPARE_STYLESHEET, ROOT_CLASSES, read_asset
from .colors import Palette
from .excerpt import check_limit
from .html import group_by_token, preformatted, token_elements, whole_page, with_picture
from .scale import SCALES, ColorBy, percent, scale_values

CompareBy = Literal["difference", "probability", "surprisal", "entropy", "margin", "rank"]
COMPARE_BY: tuple[CompareBy, ...] = get_args(CompareBy)
# Nats, a factor of 7: from this difference on, the colour is at its strongest.
DIFFERENCE_CAP = 2.0
LETTERS = "ABCDEFGH"
# Tokens: a unit that differs and is longer than this has a row of the table to itself.
_OWN_ROW = 12
# Share of common text under which differences are no use as the colour.
_LITTLE = 0.2
# Texts in the list of the largest differences.
_LARGEST = 5


class Excerpt(NamedTuple):
    """Number of units to show, the tokens of each response in them, and a note about the omitted ones."""

    units: int
    tokens: list[int]
    note: str


def heat(difference: Any) -> Floats:
    """Return the strength of the colour of differences in nats, from 0 to 1; NaN where there is no difference."""
    return np.clip(np.abs(np.asarray(difference, np.float64)) / DIFFERENCE_CAP, 0, 1)


def format_signed(nats: float) -> str:
    """Format a difference in nats for people, always with its sign."""
    return (
        "unknown"
        if math.isnan(nats)
        else f"{nats:+.2f}".replace("-", "−").replace("+0.00", "±0").replace("−0.00", "±0")
    )


def to_html(
    compared: Alignment,
    names: Sequence[str],
    *,
    color_by: CompareBy = "difference",
    palette: Palette = "amber",
    title: str = "",
    standalone: bool = False,
    picture: tuple[bytes, int, str] | None = None,
    limit: int | None = None,
) -> str:
    """Return an HTML table with a column per response, whose rows have the same text side by side.

    Parameters
    ----------
    compared
        Aligned responses.
    names
        Name of each response.
    color_by
        Measure that is shown as colour.
    palette
        Palette of measures; differences have their own two hues.
    title
        Line above the table; none by default.
    standalone
        Return a whole page instead of an element.
    picture
        PNG of the beginning, its width and its description: shown where styles are stripped, as on GitHub.
    limit
        Largest number of tokens of each response; all by default.
    """
    excerpt = truncate_units(compared, limit)
    columns = [_tokens(compared, side, color_by, excerpt.tokens[side]) for side in range(len(names))]
    heads = "".join(
        f'<th scope="col"><b>{LETTERS[side]}</b>{after_letter(side, html.escape(name))}<br>'
        f"<small>{summary(compared, side)}</small></th>"
        for side, name in enumerate(names)
    )
    rows = []
    starts = compared.units.starts
    for first, last in text_rows(compared, excerpt.units):
        cells = "".join(
            f"<td>{preformatted(''.join(column[starts[side, first] : starts[side, last]]))}</td>"
            for side, column in enumerate(columns)
        )
        rows.append(f"<tr>{cells}</tr>")
    title = check_title(title)
    heading = f'<div class="deluge-title">{html.escape(title)}</div>' if title else ""
    note = f'<div class="deluge-summary">{html.escape(excerpt.note)}</div>' if excerpt.note else ""
    caption = _caption(compared, color_by)
    # The stylesheet writes this text. Where it is stripped, there are no colours to explain.
    colours = (
        "Blue with a line above: surer here; orange with a line below: less sure here."
        if color_by == "difference"
        else f"Coloured by {color_by}."
    )
    style = read_asset(COMPARE_STYLESHEET)
    hue = "amber" if color_by == "difference" else palette
    content = (
        f'{heading}<table class="deluge-static deluge-compared"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        f'<div class="deluge-note" data-text="{colours}">{caption}</div>{note}'
    )
    if picture:
        content = with_picture(content, *picture)
    element = (
        f'<div class="{ROOT_CLASSES} deluge-comparison" data-color="{color_by}" data-palette="{hue}">'
        f"<style>{style}</style>{content}</div>"
    )
    return whole_page(element, title) if standalone else element


def to_text(compared: Alignment, names: Sequence[str], *, limit: int | None = None) -> str:
    """Return a word diff of each response with the first, and the common texts that differ most in probability.

    Common text is unmarked; the rest is ``[-only in the first-]`` or ``{+only in the other+}``.
    """
    excerpt = truncate_units(compared, limit)
    facts = [summary(compared, side).replace("\N{NO-BREAK SPACE}", " ") for side in range(len(names))]
    lines = [f"{LETTERS[side]}{after_letter(side, f' {name}')}: {facts[side]}" for side, name in enumerate(names)]
    texts = [_token_texts(compared, side, excerpt.tokens[side]) for side in range(len(names))]
    for side, pair in enumerate(compared.pairs, 1):
        letter = LETTERS[side]
        lines += ["", f"[-only in A-] {{+only in {letter}+}}"]
        parts: list[str] = []
        edges = zip(pair.a_start, pair.a_stop, pair.b_start, pair.b_stop, pair.common, strict=True)
        for a0, a1, b0, b1, common in edges:
            if a1 > excerpt.tokens[0] or b1 > excerpt.tokens[side]:
                break
            left, right = "".join(texts[0][a0:a1]), "".join(texts[side][b0:b1])
            parts += [left] if common else [f"[-{left}-]" if a1 > a0 else "", f"{{+{right}+}}" if b1 > b0 else ""]
        lines.append("".join(parts))
        lines += _largest_differences(compared, side)
    if excerpt.note:
        lines += ["", excerpt.note]
    return "\n".join(lines)


def _largest_differences(compared: Alignment, side: int) -> list[str]:
    """Return lines with the common texts on which a response and the first differ most."""
    pair, letter = compared.pair(side), LETTERS[side]
    sizes = np.nan_to_num(np.abs(pair.difference))
    largest = [row for row in np.argsort(-sizes, kind="stable")[:_LARGEST].tolist() if sizes[row] >= 0.005]
    if not largest:
        return []
    octets = compared.tables[0].token_bytes
    lines = [
        "",
        f"Common text that A and {letter} differ on most (probability in each, difference in nats):",
    ]
    for row in largest:
        text = short_label(b"".join(octets[pair.a_start[row] : pair.a_stop[row]]))
        a, b = (percent(math.exp(min(float(logprob[row]), 0.0))) for logprob in (pair.a_logprob, pair.b_logprob))
        lines.append(f"  {text}  A {a}  {letter} {b}  {format_signed(float(pair.difference[row]))}")
    return lines


def truncate_units(compared: Alignment, limit: int | None) -> Excerpt:
    """Return the first units with at most ``limit`` tokens of each response."""
    check_limit(limit)
    starts = compared.units.starts
    size = starts.shape[1] - 1
    if limit is None or max(compared.counts, default=0) <= limit:
        return Excerpt(size, compared.counts, "")
    # Units are not split: one that exceeds the limit is omitted with all that follow.
    units = int(np.searchsorted(starts.max(axis=0), limit, "right")) - 1
    tokens = [int(edges[units]) for edges in starts]
    return Excerpt(units, tokens, count_omitted(compared, tokens))


def count_omitted(compared: Alignment, tokens: Sequence[int]) -> str:
    """Return a note with the numbers of omitted tokens if so many of each response are shown; empty for none."""
    more = [
        f"{count - shown} of {LETTERS[side]}"
        for side, (count, shown) in enumerate(zip(compared.counts, tokens, strict=True))
        if count > shown
    ]
    return f"… more tokens: {', '.join(more)}" if more else ""


def summary(compared: Alignment, side: int) -> str:
    """Return what the tokens of a response add up to: their number, mean log-probability, perplexity and entropy.

    Lines break between two of these facts, or before one in parentheses, but not between words and their number.
    """
    facts = table_facts(compared.tables[side])
    if side > 1:
        facts += f" · {percent(common_share(compared, side))} shared with A"
    return re.sub(r"(?<!·) (?!\()", "\N{NO-BREAK SPACE}", facts)


def table_facts(table: Logprobs) -> str:
    """Return what the tokens of one response add up to."""
    count = pluralize(len(table), "token")
    likelihood = likelihood_of(table)
    facts = [count]
    if likelihood.perplexity is not None and likelihood.mean_logprob is not None:
        extent = f" (of {likelihood.n} of {count})" if likelihood.n < len(table) else ""
        mean = format_mean(likelihood.mean_logprob)
        facts += [f"mean logprob {mean}", f"perplexity {format_perplexity(likelihood.perplexity)}{extent}"]
    entropy = table.entropy(base=2)
    if not np.isnan(entropy).all():
        facts.append(f"mean entropy {np.nanmean(entropy):.2f} bits")
    return " · ".join(facts)


def likelihood_of(table: Logprobs) -> SequenceStats:
    """Return the likelihood of the tokens whose log-probability is known."""
    return sequence_stats(table.logprob[~table.censored])


def format_mean(nats: float) -> str:
    """Format a mean log-probability for people."""
    return format_signed(nats).removeprefix("+").replace("±0", "0.00")


def format_perplexity(perplexity: float) -> str:
    """Format a perplexity for people, with three digits as in the browser."""
    if perplexity >= 1e6:
        return f"{perplexity:.1e}"
    return f"{perplexity:.{2 if perplexity < 9.995 else 1 if perplexity < 99.95 else 0}f}"


def common_share(compared: Alignment, side: int) -> float:
    """Return the share of the tokens of A and another response that are in text which both have; 1 for no tokens."""
    pair = compared.pair(side)
    total = compared.counts[0] + compared.counts[side]
    common = int(((pair.a_stop - pair.a_start) + (pair.b_stop - pair.b_start))[pair.common].sum())
    return common / total if total else 1.0


def has_little_in_common(compared: Alignment) -> bool:
    """Return whether so little text is common that differences say nothing, and probabilities are the better colour."""
    return all(common_share(compared, side) < _LITTLE for side in range(1, len(compared.tables)))


def default_color(compared: Alignment) -> CompareBy:
    """Return the default measure of the colours."""
    return "probability" if has_little_in_common(compared) else "difference"


def _caption(compared: Alignment, color_by: CompareBy) -> str:
    """Return the caption of the table: the share of the tokens of A and B that are in common text."""
    answers = "The answers" if len(compared.tables) == 2 else "A and B"
    share = f"{answers} share {percent(common_share(compared, 1))} of their tokens"
    if has_little_in_common(compared) and color_by != "difference":
        return f"{share}, too few to compare: each token is coloured by {color_by}. Underlined: only in this one."
    return f"{share}. Underlined: only in this one."


def text_rows(compared: Alignment, size: int) -> Iterator[tuple[int, int]]:
    """Yield the units of each row. A row ends at a common line break, and a long difference has a row of its own."""
    starts, common = compared.units
    octets = compared.tables[0].token_bytes
    first = 0
    for unit in range(size):
        if not common[unit] and int(np.diff(starts[:, unit : unit + 2], axis=1).max()) > _OWN_ROW:
            if unit > first:
                yield first, unit
            yield unit, unit + 1
            first = unit + 1
        elif common[unit] and octets[starts[0, unit + 1] - 1].endswith(b"\n"):
            yield first, unit + 1
            first = unit + 1
    if size > first:
        yield first, size


def after_letter(side: int, name: str) -> str:
    """Return a name to write after its letter; empty if the name is that letter."""
    return "" if name.strip() == LETTERS[side] else f" {printable(name)}"


def _token_texts(compared: Alignment, side: int, count: int) -> list[str]:
    return [
        "".join(part.shown + "\n" * part.breaks for part in parts)
        for parts in group_by_token(compared.tables[side].token_bytes[:count])
    ]


def _tokens(compared: Alignment, side: int, color_by: CompareBy, count: int) -> list[str]:
    """Return the HTML of each token."""
    table = compared.tables[side]
    difference, common = compared.difference(side), compared.common(side)
    by: ColorBy | None = None if color_by == "difference" else color_by
    heats = heat(difference) if by is None else SCALES[by].heat(scale_values(table, by))
    probabilities, octets = table.prob, table.token_bytes
    elements: list[str] = []
    for token, parts in enumerate(group_by_token(octets[:count])):
        only = not common[token]
        plain = only and by is None
        names = ["deluge-only"] if only else ["deluge-surer"] if by is None and difference[token] > 0 else []
        if math.isnan(heats[token]) and not plain:
            names.append("deluge-unknown")
        tooltip = f"{short_label(octets[token])}: {percent(probabilities[token])} — "
        tooltip += "only here" if only else f"difference {format_signed(float(difference[token]))} nats"
        # Underlined even where styles are stripped, as on GitHub.
        tag = "ins" if only else "span"
        elements.append(token_elements(parts, names, math.nan if plain else float(heats[token]), tooltip, tag))
    return elements
