"""Tables without a widget: static HTML and text."""

from __future__ import annotations

import base64
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    LogprobCompare,
    Logprobs,
    LogprobsMissingError,
    LogprobView,
    SettingError,
    to_html,
    to_svg,
    to_text,
)
from deluge_nb.render.colors import inks_for, to_css
from deluge_nb.render.html import static_bundle
from deluge_nb.render.picture.png import size

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style></div></script>",
    "\" onmouseover='alert(1)'",
    "&lt;b&gt;",
    "\u202e\u2066",
    "\x00\x1b[31m",
    "a\x9b31m",
]


def entry(token: str | bytes, p: float, **others: float) -> dict[str, Any]:
    raw = token if isinstance(token, bytes) else token.encode()
    text = raw.decode("utf-8", "replace")
    top = [{"token": text, "logprob": math.log(p), "bytes": list(raw)}]
    top += [{"token": other, "logprob": math.log(q), "bytes": list(other.encode())} for other, q in others.items()]
    return {"token": text, "logprob": math.log(p), "bytes": list(raw), "top_logprobs": top}


FRANCE = [
    entry("The", 0.53),
    entry(" capital", 0.93),
    entry(" is", 0.9, **{" was": 0.04}),
    entry(" Paris", 0.04, **{" Lyon": 0.7, "  Nice": 0.1}),
    entry(".", 0.6),
]


