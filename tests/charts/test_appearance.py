"""The appearance of charts: as wide as their cell, legible on light and dark pages, and in the colours of the view."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import altair as alt
import pytest
import vl_convert

from deluge_nb import (
    CalibrationReport,
    LogprobCompare,
    Logprobs,
    LogprobView,
    SettingError,
    alternatives_chart,
    confidence_chart,
    entropy_chart,
    offline,
    surprisal_chart,
    token_chart,
)
from deluge_nb.render.colors import PALETTES, Palette, luminance, parse_color
from deluge_nb.render.scale import SCALES
from tests.specs import rows_of

pytestmark = pytest.mark.slow

REPORT = CalibrationReport([0.9, 0.8, 0.4, 0.3], [1, 1, 0, 1])
VEGA_LITE = "application/vnd.vegalite.v5+json"


def table(count: int, listed: float = 0.1) -> Logprobs:
    entries = []
    for place in range(count):
        p = (0.05, 0.3, 0.6, 0.89)[place % 4]
        top = [{"token": text, "logprob": math.log(q)} for text, q in ((f" t{place}", p), (" other", listed))]
        entries.append({"token": f" t{place}", "logprob": math.log(p), "bytes": None, "top_logprobs": top})
    return Logprobs.from_entries(entries, vocab_size=1000)


def compared(measure: str) -> Any:
    return LogprobCompare(*[table(count) for count in range(2, 10)]).chart(measure)


CHARTS: dict[str, Callable[[], Any]] = {
    "token": lambda: token_chart(table(5)),
    "surprisal": lambda: surprisal_chart(table(5)),
    "entropy": lambda: entropy_chart(table(5)),
    "confidence": lambda: confidence_chart(table(5)),
    "alternatives": lambda: alternatives_chart(table(5), 0),
    "long token": lambda: token_chart(table(600)),
    "long surprisal": lambda: surprisal_chart(table(600)),
    "comparison": lambda: compared("logprob"),
}
FIXED: dict[str, Callable[[], Any]] = {
    "reliability": REPORT.reliability_chart,
    "risk and coverage": REPORT.risk_coverage_chart,
    "histogram": REPORT.histogram_chart,
    **{
        f"linked in {palette}": lambda palette=palette: token_chart(LogprobView(table(5), palette=palette))
        for palette in PALETTES
    },
}
EVERY = {**CHARTS, **FIXED}


def texts_in(part: Any) -> Iterator[str]:
    """Yield every text of a specification that is not data."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for value in part:
            yield from texts_in(value)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name not in ("datasets", "usermeta", "$schema"):
                yield from texts_in(value)


def svg(chart: Any) -> ElementTree.Element:
    chart.save(file := io.StringIO(), "svg")
    return ElementTree.fromstring(file.getvalue())


@pytest.mark.parametrize("chart", EVERY)
def test_colours_of_data_are_seen_on_white_and_on_black(chart: str) -> None:
    spec = EVERY[chart]().to_dict()
    colors = {color for text in texts_in(spec) for color in re.findall(r"#[0-9a-fA-F]{6}\b", text)}
    assert colors
    black = luminance(parse_color("#111111"))
    for color in colors:
        own = luminance(parse_color(color))
        assert 1.05 / (own + 0.05) >= 3, color
        assert (own + 0.05) / (black + 0.05) >= 3, color


def inks_of(config: dict[str, Any]) -> set[str]:
    """Return the colours of axes, titles and legends that a configuration sets."""
    parts = [*config.values(), *config.get("style", {}).values()]
    named = [(name, value) for part in parts if isinstance(part, dict) for name, value in part.items()]
    return {value for name, value in named if "olor" in name or name == "fill"}


@pytest.mark.parametrize("chart", EVERY)
def test_a_live_chart_leaves_ground_and_ink_to_the_page(chart: str) -> None:
    data, _ = EVERY[chart]()._repr_mimebundle_()
    config = data[VEGA_LITE]["config"]
    assert config["background"] == "transparent"
    assert inks_of(config) == {"currentColor"}
    assert data[VEGA_LITE]["usermeta"]["embedOptions"]["renderer"] == "svg"


def test_a_chart_of_thousands_of_tokens_is_a_canvas_with_the_ink_of_its_host() -> None:
    spec = token_chart(table(2000)).to_dict()
    assert "renderer" not in spec["usermeta"]["embedOptions"]
    assert not inks_of(spec["config"])


