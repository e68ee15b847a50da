"""as_logprobs: tables from the responses of other libraries.

The objects in fixtures/interop.json were recorded from the libraries named in it, by fixtures/record_interop.py, and
are made here again with the same types' names and attributes.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import APIResponse, LogprobsMissingError, LogprobView, SettingError, as_logprobs, entropy_chart, to_html
from deluge_nb.errors import DelugeError
from deluge_nb.logprobs.table import Logprobs

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "fixtures" / "interop.json").read_text("utf-8"))
ENTRIES: list[dict[str, Any]] = RECORDED["entries"]
CHAT = {"choices": [{"index": 0, "message": {"content": "Oslo"}, "logprobs": {"content": ENTRIES, "refusal": None}}]}
COLUMNS: dict[str, Any] = {
    "tokens": ["O", "slo"],
    "token_logprobs": [-0.25, -0.5],
    "top_logprobs": [{"The": -1.75, "O": -0.25}, {"slo": -0.5}],
}


def remade(recorded: Any) -> Any:
    """An object with the type's name and the attributes that were recorded."""
    if isinstance(recorded, list):
        return [remade(one) for one in recorded]
    if not isinstance(recorded, dict):
        return recorded
    if "dict" in recorded:
        return {key: remade(value) for key, value in recorded["dict"].items()}
    found = type(recorded["type"], (), {})()
    for name, value in recorded["fields"].items():
        setattr(found, name, remade(value))
    return found


def plain(recorded: Any) -> Any:
    """The same as parsed JSON."""
    if isinstance(recorded, list):
        return [plain(one) for one in recorded]
    if not isinstance(recorded, dict):
        return recorded
    return {key: plain(value) for key, value in recorded.get("dict", recorded.get("fields")).items()}


WITH = [name for name in RECORDED["responses"] if not name.endswith(" without")]
WITHOUT = [name for name in RECORDED["responses"] if name.endswith(" without")]


@pytest.mark.parametrize("form", [remade, plain])
@pytest.mark.parametrize("name", WITH)
def test_a_response_of_another_library_is_read_as_object_and_as_json(name: str, form: Any) -> None:
    table = as_logprobs(form(RECORDED["responses"][name]))
    assert table.text == "Oslo"
    assert table.logprob.tolist() == [-0.25, -0.5]
    assert [(one["token"], one["logprob"]) for one in table.top(0)] == [("O", -0.25), ("The", -1.75)]


@pytest.mark.parametrize("name", [name for name in WITH if "text" not in name and "old" not in name])
def test_chat_responses_give_the_documented_structure(name: str) -> None:
    assert as_logprobs(remade(RECORDED["responses"][name])) == ENTRIES


@pytest.mark.parametrize("form", [remade, plain])
@pytest.mark.parametrize("name", WITHOUT)
def test_a_response_without_log_probabilities_says_how_to_ask_for_them(name: str, form: Any) -> None:
    wanted = "the model was busy" if name.startswith("lm-deluge") else "ask for them with .*logprobs"
    with pytest.raises(LogprobsMissingError, match=wanted):
        as_logprobs(form(RECORDED["responses"][name]))


@pytest.mark.parametrize(
    "value",
    [
        ENTRIES,
        tuple(ENTRIES),
        Logprobs.from_entries(ENTRIES),
        APIResponse("m", logprobs=Logprobs.from_entries(ENTRIES)),
        [APIResponse("m", logprobs=Logprobs.from_entries(ENTRIES))],
        {"logprobs": ENTRIES},
        {"message": {"content": "Oslo"}, "logprobs": ENTRIES, "done": True},
        {"content": " Oslo", "completion_probabilities": ENTRIES},
    ],
    ids=["list", "tuple", "table", "response", "list of one", "dict", "Ollama", "llama.cpp"],
)
def test_the_documented_structure_is_read_in_every_container(value: Any) -> None:
    assert as_logprobs(value) == ENTRIES


