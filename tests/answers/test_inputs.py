"""Arguments that classify and score_llm share: inputs, labels, templates and clients, refused with their cure."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from deluge_nb import (
    Classifications,
    Conversation,
    LLMClient,
    Message,
    RawPrompt,
    SamplingParams,
    SettingError,
    classify,
    score_llm,
)
from tests.openai_server import ChatServer

ANSWERS = ["yes", "no"]
TEXTS = ["It rains.", "It snows.", "It pours."]
FRAME = pd.DataFrame({"id": [1, 2, 3], "day": ["Mo", "Tu", "We"], "text": TEXTS}, index=[101, 205, 307])


def client() -> LLMClient:
    return LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))


def by_classify(inputs: Any) -> Any:
    return classify(inputs, ANSWERS, client(), template="True? {0}", show_progress=False)


def by_classify_whole(inputs: Any) -> Any:
    return classify(inputs, ANSWERS, client(), show_progress=False)


def by_score(inputs: Any) -> Any:
    return score_llm("True? {0}", inputs, client(), True, show_progress=False, return_details=True)


def by_prompts(inputs: Any) -> Any:
    return client().process_prompts_sync(inputs, show_progress=False)


ASKERS = [by_classify, by_classify_whole, by_score, by_prompts]
CLASSIFIERS = [by_classify, by_classify_whole, by_score]
Ask = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def yes(server: ChatServer) -> ChatServer:
    server.always(("Yes", {"Yes": 0.7, "No": 0.2}))
    return server


def refusal(ask: Callable[..., object], *arguments: Any, **options: Any) -> str:
    with pytest.raises(SettingError) as caught:
        ask(*arguments, **options)
    return str(caught.value)


# Inputs ---------------------------------------------------------------------------------------------------------------

INDEXES = [
    pd.Index([101, 205, 307]),
    pd.Index([7, 7, 9]),
    pd.Index(["a", "b", "c"], name="ticket"),
    pd.RangeIndex(5, 8),
    pd.date_range("2026-01-01", periods=3),
    pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
    pd.CategoricalIndex(["x", "y", "z"]),
    pd.IntervalIndex.from_breaks([0, 1, 2, 3]),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: type(index).__name__)
@pytest.mark.parametrize("ask", CLASSIFIERS)
def test_the_index_of_a_series_is_kept(ask: Ask, index: pd.Index) -> None:
    found = ask(pd.Series(TEXTS, index=index))
    pd.testing.assert_index_equal(found.index, index)
    pd.testing.assert_index_equal(found.to_pandas().index, index)
    assert found[1:].to_pandas().index.tolist() == index[1:].tolist()
    assert found.to_pandas()["input"].tolist() == TEXTS


def test_results_join_the_frame_that_the_inputs_came_from() -> None:
    joined = FRAME.join(by_classify(FRAME["text"]).to_pandas())
    assert joined["label"].tolist() == ["yes"] * 3
    assert joined["input"].tolist() == joined["text"].tolist()


KINDS: list[Callable[[list[str]], Any]] = [list, tuple, iter, np.array, pa.array, lambda texts: dict.fromkeys(texts)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ask", [by_classify, by_score])
def test_any_iterable_of_texts_will_do_and_has_no_index(
    ask: Ask, kind: Callable[[list[str]], Any], server: ChatServer
) -> None:
    inputs = kind(TEXTS)
    found = ask(inputs.keys() if isinstance(inputs, dict) else inputs)
    assert len(server.seen) == 3
    assert found.index is None
    assert found.to_pandas()["input"].tolist() == TEXTS
    assert found.to_pandas().index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("ask", ASKERS)
@pytest.mark.parametrize("table", [FRAME, type("GeoFrame", (pd.DataFrame,), {})(FRAME), pa.table(FRAME)])
def test_a_table_is_refused_with_a_column_that_it_has(ask: Ask, table: Any, server: ChatServer) -> None:
    assert 'write df["text"]' in refusal(ask, table)
    assert not server.seen


@pytest.mark.parametrize(
    ("frame", "column"),
    [
        (pd.DataFrame({"n": [1], "name": ["Ada"]}), 'df["name"]'),
        (pd.DataFrame({'say "hi"': ["x"]}), 'df["say \\"hi\\""]'),
        (pd.DataFrame([["a"], ["b"]]), "df[0]"),
        (pd.DataFrame({"n": [1]}), 'df["n"]'),
        (pd.DataFrame({"empty": []}), 'df["empty"]'),
        (pd.DataFrame(), 'df["text"]'),
    ],
)
def test_the_column_that_is_named_is_the_one_with_texts(frame: pd.DataFrame, column: str) -> None:
    assert column in refusal(by_classify, frame)


MISSING = [(None, "None"), (np.nan, "NaN"), (pd.NaT, "NaT"), (pd.NA, "NA"), (np.float32("nan"), "NaN")]
MISSING += [(np.datetime64("NaT"), "NaT"), (Decimal("nan"), "NaN")]


@pytest.mark.parametrize("ask", ASKERS)
@pytest.mark.parametrize(("value", "name"), MISSING, ids=lambda value: str(value))
def test_a_missing_text_is_refused_by_its_place(ask: Ask, value: Any, name: str, server: ChatServer) -> None:
    where = "prompts" if ask is by_prompts else "inputs"
    assert f"{where}[1] is missing ({name})" in refusal(ask, ["It rains.", value, "It snows."])
    assert not server.seen


@pytest.mark.parametrize("dtype", ["object", "str", "string"])
def test_a_missing_text_of_a_column_is_refused_whatever_its_type(dtype: Any, server: ChatServer) -> None:
    assert "inputs[1] is missing" in refusal(by_classify, pd.Series(["a", None], dtype=dtype))
    assert not server.seen


@pytest.mark.parametrize(
    ("template", "values", "where"),
    [("{0} {1}", ("a", None), r"inputs[0][1]"), ("{name}", {"name": np.nan, "id": 1}, "inputs[0]['name']")],
)
def test_a_missing_value_of_a_placeholder_is_refused_and_one_that_is_not_used_is_not(
    template: str, values: Any, where: str, server: ChatServer
) -> None:
    assert f"{where} is missing" in refusal(classify, [values], ANSWERS, client(), template=template)
    used = {"name": "Ada", "age": None}
    assert classify([used], ANSWERS, client(), template="{name}", show_progress=False).labels == ["yes"]


@pytest.mark.parametrize("ask", ASKERS)
@pytest.mark.parametrize("lone", ["one text", b"bytes", RawPrompt("x"), Conversation().user("x"), {"a": 1}])
def test_a_lone_input_is_refused_with_the_brackets_it_wants(ask: Ask, lone: Any) -> None:
    assert "in brackets: [" in refusal(ask, lone)


@pytest.mark.parametrize("ask", ASKERS)
@pytest.mark.parametrize("value", [None, 5, object()])
def test_something_that_is_no_list_is_refused(ask: Ask, value: Any) -> None:
    assert "must be a list of" in refusal(ask, value)


# Labels ---------------------------------------------------------------------------------------------------------------


class Answer(enum.StrEnum):
    """An enumeration of answers."""

    YES = "yes"
    NO = "no"


@pytest.mark.parametrize(
    "labels",
    [
        ["yes", "no", "yes"],
        ("yes", "no"),
        {"no", "yes"},
        frozenset(["yes", "no"]),
        iter(["yes", "no"]),
        {"yes": 1, "no": 2}.keys(),
        np.array(["yes", "no"]),
        pd.Series(["yes", "no", "yes"]),
        pd.Series(["yes", "no", "yes"]).unique(),
        pd.Index(["yes", "no"]),
        pa.array(["yes", "no"]),
        pd.Series(["yes", "no"], dtype="category").cat.categories,
        Answer,
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_may_be_any_iterable_of_texts(labels: Any) -> None:
    found = classify(["x"], labels, client(), show_progress=False)
    assert sorted(found.names) == ["no", "yes"]
    assert all(type(name) is str for name in found.names)
    assert found.labels == ["yes"]


def test_a_set_is_sorted_and_everything_else_keeps_its_order() -> None:
    names = ["pear", "fig", "apple", "plum"]
    for labels, order in ((set(names), sorted(names)), (dict.fromkeys(names).keys(), names), (iter(names), names)):
        assert list(classify(["x"], labels, client(), show_progress=False).names) == order


def test_spellings_may_be_any_iterable_of_texts() -> None:
    labels = {"good": {"yes", "good"}, "bad": pd.Series(["no", "bad"]), "unclear": "maybe"}
    assert classify(["x"], labels, client(), show_progress=False).labels == ["good"]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("yes", "labels must be a list of answers, not the single text 'yes': write ['yes', …]"),
        (b"yes", "not the single text b'yes'"),
        (None, "labels must be a list of answers, or a dict"),
        (5, "labels must be a list of answers, or a dict"),
        ([], "labels must be a list of at least one answer"),
        (["yes", 5], "labels[1] must be a text, not 5 (int); write '5'"),
        (["yes", "n\ud83d"], "labels[1] must be a text of whole characters"),
        ([1, 2], "labels[0] must be a text, not 1 (int); write '1'"),
        (["yes", None], "labels[1] is missing (None)"),
        (pd.Series(["yes", np.nan]), "labels[1] is missing (NaN)"),
        (["yes", ["no"]], "labels[1] must be a text, not ['no'] (list)"),
        ([["yes"], "no"], "labels[1] must be a list of answers, not the single text 'no'"),
        ([["yes", 2], ["no"]], "labels[0][1] must be a text, not 2 (int)"),
        ({"yes": 5}, "labels['yes'] must be a list of answers"),
        ({"yes": ["yes", None]}, "labels['yes'][1] is missing (None)"),
        ({1: "yes"}, "labels[0] must be a text, not 1 (int)"),
        ({"yes": []}, "labels['yes'] must be a list of at least one answer"),
        ({date(2026, 1, 1)}, "labels[0] must be a text, not datetime.date(2026, 1, 1) (date)"),
        (FRAME[["day"]], 'write df["day"].unique()'),
    ],
)
def test_labels_that_are_no_texts_are_refused_by_name(labels: Any, sentence: str, server: ChatServer) -> None:
    assert sentence in refusal(classify, ["a", "b"], labels, client())
    assert not server.seen


def test_equal_sets_of_labels_for_each_input_are_one_set() -> None:
    found = classify(["a", "b"], pd.Series([["yes", "no"], ("yes", "no")]), client(), show_progress=False)
    assert found.names == ("yes", "no")


# Templates and clients ------------------------------------------------------------------------------------------------

JSON = 'Answer with {"ok": true}, never {unsure}.'


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (Conversation().system(JSON).user("Review: {0}"), [JSON, "Review: x"]),
        (Conversation().user("Review: {0}").assistant(JSON).user("And now?"), ["Review: x", JSON, "And now?"]),
        (Conversation().system("{0}").user("{}"), ["x", "x"]),
    ],
)
def test_a_part_of_a_conversation_without_placeholders_is_text(
    template: Conversation, expected: list[str], server: ChatServer
) -> None:
    classify(["x"], ANSWERS, client(), template=template, show_progress=False)
    assert [message["content"] for message in server.seen[0].body["messages"]] == expected


def test_a_conversation_without_any_placeholder_is_refused(server: ChatServer) -> None:
    template = Conversation().system(JSON).user("Review")
    message = refusal(classify, ["x"], ANSWERS, client(), template=template)
    assert message.startswith("template has no placeholder such as {0} for inputs[0]: write {0} in place of {unsure}")
    assert not server.seen


@pytest.mark.parametrize("template", [5, ["{0}"], [{"role": "user", "content": "{0}"}], Message("user", "{0}")])
def test_a_template_of_a_wrong_type_is_refused(template: Any) -> None:
    message = refusal(classify, ["x"], ANSWERS, client(), template=template)
    assert message.startswith("template must be a text, a RawPrompt or a Conversation, not ")
    message = refusal(score_llm, template, ["x"], client(), True)
    assert message.startswith("scoring_prompt_template must be a text, not ")


@pytest.mark.parametrize("lone", ["N/A", RawPrompt("N/A"), 5, None, FRAME])
def test_content_free_must_be_a_list(lone: Any, server: ChatServer) -> None:
    message = refusal(classify, ["x"], ANSWERS, client(), template="{0}", calibration="contextual", content_free=lone)
    assert message.startswith(("content_free must be a list of inputs", "content_free must be one column"))
    assert not server.seen


@pytest.mark.parametrize("model", ["gpt-4o-mini", object(), None, LLMClient])
def test_a_model_in_place_of_a_client_is_refused_with_the_cure(model: Any) -> None:
    for setting, message in (
        ("client", refusal(classify, ["x"], ANSWERS, model)),
        ("scoring_model", refusal(score_llm, "{0}", ["x"], model, True)),
    ):
        assert message.startswith(f"{setting} must be a client")
        assert 'LLMClient("local")' in message or "LLMClient('gpt-4o-mini')" in message


def test_no_inputs_give_no_results() -> None:
    found = classify([], ANSWERS, client(), show_progress=False)
    assert isinstance(found, Classifications)
    assert repr(found) == "Classifications(0 inputs, yes / no, by first-token)"
    assert found.probabilities.shape == (0, 2)
    assert list(found.to_pandas().columns) == ["input", "label", "probability", "matched_mass", "decided", "error"]
