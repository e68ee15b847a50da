"""The Python side of ``LogprobView``; browser tests check its appearance."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import traitlets

from deluge_nb import (
    APIResponse,
    Logprobs,
    LogprobsMissingError,
    LogprobView,
    RawPrompt,
    SamplingParams,
    SettingError,
    as_logprobs,
)
from deluge_nb.magic.display import table_bundle
from deluge_nb.render.scale import COLOR_BY
from deluge_nb.widget import table_sync
from deluge_nb.widget.codec import unpack
from deluge_nb.widget.packer import CHUNK, EAGER

ENTRIES: list[dict[str, Any]] = [
    {"token": token, "logprob": math.log(p), "bytes": list(token.encode()), "top_logprobs": []}
    for token, p in [("The", 0.5), (" end", 0.9), (".", 0.2)]
]


class Recorded(LogprobView):
    """A widget that records its messages to the browser."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent: list[tuple[Any, list[bytes]]] = []
        super().__init__(*args, **options)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((content, buffers))


def table_of(count: int) -> Logprobs:
    top = [{"token": "x", "logprob": -1.0, "bytes": [120]}]
    return Logprobs.from_entries(
        {"token": "x", "logprob": -1.0, "bytes": [120], "top_logprobs": top} for _ in range(count)
    )


@pytest.mark.parametrize("value", [ENTRIES, Logprobs.from_entries(ENTRIES), SimpleNamespace(logprobs=ENTRIES)])
def test_a_list_a_table_and_a_response_can_be_viewed(value: Any) -> None:
    view = LogprobView(value)
    assert view.table == ENTRIES
    assert unpack(view.data)[0]["count"] == 3


@pytest.mark.parametrize("value", [None, SimpleNamespace(logprobs=None)])
def test_without_a_table_there_is_nothing_to_view(value: Any) -> None:
    with pytest.raises(LogprobsMissingError):
        LogprobView(value)


def test_nothing_is_selected_at_first_and_any_token_can_be() -> None:
    view = LogprobView(ENTRIES)
    assert view.selected is None
    view.selected = 2
    view.selected = None
    assert LogprobView(ENTRIES, selected=1).selected == 1


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_outside_the_text_cannot_be_selected(position: int) -> None:
    view = LogprobView(ENTRIES, selected=1)
    with pytest.raises(SettingError, match="from 0 to 2"):
        view.selected = position
    assert view.selected == 1
    with pytest.raises(SettingError):
        LogprobView(ENTRIES, selected=position)


def test_an_empty_text_has_no_selection() -> None:
    with pytest.raises(SettingError, match="no tokens"):
        LogprobView([], selected=0)


def test_a_selection_in_the_browser_can_be_observed() -> None:
    view = LogprobView(ENTRIES)
    seen: list[int] = []

    def record(change: dict[str, Any]) -> None:
        seen.append(change["new"])

    view.observe(record, "selected")
    view.set_state({"selected": 1})
    assert seen == [1]


def test_color_by_takes_one_of_five_values() -> None:
    view = LogprobView(ENTRIES, color_by="entropy")
    for name in COLOR_BY:
        view.color_by = name
    with pytest.raises(traitlets.TraitError):
        view.color_by = "hue"


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="colour_by"):
        LogprobView(ENTRIES, colour_by="entropy")  # type: ignore[call-arg]


def test_the_title_is_optional() -> None:
    assert LogprobView(ENTRIES).title == ""
    assert LogprobView(ENTRIES, title=None).title == ""
    assert LogprobView(ENTRIES, title="Ends").title == "Ends"


def test_no_trait_has_a_name_reserved_by_a_host() -> None:
    own = set(LogprobView.class_own_traits())
    assert own >= {"data", "alternatives", "selected", "color_by", "title"}
    assert not own & {"tooltip", "layout", "keys", "log", "comm", "tabbable"}


def test_binary_columns_are_traits_of_their_own() -> None:
    state = LogprobView(ENTRIES).get_state(["data", "alternatives"])
    assert all(isinstance(value, bytes) for value in state.values())


@pytest.mark.parametrize(("count", "sent"), [(EAGER, EAGER), (EAGER + 1, CHUNK)])
def test_all_alternatives_are_sent_at_once_unless_the_text_is_long(count: int, sent: int) -> None:
    view = LogprobView(table_of(count))
    assert unpack(view.alternatives)[0]["last"] == sent
    assert bool(view.measures) == (count == sent)


def test_the_alternatives_of_a_chunk_are_sent_on_request() -> None:
    view = Recorded(table_of(EAGER + 1))
    view._handle_custom_msg({"chunk": 1}, [])
    ((content, (block,)),) = view.sent
    fields, columns = unpack(block)
    assert content == {"parts": ["alternatives"]}
    assert (fields["first"], fields["last"]) == (CHUNK, 2 * CHUNK)
    np.testing.assert_allclose(columns["logprob"], -1.0)


def test_the_measures_of_a_long_text_are_sent_on_request() -> None:
    view = Recorded(table_of(EAGER + 1))
    view._handle_custom_msg({"measures": True}, [])
    assert len(unpack(view.measures)[1]["entropy"]) == EAGER + 1