class Spans(HTMLParser):
    """The tokens of a page as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.titles: list[str] = []
        self.alternative = ""
        self.attributes: set[str] = set()
        self._static = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes |= found.keys()
        self._static = self._static or found.get("class") == "deluge-static"
        self.alternative += found.get("alt") or ""
        if "title" in found:
            self.titles.append(found["title"] or "")
        if tag == "br":
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        if self._static:
            self.text += data


def test_the_page_has_the_text_of_the_completion() -> None:
    assert Spans(to_html(FRANCE)).text == "The capital is Paris."


# Without controls, which Python's parser drops.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t"), max_size=8)


@given(st.lists(TEXTS, max_size=8))
def test_the_text_of_a_page_is_that_of_the_completion_without_marks(tokens: list[str]) -> None:
    rows = [entry(token, 0.5) for token in tokens]
    assert Spans(to_html(rows)).text == "".join(tokens)
    compared = Spans(re.sub("deluge-static deluge-compared", "deluge-static", LogprobCompare(rows, rows).to_html()))
    assert all(token.replace("\n", "") in compared.text.replace("\n", "") for token in tokens)


def test_marks_are_drawn_by_the_stylesheet() -> None:
    page = to_html([entry(token, 0.25) for token in ("x:\n", "  ", "\t")])
    # The percent of a token that ends its line comes after it, on the same line.
    number = '<span class="deluge-beside" data-text="25 %"></span>'
    assert f' deluge-ended" style="--u:0.866" title="x:↵: 25 %">x:</span>{number}<br>' in page
    assert 'title="··: 25 %" data-text="··">  </span>' in page
    assert 'title="⇥   : 25 %" data-text="⇥   ">\t</span>' in page


def of_size(kind: str, n: int) -> tuple[list[dict[str, Any]], str]:
    """Return a completion and a title of the size n."""
    match kind:
        case "token":
            return [entry("\n" * n, 0.5)], ""
        case "lines":
            return [entry("a\n" * n, 0.5)], ""
        case "marks":
            return [entry("a" + "\u0301" * n, 0.5)], ""
        case "mixture":
            return [entry("\t \u202e\n" * n, 0.5), entry("\u200b" * n, 0.5)], ""
        case "alternative":
            return [entry("a", 0.5, **{"\n" * n: 0.25})], ""
        case _:
            return [entry("a\n", 0.5)], "\n$<" * n


@pytest.mark.parametrize("kind", ["token", "lines", "marks", "mixture", "alternative", "title"])
def test_static_forms_grow_in_proportion_to_the_text(kind: str) -> None:
    def sizes(n: int) -> list[int]:
        rows, title = of_size(kind, n)
        widgets = [LogprobView(rows, title=title), LogprobCompare(rows, rows, title=title)]
        texts = [text for widget in widgets for text in widget._static_forms().values()]
        # The stylesheet and the picture do not depend on the size of the text.
        fixed = r"<style>.*?</style>|<img[^>]*>"
        return [len(re.sub(fixed, "", text, flags=re.DOTALL)) for text in [*texts, to_html(rows, title=title)]]

    for small, large in zip(sizes(1000), sizes(2000), strict=True):
        assert large <= 2.2 * small
        # A comparison has the text twice.
        assert large < 2 * 200 * 2000


@pytest.mark.parametrize("unit", ["x", "a\n", "\t", "a\u0301\u0301", "\u202e"])
def test_a_token_of_five_megabytes_makes_no_large_static_form(unit: str) -> None:
    text = unit * (5_000_000 // len(unit.encode()))
    rows = [{"token": text, "logprob": -0.5, "top_logprobs": [{"token": text[1:], "logprob": -2.0}]}]
    forms = LogprobView(rows, title=text)._static_forms() | {"svg": to_svg(rows, title=text, before=text)}
    forms |= {f"compared {kind}": form for kind, form in LogprobCompare(rows, rows, title=text)._static_forms().items()}
    assert {kind: len(form) for kind, form in forms.items() if len(form) > 6_000_000} == {}
    assert "⟨+" in forms["text/html"]


def test_a_token_of_many_lines_has_one_tooltip_with_a_short_label() -> None:
    page = Spans(to_html([entry("\n" * 100, 0.5, **{"x" * 41: 0.25, "y" * 40: 0.1})]))
    assert page.titles == [f"{'↵' * 39}…: 50 % — {'x' * 39}… 25 %, {'y' * 40} 10 %"]


def test_a_tooltip_begins_with_the_likeliest_alternatives_in_whatever_order_they_came() -> None:
    others = {f"o{k}": k / 100 for k in range(1, 10)}
    row = entry("x", 0.05, **others)
    row["top_logprobs"].append({"token": "unknown", "logprob": None})
    (tooltip,) = re.findall(r'title="(x: [^"]*)"', to_html([row]))
    assert tooltip == "x: 5 % — o9 9 %, o8 8 %, o7 7 %"


def test_a_tooltip_says_the_probability_and_what_else_was_weighed() -> None:
    assert Spans(to_html(FRANCE)).titles[3] == "·Paris: 4 % — ·Lyon 70 %, ··Nice 10 %"


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_text_makes_no_element_and_no_attribute(token: str) -> None:
    plain, hostile = Spans(to_html([entry("a", 0.5)])), Spans(to_html([entry(token, 0.5, **{token + "!": 0.2})]))
    assert hostile.tags == plain.tags
    assert hostile.attributes == plain.attributes


@pytest.mark.parametrize("token", HOSTILE)
def test_a_title_is_only_text(token: str) -> None:
    plain, hostile = (Spans(to_html(FRANCE, title=title, standalone=True)) for title in ("a", token))
    assert hostile.tags == plain.tags


@given(st.lists(st.text(max_size=8), max_size=8))
def test_no_token_adds_an_element(tokens: list[str]) -> None:
    page = Spans(to_html([entry(token, 0.5) for token in tokens]))
    assert set(page.tags) <= {"div", "pre", "span", "style", "br"}
    data = {"data-color", "data-palette", "data-text"}
    assert page.attributes <= {"class", "style", "title", "role", "aria-label", *data}


def test_dollar_signs_are_no_formulas_for_jupyter() -> None:
    rows = [{"token": "$x$", "logprob": -0.1}]
    compared = LogprobCompare(rows, rows, names=["$a$", "$b$"], title="$c$").to_html()
    for page in (to_html(rows, title="$c$"), to_html(rows, title="$c$", standalone=True), compared):
        outside = re.sub(r'<div class="deluge tex2jax_ignore mathjax_ignore.*</div>', "", page, flags=re.DOTALL)
        assert "$x$" in page
        assert "$x$" not in outside
        assert "$" not in outside.replace("<title>$c$</title>", "")


def test_each_token_carries_its_numbers_and_none_that_are_withheld() -> None:
    page = to_html([entry("a", 0.25), {"token": "b", "logprob": -9999.0, "bytes": None, "top_logprobs": []}])
    assert '<span class="deluge-token" style="--u:0.866" title="a: 25 %">a</span>' in page
    assert '<span class="deluge-token deluge-unknown" title="b: unknown">b</span>' in page


def test_the_legend_is_of_the_scale_that_is_painted() -> None:
    page = to_html(FRANCE, color_by="entropy")
    assert 'data-color="entropy"' in page
    assert '<span class="deluge-token" style="--u:1" data-text="≥ 8"></span><span data-text="bits">' in page


def test_without_its_stylesheet_only_the_text_is_left() -> None:
    page = re.sub(r"<style>.*?</style>|<[^>]+>", "", to_html(FRANCE), flags=re.DOTALL)
    assert page == "".join(one["token"] for one in FRANCE)


def test_the_element_brings_its_stylesheet_and_asks_for_nothing() -> None:
    page = to_html(FRANCE, standalone=True)
    assert ".deluge-token" in page
    assert not re.search(r"https?://|@import|url\(", page)


def test_a_page_to_send_is_complete_and_an_element_is_not() -> None:
    page = to_html(FRANCE, title="Capitals & cities", standalone=True)
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page
    assert "<title>Capitals &amp; cities</title>" in page
    assert "<html" not in to_html(FRANCE)


def test_the_number_of_omitted_tokens_is_shown() -> None:
    assert Spans(to_html(FRANCE, limit=2)).text == "The capital… 3 more tokens"
    assert to_text(FRANCE, limit=4).splitlines()[1] == "… 1 more token"
    assert "more token" not in to_html(FRANCE, limit=5)


def test_a_page_is_of_the_palette_that_is_asked_for() -> None:
    assert 'data-palette="green"' in to_html(FRANCE, palette="green")


def test_a_picture_comes_with_the_page_where_it_is_asked_for() -> None:
    assert "img" not in Spans(to_html(FRANCE)).tags
    page = Spans(to_html(FRANCE, picture=True))
    assert page.tags.count("img") == 1
    assert page.alternative == "Tokens coloured by probability: The capital is Paris."
    assert page.text == "The capital is Paris."
    drawn = base64.b64decode(re.findall(r'src="data:image/png;base64,([^"]+)"', to_html(FRANCE, picture=True))[0])
    assert drawn.startswith(b"\x89PNG")
    assert int(re.findall(r'<img [^>]*width="(\d+)"', to_html(FRANCE, picture=True))[0]) * 2 == size(drawn)[0]


@pytest.mark.parametrize("token", HOSTILE)
def test_the_text_of_a_picture_is_no_markup(token: str) -> None:
    plain, hostile = (Spans(to_html([entry(one, 0.5)], title=one, picture=True)) for one in ("a", token))
    assert (hostile.tags, hostile.attributes) == (plain.tags, plain.attributes)


def test_what_is_hidden_without_styles_is_all_that_the_picture_shows() -> None:
    page = to_html(FRANCE, title="Capitals", picture=True)
    before, hidden = re.split('<div class="deluge-pictured" [^>]*hidden>', page)
    assert re.sub(r"<style>.*?</style>|<[^>]+>", "", before, flags=re.DOTALL) == ""
    assert "Capitals" in hidden
    assert hidden.endswith("</div></div></div>")


def test_what_stands_beside_a_widget_is_bounded() -> None:
    table = Logprobs.from_entries(entry(" word", 0.9) for _ in range(20_000))
    bundle = static_bundle(table)
    assert set(bundle) == {"text/html", "text/plain"}
    assert len(bundle["text/html"]) < 600_000
    assert Spans(bundle["text/html"]).alternative.count(" word") == 400
    assert "… 18000 more tokens" in bundle["text/html"]
    assert "… 18000 more tokens" in bundle["text/plain"]


def test_plain_text_lists_the_least_probable_tokens() -> None:
    assert to_text(FRANCE) == (
        "The capital is Paris.\n\nThe least probable of 5 tokens:\n  ·Paris       4 %  ·Lyon 70 %, ··Nice 10 %"
    )


def test_counts_of_one_are_in_the_singular() -> None:
    rows = [entry("a", 0.25), entry("b", 0.75), entry("c", 0.75), entry("d", 0.75)]
    assert "\n\nThe least probable of 4 tokens:\n" in to_text(rows)
    assert "\n\nThe 2 least probable of 4 tokens:\n" in to_text([rows[0], *rows[:3]])
    assert to_text(FRANCE, limit=4).splitlines()[1] == "… 1 more token"


def test_plain_text_of_a_sure_completion_is_only_the_text() -> None:
    assert to_text([entry("Yes", 0.99)] * 4) == "Yes" * 4
    assert to_text([]) == ""


def test_coloured_text_is_the_text_once_the_colours_are_taken_off() -> None:
    coloured = to_text(FRANCE, color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == "The capital is Paris."


@pytest.mark.parametrize("token", HOSTILE)
@pytest.mark.parametrize("color", [False, True])
def test_a_token_gives_a_terminal_no_commands(token: str, color: bool) -> None:
    text = re.sub(r"\x1b\[[\d;]*m", "", to_text([entry(token, 0.3)], color=color))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_lines_of_text_are_broken_at_the_width() -> None:
    rows = [entry(token, 0.9) for token in ("one", " two", " three", " four")]
    assert to_text(rows, width=12) == "one two\n three four"


CAPITALS = {" London": 0.2, " Rome": 0.08, " Oslo": 0.04, " Bonn": 0.02, " Riga": 0.01}


@pytest.mark.parametrize("color", [False, True])
def test_below_the_text_of_a_short_answer_are_its_numbers(color: bool) -> None:
    one, two = [entry(" Paris", 0.6, **CAPITALS)], [entry(" Paris", 0.6), entry(".", 0.25, **{",": 0.5})]
    assert to_text(one, before="It is", color=color).split("\n\n")[1].splitlines() == [
        "  ·Paris       60 %  ██████████████▍",
        "  ·London      20 %  ████▊",
        "  ·Rome         8 %  █▉",
        "  ·Oslo         4 %  █",
        "  ·Bonn         2 %  ▌",
    ]
    assert to_text(two, color=color).split("\n\n")[1] == "  ·Paris      60 %\n  .           25 %  , 50 %"
    assert "\n\n" not in to_text(two * 2, color=True)


def test_a_response_without_a_table_says_why() -> None:
    with pytest.raises(LogprobsMissingError, match="the model was busy"):
        to_html(SimpleNamespace(logprobs=None, error_message="the model was busy"))
    with pytest.raises(LogprobsMissingError, match="logprobs=True"):
        to_text(None)


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"logprobs": 5}, "logprobs"),
        ({"logprobs": FRANCE, "color_by": "colour"}, "color_by"),
        ({"logprobs": FRANCE, "palette": "red"}, "palette"),
        ({"logprobs": FRANCE, "limit": -1}, "limit"),
    ],
)
def test_a_value_that_cannot_be_is_named(arguments: dict[str, Any], setting: str) -> None:
    with pytest.raises(SettingError) as caught:
        to_html(**arguments)
    assert caught.value.setting == setting


def test_a_line_has_at_least_one_column() -> None:
    with pytest.raises(SettingError, match="not 0"):
        to_text(FRANCE, width=0)


@given(st.lists(st.text(max_size=8), max_size=8))
def test_the_source_of_a_page_has_no_control_and_no_direction_character(tokens: list[str]) -> None:
    rows = [entry(token, 0.5) for token in tokens]
    for page in (to_html(rows, title="".join(tokens)), LogprobCompare(rows, rows).to_html()):
        outside_title = re.sub(r'<div class="deluge-title">.*?</div>', "", page, flags=re.DOTALL)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", outside_title)


@pytest.mark.parametrize("kind", ["html", "text", "svg", "png"])
def test_view_and_comparison_have_every_export(kind: str, tmp_path: Path) -> None:
    widgets: list[LogprobView | LogprobCompare] = [
        LogprobView(FRANCE, title="Where?"),
        LogprobCompare(FRANCE, FRANCE[:3], title="Where?"),
    ]
    for widget in widgets:
        form = getattr(widget, f"to_{kind}")
        assert form() == form()
        assert form(limit=2) != form()
        with pytest.raises(SettingError):
            form(limit=-1)
        if kind in ("html", "text"):
            assert " capital" in form()
        if kind == "html":
            assert form(standalone=True).startswith("<!doctype html>")
            assert "<title>Where?</title>" in form(standalone=True)
        else:
            assert kind == "text" or form(theme="dark") != form()
        if kind != "text":
            path = tmp_path / f"file.{kind}"
            getattr(widget, f"save_{kind}")(path)
            assert path.stat().st_size > 500


def test_a_picture_of_a_comparison_has_both_directions_and_what_is_only_here() -> None:
    other = [entry("The", 0.9), entry(" capital", 0.1), entry(" was", 0.5)]
    compare = LogprobCompare(FRANCE[:3], other, names=["now", "then"])
    drawn = compare.to_svg()
    light = inks_for("amber", "light")
    assert all(text in drawn for text in (">A<", ">now<", ">B<", ">then<", ">only<", "stroke-dasharray"))
    # Once in the legend, and on a token of each side.
    assert drawn.count(f'fill="{to_css(light.edge)}"') == 1 + 2 - 1
    assert drawn.count(f'fill="{to_css(light.surer_edge)}"') == 1 + 2 - 1
    assert compare.to_png()[:4] == b"\x89PNG"
