"""The widget's Python side; what it looks like is tested in a browser."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import traitlets

from deluge_nb import Logprobs, LogprobsMissingError, LogprobView, SettingError
from deluge_nb._pack import CHUNK, EAGER, unpack
from deluge_nb.view import mimebundle

ENTRIES: list[dict[str, Any]] = [
    {"token": token, "logprob": math.log(p), "bytes": list(token.encode()), "top_logprobs": []}
    for token, p in [("The", 0.5), (" end", 0.9), (".", 0.2)]
]


class Recorded(LogprobView):
    """A widget that keeps what it would send to the browser."""

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


def test_in_an_empty_text_nothing_can_be_selected() -> None:
    with pytest.raises(SettingError, match="no tokens"):
        LogprobView([], selected=0)


def test_selection_is_observed_as_any_trait() -> None:
    view = LogprobView(ENTRIES)
    seen: list[int] = []

    def heed(change: dict[str, Any]) -> None:
        seen.append(change["new"])

    view.observe(heed, "selected")
    view.set_state({"selected": 1})
    assert seen == [1]


def test_what_the_colour_says_is_one_of_three() -> None:
    view = LogprobView(ENTRIES, color_by="entropy")
    view.color_by = "surprisal"
    with pytest.raises(traitlets.TraitError):
        view.color_by = "rank"


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="colour_by"):
        LogprobView(ENTRIES, colour_by="entropy")  # type: ignore[call-arg]


def test_the_title_is_optional() -> None:
    assert LogprobView(ENTRIES).title == ""
    assert LogprobView(ENTRIES, title=None).title == ""
    assert LogprobView(ENTRIES, title="Ends").title == "Ends"


def test_no_trait_has_a_name_that_a_host_keeps_for_itself() -> None:
    own = set(LogprobView.class_own_traits())
    assert own >= {"data", "alternatives", "selected", "color_by", "title"}
    assert not own & {"tooltip", "layout", "keys", "log", "comm", "tabbable"}


def test_binary_columns_are_traits_of_their_own() -> None:
    state = LogprobView(ENTRIES).get_state(["data", "alternatives"])
    assert all(isinstance(value, bytes) for value in state.values())


@pytest.mark.parametrize(("count", "eager"), [(EAGER, True), (EAGER + 1, False)])
def test_alternatives_go_along_unless_the_text_is_long(count: int, eager: bool) -> None:
    assert bool(LogprobView(table_of(count)).alternatives) == eager


def test_the_alternatives_of_a_chunk_are_sent_when_asked_for() -> None:
    view = Recorded(table_of(EAGER + 1))
    view._handle_custom_msg({"chunk": 1}, [])
    ((content, (block,)),) = view.sent
    fields, columns = unpack(block)
    assert content == {"chunk": 1}
    assert (fields["first"], fields["last"]) == (CHUNK, 2 * CHUNK)
    np.testing.assert_allclose(columns["logprob"], -1.0)


@pytest.mark.parametrize("content", [{"chunk": 9}, {"chunk": -1}, {"chunk": "1"}, {"chunk": None}, {}, "chunk", None])
def test_a_message_that_asks_for_nothing_there_is_is_not_answered(content: Any) -> None:
    view = Recorded(table_of(EAGER + 1))
    view._answer(view, content, [])  # not through the dispatcher, which swallows what a callback raises
    assert view.sent == []


@pytest.mark.parametrize(
    "make", [lambda: LogprobView(ENTRIES)._repr_mimebundle_(), lambda: mimebundle(Logprobs.from_entries(ENTRIES))]
)
def test_the_widget_brings_what_is_shown_where_there_is_none(make: Any) -> None:
    data, _ = make()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert "deluge-static" in data["text/html"]
    assert data["text/plain"].startswith("The end.")


def test_the_static_form_is_painted_as_the_widget_is() -> None:
    view = LogprobView(ENTRIES, title="Ends")
    view.color_by = "surprisal"
    data, _ = view._repr_mimebundle_()
    assert 'data-color="surprisal"' in data["text/html"]
    assert "Ends" in data["text/html"]


def test_a_slice_of_a_table_shared_by_many_sends_only_its_own_tokens() -> None:
    view = LogprobView(Logprobs.from_entries(ENTRIES)[1:2])
    assert unpack(view.data)[0]["labels"] == ["·end"]


def test_a_view_says_how_long_it_is() -> None:
    assert repr(LogprobView(ENTRIES)) == "LogprobView(3 tokens)"
