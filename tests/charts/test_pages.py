"""Charts as pages: whatever a model wrote, a page has the elements of a harmless one, and it needs no network."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt
import pytest

from deluge_nb import (
    CalibrationReport,
    LogprobCompare,
    LogprobView,
    alternatives_chart,
    confidence_chart,
    entropy_chart,
    events_chart,
    frequency_chart,
    offline,
    surprisal_chart,
    token_chart,
)
from deluge_nb.printable import printable

pytestmark = pytest.mark.slow

HARMLESS = ("one", "two", "three")
HOSTILE = [
    ("</script><img src=x a='", "' onerror='hacked=1//", "'>"),
    ("<!--<script>", "</SCRIPT >", "<svg onload=hacked=1>"),
    ("]]><iframe src=javascript:hacked=1>", "</style></title></textarea>", "\u2028</script/x>"),
    ("\\u003c/script><b>", "\\</script>", '"</script\n>'),
]


def table(tokens: tuple[str, ...]) -> list[dict[str, Any]]:
    top = [{"token": token, "logprob": -1.5} for token in tokens]
    return [{"token": token, "logprob": -1.5, "top_logprobs": top} for token in tokens]


def plain(tokens: tuple[str, ...]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[{"x": token} for token in tokens])).mark_bar().encode(x="x:N")


def compared(tokens: tuple[str, ...]) -> Any:
    return LogprobCompare(table(tokens), table(tokens[:2]), names=[tokens[0], tokens[1]]).chart()


def reliability(tokens: tuple[str, ...]) -> Any:
    report = CalibrationReport([0.9, 0.8, 0.4], [1, 1, 0])
    return report.reliability_chart().properties(title=tokens[0])


CHARTS: dict[str, Callable[[tuple[str, ...]], Any]] = {
    "entropy": lambda tokens: entropy_chart(table(tokens)),
    "confidence": lambda tokens: confidence_chart(table(tokens)),
    "token": lambda tokens: token_chart(table(tokens)),
    "surprisal": lambda tokens: surprisal_chart(table(tokens)),
    "the user's own": lambda tokens: offline(plain(tokens)),
    "alternatives": lambda tokens: alternatives_chart(table(tokens), 0),
    "comparison": compared,
    "calibration": reliability,
    "above": lambda tokens: entropy_chart(table(tokens)) & confidence_chart(table(tokens)),
    "beside": lambda tokens: entropy_chart(table(tokens)) | confidence_chart(table(tokens)) | plain(tokens),
    "layers": lambda tokens: entropy_chart(table(tokens)) + confidence_chart(table(tokens)),
    "vconcat": lambda tokens: alt.vconcat(entropy_chart(table(tokens)), plain(tokens)),
    "concat": lambda tokens: alt.concat(entropy_chart(table(tokens)), plain(tokens)),
    "layer": lambda tokens: alt.layer(entropy_chart(table(tokens)), confidence_chart(table(tokens))),
    "under a chart of Altair's": lambda tokens: plain(tokens) & entropy_chart(table(tokens)),
    "facet": lambda tokens: plain(tokens).facet("x:N") & entropy_chart(table(tokens)),
    "events": lambda tokens: events_chart(list(tokens), [0.5, 0.25, 0.125], [tokens[1]]),
    "frequency": lambda tokens: frequency_chart(0.5, 0.5, 0.5, total=10, names=tokens[:2], called=tokens[1:]),  # type: ignore[bad-argument-type]
    "titled": lambda tokens: entropy_chart(table(tokens)).properties(title=tokens[0], description=tokens[1]),
}
RENDERERS = sorted(set(alt.renderers.names()) - {"browser"})


def elements(page: str) -> list[tuple[str, ...]]:
    """Return every tag of a page with the names of its attributes."""
    tags: list[tuple[str, ...]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, *sorted(name for name, _ in attrs)))

        def handle_endtag(self, tag: str) -> None:
            tags.append(("/" + tag,))

        def handle_comment(self, data: str) -> None:
            tags.append(("comment", data))

    reader = Reader()
    reader.feed(page)
    reader.close()
    return tags


def shown(chart: Any, renderer: str) -> dict[str, Any]:
    enabled: Any = alt.renderers.enable(renderer)
    with enabled:
        bundle = chart._repr_mimebundle_()
    return bundle[0] if isinstance(bundle, tuple) else bundle


@pytest.mark.parametrize("tokens", HOSTILE)
@pytest.mark.parametrize("chart", CHARTS)
def test_a_page_has_the_elements_of_a_page_with_harmless_tokens(
    chart: str, tokens: tuple[str, ...], tmp_path: Path
) -> None:
    made, safe = CHARTS[chart](tokens), CHARTS[chart](HARMLESS)
    pages = [made.to_html(), made.to_html(fullhtml=False), made.to_html(requirejs=True)]
    pages.append(made.to_html(json_kwds={"ensure_ascii": False, "indent": 1}))
    made.save(tmp_path / "chart.html")
    pages.append((tmp_path / "chart.html").read_text(encoding="utf-8"))
    made.save(file := io.StringIO(), "html")
    pages.append(file.getvalue())
    harmless = [safe.to_html(), safe.to_html(fullhtml=False), safe.to_html(requirejs=True), *[safe.to_html()] * 3]
    assert [elements(page) for page in pages] == [elements(page) for page in harmless]


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize(
    "chart", ["token", "surprisal", "comparison", "calibration", "above", "vconcat", "the user's own"]
)
def test_no_renderer_makes_markup_of_tokens(chart: str, renderer: str) -> None:
    for tokens in HOSTILE:
        bundle, safe = shown(CHARTS[chart](tokens), renderer), shown(CHARTS[chart](HARMLESS), renderer)
        assert bundle.keys() == safe.keys()
        for kind in bundle.keys() & {"text/html", "image/svg+xml"}:
            assert [tag[0] for tag in elements(bundle[kind])] == [tag[0] for tag in elements(safe[kind])]
            assert not {name for tag in elements(bundle[kind]) for name in tag[1:] if name.startswith("on")}


def test_the_page_of_the_browser_renderer_is_escaped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []

    def open_page(page: str, **_: Any) -> None:
        pages.append(page)

    monkeypatch.setattr("altair.utils._show.open_html_in_browser", open_page)
    for tokens in (HOSTILE[0], HARMLESS):
        shown(CHARTS["above"](tokens), "browser")
    assert len(pages) == 2
    assert elements(pages[0]) == elements(pages[1])


def source_head(spec: dict[str, Any]) -> str:
    return spec["usermeta"]["embedOptions"]["sourceHeader"]


@pytest.mark.parametrize("form", ["vega-lite", "vega"])
@pytest.mark.parametrize("chart", CHARTS)
def test_the_page_of_view_source_is_plain_text(chart: str, form: Any) -> None:
    head = source_head(CHARTS[chart](HOSTILE[0]).to_dict(format=form))
    assert head.endswith("<plaintext>")


def test_compounds_of_any_depth_and_charts_read_from_them_show_their_source_as_text() -> None:
    made = CHARTS["entropy"](HOSTILE[0])
    deep = alt.hconcat(alt.vconcat(plain(HARMLESS), alt.layer(made, made)), plain(HARMLESS))
    for chart in (deep, made.facet("token:N"), made.repeat(["a"]), alt.Chart.from_dict(deep.to_dict())):
        assert source_head(chart.to_dict()).endswith("<plaintext>")


def svg(chart: Any) -> ElementTree.Element:
    chart.save(file := io.StringIO(), "svg")
    return ElementTree.fromstring(file.getvalue())


PROPERTIES = ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"]


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("chart", ["token", "surprisal", "entropy", "confidence", "alternatives", "comparison"])
def test_a_token_named_like_a_property_of_every_object_is_drawn(chart: str, name: str) -> None:
    drawn, safe = (svg(CHARTS[chart](tokens)) for tokens in ((name, "two", "three"), HARMLESS))
    assert [part.tag for part in drawn.iter()] == [part.tag for part in safe.iter()]
    assert any((part.text or "").startswith(name) for part in drawn.iter())


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\x0bb", "\x1b[2J", "\x9b", "\u202e", "\u2028", "\ufffe", "\uffff", "\ud800"]
)
@pytest.mark.parametrize("chart", ["comparison", "calibration", "titled", "entropy", "events", "frequency"])
def test_a_character_that_no_picture_can_have_is_a_sign(chart: str, text: str) -> None:
    # Such a character in a title aborted the whole process, not only the chart.
    made = CHARTS[chart]((text, f"{text}!", "three")) if chart != "entropy" else entropy_chart(table(HARMLESS))
    drawn = svg(alt.vconcat(made).properties(title=[text, "second line"]))
    assert printable(text) in [part.text for part in drawn.iter()]
    assert shown(made, "png")["image/png"]


def test_charts_without_one_of_ours_are_left_as_altair_makes_them() -> None:
    for chart in (plain(HARMLESS), plain(HARMLESS) | plain(HARMLESS), plain(HARMLESS).facet("x:N")):
        assert "usermeta" not in chart.to_dict()


def test_a_head_that_the_user_chose_stays() -> None:
    chosen = {"embedOptions": {"sourceHeader": "<title>mine</title>", "actions": False}}
    made = alt.vconcat(CHARTS["entropy"](HARMLESS)).properties(usermeta=chosen)
    assert made.to_dict()["usermeta"] == chosen


def test_a_chart_that_is_linked_with_a_view_is_shown_by_every_renderer() -> None:
    view = LogprobView(table(HARMLESS))
    for renderer in RENDERERS:
        for chart in (entropy_chart(view) & confidence_chart(view), token_chart(view), surprisal_chart(view)):
            assert shown(chart, renderer)


def test_escaping_leaves_a_chart_as_it_was() -> None:
    made = CHARTS["entropy"](HOSTILE[0])
    assert HOSTILE[0][0] in str(made.to_dict())
    assert "<img src=x" not in made.to_html()
    assert "\\u003c/script>\\u003cimg src=x" in made.to_html()


@pytest.mark.parametrize("chart", ["entropy", "comparison", "calibration", "above"])
def test_a_page_loads_nothing_from_the_network(chart: str, tmp_path: Path) -> None:
    made = CHARTS[chart](HARMLESS)
    made.save(str(tmp_path / "chart.html"))
    for page in (made.to_html(), (tmp_path / "chart.html").read_text(encoding="utf-8")):
        assert not [tag for tag in elements(page) if "src" in tag or "href" in tag]


def test_a_page_without_vega_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    made = CHARTS["entropy"](HARMLESS)
    made.save(tmp_path / "chart.html")
    for page in (made.to_html(), (tmp_path / "chart.html").read_text(encoding="utf-8")):
        assert "needs Vega from https://cdn.jsdelivr.net" in page
        assert "deluge-nb[pictures]" in page


def test_other_formats_are_saved_as_altair_saves_them(tmp_path: Path) -> None:
    made = CHARTS["entropy"](HARMLESS)
    for name in ("chart.json", "chart.svg", "chart.png"):
        made.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size
    with pytest.raises(ValueError, match="format"):
        made.save(io.StringIO())