def test_a_table_is_returned_unchanged() -> None:
    table = Logprobs.from_entries(ENTRIES)
    assert as_logprobs(table) is table
    assert as_logprobs(APIResponse("m", logprobs=table)) is table


def test_an_api_response_says_why_it_has_no_log_probabilities() -> None:
    with pytest.raises(LogprobsMissingError, match=r"APIResponse \(the server left them out\); .*logprobs=True"):
        as_logprobs(APIResponse("m", "Oslo", note="the server left them out"))


def test_views_charts_and_pages_accept_foreign_responses() -> None:
    response = remade(RECORDED["responses"]["openai chat"])
    assert LogprobView(response).table == ENTRIES
    assert "slo" in to_html(response)
    assert entropy_chart(response).data == entropy_chart(ENTRIES).data


def test_choice_selects_one_of_several_completions() -> None:
    other = [{"token": "No", "logprob": -0.125, "bytes": None, "top_logprobs": []}]
    two = {"choices": [*CHAT["choices"], {"index": 1, "logprobs": {"content": other}}]}
    assert as_logprobs(two, choice=1) == other
    results = {"generations": [[{"generation_info": {"logprobs": {"content": table}}}] for table in (ENTRIES, other)]}
    assert as_logprobs(results, choice=1) == other
    with pytest.raises(SettingError, match=r"choice=2 is not there: a dict with 'choices' holds 2, counted from 0"):
        as_logprobs(two, choice=2)


def test_a_refusal_stands_in_place_of_an_answer() -> None:
    assert as_logprobs({"choices": [{"logprobs": {"content": None, "refusal": ENTRIES}}]}) == ENTRIES
    assert as_logprobs({"choices": [{"logprobs": {"content": [], "refusal": None}}]}) == []
    with pytest.raises(LogprobsMissingError):
        as_logprobs({"choices": [{"logprobs": {"content": None, "refusal": None}}]})


def test_the_chunks_of_a_stream_are_joined_for_one_choice() -> None:
    def chunk(index: int, entry: dict[str, Any]) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": {}, "logprobs": {"content": [entry]}}]}

    chunks: list[dict[str, Any]] = [chunk(0, ENTRIES[0]), chunk(1, ENTRIES[1]), {"choices": []}, chunk(0, ENTRIES[1])]
    assert as_logprobs(chunks) == ENTRIES
    assert as_logprobs(chunks, choice=1) == ENTRIES[1:]
    with pytest.raises(SettingError, match="choice=2 is not there: no chunk of the stream has this index"):
        as_logprobs(chunks, choice=2)
    with pytest.raises(LogprobsMissingError):
        as_logprobs([{"choices": [{"index": 0, "delta": {"content": "O"}, "logprobs": None}]}])


def chunk_of(*choices: tuple[int | None, int | None], **fields: Any) -> dict[str, Any]:
    """Return a chunk with choices, each an index and a token of ``ENTRIES``; a token of None is an end."""
    return {
        "choices": [
            {
                **({} if index is None else {"index": index}),
                "delta": {},
                "logprobs": None if token is None else {"content": [ENTRIES[token]]},
                "finish_reason": "stop" if token is None else None,
            }
            for index, token in choices
        ],
        **fields,
    }


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk_of((None, 0)), chunk_of((None, 1)), chunk_of((None, None))],
        [chunk_of((None, 0)), chunk_of((1, 1)), chunk_of((None, 1)), chunk_of((1, None)), chunk_of((None, None))],
        [chunk_of((None, 0), (None, 1)), chunk_of((None, 1), (None, None)), chunk_of((None, None))],
        [chunk_of((0, 0), (0, 1)), chunk_of((0, 1), (0, 1))],
        [chunk_of((0, 0)), chunk_of((0, 1)), chunk_of((0, None)), chunk_of((0, None), usage={"total_tokens": 9})],
    ],
)
def test_chunks_without_an_index_belong_to_the_answer_at_their_position(chunks: list[dict[str, Any]]) -> None:
    assert as_logprobs(chunks) == ENTRIES


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk_of((None, 0)), chunk_of((None, 1)), chunk_of((None, None)), chunk_of((None, None))],
        [chunk_of((None, 0)), chunk_of((None, None)), chunk_of((None, 1))],
        [chunk_of((None, 0), (None, 1)), chunk_of((None, 1))],
        [chunk_of((0, 0)), chunk_of((0, None)), chunk_of((0, 1)), chunk_of((0, None))],
    ],
)
def test_chunks_that_may_mix_answers_are_refused(chunks: list[dict[str, Any]]) -> None:
    with pytest.raises(SettingError, match="do not say which of them each belongs to"):
        as_logprobs(chunks)