def test_only_the_new_rows_of_a_grown_table_are_sent() -> None:
    whole = table_of(3000)
    view = Recorded(whole[:2000])
    before = view.data
    view.update(whole[:2500])
    ((content, blocks),) = view.sent
    assert content == {"parts": ["alternatives", "measures", "tokens"]}
    alternatives, measures, tokens = map(unpack, blocks)
    assert (tokens[0]["first"], tokens[0]["count"], len(tokens[1]["labelAt"])) == (2000, 2500, 500)
    assert (alternatives[0]["first"], alternatives[0]["last"]) == (2000, 2500)
    assert (measures[0]["first"], len(measures[1]["entropy"])) == (2000, 500)
    assert view.data is before


async def test_rows_that_arrive_fast_are_sent_together_and_none_is_lost() -> None:
    whole = table_of(3000)
    view = Recorded(whole[:2000])
    for stop in range(2001, 3001):
        view.update(whole[:stop])
    assert len(view.sent) < 100
    await asyncio.sleep(0.1)
    last = unpack(view.sent[-1][1][2])[0]
    assert last["count"] == 3000
    headers = [unpack(blocks[2])[0] for _, blocks in view.sent]
    assert [header["first"] for header in headers] == [2000, *(header["count"] for header in headers[:-1])]


async def test_reading_the_state_does_not_hold_back_rows_from_other_browsers() -> None:
    rows: list[dict[str, Any]] = [
        {"token": f"t{i}", "logprob": -1.0, "bytes": None, "top_logprobs": []} for i in range(50)
    ]
    whole = Logprobs.from_entries(rows)
    view = Recorded(whole[:40])
    view.update(whole[:41])
    view.update(whole[:45])  # These rows wait for the next message.
    view.get_state("data")
    view.update(whole)
    await asyncio.sleep(0.1)
    texts = [source for _, blocks in view.sent for source in unpack(blocks[2])[0]["sources"]]
    assert texts == [f"t{i}" for i in range(40, 50)]


async def test_traits_are_set_when_no_more_rows_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_sync, "QUIET", 0.05)
    whole = table_of(3000)
    view = Recorded(whole[:2000])
    for stop in range(2001, 2050):
        view.update(whole[:stop])
    assert unpack(view.data)[0]["count"] == 2000
    settled = asyncio.Event()

    def stop_waiting(_: Any) -> None:
        settled.set()

    view.observe(stop_waiting, "data")
    await asyncio.wait_for(settled.wait(), 30)
    assert unpack(view.data)[0]["count"] == 2049


def test_the_state_includes_rows_that_have_just_arrived() -> None:
    whole = table_of(3000)
    view = Recorded(whole[:2000])
    view.update(whole[:2500])
    assert unpack(view.get_state("data")["data"])[0]["count"] == 2500


