"""The charts: valid where they are shown, true to the table, and readable at any length."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import struct
import zlib
from collections import Counter
from typing import Any

import altair as alt
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import (
    APIResponse,
    Logprobs,
    LogprobsMissingError,
    SettingError,
    alternatives_chart,
    confidence_chart,
    entropy_chart,
    surprisal_chart,
    token_chart,
)
from tests.specs import rows_of

pytestmark = pytest.mark.slow

ALONG_TOKENS = [token_chart, entropy_chart, confidence_chart, surprisal_chart]
CHARTS = [*ALONG_TOKENS, alternatives_chart]
HOSTILE = ["</script>", "a.b[0]\\'c", '"quoted"', "line\nbreak", "x" * 5000, "\x00", "datum.value", "🦆", " ", ""]


def entry(token: str, p: float, **others: float) -> dict[str, Any]:
    top = [{"token": text, "logprob": math.log(q)} for text, q in {token: p, **others}.items()]
    return {"token": token, "logprob": math.log(p), "bytes": None, "top_logprobs": top}


def table(count: int, vocab_size: int | None = None) -> Logprobs:
    entries = [entry(f" t{i}", 0.2 + 0.6 * (i % 10) / 10, other=0.1) for i in range(count)]
    return Logprobs.from_entries(entries, vocab_size=vocab_size)


def values(chart: Any) -> list[dict[str, Any]]:
    """The rows that a chart draws."""
    spec = chart.to_dict()
    assert json.dumps(spec, allow_nan=False)
    return rows_of(spec)


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("count", [1, 40, 41, 2000])
def test_a_chart_of_any_length_is_an_altair_chart_that_can_be_drawn(chart: Any, count: int) -> None:
    made = chart(table(count))
    assert isinstance(made, alt.Chart | alt.LayerChart)
    bundle: Any = made._repr_mimebundle_()
    picture = base64.b64decode(bundle[0]["image/png"])
    width, height = struct.unpack(">II", picture[16:24])
    assert width == 2 * 900
    assert 120 < height < 1000


def test_the_confidence_chart_has_the_probabilities_in_the_order_of_the_tokens() -> None:
    found = table(12)
    rows = values(confidence_chart(found))
    assert [row["probability"] for row in rows] == pytest.approx(found.prob.tolist())
    assert [row["position"] for row in rows] == list(range(12))
    assert rows[3]["token"] == "·t3"


def test_the_entropy_chart_reaches_from_the_least_to_the_most_in_bits() -> None:
    found = table(5, vocab_size=1000)
    lower, upper = found.entropy_bounds(base=2)
    rows = values(entropy_chart(found))
    for place in range(5):
        most, least = (row for row in rows if row["position"] == place)
        assert (least["from"], least["bits"]) == (0, pytest.approx(lower[place]))
        assert (most["from"], most["bits"]) == (least["bits"], pytest.approx(upper[place]))


def test_an_unknown_upper_bound_is_not_drawn() -> None:
    rows = values(entropy_chart(table(3)))
    assert {row["part"] for row in rows} == {"at least"}
    assert rows[0]["range"].startswith("at least")


def test_the_alternatives_chart_marks_the_chosen_token_and_shows_what_is_left() -> None:
    found = Logprobs.from_entries([entry("b", 0.2, a=0.5, c=0.1)])
    rows = values(alternatives_chart(found, 0))
    assert [(row["token"], row["kind"]) for row in rows] == [
        ("a", "alternative"),
        ("b", "chosen"),
        ("c", "alternative"),
        ("other tokens", "not listed"),
    ]
    assert math.fsum(row["probability"] for row in rows) == pytest.approx(1.0)


def test_a_chosen_token_outside_the_list_is_shown() -> None:
    entries = [{**entry("a", 0.5), "token": "z", "logprob": math.log(0.01)}]
    rows = values(alternatives_chart(entries))
    assert {row["token"]: row["kind"] for row in rows}["z"] == "chosen"


def test_tokens_of_the_same_text_have_rows_of_their_own() -> None:
    rows = values(confidence_chart([entry("a", 0.5), entry("a", 0.25), entry("a", 0.125)]))
    assert [row["position"] for row in rows] == [0, 1, 2]


def test_texts_are_shown_where_there_is_room_and_positions_where_there_is_not() -> None:
    assert confidence_chart(table(40)).to_dict()["encoding"]["x"]["type"] == "ordinal"
    long = confidence_chart(table(41)).to_dict()
    assert long["encoding"]["x"]["type"] == "quantitative"
    assert long["params"][0]["select"]["encodings"] == ["x"]


def test_every_chart_has_tooltips() -> None:
    for chart in CHARTS:
        for count in (3, 100):
            spec = chart(table(count)).to_dict()
            assert len(spec.get("layer", [spec])[-1]["encoding"]["tooltip"]) >= 3


def test_very_many_tokens_are_taken_together() -> None:
    found = table(20_000)
    rows = values(confidence_chart(found))
    assert 2000 < len(rows) <= 2500
    assert rows[0]["place"] == "0–7"
    assert rows[0]["probability"] == pytest.approx(float(found.prob[:8].mean()))


@pytest.mark.parametrize("chart", CHARTS)
def test_hostile_tokens_stay_text(chart: Any) -> None:
    found = Logprobs.from_entries([entry(token, 0.3, **dict.fromkeys(HOSTILE[:3], 0.01)) for token in HOSTILE])
    spec = chart(found).to_dict()
    svg = vl_convert.vegalite_to_svg(spec)
    assert "<script" not in svg
    assert len(json.dumps(spec)) < 60_000


@pytest.mark.parametrize("withheld", [-9999.0, None, -3.4028234663852886e38])
@pytest.mark.parametrize("chart", CHARTS)
def test_withheld_numbers_are_left_out(chart: Any, withheld: float | None) -> None:
    top = [{"token": "a", "logprob": withheld}]
    found = [{"token": "a", "logprob": withheld, "bytes": None, "top_logprobs": top}, entry("b", 0.5)]
    json.dumps(chart(found).to_dict(), allow_nan=False)


@given(st.lists(st.tuples(st.text(max_size=5), st.floats(1e-300, 1.0)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=50)
def test_no_table_gives_a_spec_with_what_json_cannot_say(tokens: list[tuple[str, float]]) -> None:
    found = Logprobs.from_entries([entry(text, p) for text, p in tokens])
    for chart in CHARTS:
        json.dumps(chart(found).to_dict(), allow_nan=False)


def test_a_chart_displays_itself_without_a_server() -> None:
    chart: Any = confidence_chart(table(5)).properties(title="Mine")
    data, metadata = chart._repr_mimebundle_()
    assert data["application/vnd.vegalite.v5+json"]["$schema"].endswith("/v5.json")
    picture = base64.b64decode(data["image/png"])
    width, _ = struct.unpack(">II", picture[16:24])
    assert metadata["image/png"]["width"] == width // 2
    assert data["text/plain"] == "Probability of each of 5 tokens"


def test_the_picture_is_the_one_that_was_drawn() -> None:
    chart: Any = entropy_chart(table(20))
    chart.save(file := io.BytesIO(), "png", scale_factor=2)
    drawn = file.getvalue()
    kept = base64.b64decode(chart._repr_mimebundle_()[0]["image/png"])
    assert pixels(kept) == pixels(drawn)
    assert len(kept) < len(drawn)


def pixels(picture: bytes) -> bytes:
    """Return the unpacked image chunks of a PNG; check each chunk's sum."""
    at, packed = 8, b""
    while at < len(picture):
        length = struct.unpack_from(">I", picture, at)[0]
        body = picture[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", picture, at + 8 + length)[0] == zlib.crc32(body)
        packed += body[4:] if body[:4] == b"IDAT" else b""
        at += 12 + length
    return zlib.decompress(packed)


def test_another_renderer_of_the_user_s_is_left_in_charge() -> None:
    chart: Any = confidence_chart(table(3))
    alt.renderers.enable("json")
    try:
        bundle = chart._repr_mimebundle_()
    finally:
        alt.renderers.enable("default")
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/json" in data
    assert "application/vnd.vegalite.v5+json" not in data


@pytest.mark.parametrize("chart", CHARTS)
def test_a_response_is_taken_and_one_without_a_table_refused(chart: Any) -> None:
    assert chart(APIResponse("m", logprobs=table(2)))
    with pytest.raises(LogprobsMissingError, match="overloaded"):
        chart(APIResponse("m", is_error=True, error_message="overloaded"))


@pytest.mark.parametrize("position", [-1, 2, True, 0.5])
def test_a_position_outside_the_completion_is_refused(position: Any) -> None:
    with pytest.raises(SettingError, match="position must be from 0 to 1"):
        alternatives_chart(table(2), position)


def test_no_tokens_make_an_empty_chart() -> None:
    empty = Logprobs.from_entries([])
    for chart in ALONG_TOKENS:
        assert values(chart(empty)) == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [5, 100, 2000])