# Old completions ------------------------------------------------------------------------------------------------------


def completed(**columns: Any) -> Logprobs:
    return as_logprobs({"object": "text_completion", "choices": [{"text": "Oslo", "logprobs": COLUMNS | columns}]})


def test_alternatives_that_came_as_a_dict_are_sorted() -> None:
    assert [one["token"] for one in completed().top(0)] == ["O", "The"]


def test_the_first_token_of_an_echoed_prompt_is_kept_and_counts_for_nothing() -> None:
    table = completed(token_logprobs=[None, -0.5], top_logprobs=[None, {"slo": -0.5}])
    assert table.text == "Oslo"
    assert table.total_logprob == -0.5
    assert table[0]["logprob"] is None


def test_bytes_that_are_spelt_out_are_read() -> None:
    table = completed(
        tokens=["bytes: \\xf0\\x9f", "bytes:\\xa6\\x86"],
        top_logprobs=[{"bytes: \\xf0\\x9f": -0.25}, None],
    )
    assert table.text == " 🦆"
    assert table.tokens == ["bytes: \\xf0\\x9f", "bytes:\\xa6\\x86"]
    assert table.top(0)[0].get("bytes") == list(b" \xf0\x9f")


def test_a_token_that_only_begins_like_spelt_out_bytes_is_text() -> None:
    assert completed(tokens=["bytes:", "bytes: 5"]).text == "bytes:bytes: 5"


@pytest.mark.parametrize(
    ("weighed", "counts"), [(None, [0, 0]), ([], [0, 0]), ([{"O": -0.25}], [1, 0]), ({"O": -0.25, "A": -2.0}, [2, 0])]
)
def test_alternatives_may_be_missing(weighed: Any, counts: list[int]) -> None:
    assert completed(top_logprobs=weighed).top_counts.tolist() == counts


def test_token_ids_beside_the_tokens_are_kept() -> None:
    assert completed(token_ids=[46, 1129]).token_ids == [46, 1129]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(
        SettingError, match="tokens and token_logprobs must be lists of the same length, not of 2 and 1"
    ):
        completed(token_logprobs=[-0.5])


# vLLM -----------------------------------------------------------------------------------------------------------------