@pytest.mark.parametrize("chart", EVERY)
def test_the_picture_of_a_chart_has_a_white_ground_and_dark_ink(chart: str) -> None:
    drawn = svg(EVERY[chart]())
    ground = drawn.find(".//{*}rect")
    assert ground is not None
    assert ground.get("fill") == "white"
    inks = {text.get("fill") for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert all(luminance(parse_color(ink or "")) < 0.1 for ink in inks)


@pytest.mark.parametrize("chart", EVERY)
def test_labels_are_at_least_eleven_pixels_high(chart: str) -> None:
    sizes = [text.get("font-size", "") for text in svg(EVERY[chart]()).iter("{http://www.w3.org/2000/svg}text")]
    assert sizes
    assert min(float(size.removesuffix("px")) for size in sizes) >= 11


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_as_wide_as_its_cell_and_its_picture_900_pixels(chart: str) -> None:
    data, metadata = CHARTS[chart]()._repr_mimebundle_()
    params = {param["name"]: param for param in data[VEGA_LITE]["params"]}
    assert params["width"]["init"] == "chart_width"
    assert params["chart_width"]["init"].startswith("containerSize()[0]")
    assert metadata["image/png"]["width"] == 900
    assert struct.unpack(">I", base64.b64decode(data["image/png"])[16:20]) == (1800,)


def test_a_width_that_the_user_chose_stays() -> None:
    chart: Any = token_chart(table(5)).properties(width=300)
    data, metadata = chart._repr_mimebundle_()
    assert data[VEGA_LITE]["width"] == 300
    assert 300 < metadata["image/png"]["width"] < 450


def compounds() -> dict[str, Callable[[], Any]]:
    def ours() -> Any:
        return token_chart(table(5))

    def single() -> Any:
        return confidence_chart(table(5))

    return {
        "&": lambda: ours() & single(),
        "|": lambda: ours() | single(),
        "nested": lambda: (single() | single()) & ours(),
        "Altair's vconcat": lambda: alt.vconcat(ours(), single()),
        "Altair's concat": lambda: alt.concat(single(), ours(), columns=1),
        "facet": lambda: single().facet("place:N"),
    }


@pytest.mark.parametrize("compound", compounds())
def test_parts_of_a_compound_have_numbers_for_widths(compound: str) -> None:
    chart = compounds()[compound]()
    spec = chart.to_dict()
    assert "container" not in set(texts_in(spec))
    assert not [text for text in texts_in(spec) if re.search(r"\bwidth <", text)]
    bars = [part for part in svg(chart).iter() if part.get("aria-roledescription") == "bar"]
    assert bars
    assert not any("h0v" in (bar.get("d") or "") for bar in bars)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("chart", [token_chart, confidence_chart, surprisal_chart, entropy_chart, alternatives_chart])
def test_a_chart_of_a_view_has_the_palette_of_the_view(chart: Any, palette: Palette) -> None:
    colors = {
        text for text in texts_in(chart(LogprobView(table(3), palette=palette)).to_dict()) if text.startswith("#")
    }
    other: Palette = "green" if palette == "amber" else "amber"
    others = {text for text in texts_in(chart(LogprobView(table(3), palette=other)).to_dict()) if text.startswith("#")}
    plain = {text for text in texts_in(chart(table(3)).to_dict()) if text.startswith("#")}
    assert colors != others
    assert (plain <= colors) is (palette == "amber")


def test_the_curve_from_probability_to_colour_is_that_of_the_view() -> None:
    found = table(8)
    for chart in (token_chart, confidence_chart):
        rows = rows_of(chart(found).to_dict())
        assert [row["heat"] for row in rows] == pytest.approx(SCALES["probability"].heat(found.prob).tolist())


def test_probability_and_entropy_are_layers_over_one_axis_of_tokens() -> None:
    spec = token_chart(table(6)).to_dict()
    drawn = vl_convert.vegalite_to_vega(spec)
    assert [axis["orient"] for axis in drawn["axes"] if axis.get("title")] == ["bottom", "left", "right"]
    assert [axis["title"] for axis in drawn["axes"] if axis.get("title")] == [
        "Token",
        "Probability (bars)",
        "Entropy in bits (line)",
    ]
    found = table(6)
    low, high = found.entropy_bounds(base=2)
    rows = rows_of(spec)
    assert [row["probability"] for row in rows] == pytest.approx(found.prob.tolist())
    assert [row["least"] for row in rows] == pytest.approx(low.tolist())
    assert [row["most"] for row in rows] == pytest.approx(high.tolist())


def test_surprisal_stands_on_the_sum_of_the_tokens_before() -> None:
    found = table(7)
    rows = rows_of(surprisal_chart(found).to_dict())
    bits = found.surprisal(base=2)
    assert [row["bits"] for row in rows] == pytest.approx(bits.tolist())
    assert [row["sum"] for row in rows] == pytest.approx(bits.cumsum().tolist())
    assert [row["from"] for row in rows] == pytest.approx([0, *bits.cumsum()[:-1].tolist()])


def test_a_token_without_a_number_adds_nothing_to_the_sum() -> None:
    known = {"token": "a", "logprob": math.log(0.5)}
    rows = rows_of(surprisal_chart([known, {"token": "b", "logprob": -9999.0}, known]).to_dict())
    assert [row["sum"] for row in rows] == pytest.approx([1, 1, 2])
    assert (rows[1]["bits"], rows[1]["surprisal"]) == (None, "unknown")


@pytest.mark.parametrize("count", [1, 40, 41, 300])
@pytest.mark.parametrize("chart", [token_chart, entropy_chart, confidence_chart, surprisal_chart])
def test_beyond_forty_tokens_the_axis_has_numbers(chart: Any, count: int) -> None:
    labels = [text.text or "" for text in svg(chart(table(count))).iter("{http://www.w3.org/2000/svg}text")]
    assert any(label.startswith("·t") for label in labels) is (count <= 40)
    assert {row["token"] for row in rows_of(chart(table(count)).to_dict())} >= {"·t0", f"·t{count - 1}"}


@pytest.mark.parametrize("chosen", [0.0004, 0.06, 0.3, 0.8, 0.97, 1.0])
def test_alternatives_are_scaled_to_the_largest_listed_one(chosen: float) -> None:
    top = [
        {"token": text, "logprob": math.log(p)}
        for text, p in (("a", chosen), ("b", chosen / 2))
        if chosen < 0.6 or text == "a"
    ]
    chart = alternatives_chart([{"token": "a", "logprob": math.log(chosen), "top_logprobs": top}])
    spec = chart.to_dict()
    low, high = spec["encoding"]["x"]["scale"]["domain"]
    assert low == 0
    assert chosen <= high <= min(1.2 * chosen, 1.0)
    rows = rows_of(spec)
    assert max(row["end"] for row in rows) <= high
    labels = {text.text for text in svg(chart).iter("{http://www.w3.org/2000/svg}text")}
    assert {f"{row['token']}  {row['percent']}" for row in rows} <= labels


def own_charts() -> dict[str, Any]:
    base = alt.Chart(alt.InlineData(values=[{"x": 1, "y": "<b>"}, {"x": 2, "y": "c"}]))
    bars = base.mark_bar().encode(x="x:Q", y="y:N")
    return {
        "single": bars,
        "layers": bars + bars.mark_point(),
        "hconcat": bars | bars,
        "vconcat": bars & bars,
        "concat": alt.concat(bars, bars),
        "facet": bars.facet("y:N"),
        "repeat": base.mark_bar().encode(x=alt.X(alt.repeat(), type="quantitative")).repeat(["x"]),
    }


@pytest.mark.parametrize("kind", own_charts())
def test_a_chart_of_the_user_s_own_works_offline(kind: str) -> None:
    own = own_charts()[kind]
    before = json.dumps(own.to_dict(), sort_keys=True)
    shown = offline(own)
    data, metadata = shown._repr_mimebundle_()
    assert data[VEGA_LITE]["$schema"].endswith("/v5.json")
    assert data[VEGA_LITE]["config"]["background"] == "transparent"
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["width"] > 0
    assert isinstance(shown, type(own))
    assert offline(shown) is shown
    assert json.dumps(own.to_dict(), sort_keys=True) == before


def test_a_chart_whose_picture_fails_is_shown_without_one_and_costs_no_other_picture() -> None:
    values = alt.InlineData(values=[{"x": 1, "link": "javascript:alert(1)"}])
    hostile = alt.Chart(values).mark_bar().encode(x="x:Q", href="link:N")
    assert "image/png" not in offline(hostile)._repr_mimebundle_()[0]
    assert "image/png" in offline(own_charts()["single"])._repr_mimebundle_()[0]


@pytest.mark.parametrize("value", [None, "chart", {"mark": "bar"}, alt.Chart])
def test_what_is_no_chart_is_refused_in_one_sentence(value: object) -> None:
    with pytest.raises(SettingError, match="chart must be a chart of Altair"):
        offline(value)


@pytest.mark.parametrize("compound", [False, True])
def test_a_chart_that_loads_its_data_is_refused(compound: bool) -> None:
    chart: Any = alt.Chart("https://data.invalid/cars.json").mark_bar().encode(x="x:Q")
    with pytest.raises(SettingError, match=r"data\.invalid"):
        offline(chart | chart if compound else chart)
