"""The Python side of ``LogprobCompare``; browser tests check its appearance."""

from __future__ import annotations

import base64
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import traitlets

from deluge_nb import LogprobCompare, Logprobs, LogprobsMissingError, LogprobView, SettingError, stats
from deluge_nb.render.comparison import COMPARE_BY, format_mean, format_perplexity, format_signed, heat
from deluge_nb.render.scale import COLOR_BY
from deluge_nb.widget.codec import unpack
from deluge_nb.widget.packer import CHUNK, EAGER
from tests.specs import rows_of

Word = tuple[Any, ...]


def entry(token: str, p: float, **others: float) -> dict[str, Any]:
    top = sorted({token: p, **others}.items(), key=lambda pair: -pair[1])
    return {
        "token": token,
        "logprob": math.log(p),
        "bytes": list(token.encode()),
        "top_logprobs": [{"token": text, "logprob": math.log(q), "bytes": list(text.encode())} for text, q in top],
    }


def table(*words: Word) -> Logprobs:
    return Logprobs.from_entries([entry(token, p, **(others[0] if others else {})) for token, p, *others in words])


HEAD: list[Word] = [("The", 0.5), (" capital", 0.9), (" is", 0.8)]
PARIS = table(*HEAD, (" Paris", 0.6, {" Lyon": 0.3}), (".", 0.9))
LYON = table(("The", 0.25), (" cap", 0.9), ("ital", 0.5), (" is", 0.8), (" Ly", 0.4), ("on", 0.9), (".", 0.9))
NICE = table(("The", 0.5), (" capital", 0.3), (" is", 0.8), (" Nice", 0.2, {" Paris": 0.7}), (".", 0.9))