@dataclass
class Logprob:
    """As vLLM's."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


def vllm(**fields: Any) -> Any:
    rows = [
        {46: Logprob(-0.25, 1, "O"), 785: Logprob(-1.75, 2, "The")},
        {7: Logprob(-2.0, 2, "!"), 9: Logprob(-0.5, 1)},
    ]
    output = SimpleNamespace(index=0, text="O!", token_ids=[46, 7], logprobs=rows, cumulative_logprob=-2.25)
    vars(output).update(fields)
    return SimpleNamespace(request_id="0", prompt="x", outputs=[output], finished=True)


def test_an_output_of_vllm_is_read() -> None:
    table = as_logprobs(vllm())
    assert table.tokens == ["O", "!"]
    assert table.token_ids == [46, 7]
    assert table.logprob.tolist() == [-0.25, -2.0]
    assert [(one["token"], one["logprob"]) for one in table.top(1)] == [("token_id:9", -0.5), ("!", -2.0)]
    assert table.rank().tolist() == [1, 2]
    assert as_logprobs(vllm().outputs[0]) == table
    assert as_logprobs([vllm()]) == table


def test_the_model_s_tokenizer_gives_vllm_s_tokens_their_bytes() -> None:
    tokenizer = Tokenizer("bytes")
    duck = {16: Logprob(-0.25, 1, "\ufffd"), 14: Logprob(-2.0, 2, "\ufffd")}
    table = as_logprobs(vllm(token_ids=[16], logprobs=[duck]), tokenizer=tokenizer)
    assert table.token_bytes == [b"\xf0"]
    assert [one.get("bytes") for one in table.top(0)] == [[0xF0], [0xA9]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"token_ids": [46]}, "token_ids and logprobs must be lists of the same length, not of 1 and 2"),
        ({"logprobs": [5, 5]}, r"logprobs\[0\] must be a dict from token ids, not int"),
        ({"logprobs": [{"x": 1}, {}]}, r"logprobs\[0\] must be a dict from token ids, not a dict with 'x'"),
    ],
)
def test_an_output_of_vllm_that_does_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        as_logprobs(vllm(**fields))


def test_an_output_of_vllm_without_log_probabilities_says_how_to_ask_for_them() -> None:
    with pytest.raises(LogprobsMissingError, match=r"SamplingParams\(logprobs=5\)"):
        as_logprobs(vllm(logprobs=None))


# Google ---------------------------------------------------------------------------------------------------------------


def test_google_s_candidates_are_read_in_both_spellings() -> None:
    chosen = [
        {"token": "Os", "tokenId": 5, "logProbability": -0.25},
        {"token": "lo", "tokenId": 6, "logProbability": -0.5},
    ]
    body = {"chosenCandidates": chosen, "topCandidates": [{"candidates": [chosen[0], {"token": "The"}]}]}
    table = as_logprobs({"candidates": [{"logprobsResult": body}]})
    assert (table.text, table.token_ids, table.top_counts.tolist()) == ("Oslo", [5, 6], [2, 0])
    found = SimpleNamespace(
        chosen_candidates=[
            SimpleNamespace(token=one["token"], log_probability=one["logProbability"]) for one in chosen
        ],
        top_candidates=None,
    )
    result = SimpleNamespace(candidates=[SimpleNamespace(logprobs_result=found)])
    assert as_logprobs(result).logprob.tolist() == [-0.25, -0.5]
    with pytest.raises(LogprobsMissingError, match="response_logprobs=True"):
        as_logprobs({"candidates": [{"content": {}}]})


# Transformers ---------------------------------------------------------------------------------------------------------


class Tokenizer:
    """Recorded answers of a real tokenizer."""

    def __init__(self, name: str) -> None:
        recorded = RECORDED["tokenizers"][name]
        self.tokens: dict[str, list[str]] = recorded["tokens"]
        self.text: str = recorded["text"]
        self.ids: list[int] = recorded["ids"]
        self.eos_token_id: int = recorded["eos_token_id"]
        self.pad_token_id: int | None = recorded["pad_token_id"]

    def convert_ids_to_tokens(self, token_id: int) -> str:
        return self.tokens[str(token_id)][0]

    def decode(self, ids: list[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        assert not skip_special_tokens
        assert not clean_up_tokenization_spaces
        return self.tokens[str(ids[0])][1]


class Half:
    """A tensor that numpy cannot read as it is: half precision, on another device."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.shape = self.values.shape

    def __getitem__(self, index: int) -> Half:
        return Half(self.values[index])

    def detach(self) -> Half:
        return self

    def float(self) -> Half:
        return self

    def cpu(self) -> Any:
        return self.values

    def __array__(self, *_: Any) -> Any:
        raise TypeError("can't convert device type tensor to numpy")


