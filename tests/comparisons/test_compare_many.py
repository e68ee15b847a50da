"""compare_many: what may be compared, what is asked of whom, and what is kept when a call ends early."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from deluge_nb import (
    APIResponse,
    Comparisons,
    Conversation,
    LLMClient,
    LogprobsNotSupportedError,
    RawPrompt,
    SettingError,
    compare_many,
)
from tests.memory_transport import MemoryTransport, client_of
from tests.openai_server import ChatServer, Reply, Seen, chat, error, says

TEMPLATES = {"short": "Briefly: {0}", "long": "At length: {0}"}
INPUTS = [f"q{number}" for number in range(6)]


def compare(inputs: Any, variants: Any, **options: Any) -> Comparisons:
    return compare_many(inputs, variants, show_progress=False, **options)


def completions(table: Comparisons) -> dict[str, list[Any]]:
    return {
        name: [response and response.completion for response in responses]
        for name, responses in table.responses.items()
    }


def echo(**options: Any) -> LLMClient:
    """Return a client whose model repeats the question."""
    return client_of(MemoryTransport(), **options)


def test_templates_are_filled_with_each_input_and_asked_of_the_client() -> None:
    assert completions(compare(["a", "b"], TEMPLATES, client=echo())) == {
        "short": ["Briefly: a", "Briefly: b"],
        "long": ["At length: a", "At length: b"],
    }


def test_clients_are_asked_the_inputs_or_the_template() -> None:
    clients = {"one": echo(), "two": echo()}
    assert completions(compare(["a"], clients)) == {"one": ["a"], "two": ["a"]}
    assert completions(compare(["a"], clients, template="Say {0}")) == {"one": ["Say a"], "two": ["Say a"]}


def test_models_are_asked_by_name(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says(f"{seen.body['model']}: {seen.question}")))
    table = compare(["a", "b"], {"big": "gpt-4o", "small": "gpt-4o-mini"})
    assert completions(table) == {"big": ["gpt-4o: a", "gpt-4o: b"], "small": ["gpt-4o-mini: a", "gpt-4o-mini: b"]}


def test_answers_that_are_there_already_are_not_asked_for() -> None:
    earlier = [APIResponse("m", completion="old", logprobs=None), None]
    table = compare(["a", "b"], {"before": earlier, "now": "New: {0}"}, client=echo())
    assert completions(table) == {"before": ["old", None], "now": ["New: a", "New: b"]}


def test_responses_of_other_libraries_and_tables_are_taken_as_they_are() -> None:
    entries = [{"token": "Yes", "logprob": -0.5}]
    table = compare(["a"], {"x": [entries], "y": [{"choices": [{"logprobs": {"content": entries}}]}]})
    assert table.to_pandas()["answer_y"].tolist() == ["Yes"]


@pytest.mark.parametrize(
    "template",
    [RawPrompt("{0}"), Conversation.system("Be brief.").user("{0}"), "{}"],
    ids=["raw", "conversation", "text"],
)
def test_every_form_of_a_template_is_one(template: Any) -> None:
    client = LLMClient("local", max_new_tokens=1)
    table = compare(["Hello"], {"a": template, "b": "Well, {0}"}, client=client)
    assert len(table[0].tables[0]) == 1


FRAMES: dict[str, Callable[[dict[str, list[str]]], Any]] = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "arrow": pa.table,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_columns_of_a_frame_are_placeholders(kind: str) -> None:
    frame = FRAMES[kind]({"city": ["Rome", "Oslo"], "unused": ["x", "y"]})
    table = compare(frame, {"a": "Where is {city}?", "b": "Find {city}."}, client=echo())
    assert completions(table)["b"] == ["Find Rome.", "Find Oslo."]
    assert table.inputs == ["Rome", "Oslo"]


def test_the_index_of_a_series_or_a_frame_labels_the_rows() -> None:
    series = pd.Series(["a", "b"], index=["first", "second"])
    for inputs in (series, series.to_frame("text")):
        variants = {"x": "X {text}", "y": "Y {text}"} if isinstance(inputs, pd.DataFrame) else TEMPLATES
        table = compare(inputs, variants, client=echo())
        assert [row["label"] for row in table.rows] == ["first", "second"]
        assert list(table.to_pandas().index) == ["first", "second"]


def test_a_frame_needs_a_template() -> None:
    with pytest.raises(SettingError, match="template must be a template with names of columns"):
        compare(pd.DataFrame({"text": ["a"]}), {"x": echo(), "y": echo()})


@pytest.mark.parametrize(
    ("inputs", "variants", "options", "message"),
    [
        (["a"], {"only": "X {0}"}, {}, "variants must be a dict of at least two names"),
        (["a"], ["X {0}", "Y {0}"], {}, "variants must be a dict of at least two names"),
        (["a"], {"": "X {0}", "b": "Y {0}"}, {}, "variants must be a dict whose names"),
        (["a"], {"x": "Tell me more", "b": "Y {0}"}, {}, r"variants\['x'\] must be the name of a model, or a template"),
        (["a"], {"x": 5, "b": "Y {0}"}, {}, r"variants\['x'\] must be a client, the name of a model"),
        (["a"], {"x": LLMClient, "b": "Y {0}"}, {}, r"variants\['x'\] must be a client"),
        (["a", "b"], {"x": [None], "b": "Y {0}"}, {}, r"variants\['x'\] must have one response for each of the 2"),
        ("a", TEMPLATES, {}, "inputs must be a list of inputs"),
        ([None], TEMPLATES, {}, r"inputs\[0\] is missing"),
        (["a"], {"x": "X {1}", "b": "Y {0}"}, {}, r"variants\['x'\] asks for \{1\}"),
        (["a"], TEMPLATES, {"client": "local"}, "client must be a client, not the name of a model"),
        (["a"], TEMPLATES, {"resume": []}, "resume must be Comparisons.interrupted"),
        (["a"], TEMPLATES, {"resume": {"short": [None]}}, "resume must have 1 entries for 'long', not 0"),
        ({"a": ["x"], "b": []}, TEMPLATES, {}, "inputs must have columns of one length"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_one_sentence(
    inputs: Any, variants: Any, options: Any, message: str
) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        compare(inputs, variants, **options)
    assert "\n" not in str(caught.value)


def test_client_and_model_exclude_each_other() -> None:
    with pytest.raises(SettingError, match="client or model, not both"):
        compare(["a"], TEMPLATES, client=echo(), model="gpt-4o")


def test_a_model_without_logprobs_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(LogprobsNotSupportedError):
        compare(["a"], {"x": "claude-sonnet-4-5", "y": "gpt-4o"})


def test_clients_are_asked_for_logprobs_at_temperature_0_where_they_leave_it_open(server: ChatServer) -> None:
    server.always(("Yes", {"Yes": 0.6}))
    compare(["a"], TEMPLATES, client=LLMClient("gpt-4o-mini"))
    assert all((seen.body["logprobs"], seen.body["temperature"]) == (True, 0) for seen in server.seen)
    compare(["a"], TEMPLATES, client=LLMClient("gpt-4o-mini", temperature=1, top_logprobs=3, logprobs=True))
    assert (server.seen[-1].body["temperature"], server.seen[-1].body["top_logprobs"]) == (1, 3)


def test_templates_of_one_client_get_the_same_one_of_its_models(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says(seen.body["model"])))
    table = compare(INPUTS, TEMPLATES, client=LLMClient(["gpt-4o", "gpt-4o-mini"]))
    assert completions(table)["short"] == completions(table)["long"]


def test_a_failed_answer_is_a_row_with_its_reason(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return (
            error("no such thing", status=400) if "At length: b" in seen.question else Reply(chat(seen, says("fine")))
        )

    server.answer = answer
    table = compare(["a", "b"], TEMPLATES, client=LLMClient("gpt-4o-mini", max_attempts=1))
    assert completions(table)["short"] == ["fine", "fine"]
    assert "no such thing" in table.to_pandas()["error_long"][1]


def interrupt(number: int) -> None:
    if number == 5:
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_keeps_whole_rows_and_the_same_call_asks_for_the_rest() -> None:
    transport = MemoryTransport(interrupt, limit=5)
    client = client_of(transport, max_concurrent_requests=1)
    with pytest.raises(KeyboardInterrupt) as caught:
        compare(INPUTS, TEMPLATES, client=client)
    (note,) = caught.value.__notes__
    assert "Comparisons.interrupted has the" in note
    assert "of 12 responses that arrived; resume=Comparisons.interrupted" in note
    kept = Comparisons.interrupted
    arrived = sum(response is not None for responses in kept.values() for response in responses)
    assert arrived >= 4
    assert [response and response.completion for response in kept["short"]][:2] == ["Briefly: q0", "Briefly: q1"]
    assert "the call was interrupted" in compare(INPUTS, kept).to_text()
    transport.limit = None
    table = compare(INPUTS, TEMPLATES, client=client, resume=kept)
    assert completions(table)["long"] == [f"At length: {question}" for question in INPUTS]
    assert transport.answered <= 13


def test_an_interrupt_of_the_second_client_keeps_the_answers_of_the_first() -> None:
    second = client_of(MemoryTransport(interrupt, limit=5), max_concurrent_requests=1)
    with pytest.raises(KeyboardInterrupt):
        compare(INPUTS, {"one": echo(), "two": second})
    kept = Comparisons.interrupted
    assert [response.completion for response in kept["one"]] == INPUTS
    assert [response and response.completion for response in kept["two"]][:4] == INPUTS[:4]


def test_failed_answers_are_asked_again_with_the_responses_of_the_table(server: ChatServer) -> None:
    server.answer = lambda seen, number: (
        error("bad", status=400) if seen.question == "Briefly: b" else Reply(chat(seen, says("ok")))
    )
    client = LLMClient("gpt-4o-mini", max_attempts=1)
    first = compare(["a", "b"], TEMPLATES, client=client)
    server.answer = lambda seen, number: Reply(chat(seen, says("now")))
    again = compare(["a", "b"], TEMPLATES, client=client, resume=first.responses)
    assert completions(again) == {"short": ["ok", "now"], "long": ["ok", "ok"]}