class Recorded(LogprobCompare):
    """A widget that records its messages to the browser."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent: list[tuple[Any, list[bytes]]] = []
        super().__init__(*args, **options)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((content, buffers))


def long_table(count: int) -> Logprobs:
    return Logprobs.from_entries(entry(" x", 0.5) for _ in range(count))


def test_each_token_has_the_difference_of_the_text_that_both_cut_alike() -> None:
    compare = LogprobCompare(PARIS, LYON)
    word = math.log(0.9) - math.log(0.9 * 0.5)
    assert compare.difference(0) == pytest.approx([math.log(2), word, 0, math.nan, 0], nan_ok=True)
    assert compare.difference(1) == pytest.approx([-math.log(2), -word, -word, 0, math.nan, math.nan, 0], nan_ok=True)


def test_the_spans_list_common_and_different_text() -> None:
    frame = LogprobCompare(PARIS, LYON).spans.to_pandas()
    assert frame["common"].tolist() == [True, True, True, False, True]
    assert frame["b_text"].tolist() == ["The", " capital", " is", " Lyon", "."]
    assert (frame["b_stop"] - frame["b_start"]).tolist() == [1, 2, 1, 2, 1]
    assert frame["b_logprob"][3] == pytest.approx(math.log(0.4 * 0.9))


def test_the_first_divergence_compares_distributions_after_the_same_tokens() -> None:
    first = LogprobCompare(PARIS, NICE).first_divergence
    assert first is not None
    assert (
        first.span,
        first.a,
        first.b,
        first.a_token,
        first.b_token,
    ) == (3, 3, 3, "·Paris", "·Nice")
    # The bound comes from the tokens that both list: Paris has 0.6 and 0.7.
    assert first.divergence is not None
    assert first.divergence.tv_lower == pytest.approx(0.1)
    assert first.divergence == stats.divergence_lower_bounds(
        {" Paris": math.log(0.6), " Lyon": math.log(0.3)}, {" Nice": math.log(0.2), " Paris": math.log(0.7)}
    )


def test_the_first_divergence_is_at_tokens_that_differ() -> None:
    shorter, longer = (
        Logprobs.from_entries({"token": text, "logprob": -0.5} for text in texts) for texts in (["w0 "], ["w0 ", "w1 "])
    )
    first = LogprobCompare(shorter, longer).first_divergence
    assert first is not None
    assert (first.a, first.b, first.a_token is None) == (1, 1, True)
    assert first.b_token != first.a_token


def test_the_first_divergence_after_different_tokens_compares_no_distributions() -> None:
    first = LogprobCompare(PARIS, LYON).first_divergence
    assert first is not None
    assert (
        first.a,
        first.b,
        first.b_token,
        first.divergence,
    ) == (3, 4, "·Ly", None)


def test_a_longer_text_diverges_at_the_end_of_the_shorter_one() -> None:
    first = LogprobCompare(PARIS, PARIS[:3]).first_divergence
    assert first is not None
    assert (
        first.a,
        first.b,
        first.b_token,
        first.divergence,
    ) == (3, 3, None, None)


def test_the_same_text_in_different_tokens_has_no_divergence() -> None:
    whole = table(("The capital", 0.5), (" is", 0.8))
    assert LogprobCompare(whole, PARIS[:3]).first_divergence is None


def test_distributions_are_compared_at_every_token_up_to_the_first_that_differs() -> None:
    compare = LogprobCompare(PARIS, NICE)
    assert compare.divergence(0).tv_lower == 0
    assert compare.divergence(1).tv_lower == pytest.approx(0.6)
    assert compare.divergence(3).js_lower > 0
    with pytest.raises(SettingError, match=r"position must be from 0 to 3, .* not 4"):
        compare.divergence(4)


def test_more_than_two_are_compared_with_the_first_and_the_first_with_the_second() -> None:
    compare = LogprobCompare(PARIS, NICE, LYON)
    assert compare.difference(0)[1] == pytest.approx(math.log(3))
    assert compare.difference(2)[1] == pytest.approx(-math.log(2))
    assert compare.spans.other.tolist() == [1] * 5 + [2] * 5
    first = compare.first_divergence_from(2)
    assert first is not None
    assert (first.span, first.b) == (8, 4)
    assert compare.spans.b_text[8] == " Lyon"


def test_the_index_of_a_response_is_checked() -> None:
    compare = LogprobCompare(PARIS, LYON)
    with pytest.raises(SettingError, match="response must be from 0 to 1, not 2"):
        compare.difference(2)
    with pytest.raises(SettingError, match="other must be from 1 to 1, not 0"):
        compare.first_divergence_from(0)


def test_responses_are_named_by_their_models_if_these_differ() -> None:
    small = SimpleNamespace(model="small", logprobs=PARIS)
    large = SimpleNamespace(model="large", logprobs=LYON)
    assert LogprobCompare(small, large).names == ["small", "large"]
    assert LogprobCompare(small, small).names == ["A", "B"]
    assert LogprobCompare(small, PARIS).names == ["A", "B"]
    assert LogprobCompare(small, large, names=("0", "0.7")).names == ["0", "0.7"]


@pytest.mark.parametrize("names", [["one"], ["a", "a"], "ab", [1, 2], ["a", "b", "c"]])
def test_names_are_different_and_as_many_as_the_responses(names: Any) -> None:
    with pytest.raises(SettingError, match="names must be 2 different texts"):
        LogprobCompare(PARIS, LYON, names=names)


def test_there_are_at_most_eight_responses_each_with_log_probabilities() -> None:
    with pytest.raises(SettingError, match="two to 8 responses, not 9"):
        LogprobCompare(*[PARIS] * 9)
    with pytest.raises(LogprobsMissingError):
        LogprobCompare(PARIS, None)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("selection", [1, 2, 4], [[2, 0, 1], [0, 1], [0, 2, 2], [1, 0, 99], [0, True, 2], [-1, 0, 1]]),
        ("pinned", [[0, 1], [1, 3]], [[3], [[0]], [[2, 0]], [[0, 99]], [[0, -1]], ["01"]]),
        ("top_p", 0.9, [0, 1.5]),
    ],
)
def test_ranges_kept_cards_and_the_sampler_are_of_tokens_that_exist(name: str, value: Any, wrong: list[Any]) -> None:
    compare = LogprobCompare(PARIS, LYON)
    compare.set_trait(name, value)
    for other in wrong:
        with pytest.raises(SettingError, match=f"^{name} must be "):
            compare.set_trait(name, other)
    assert getattr(compare, name) == value


def test_only_an_existing_span_can_be_selected() -> None:
    compare = LogprobCompare(PARIS, LYON, selected=4)
    compare.selected = None
    with pytest.raises(SettingError, match="None or a row of spans from 0 to 4, not 5"):
        compare.selected = 5
    with pytest.raises(SettingError, match="selected must be None, not 0"):
        LogprobCompare([], [], selected=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("color_by", "hue"), ("arrange", "stacked"), ("measure", "rank"), ("palette", "red"), ("font", "serif")],
)
def test_a_setting_has_one_of_its_values(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(traitlets.TraitError):
        LogprobCompare(PARIS, LYON, **options)


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_a_threshold_is_a_number_of_nats(value: float) -> None:
    with pytest.raises(SettingError, match="threshold must be a number of nats from 0"):
        LogprobCompare(PARIS, LYON, threshold=value)


def test_color_by_takes_the_values_of_a_view_and_difference() -> None:
    assert list(COMPARE_BY) == ["difference", *COLOR_BY]
    assert {len(LogprobCompare(PARIS, LYON, color_by=by).names) for by in COMPARE_BY} == {2}


def test_the_columns_of_all_responses_are_sent_in_one_block() -> None:
    compare = LogprobCompare(PARIS, LYON)
    _, columns = unpack(compare.data)
    for side, response in enumerate((PARIS, LYON)):
        view = LogprobView(response)
        fields, sent = unpack(columns[f"data{side}"].tobytes())
        assert fields["count"] == len(response)
        np.testing.assert_array_equal(sent["logprob"], unpack(view.data)[1]["logprob"])
        assert columns[f"measures{side}"].tobytes() == view.measures
    fields, columns = unpack(compare.alignment)
    assert columns["units0"].tolist() == [0, 1, 2, 3, 4, 5]
    assert columns["units1"].tolist() == [0, 1, 3, 4, 6, 7]
    assert columns["common0"].tolist() == [1, 1, 1, 0, 1]
    assert columns["difference0"] == pytest.approx(compare.spans.difference.astype(np.float32), nan_ok=True)
    assert fields["partings"] == [{"span": 3, "js": None}]


def test_chunks_and_measures_of_a_long_response_are_sent_on_request() -> None:
    compare = Recorded(long_table(EAGER + 1), PARIS)
    assert "measures0" not in unpack(compare.data)[1]
    compare._receive(None, {"side": 0, "chunk": 1}, None)
    compare._receive(None, {"side": 0, "measures": True}, None)
    (chunk, [block]), (measures, [rows]) = compare.sent
    assert chunk == {"parts": ["alternatives"], "side": 0}
    assert unpack(block)[0]["first"] == CHUNK
    assert measures == {"parts": ["measures"], "side": 0}
    assert len(unpack(rows)[1]["entropy"]) == EAGER + 1


@pytest.mark.parametrize(
    "message", ["", {}, {"side": 2, "chunk": 0}, {"side": True, "chunk": 0}, {"side": 0, "chunk": 9}]
)
def test_an_invalid_request_is_not_answered(message: Any) -> None:
    compare = Recorded(PARIS, LYON)
    compare._receive(None, message, None)
    assert compare.sent == []


def test_the_static_forms_are_in_the_bundle() -> None:
    data, _ = LogprobCompare(PARIS, LYON, title="<b>Cities</b>", names=["<i>", "b"])._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "&lt;b&gt;Cities" in data["text/html"]
    assert "<b>Cities" not in data["text/html"]
    assert "<i>" not in data["text/html"]
    assert "The capital is[- Paris-]{+ Lyon+}." in data["text/plain"]
    assert "·capital  A 90 %  B 45 %  +0.69" in data["text/plain"]


def test_hostile_tokens_are_escaped_and_control_characters_removed() -> None:
    hostile = table(("<script>alert(1)</script>", 0.5), ("\x1b[31m", 0.5), ("\u202e", 0.5))
    compare = LogprobCompare(hostile, PARIS)
    assert "<script" not in compare.to_html()
    assert "&lt;script&gt;" in compare.to_html()
    assert not {"\x1b", "\u202e"} & set(compare.to_text() + compare.to_html())


def test_the_static_form_names_how_many_tokens_a_perplexity_is_of() -> None:
    withheld = Logprobs.from_entries([entry("a", 0.5), {"token": "b", "logprob": -9999.0}, entry("c", 0.5)])
    text = LogprobCompare(withheld, table(("a", 0.25, {}))).to_text()
    assert "A: 3 tokens · mean logprob −0.69 · perplexity 2.00 (of 2 of 3 tokens)" in text
    assert "B: 1 token · mean logprob −1.39 · perplexity 4.00" in text


@pytest.mark.parametrize(
    ("perplexity", "text"), [(1.8, "1.80"), (9.996, "10.0"), (99.96, "100"), (1234.3, "1234"), (1.25e30, "1.2e+30")]
)
def test_a_perplexity_has_three_digits_as_in_the_browser(perplexity: float, text: str) -> None:
    assert format_perplexity(perplexity) == text


def test_a_mean_of_zero_is_a_number_and_no_difference() -> None:
    assert (format_mean(0.0), format_mean(-0.001), format_mean(-1.0)) == ("0.00", "0.00", "−1.00")


def test_the_heads_and_the_static_forms_say_what_the_tokens_add_up_to() -> None:
    compare = LogprobCompare(PARIS, LYON, NICE)
    for summary, shown in zip(compare.summaries, compare.tables, strict=True):
        mean, entropy = np.mean(shown.logprob), np.nanmean(shown.entropy(base=2))
        facts = [f"{len(shown)} tokens", f"mean logprob {mean:.2f}".replace("-", "−")]
        facts += [f"perplexity {format_perplexity(math.exp(-mean))}", f"mean entropy {entropy:.2f} bits"]
        text = summary.replace("\N{NO-BREAK SPACE}", " ")
        assert text.startswith(" · ".join(facts))
        assert text in compare.to_text()
        assert summary in compare.to_html()
    assert compare.summaries[2].endswith(
        "80\N{NO-BREAK SPACE}%\N{NO-BREAK SPACE}shared\N{NO-BREAK SPACE}with\N{NO-BREAK SPACE}A"
    )


def test_a_response_without_tokens_has_a_summary() -> None:
    assert LogprobCompare(PARIS, []).summaries[1] == "0\N{NO-BREAK SPACE}tokens"


OTHER = table(("Nothing", 0.5), (" of", 0.4), (" it", 0.3))


def test_answers_with_hardly_any_common_text_are_coloured_by_probability() -> None:
    assert LogprobCompare(PARIS, LYON).color_by == "difference"
    assert LogprobCompare(PARIS, OTHER).color_by == "probability"
    assert LogprobCompare(PARIS, OTHER, LYON).color_by == "difference"
    assert "share 0 % of their tokens, too few to compare: each token" in LogprobCompare(PARIS, OTHER).to_html()


def test_a_colour_that_was_asked_for_is_kept() -> None:
    compare = LogprobCompare(PARIS, OTHER, color_by="difference")
    assert compare.color_by == "difference"
    assert "too few" not in compare.to_html()


def test_a_truncated_static_form_counts_the_omitted_tokens() -> None:
    compare = LogprobCompare(long_table(40), long_table(50))
    assert "… more tokens: 30 of A, 40 of B" in compare.to_text(limit=10)
    html = compare.to_html(limit=10)
    assert "… more tokens: 30 of A, 40 of B" in html
    assert html.count('title="') == 20
    assert compare.to_html().count('title="') == 90


@pytest.mark.parametrize("color_by", COMPARE_BY)
def test_each_token_is_in_the_html_with_its_colour(color_by: Any) -> None:
    html = LogprobCompare(PARIS, LYON, color_by=color_by).to_html()
    assert html.count("<ins ") == 3
    assert html.count("<span class=") == 9
    assert ("deluge-surer" in html.split("</style>")[1]) == (color_by == "difference")


def test_a_response_without_a_name_has_its_letter_only_once() -> None:
    compare = LogprobCompare(PARIS, LYON, names=["A", "Lyon"])
    assert compare.to_text().startswith("A: 5 tokens")
    assert "\nB  Lyon: 7 tokens" in compare.to_text()
    assert "<b>A</b><br>" in compare.to_html()
    assert "<b>B</b> Lyon<br>" in compare.to_html()


def test_the_colour_of_a_difference_is_full_at_two_nats() -> None:
    assert heat([0, 1, -2, 9, math.nan]) == pytest.approx([0, 0.5, 1, 1, math.nan], nan_ok=True)
    assert [format_signed(x) for x in (1.5, -0.25, 0.001, -0.001, math.nan)] == [
        "+1.50",
        "−0.25",
        "±0",
        "±0",
        "unknown",
    ]


@pytest.mark.parametrize("measure", ["logprob", "entropy"])
def test_the_chart_has_a_line_for_each_response_over_one_axis(measure: str) -> None:
    spec = LogprobCompare(PARIS, LYON, names=["p", "l"], measure=measure).chart().to_dict()
    rows = rows_of(spec)
    axis = {name: [row["at"] for row in rows if row["response"] == name] for name in ("p", "l")}
    # Each response has two tokens where the other has one; the last point is the end.
    assert axis == {"p": [0, 1, 3, 4, 6, 7], "l": [0, 1, 2, 3, 4, 5, 6, 7]}
    known = PARIS.logprob if measure == "logprob" else PARIS.entropy(base=2)
    assert [row["value"] for row in rows[:5]] == pytest.approx(known.tolist())
    assert spec["encoding"]["strokeDash"]["field"] == "side"


def test_a_line_of_the_chart_has_a_gap_where_its_response_has_no_text() -> None:
    rows = rows_of(LogprobCompare(PARIS, table(*HEAD, (".", 0.9))).chart().to_dict())
    other = [(row["at"], row["value"] is None) for row in rows if row["response"] == "B"]
    assert other == [(0, False), (1, False), (2, False), (3, False), (3, True), (4, False), (5, False)]


def test_neighbouring_tokens_of_a_long_response_share_a_point_of_the_chart() -> None:
    rows = rows_of(LogprobCompare(long_table(9000), long_table(100)).chart().to_dict())
    assert len(rows) < 2600
    assert rows[0]["place"] == "0–3"


def test_the_chart_takes_one_of_two_measures() -> None:
    with pytest.raises(SettingError, match="measure must be one of logprob, entropy, not 'rank'"):
        LogprobCompare(PARIS, LYON).chart("rank")


@pytest.mark.parametrize(("left", "right"), [([], []), ([], PARIS), (PARIS, [])])
def test_empty_responses_can_be_compared(left: Any, right: Any) -> None:
    compare = LogprobCompare(left, right)
    assert len(compare.spans) == bool(left or right)
    assert compare.to_html()
    assert compare.to_text()
    assert isinstance(rows_of(compare.chart().to_dict()), list)
    assert repr(compare) == f"LogprobCompare({len(left)} tokens, {len(right)} tokens)"


@pytest.mark.parametrize(("color_by", "palette"), [("entropy", "blue"), ("difference", "amber")])
def test_the_static_form_has_the_palette_of_the_widget(color_by: Any, palette: str) -> None:
    compare = LogprobCompare(PARIS, LYON, color_by=color_by, palette="blue")
    assert f'data-palette="{palette}"' in compare.to_html()


def picture_in(compare: LogprobCompare) -> tuple[bytes, str]:
    """Return the picture of a comparison's static form, and its description."""
    page = compare._static_forms()["text/html"]
    (found,) = re.findall(r'<img class="deluge-picture" [^>]*alt="([^"]*)" src="data:image/png;base64,([^"]*)">', page)
    assert page.index("deluge-picture") < page.index("deluge-compared")
    return base64.b64decode(found[1]), found[0]


def test_the_static_form_has_a_picture_for_pages_that_strip_styles() -> None:
    drawn, description = picture_in(LogprobCompare(PARIS, LYON, names=["<small>", "large"]))
    assert drawn.startswith(b"\x89PNG")
    assert "A &lt;small&gt;. Tokens coloured by difference: The capital is Paris." in description
    assert "B large" in description


@pytest.mark.parametrize(
    ("a", "b"),
    [(["x\n"], ["x\n"]), ([" x"], [" y"]), (["x" * 500], ["y"]), (["a", "\n"], [" b"])],
    ids=["lines", "nothing in common", "long words", "one of lines"],
)
def test_the_picture_of_a_comparison_is_bounded(a: list[str], b: list[str]) -> None:
    short, long = (
        picture_in(LogprobCompare(*(Logprobs.from_entries(entry(t, 0.5) for t in side * count) for side in (a, b))))[0]
        for count in (2000, 4000)
    )
    heights = [int.from_bytes(drawn[20:24]) for drawn in (short, long)]
    assert heights[0] == heights[1] <= 4000
    assert len(long) < 150_000
