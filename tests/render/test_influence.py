"""A prompt coloured by the influence of its parts, as HTML and as text."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from deluge_nb import SettingError
from deluge_nb.render.influence import ColoredPart, LabeledText, to_html, to_text

TEXT = LabeledText("", 0, "One two three")


def colored(
    begin: int, end: int, delta: float, low: float | None = None, high: float | None = None, error: str | None = None
) -> ColoredPart:
    text = TEXT.text[begin:end]
    return ColoredPart(begin, end, text, delta, delta if low is None else low, delta if high is None else high, error)


def spans(page: str) -> list[tuple[str, str, str]]:
    """Return the classes, the heat and the text of each part."""
    pattern = r'<span tabindex="0"[^>]*><span class="(deluge-token[^"]*)"(?: style="--u:([\d.]+)")?[^>]*>([^<]*)'
    found = re.findall(pattern, page)
    return [(classes.removeprefix("deluge-token").strip(), heat, text) for classes, heat, text in found]


def test_likelier_is_blue_less_likely_orange_and_the_largest_is_strongest() -> None:
    page = to_html([TEXT], [colored(0, 3, 6.0), colored(4, 7, -3.0), colored(8, 13, 0.0)], "x")
    assert spans(page) == [("deluge-surer", "1", "One"), ("", "0.5", "two"), ("", "0", "three")]
    assert "from −6.00 nats, less likely, to +6.00 nats, likelier" in page


def test_small_influences_are_pale() -> None:
    page = to_html([TEXT], [colored(0, 3, 0.5)], "x")
    assert spans(page) == [("deluge-surer", "0.25", "One")]


def test_a_part_has_the_colour_that_is_certain() -> None:
    unknown = math.nan
    parts = [colored(0, 3, 1.0, 0.5, 4.0), colored(4, 7, unknown, -math.inf, -1.0), colored(8, 13, 0.1, -0.2, 0.3)]
    page = to_html([TEXT], parts, "x")
    assert spans(page) == [("deluge-surer", "0.25", "One"), ("", "0.5", "two"), ("", "0", "three")]
    assert "between +0.50 and +4.00 nats" in page
    assert "makes the answer at least 2.72 times less likely; between −∞ and −1.00 nats" in page


@pytest.mark.parametrize(
    "part",
    [
        colored(0, 3, math.nan),
        colored(0, 3, math.nan, -1.0, 2.0),
        colored(0, 3, math.nan, error="out of memory"),
    ],
)
def test_a_part_of_which_nothing_is_known_is_marked(part: ColoredPart) -> None:
    page = to_html([TEXT], [part], "x")
    assert spans(page) == [("deluge-unknown", "", "One")]
    assert "not known" in page


def test_text_between_the_parts_and_line_breaks_stay() -> None:
    text = LabeledText("", 0, "One\ntwo \n three")
    page = to_html([text], [ColoredPart(0, 7, "One\ntwo", 1.0, 1.0, 1.0, None)], "x")
    body = page[page.index('deluge-influence">') : page.index('<div class="deluge-note">')]
    plain = re.sub(r"<[^>]*>", "", body.replace("<br>", "\n"))
    assert plain == 'deluge-influence">One\ntwo \n three'


def test_a_chat_shows_the_roles_and_each_part_once() -> None:
    texts = [LabeledText("system", 0, "One"), LabeledText("user", 3, "Two")]
    parts = [ColoredPart(3, 6, "Two", 1.0, 1.0, 1.0, None), ColoredPart(0, 3, "One", -1.0, -1.0, -1.0, None)]
    page = to_html(texts, parts, "x")
    assert re.findall(r'deluge-role">(\w+)<', page) == ["system", "user"]
    assert [text for _, _, text in spans(page)] == ["One", "Two"]


def test_every_text_is_escaped_and_changes_no_direction() -> None:
    hostile = "</span><script>alert(1)</script>\u202e\x1b[31m\"' onfocus='x"
    texts = [LabeledText(hostile, 0, hostile)]
    parts = [ColoredPart(0, len(hostile), hostile, math.nan, math.nan, math.nan, hostile)]
    page = to_html(texts, parts, hostile, title=hostile, standalone=True)
    assert "<script" not in page
    assert not set("\u202e\x1b") & set(page + to_text(parts, hostile))
    assert not re.search(r"<[^>]*[\"'] onfocus", page)


def test_the_largest_parts_are_in_a_table_in_their_order() -> None:
    many = [ColoredPart(i, i + 1, f"p{i:02}", i / 10, i / 10, i / 10, None) for i in range(30)]
    page = to_html([LabeledText("", 0, "x" * 30)], many, "x")
    assert re.findall(r"<td>(p\d\d)</td>", page) == [f"p{i:02}" for i in range(29, 9, -1)]
    assert "and 10 more" in page
    assert "bounds" not in page[page.index("<details") :]


def test_text_has_a_line_for_each_part() -> None:
    parts = [
        colored(0, 3, 6.0),
        colored(4, 7, math.nan, -math.inf, -1.0),
        colored(8, 13, math.nan),
        colored(8, 13, math.nan, error="x"),
    ]
    assert to_text(parts, "Four").splitlines() == [
        "Four",
        "       +6.00  One",
        "  −∞ … −1.00  two",
        "     unknown  three",
        "      failed  three",
    ]


def test_text_is_coloured_where_that_is_asked_for() -> None:
    parts = [colored(0, 3, 6.0), colored(4, 7, -6.0), colored(8, 13, 0.0), colored(8, 13, math.nan)]
    lines = to_text(parts, "Four", color=True).splitlines()
    assert lines[1].endswith("\x1b[38;2;20;20;20;48;2;94;162;245mOne\x1b[0m")
    assert lines[2].endswith("\x1b[38;2;20;20;20;48;2;255;154;60mtwo\x1b[0m")
    assert [line.split()[-1] for line in lines[3:]] == ["three", "three"]
    assert re.sub(r"\x1b\[[\d;]*m", "", "\n".join(lines)) == to_text(parts, "Four")


def test_the_conditions_under_which_numbers_hold_are_shown() -> None:
    parts = [colored(0, 3, 1.0)._replace(note="read in windows")]
    page = to_html([TEXT], parts, "x", note="not <proven>")
    assert "times likelier; read in windows" in page
    assert "not &lt;proven&gt;</div>" in page
    assert to_text(parts, "One", note="not proven").splitlines()[-1] == "Note: not proven"


def test_a_title_that_is_no_text_is_refused() -> None:
    title: Any = 5
    with pytest.raises(SettingError, match="title must be a text"):
        to_html([TEXT], [], "x", title=title)