def generated(name: str, *, of: Any = np.asarray, field: str = "scores") -> Any:
    recorded = RECORDED["generated"][name]
    found: Any = OrderedDict(sequences=np.asarray(recorded["sequences"]))
    found[field] = tuple(of(step) for step in recorded["scores"])
    if recorded["beam_indices"] is not None:
        found["beam_indices"] = np.asarray(recorded["beam_indices"])
    return found


@pytest.mark.parametrize("of", [np.asarray, Half], ids=["numpy", "half precision"])
@pytest.mark.parametrize("name", ["sampled", "beams"])
def test_the_scores_of_generate_are_read_as_transformers_reads_them(name: str, of: Any) -> None:
    recorded = RECORDED["generated"][name]
    for choice, (sequence, oracle) in enumerate(zip(recorded["sequences"], recorded["transition_scores"], strict=True)):
        table = as_logprobs(generated(name, of=of), tokenizer=Tokenizer("bytes"), choice=choice)
        assert table.token_ids == sequence[recorded["prompt"] :][: len(table)]
        assert table.logprob == pytest.approx(oracle[: len(table)], abs=1e-3)
        assert np.all(np.diff([one["logprob"] or 0 for one in table.top(0)]) <= 0)


def test_a_sequence_ends_where_the_model_ended_it() -> None:
    tables = [as_logprobs(generated("sampled"), tokenizer=Tokenizer("bytes"), choice=choice) for choice in (0, 1)]
    assert [len(table) for table in tables] == [4, 6]
    assert tables[0].tokens[-1] == "<|end|>"


def test_padding_is_no_part_of_a_sequence_that_another_token_ended() -> None:
    tokenizer = Tokenizer("bytes")
    tokenizer.eos_token_id = 35
    assert len(as_logprobs(generated("sampled"), tokenizer=tokenizer)) == 4


def test_tokens_excluded_by_sampling_are_not_listed_and_the_vocabulary_size_is_known() -> None:
    table = as_logprobs(generated("sampled"), tokenizer=Tokenizer("bytes"))
    assert table.top_counts.tolist() == [9] * 4
    assert table.vocab_size == 36
    assert table.top_mass() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize(("top", "count"), [(0, 0), (1, 1), (5, 5), (36, 36), (99, 36)])
def test_as_many_alternatives_are_kept_as_asked_for(top: int, count: int) -> None:
    table = as_logprobs(generated("beams"), tokenizer=Tokenizer("bytes"), top=top)
    assert set(table.top_counts.tolist()) == {count}
    if count:
        assert table.top(0)[0]["logprob"] == max(one["logprob"] or 0 for one in table.top(0))


def test_logits_are_preferred_to_scores() -> None:
    output = generated("sampled")
    output["logits"] = tuple(np.zeros((2, 36)) for _ in output["scores"])
    assert as_logprobs(output, tokenizer=Tokenizer("bytes")).logprob == pytest.approx([-math.log(36)] * 4)


def test_an_incomplete_output_of_generate_says_what_is_missing() -> None:
    with pytest.raises(SettingError, match=r"OrderedDict has token ids and no texts: .*tokenizer=tokenizer"):
        as_logprobs(generated("sampled"))
    with pytest.raises(LogprobsMissingError, match="return_dict_in_generate=True and output_logits=True"):
        as_logprobs({"sequences": [[1, 2]]}, tokenizer=Tokenizer("bytes"))
    with pytest.raises(SettingError, match="choice=2 is not there: OrderedDict holds 2"):
        as_logprobs(generated("sampled"), tokenizer=Tokenizer("bytes"), choice=2)


@pytest.mark.parametrize("name", ["bytes", "pieces"])
def test_the_bytes_of_a_tokenizer_s_tokens_make_up_the_text(name: str) -> None:
    tokenizer = Tokenizer(name)
    steps = tuple(np.zeros((1, 300)) for _ in tokenizer.ids)
    output = {"sequences": [tokenizer.ids], "scores": steps}
    assert as_logprobs(output, tokenizer=tokenizer, top=0).text.strip() == tokenizer.text