def test_charts_put_together_need_no_server_either(count: int) -> None:
    found = table(count, vocab_size=1000)
    one, other, third = entropy_chart(found), confidence_chart(found), alternatives_chart(found)
    rule = alt.Chart(alt.Data(values=[{"half": 0.5}])).mark_rule().encode(y="half:Q")
    joins = [
        one + rule,
        one | other,
        one & other,
        (one | other) & third,
        one & other & third,
        (one + rule) | other,
    ]
    for joined in joins if count < 2000 else joins[-2:]:  # which have all of them
        bundle: Any = joined._repr_mimebundle_()
        assert bundle[0]["application/vnd.vegalite.v5+json"]["config"]["background"] == "transparent"
        assert base64.b64decode(bundle[0]["image/png"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [100, 2000])
def test_charts_of_the_same_tokens_zoom_together(count: int) -> None:
    found = table(count)
    drawn = vl_convert.vegalite_to_vega((entropy_chart(found) & confidence_chart(found)).to_dict())
    zoomed = [scale["domainRaw"]["signal"] for scale in drawn["scales"] if "domainRaw" in scale]
    assert len(zoomed) == 2
    assert len(set(zoomed)) == 1


def test_three_charts_side_by_side_are_one_row() -> None:
    chart = confidence_chart(table(3))
    assert len((chart | chart | chart).to_dict()["hconcat"]) == 3
    assert len((chart & chart & chart).to_dict()["vconcat"]) == 3


def test_altair_s_own_functions_take_the_charts() -> None:
    chart = confidence_chart(table(3))
    assert "config" not in alt.vconcat(chart, chart).to_dict()["vconcat"][0]


def test_a_style_of_the_user_s_comes_before_the_chart_s_own() -> None:
    chart = confidence_chart(table(3))
    assert chart.configure(background="ivory").to_dict()["config"]["background"] == "ivory"

    @alt.theme.register("night", enable=True)
    def night() -> alt.theme.ThemeConfig:
        return {"config": {"background": "black", "title": {"color": "silver"}}}

    try:
        config = chart.to_dict()["config"]
    finally:
        alt.theme.enable("default")
        alt.theme.unregister("night")
    assert (config["background"], config["title"]["color"]) == ("black", "silver")


@pytest.mark.parametrize("chart", [entropy_chart, confidence_chart])
def test_the_bars_of_a_long_completion_grow_as_one_zooms_in(chart: Any) -> None:
    spec = chart(table(100)).to_dict()
    x, x2 = spec["encoding"]["x"], spec["encoding"]["x2"]
    first = rows_of(spec)[0]
    assert (first[x["field"]], first[x2["field"]]) == (-0.5, 0.5)
    assert x["scale"]["domain"] == [-0.5, 99.5]


def test_an_unlikely_token_among_thousands_is_not_hidden_by_its_neighbours() -> None:
    spec = confidence_chart(table(2000)).to_dict()
    assert spec["mark"]["type"] == "circle"
    assert "y2" not in spec["encoding"]


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("count", [3, 100, 2000])
def test_a_chart_is_drawn_alike_by_vega_lite_5(chart: Any, count: int) -> None:
    spec = chart(table(count, vocab_size=1000)).to_dict()
    spec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"
    drawn = [vl_convert.vegalite_to_svg(spec, vl_version=version) for version in ("5.8", "6.4")]
    marks = [Counter(re.findall(r'aria-roledescription="[^"]*"', picture)) for picture in drawn]
    assert marks[0] == marks[1] != Counter()