class Wired(Recorded):
    """A widget that records the states it sends to the browser."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.states: list[dict[str, bytes]] = []
        super().__init__(*args, **options)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        names = [name for (name,) in msg["buffer_paths"]]
        self.states.append({name: bytes(block) for name, block in zip(names, buffers, strict=True)})


def test_the_whole_table_is_sent_on_request_even_after_the_state_was_read() -> None:
    whole = table_of(3000)
    view = Wired(whole[:2000])
    view.update(whole[:2500])
    view.get_state()
    view.states.clear()
    view._handle_custom_msg({"whole": True}, [])
    (state,) = view.states
    assert unpack(state["data"])[0]["count"] == 2500
    assert unpack(state["alternatives"])[0]["last"] == 2500


def test_another_table_replaces_the_old_one_and_drops_selections_beyond_its_end() -> None:
    view = LogprobView(table_of(10), selected=9)
    view.selection = [2, 8]
    view.pinned = [1, 7]
    view.update(ENTRIES)
    assert (view.selected, view.selection, view.pinned) == (None, [], [1])
    assert unpack(view.data)[0]["count"] == 3


@pytest.mark.parametrize("content", [{"chunk": 9}, {"chunk": -1}, {"chunk": "1"}, {"chunk": None}, {}, "chunk", None])
def test_an_invalid_request_is_not_answered(content: Any) -> None:
    view = Recorded(table_of(EAGER + 1))
    view._receive(view, content, [])  # The dispatcher would swallow an exception of the callback.
    assert view.sent == []


@pytest.mark.parametrize(
    "make",
    [lambda: LogprobView(ENTRIES)._repr_mimebundle_(), lambda: table_bundle(Logprobs.from_entries(ENTRIES))],
)
def test_the_bundle_of_a_widget_has_its_static_forms(make: Any) -> None:
    data, _ = make()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert "deluge-static" in data["text/html"]
    assert data["text/plain"].startswith("The end.")


def test_the_static_form_has_the_colours_of_the_widget() -> None:
    view = LogprobView(ENTRIES, title="Ends")
    view.color_by = "surprisal"
    data, _ = view._repr_mimebundle_()
    assert 'data-color="surprisal"' in data["text/html"]
    assert "Ends" in data["text/html"]


def test_a_slice_of_a_table_shared_by_many_sends_only_its_own_tokens() -> None:
    view = LogprobView(Logprobs.from_entries(ENTRIES)[1:2])
    assert unpack(view.data)[0]["sources"] == [" end"]


def test_the_repr_of_a_view_counts_its_tokens() -> None:
    assert repr(LogprobView(ENTRIES)) == "LogprobView(3 tokens)"
    assert repr(LogprobView(ENTRIES[:1])) == "LogprobView(1 token)"


@pytest.mark.parametrize(
    ("name", "good", "bad", "sentence"),
    [
        ("selection", [0, 3], [0, 4], "start < stop <= 3"),
        ("selection", [], [2, 2], "start < stop"),
        ("selection", [1, 2], [0.5, 2], "start < stop"),
        ("pinned", [0, 2], [3], "from 0 to 2"),
        ("threshold", 1.0, 0.0, "above 0"),
        ("limits", [0.1, 0.5], [0.5, 0.1], "lower one first"),
        ("temperature", 0.0, -1.0, "from 0 to 100"),
    ],
)
def test_an_invalid_setting_is_refused_and_the_old_one_stays(name: str, good: Any, bad: Any, sentence: str) -> None:
    view = LogprobView(ENTRIES)
    setattr(view, name, good)
    with pytest.raises(SettingError, match=sentence):
        setattr(view, name, bad)
    assert getattr(view, name) == good


def test_a_view_shows_the_text_before_its_tokens_and_sends_the_end_of_a_long_one() -> None:
    view = LogprobView(ENTRIES, before="x" * 1000)
    assert view.before == "x" * 1000
    assert view.get_state("before") == {"before": "…" + "x" * 300}


def test_an_update_may_change_the_text_before_the_tokens() -> None:
    view = LogprobView(ENTRIES, before="One")
    view.update(ENTRIES)
    assert view.before == "One"
    view.update(ENTRIES, before="Two")
    assert view.before == "Two"
    view.update(ENTRIES, before="")
    assert view.before == ""
    view.update(APIResponse("m", logprobs=as_logprobs(ENTRIES), prompt=RawPrompt("Three")))
    assert view.before == "Three"


def test_an_update_with_an_invalid_text_before_the_tokens_changes_nothing() -> None:
    view = LogprobView(ENTRIES, before="One")
    with pytest.raises(SettingError, match="before must be a text or None"):
        view.update(ENTRIES[:1], before=3)  # type: ignore[arg-type]
    assert (view.before, len(view.table)) == ("One", len(ENTRIES))


@pytest.mark.parametrize(
    ("name", "values", "allowed"),
    [
        ("top_k", (0, -1, True), "None or a whole number from 1"),
        ("top_p", (0.0, -0.1, 1.1, math.nan), "None or a number above 0 and at most 1"),
        ("min_p", (-0.1, 1.1, math.nan), "None or a number from 0 to 1"),
    ],
)
def test_a_cut_out_of_its_range_is_refused_by_name(name: str, values: tuple[Any, ...], allowed: str) -> None:
    view = LogprobView(ENTRIES)
    for value in values:
        with pytest.raises(SettingError, match=f"{name} must be {allowed}"):
            LogprobView(ENTRIES, **{name: value})
        with pytest.raises(SettingError, match=name):
            view.set_trait(name, value)
    assert getattr(view, name) is None
    view.set_trait(name, 1)
    view.set_trait(name, None)


def answered(**settings: Any) -> APIResponse:
    """Return a response that was drawn with these settings."""
    return APIResponse(
        "m",
        completion="The end.",
        logprobs=Logprobs.from_entries(ENTRIES),
        sampling_params=SamplingParams(logprobs=True, **settings),
    )


def sampler(view: LogprobView) -> tuple[Any, ...]:
    return view.temperature, view.top_k, view.top_p, view.min_p


def test_cards_begin_with_the_cuts_that_the_response_was_drawn_with() -> None:
    assert sampler(LogprobView(answered(temperature=0.7, top_p=0.9))) == (0.7, None, 0.9, None)
    local = answered(temperature=0.8, extra_body={"top_k": 40, "min_p": 0.05})
    assert sampler(LogprobView(local)) == (0.8, 40, None, 0.05)
    assert sampler(LogprobView(ENTRIES, sampling_params=SamplingParams(top_p=0.5))) == (1, None, 0.5, None)
    # What the reader passes holds, and what cuts nothing is no cut.
    assert sampler(LogprobView(local, temperature=1.2)) == (1.2, None, None, None)
    assert sampler(LogprobView(local, top_p=0.3)) == (1, None, 0.3, None)
    open_ended = answered(temperature=0, top_p=1, extra_body={"top_k": 0, "min_p": "0.1"})
    assert sampler(LogprobView(open_ended)) == (1, None, None, None)


def test_the_settings_of_the_sampler_are_part_of_the_state() -> None:
    view = LogprobView(ENTRIES, top_k=3, top_p=0.9, min_p=0.1, sampler_order="llama.cpp")
    state = view.get_state()
    names = ("top_k", "top_p", "min_p", "sampler_order")
    assert [state[name] for name in names] == [3, 0.9, 0.1, "llama.cpp"]