def test_a_tokenizer_of_the_tokenizers_library_is_accepted() -> None:
    known = Tokenizer("bytes")

    class Bare:
        def id_to_token(self, token_id: int) -> str | None:
            return known.tokens[str(token_id)][0] if token_id < 36 else None

        def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
            assert not skip_special_tokens
            return known.tokens[str(ids[0])][1] if ids[0] < 36 else ""

    output = {"sequences": [[16, 19, 26, 40]], "scores": tuple(np.zeros((1, 50)) for _ in range(4))}
    assert as_logprobs(output, tokenizer=Bare(), top=0).text == "🦆"


def test_a_value_that_is_not_a_tokenizer_is_refused() -> None:
    with pytest.raises(SettingError, match=r"tokenizer must be the model's own, .* not str"):
        as_logprobs(generated("sampled"), tokenizer="gpt2")


# Other values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (5, "int"),
        ("Oslo", "str"),
        (b"Oslo", "bytes"),
        ({}, "an empty dict"),
        ({"error": {"message": "no"}}, "a dict with 'error'"),
        (dict.fromkeys("abcdefg"), "a dict with 'a', 'b', 'c', 'd', 'e', …"),
        (object(), "object"),
        (SimpleNamespace(content="Oslo", refusal=None, role="assistant"), "SimpleNamespace"),
        ([7], "int"),
    ],
)
def test_a_value_that_is_not_a_response_is_named_by_its_type(value: Any, named: str) -> None:
    with pytest.raises(SettingError) as caught:
        as_logprobs(value)
    expected = f"Log-probabilities are read from a response, its logprobs or a list of dicts, not {named}."
    assert str(caught.value) == expected
    assert caught.value.setting == "logprobs"


def test_a_list_of_several_responses_is_refused() -> None:
    with pytest.raises(SettingError, match=r"one response at a time, .* a list of 2 \(the first is APIResponse\)\.$"):
        as_logprobs([APIResponse("m"), APIResponse("m")])


def test_none_and_an_empty_completion_have_no_log_probabilities() -> None:
    with pytest.raises(LogprobsMissingError, match="logprobs=True"):
        as_logprobs(None)
    with pytest.raises(LogprobsMissingError, match="a dict with 'choices' holds no completion"):
        as_logprobs({"choices": []})


@pytest.mark.parametrize("setting", ["choice", "top"])
@pytest.mark.parametrize("value", [-1, 1.5, True, None, "1"])
def test_an_invalid_setting_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"{setting} must be an integer from 0") as caught:
        as_logprobs(ENTRIES, **{setting: value})
    assert caught.value.setting == setting


FIELDS = sorted(
    {
        *("sequences", "scores", "beam_indices", "choices", "delta", "index", "output", "object", "content", "refusal"),
        *("generations", "generation_info", "message", "response_metadata", "outputs", "token_ids", "candidates"),
        *("logprobs_result", "chosen_candidates", "completion_probabilities", "logprobs", "tokens", "token_logprobs"),
        *("top_logprobs", "token", "logprob", "bytes", "id", "decoded_token"),
    }
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_parsed_json_is_read_or_refused(value: Any) -> None:
    with suppress(DelugeError):
        assert isinstance(as_logprobs(value), Logprobs)


@given(st.dictionaries(st.text(max_size=4), st.floats(max_value=0, allow_nan=False), max_size=4), st.text(max_size=4))
def test_the_alternatives_of_an_old_completion_are_all_kept_in_order(weighed: Mapping[str, float], token: str) -> None:
    table = as_logprobs({"tokens": [token], "token_logprobs": [-0.5], "top_logprobs": [weighed]})
    assert len(table.top(0)) == len(weighed)
    assert [one["logprob"] for one in table.top(0)] == sorted(weighed.values(), reverse=True)
