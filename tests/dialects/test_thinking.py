"""Reasoning and answer are kept apart, in every shape in which servers mix them, at once and streamed."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deluge_nb import (
    APIResponse,
    LLMClient,
    LogprobsMissingError,
    SamplingParams,
    StreamedToken,
    as_logprobs,
    classify,
    classify_responses,
    extract_prob,
    extract_probs,
    score_llm,
)
from deluge_nb.dialects.base import Ask, Completion
from deluge_nb.dialects.reading.thinking.completion import separate_thinking
from deluge_nb.dialects.reading.thinking.delta import Delta
from deluge_nb.dialects.reading.thinking.deltas import DeltaSorter
from deluge_nb.models import COMPATIBLE
from deluge_nb.prompts import Prompt
from deluge_nb.text.reasoning.whole import split_reasoning
from tests.openai_server import ChatServer, Reply, entry, event

ASKED = SamplingParams(logprobs=True, top_logprobs=2)
MIXED = ("No", " wait", "</think>", "Yes")


def row(token: str, p: float = 0.99) -> dict[str, Any]:
    top = [entry(token, p), entry("No" if token != "No" else "Yes", 1 - p)]
    return {**entry(token, p), "top_logprobs": top}


def rows(*tokens: str) -> list[dict[str, Any]]:
    return [row(token) for token in tokens]


def reply(message: dict[str, Any], *tokens: str, **lists: Any) -> dict[str, Any]:
    table = {"content": rows(*tokens), "refusal": None, **lists}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": table, "finish_reason": "stop"}
    return {"model": "m", "choices": [choice], "usage": None}


def chunk(delta: dict[str, Any], *tokens: str, finish: str | None = None, **lists: Any) -> bytes:
    table = {"content": rows(*tokens), **lists} if tokens or lists else None
    return event({"choices": [{"index": 0, "delta": delta, "logprobs": table, "finish_reason": finish}]})


def ask(server: ChatServer, body: Any, model: str = "gpt-4o-mini") -> APIResponse:
    server.answer = lambda seen, number: Reply(body)
    return LLMClient(model, sampling_params=ASKED).process_prompts_sync(["Yes or no?"], show_progress=False)[0]


def stream(
    server: ChatServer, *pieces: bytes, model: str = "gpt-4o-mini", kind: str = "text/event-stream"
) -> tuple[list[StreamedToken], APIResponse]:
    server.answer = lambda seen, number: Reply(pieces=pieces, headers={"content-type": kind})
    streamed = LLMClient(model, sampling_params=ASKED).stream("Yes or no?")
    tokens = list(streamed)
    assert streamed.response is not None
    return tokens, streamed.response


def check(response: APIResponse, thinking: str | None = "No wait", answer: str = "Yes", count: int = 1) -> None:
    assert (response.completion, response.thinking) == (answer, thinking)
    assert response.logprobs is not None
    assert response.logprobs.tokens[0].strip() == answer
    assert len(response.logprobs) == count
    assert extract_prob(answer, response.logprobs) == pytest.approx(0.99)


SHAPES: dict[str, dict[str, Any]] = {
    "SGLang's field": reply({"content": "Yes", "reasoning_content": "No wait"}, *MIXED),
    "vLLM's field": reply({"content": "Yes", "reasoning": "No wait"}, *MIXED),
    "a field called thinking": reply({"content": "Yes", "thinking": "No wait"}, *MIXED),
    "OpenRouter's details": reply(
        {"content": "Yes", "reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "No wait"}]},
        *MIXED,
    ),
    "LiteLLM's blocks": reply(
        {"content": "Yes", "thinking_blocks": [{"type": "thinking", "thinking": "No wait"}]}, *MIXED
    ),
    "a field, and the table of the answer alone": reply({"content": "Yes", "reasoning_content": "No wait"}, "Yes"),
    "a field and DeepSeek's two tables": reply(
        {"content": "Yes", "reasoning_content": "No wait"}, "Yes", reasoning_content=rows("No", " wait")
    ),
    "a field, and the end of the turn": reply({"content": "Yes", "reasoning_content": "No wait"}, *MIXED, "<|im_end|>"),
    "tags": reply({"content": "<think>No wait</think>Yes"}, "<think>", *MIXED),
    "tags and white space": reply(
        {"content": "<think>\nNo wait\n</think>\n\nYes"},
        "<think>",
        "\n",
        "No",
        " wait",
        "\n",
        "</think>",
        "\n\n",
        "Yes",
    ),
    "the closing tag alone": reply({"content": "No wait</think>Yes"}, *MIXED),
    "Magistral's tags": reply({"content": "[THINK]No wait[/THINK]Yes"}, "[THINK]", "No", " wait", "[/THINK]", "Yes"),
    "other tags": reply({"content": "<reasoning>No wait</reasoning>Yes"}, "<reasoning>No", " wait</reasoning>", "Yes"),
    "Kimi's tags": reply({"content": "◁think▷No wait◁/think▷Yes"}, "◁think▷", "No", " wait", "◁/think▷", "Yes"),
    "Mistral's parts": reply(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "No wait"}]},
                {"type": "text", "text": "Yes"},
            ]
        },
        *MIXED,
    ),
    "parts marked as thoughts": reply(
        {"content": [{"type": "text", "text": "No wait", "thought": True}, {"type": "text", "text": "Yes"}]}, *MIXED
    ),
    "a summary beside a text alone": reply({"content": [{"type": "summary_text", "text": "No wait"}, "Yes"]}, *MIXED),
    "harmony": reply(
        {
            "content": "<|channel|>analysis<|message|>No wait<|end|><|start|>assistant<|channel|>final<|message|>Yes"
            "<|return|>"
        },
        *("<|channel|>", "analysis", "<|message|>", "No", " wait", "<|end|>", "<|start|>", "assistant", "<|channel|>"),
        *("final", "<|message|>", "Yes", "<|return|>"),
    ),
    "harmony behind the marks of a template": reply(
        {"content": "analysis<|message|>No wait<|end|><|start|>assistant<|channel|>final<|message|>Yes"},
        *("analysis", "<|message|>", "No", " wait", "<|end|>", "<|start|>", "assistant", "<|channel|>"),
        *("final", "<|message|>", "Yes"),
    ),
    "Granite's sentences": reply(
        {"content": "Here is my thought process: No wait\n\nHere is my response: Yes"},
        *("Here is my thought process:", " No", " wait", "\n\n", "Here is my response:", " Yes"),
    ),
    "Apriel's sentences": reply(
        {"content": "Here are my reasoning steps:\nNo wait\n[BEGIN FINAL RESPONSE]\nYes"},
        *("Here are my reasoning steps:", "\n", "No", " wait", "\n", "[BEGIN FINAL RESPONSE]", "\n", "Yes"),
    ),
    "harmony with a field": reply(
        {"content": "Yes", "reasoning_content": "No wait"},
        *("<|channel|>", "analysis", "<|message|>", "No", " wait", "<|end|>", "<|start|>", "assistant", "<|channel|>"),
        *("final", "<|message|>", "Yes", "<|return|>"),
    ),
    "harmony without its marks": reply(
        {"content": "analysisNo waitassistantfinalYes"}, "analysis", "No", " wait", "assistant", "final", "Yes"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_answer_is_read_without_the_reasoning(server: ChatServer, shape: str) -> None:
    count = 2 if SHAPES[shape]["choices"][0]["logprobs"]["content"][-1]["token"] in ("<|im_end|>", "<|return|>") else 1
    response = ask(server, SHAPES[shape])
    check(response, count=count)
    assert response.raw_response == SHAPES[shape]
    assert "thinking" in repr(response)
    table = SHAPES[shape]["choices"][0]["logprobs"]
    if len(table["content"]) > count or "reasoning_content" in table:
        assert response.thinking_logprobs is not None
        assert "No wait" in response.thinking_logprobs.text
    assert score_llm("{0}", ["?"], LLMClient("gpt-4o-mini", sampling_params=ASKED), True, show_progress=False) == [
        pytest.approx(0.99, abs=1e-3)
    ]


@pytest.mark.parametrize(
    ("message", "pieces"),
    [
        ("spellings of byte-level vocabularies", ["No", "</think>", "ĠYes"]),
        ("spellings of SentencePiece", ["No", "</think>", "▁Yes", "</s>"]),
    ],
)
def test_spellings_of_a_vocabulary_are_no_difference(server: ChatServer, message: str, pieces: list[str]) -> None:
    body = reply({"content": "Yes", "reasoning_content": "No"}, *pieces)
    response = ask(server, body)
    assert (response.completion, response.note) == ("Yes", None)
    assert response.logprobs is not None
    assert response.logprobs.tokens == pieces[2:]


def test_reasoning_that_a_server_hides_is_taken_out_of_the_table_and_noted(server: ChatServer) -> None:
    response = ask(server, reply({"content": "Yes"}, "No", " wait", ".", "Yes"))
    check(response, thinking=None)
    assert response.thinking_logprobs is not None
    assert response.thinking_logprobs.tokens == ["No", " wait", "."]
    assert "tokens that are not in the text" in (response.note or "")


@pytest.mark.parametrize("content", ["", None])
def test_an_answer_that_ended_in_its_reasoning_has_no_number(server: ChatServer, content: str | None) -> None:
    response = ask(server, reply({"content": content, "reasoning_content": "No wait"}, "No", " wait"))
    assert response.thinking == "No wait"
    assert response.logprobs == []
    assert response.note == "the model reasoned and gave no answer"
    client = LLMClient("gpt-4o-mini", sampling_params=ASKED)
    assert score_llm("{0}", ["?"], client, True, show_progress=False) == [None]


def test_unclosed_reasoning_is_no_answer(server: ChatServer) -> None:
    response = ask(server, reply({"content": "<think>No wait"}, "<think>", "No", " wait"))
    assert (response.completion, response.thinking, response.logprobs) == ("", "No wait", [])


def test_a_table_of_another_text_gives_no_number(server: ChatServer) -> None:
    body = reply({"content": "Yes", "reasoning_content": "No wait"}, "No", " wait")
    response = ask(server, body)
    assert response.logprobs is not None
    assert response.logprobs.tokens == ["No", " wait"]
    assert "another text" in (response.note or "")
    client = LLMClient("gpt-4o-mini", sampling_params=ASKED)
    assert score_llm("{0}", ["?"], client, True, show_progress=False) == [None]
    for results in (
        classify(["?"], ["yes", "no"], client, show_progress=False),
        classify_responses([response], ["yes", "no"]),
        classify_responses([response.logprobs], ["yes", "no"]),
        score_llm("{0}", ["?"], client, True, show_progress=False, return_details=True),
    ):
        assert "another text" in (results[0].error_message or "")
    with pytest.raises(LogprobsMissingError, match="another text"):
        extract_prob("no", response.logprobs)
    good = as_logprobs(rows("No", " wait"))
    assert extract_probs("no", [response, good])[1] == pytest.approx(0.99)
    assert str(extract_probs("no", [response, good])[0]) == "nan"


def test_a_table_of_another_text_stays_one_in_the_cache(server: ChatServer, tmp_path: Any) -> None:
    server.answer = lambda seen, number: Reply(reply({"content": "Yes"}, "No"))
    client = LLMClient("gpt-4o-mini", sampling_params=ASKED, cache=tmp_path / "cache.db")
    for is_cached in (False, True):
        response = client.process_prompts_sync(["?"], show_progress=False)[0]
        assert response.from_cache is is_cached
        assert response.logprobs is not None
        assert not response.logprobs.matches_text


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>a</think>Yes", "a", "Yes"),
        ("<THINK>a</THINK>\nYes", "a", "Yes"),
        ("<think></think><think>a</think>Yes", "a", "Yes"),
        ("<think>a <think>b</think> c</think>Yes", "a <think>b\n\nc", "Yes"),
        ("Sure! <think>a</think>Yes", "a", "Sure! Yes"),
        ("<think>a</think>Yes. <think>b</think>No.", "a\n\nb", "Yes. No."),
        ("</think>Yes", None, "Yes"),
        ("<think>a", "a", ""),
        ("<think>the `</think>` tag</think>Yes", "the `</think>` tag", "Yes"),
        ("<|channel|>final<|message|>Yes<|return|>", None, "Yes"),
        ("<seed:think>a</seed:think>Yes", "a", "Yes"),
        ('<think type="long">a</think>Yes', "a", "Yes"),
        ("Sure! <THINKING\nstep='1'>a</thinking>Yes", "a", "Sure! Yes"),
        # Letters that change their number in lower case, or that are equal to others without regard to case.
        ("<think>İstanbul'da mı? ẞ ﬁ</think>Evet", "İstanbul'da mı? ẞ ﬁ", "Evet"),
        ("Use <thınk>a</think>Yes", "Use <thınk>a", "Yes"),
        ("<thınK>a</thınK>Yes", None, "<thınK>a</thınK>Yes"),
        ("Okay<think>a</think>Yes", "a", "OkayYes"),
        ("One.\n  <think>a</think>Yes", "a", "One.\n  Yes"),
        ("好的。 <think>a</think>是", "a", "好的。 是"),
        ("~~~\nx\n~~~\nhm</think>Yes", "~~~\nx\n~~~\nhm", "Yes"),
        ("don't ``` stop</think>Yes", "don't ``` stop", "Yes"),
        ("[1] hm</think>Yes", "[1] hm", "Yes"),
        ("[/THINK]Yes", None, "Yes"),
        ("...</think>" + "\n" * 200 + "Yes", "...", "Yes"),
        ("One. <think>a <think>b</think> c</think>Yes", "a <think>b</think> c", "One. Yes"),
        ("One. <think>a. <think>b</think> c</think>Yes", "b\n\na. c", "One. Yes"),
        ("Models write <think> and </think>.\n<think>a</think>", "a", "Models write <think> and </think>.\n"),
        ("<|start|>assistant<|message|>Yes<|end|>", None, "Yes"),
        ("Sure! <think>a</thinking>Yes", "a", "Sure! Yes"),
        ("hm</think >Yes", "hm", "Yes"),
        ("<|start|>assistant to=functions.f<|message|>{}<|call|>", "{}", ""),
    ],
)
def test_marks_separate_reasoning_and_answer(text: str, thinking: str | None, answer: str) -> None:
    assert split_reasoning(text) == (thinking, answer)


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>a</thinking>Yes", "a", "Yes"),
        ("<think>a.\n</reasoning>\n\nYes", "a.", "Yes"),
        ("[THINK]a</think>Yes", "a", "Yes"),
        ("<think>a</think\n>Yes", "a", "Yes"),
        ('<think lang="en">a</THINK  >Yes', "a", "Yes"),
        ("<think>a</thinking>", "a", ""),
        # The right tag follows, or the other is what the reasoning is about.
        ("<think>a</thinking>b</think>Yes", "a</thinking>b", "Yes"),
        ("<think>a <thinking>b</thinking> c</think >Yes", "a <thinking>b</thinking> c", "Yes"),
        ("<think>a `</thinking>` b</think>Yes", "a `</thinking>` b", "Yes"),
        ("<think>a '</thinking>' b", "a '</thinking>' b", ""),
        ("<think>I write the </thinking> tag.", "I write the </thinking> tag.", ""),
        ("<think>x</div>y</think>Yes", "x</div>y", "Yes"),
        ("<think>a</thinking", "a</thinking", ""),
        ("<|channel|> is a mark of harmony.", None, "<|channel|> is a mark of harmony."),
        ("assistant<|channel|>x", None, "assistant<|channel|>x"),
        ("<|channel|>analyses are fun", None, "<|channel|>analyses are fun"),
        ("<|channel|>ana", None, ""),
    ],
)
def test_marks_that_do_not_fit_are_read_alike_at_once_and_letter_by_letter(
    text: str, thinking: str | None, answer: str
) -> None:
    sorter = DeltaSorter()
    deltas = [delta for character in text for delta in sorter.sort([Delta(character)])] + sorter.finish()
    streamed = ["".join(delta.text for delta in deltas if delta.thinking is flag) for flag in (True, False)]
    assert split_reasoning(text) == (thinking, answer) == (streamed[0] or None, streamed[1])


def test_a_doubtful_end_of_reasoning_is_searched_once() -> None:
    # Minutes, where each letter searched all that waits.
    sorter, text = DeltaSorter(), "<think>a</thinking>" + "b </ c\n" * 20_000
    deltas = [delta for character in text for delta in sorter.sort([Delta(character)])] + sorter.finish()
    assert "".join(delta.text for delta in deltas if not delta.thinking) == text[19:]


def test_an_answer_around_its_reasoning_gives_no_number() -> None:
    pieces = ("Sure! ", "<think>", "a", "</think>", "Yes")
    separated = separate_thinking(Completion("".join(pieces), as_logprobs(rows(*pieces))), ASK)
    assert separated.text == "Sure! Yes"
    assert separated.logprobs is not None
    assert not separated.logprobs.matches_text


@pytest.mark.parametrize(
    "text",
    [
        "The tag `</think>` ends the reasoning.",
        "```\nx</think>\n```\nis the template.",
        '{"tag": "a</think>"}',
        '["a</think>", "b"]',
        '{ "a": "</think>',
        "The model writes <think> and </think> around its reasoning.",
        "Models emit <thinking>...</thinking>",
        "Tags: <think>, </think>.",
        "| <think> | opens |\n| </think> | closes |",
        "(<think>x</think>) is how it looks.",
        "~~~xml\n<think>x</think>\n~~~",
        "  ```\n<think>x</think>\n  ```",
        "[Reasoning] It holds.",
        "[thought] It may.",
        "analysis shows that it holds.",
        "Here is my thought process: it holds.",
        "Here are my reasoning steps: none. Yes.",
        "final answers are in the appendix",
        "a < b, and [THINK] is a word",
        "<think about it",
        "<div>hello</div>",
    ],
)
def test_an_answer_about_such_tags_stays_whole(text: str) -> None:
    assert split_reasoning(text) == (None, text)


def test_a_table_that_is_the_texts_is_not_touched() -> None:
    table = as_logprobs(rows("Yes", ".", "<|im_end|>"))
    completion = Completion("Yes.", table)
    assert separate_thinking(completion, ASK) is completion


@pytest.mark.parametrize(
    ("tokens", "text", "stop"),
    [
        (["Yes", ".\n"], "Yes.", ()),
        (["Yes", "\n", "User:"], "Yes", ("\nUser:",)),
        (["Yes", ".x"], "Yes", (".",)),
        ([" ", "Yes"], "Yes", ()),
        (["Hello", "world"], "Hello world", ()),
        (["Yes", " and more"], "Yes", ()),
    ],
)
def test_a_text_that_a_server_trims_keeps_its_table(tokens: list[str], text: str, stop: tuple[str, ...]) -> None:
    table = as_logprobs(rows(*tokens))
    separated = separate_thinking(Completion(text, table), ask_with(stop=stop))
    assert separated.logprobs is table
    assert not separated.notes


# Streams --------------------------------------------------------------------------------------------------------------

STREAMS: dict[str, list[bytes]] = {
    "SGLang's field": [
        chunk({"reasoning_content": "No"}, "No"),
        chunk({"reasoning_content": " wait"}, " wait"),
        chunk({"content": ""}, "</think>"),
        chunk({"content": "Yes"}, "Yes", finish="stop"),
    ],
    "one chunk of both": [chunk({"reasoning": "No wait", "content": "Yes"}, *MIXED, finish="stop")],
    "DeepSeek's two tables": [
        chunk({"reasoning_content": "No wait"}, reasoning_content=rows("No", " wait")),
        chunk({"content": "Yes"}, "Yes", finish="stop"),
    ],
    "tags, token by token": [
        *(chunk({"content": text}, text) for text in ("<think>", "No", " wait", "</think>", "\n\n")),
        chunk({"content": "Yes"}, "Yes", finish="stop"),
    ],
    "tags, cut anywhere": [
        *(chunk({"content": text}, text) for text in ("<th", "ink>\nNo", " wait\n</", "thi", "nk>", "Yes")),
        chunk({}, finish="stop"),
    ],
    "tags with attributes": [
        *(chunk({"content": text}, text) for text in ("<thi", 'nk type="', 'long">', "No", " wait", "</think>", "Yes")),
        chunk({}, finish="stop"),
    ],
    "tags in one chunk": [chunk({"content": "<think>No wait</think>Yes"}, "<think>", *MIXED, finish="stop")],
    "Mistral's parts": [
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "No wait"}]}]}, "No", " wait"),
        chunk({"content": [{"type": "text", "text": "Yes"}]}, "Yes", finish="stop"),
    ],
    "harmony behind the marks of a template": [
        *(
            chunk({"content": text}, text)
            for text in (
                *("analysis", "<|message|>", "No", " wait", "<|end|>", "<|start|>", "assistant", "<|chan", "nel|>"),
                *("final", "<|message|>"),
            )
        ),
        chunk({"content": "Yes"}, "Yes", finish="stop"),
    ],
    "harmony": [
        *(
            chunk({"content": text}, text)
            for text in (
                *("<|channel|>", "analysis", "<|message|>", "No", " wait", "<|end|>", "<|start|>", "assistant"),
                *("<|channel|>", "final", "<|message|>"),
            )
        ),
        chunk({"content": "Yes"}, "Yes", finish="stop"),
    ],
}


@pytest.mark.parametrize("shape", STREAMS)
def test_a_stream_marks_its_reasoning(server: ChatServer, shape: str) -> None:
    tokens, response = stream(server, *STREAMS[shape], b"data: [DONE]\n\n")
    check(response)
    assert "".join(token.text for token in tokens if not token.thinking) == "Yes"
    assert "".join(token.text for token in tokens if token.thinking) == "No wait"
    answer = [token for token in tokens if not token.thinking]
    assert [token.logprob for token in answer if token.text] == [pytest.approx(-0.01005, abs=1e-4)]


def test_a_stream_that_has_the_closing_tag_alone_ends_well(server: ChatServer) -> None:
    _, response = stream(
        server, *(chunk({"content": text}, text) for text in MIXED), chunk({}, finish="stop"), b"data: [DONE]\n\n"
    )
    check(response)


@pytest.mark.parametrize("text", ["x <think>a</think> ", ". <think>a</think>", "<think>a. ", "\n<think>b</think>"])
def test_a_text_of_many_marks_is_split_in_one_pass(text: str) -> None:
    # Minutes, where each mark looked for its beginning in all of the text before.
    thinking, answer = split_reasoning(text * 30_000)
    assert len(answer) + len(thinking or "") >= 30_000


@pytest.mark.parametrize(
    ("text", "thinking"),
    [("<think>İİİ x</think>Yes", "İİİ x"), ("<THINK>ẞ</THINK>\nYes", "ẞ"), ("[THINK]İ[/THINK]Yes", "İ")],
)
def test_letters_that_change_their_number_in_lower_case_move_no_mark(text: str, thinking: str) -> None:
    sorter = DeltaSorter()
    deltas = [delta for character in text for delta in sorter.sort([Delta(character)])] + sorter.finish()
    assert "".join(delta.text for delta in deltas if delta.thinking) == thinking
    assert "".join(delta.text for delta in deltas if not delta.thinking) == "Yes"


@pytest.mark.parametrize("text", ["a", "A", "f", "Ana", "Yes", "fin"])
def test_a_first_token_is_not_held_back_as_a_part_of_a_word(text: str) -> None:
    assert [delta.text for delta in DeltaSorter().sort([Delta(text)])] == [text]


def test_reasoning_that_was_sent_at_once_is_marked_in_a_stream(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(SHAPES["SGLang's field"])
    streamed = LLMClient("gpt-4o-mini", sampling_params=ASKED).stream("?")
    assert [(token.token, token.thinking) for token in streamed] == [
        ("No", True),
        (" wait", True),
        ("</think>", True),
        ("Yes", False),
    ]


def test_the_growing_table_of_a_stream_is_the_answers(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(pieces=STREAMS["tags, token by token"])
    streamed = LLMClient("gpt-4o-mini", sampling_params=ASKED).stream("?")
    list(streamed)
    assert streamed.logprobs is not None
    assert streamed.logprobs.text.strip() == "Yes"


# Other dialects -------------------------------------------------------------------------------------------------------


def test_ollamas_reasoning_is_kept_apart(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", server.url)
    message = {"role": "assistant", "content": "Yes", "thinking": "No wait"}
    check(ask(server, {"message": message, "done": True, "logprobs": rows(*MIXED)}, "ollama/qwen3"))
    lines: list[dict[str, Any]] = [
        {"message": {"content": "", "thinking": "No wait"}, "logprobs": rows("No", " wait")},
        {"message": {"content": ""}, "logprobs": rows("</think>")},
        {"message": {"content": "Yes"}, "logprobs": rows("Yes")},
        {"message": {"content": ""}, "done": True, "done_reason": "stop"},
    ]
    pieces = [json.dumps(line).encode() + b"\n" for line in lines]
    tokens, response = stream(server, *pieces, model="ollama/qwen3", kind="application/x-ndjson")
    check(response)
    assert [(token.text, token.thinking) for token in tokens if token.text] == [
        ("No", True),
        (" wait", True),
        ("Yes", False),
    ]


def test_geminis_thoughts_are_kept_apart(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_BASE_URL", server.url)
    monkeypatch.setenv("GEMINI_API_KEY", "key-0123456789")

    def candidate(parts: list[Any], *tokens: str, finish: str | None = None) -> dict[str, Any]:
        chosen = [{"token": token, "logProbability": -0.01005} for token in tokens]
        result = {"chosenCandidates": chosen, "topCandidates": [{"candidates": [token]} for token in chosen]}
        return {"candidates": [{"content": {"parts": parts}, "finishReason": finish, "logprobsResult": result}]}

    thought, text = {"text": "No wait", "thought": True}, {"text": "Yes"}
    check(ask(server, candidate([thought, text], "No", " wait", "Yes", finish="STOP"), "google/gemini-2.5-flash"))
    pieces = [event(candidate([thought], "No", " wait")), event(candidate([text], "Yes", finish="STOP"))]
    tokens, response = stream(server, *pieces, model="google/gemini-2.5-flash")
    check(response)
    assert [token.thinking for token in tokens] == [True, True, False]


def test_anthropics_thinking_blocks_are_kept_apart(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-0123456789")
    client = LLMClient("claude-sonnet-4-5")
    blocks = [{"type": "thinking", "thinking": "No wait", "signature": "x"}, {"type": "text", "text": "Yes"}]
    server.answer = lambda seen, number: Reply({"content": blocks, "stop_reason": "end_turn"})
    response = client.process_prompts_sync(["?"], show_progress=False)[0]
    assert (response.completion, response.thinking) == ("Yes", "No wait")
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"model": "claude"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "No wait"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Yes"}},
        {"type": "message_stop"},
    ]
    server.answer = lambda seen, number: Reply(pieces=[event(one) for one in events])
    streamed = client.stream("?")
    assert [(token.text, token.thinking) for token in streamed] == [("No wait", True), ("Yes", False)]
    assert streamed.response is not None
    assert (streamed.response.completion, streamed.response.thinking) == ("Yes", "No wait")


def test_reasoning_items_of_the_responses_api_are_kept_apart(server: ChatServer) -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "No wait"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Yes", "logprobs": rows("Yes")}]},
    ]
    body = {"status": "completed", "output": output}
    check(ask(server, body, "openai-responses/gpt-4o-mini"))
    pieces = [
        event({"type": "response.reasoning_summary_text.delta", "delta": "No wait"}),
        event({"type": "response.output_text.delta", "delta": "Yes", "logprobs": rows("Yes")}),
        event({"type": "response.completed", "response": body}),
    ]
    tokens, response = stream(server, *pieces, model="openai-responses/gpt-4o-mini")
    check(response)
    assert [(token.text, token.thinking) for token in tokens] == [("No wait", True), ("Yes", False)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_failed_answer_is_kept_apart_from_its_reasoning(server: ChatServer, shape: str) -> None:
    body = copy.deepcopy(SHAPES[shape])
    body["choices"][0] |= {"finish_reason": "error", "error": {"code": 400, "message": "no more"}}
    failed, whole = ask(server, body), ask(server, SHAPES[shape])
    assert (failed.is_error, failed.status_code, whole.is_error) == (True, 400, False)
    assert (failed.completion, failed.thinking) == ("Yes", "No wait") == (whole.completion, whole.thinking)
    assert (failed.logprobs, failed.thinking_logprobs) == (whole.logprobs, whole.thinking_logprobs)


# Properties -----------------------------------------------------------------------------------------------------------


def ask_with(**settings: Any) -> Ask:
    return Ask("m", COMPATIBLE, Prompt(({"role": "user", "content": "?"},)), ASKED.replace(**settings))


ASK = ask_with()
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), min_size=1, max_size=12)
VISIBLE = TEXTS.map(str.strip).filter(bool).filter(lambda text: split_reasoning(text) == (None, text))


def cut_bytes(text: str, cuts: list[int]) -> list[bytes]:
    """Cut the bytes of a text at some positions, also inside characters."""
    octets = text.encode()
    edges = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[low:high] for low, high in pairwise(edges)]


CUTS = st.lists(st.integers(0, 60), max_size=8)


def spell(piece: bytes, kind: str) -> dict[str, Any]:
    text = piece.decode("utf-8", "replace")
    if kind == "bytes":
        return {"token": text, "logprob": -0.5, "bytes": list(piece)}
    if kind == "hex":
        text = "".join(f"<0x{byte:02X}>" for byte in piece) if "\ufffd" in text else text.replace(" ", "▁")
    return {"token": text, "logprob": -0.5}


@pytest.mark.parametrize("kind", ["bytes", "hex", "lost"])
@given(thinking=VISIBLE, answer=VISIBLE, cuts=CUTS, more_cuts=CUTS, space=st.sampled_from(["", " ", "\n\n"]))
def test_any_answer_is_found_behind_any_reasoning(
    kind: str, thinking: str, answer: str, cuts: list[int], more_cuts: list[int], space: str
) -> None:
    # A closing mark between two quotation marks is a quotation of it.
    assume(space or thinking[-1] + answer[0] not in ("''", '""', "``", "“”", "‘’", "«»"))
    first, second = cut_bytes(thinking, cuts), cut_bytes(answer, more_cuts)
    marks = [b"</think>", *([space.encode()] if space else [])]
    table = as_logprobs([spell(piece, kind) for piece in (*first, *marks, *second)])
    for completion in (
        Completion(answer, table, thinking=thinking),
        Completion(f"<think>{thinking}</think>{space}{answer}", table),
    ):
        separated = separate_thinking(completion, ASK)
        assert (separated.text, separated.thinking) == (answer, thinking)
        assert separated.logprobs is not None
        assert separated.logprobs.matches_text
        assert separated.logprobs == table[len(first) + len(marks) :]
        assert separated.thinking_logprobs == table[: len(first) + len(marks)]


@given(thinking=VISIBLE, answer=VISIBLE, cuts=CUTS, space=st.sampled_from(["", " ", "\n\n"]))
def test_a_stream_is_split_like_the_whole_however_it_is_cut(
    thinking: str, answer: str, cuts: list[int], space: str
) -> None:
    whole = f"<think>\n{thinking}\n</think>{space}{answer}"
    edges = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    sorter = DeltaSorter()
    deltas: list[Delta] = []
    for low, high in pairwise(edges):
        deltas += sorter.sort([Delta(whole[low:high], as_logprobs([spell(whole[low:high].encode(), "bytes")]))])
    deltas += sorter.finish()
    assert "".join(delta.text for delta in deltas if delta.thinking) == thinking
    assert "".join(delta.text for delta in deltas if not delta.thinking) == answer
    assert (
        b"".join(piece for delta in deltas if delta.logprobs for piece in delta.logprobs.token_bytes) == whole.encode()
    )


@given(text=TEXTS, cuts=CUTS, kind=st.sampled_from(["bytes", "hex", "lost"]))
def test_a_table_of_the_whole_text_is_never_split(text: str, cuts: list[int], kind: str) -> None:
    if split_reasoning(text) != (None, text):
        return
    table = as_logprobs([spell(piece, kind) for piece in cut_bytes(text, cuts)])
    separated = separate_thinking(Completion(text, table), ASK)
    assert separated.logprobs is not None
    assert separated.logprobs.matches_text
    assert separated.logprobs == table


@pytest.mark.parametrize("quote", ["'", '"', "`", "”", "’", "»"])
@pytest.mark.parametrize("opening", ["<think>", ""])
def test_reasoning_that_ends_with_a_quotation_is_reasoning(server: ChatServer, quote: str, opening: str) -> None:
    tokens = [*([opening] if opening else []), "Say ", f"{quote}No{quote}", "</think>", "Yes"]
    response = ask(server, reply({"content": "".join(tokens)}, *tokens))
    check(response, thinking=f"Say {quote}No{quote}")
    if opening:
        chunks = [chunk({"content": token}, token) for token in tokens]
        streamed, _ = stream(server, *chunks, chunk({}, finish="stop"))
        assert "".join(token.text for token in streamed if not token.thinking) == "Yes"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        *((f"<{name}>", f"</{name}>") for name in ("longcat_think", "scratchpad", "reflection", "chain_of_thought")),
        ("<|thinking|>", "<|/thinking|>"),
        ("<|inner_prefix|>", "<|inner_suffix|>"),
        ("[THINKING]", "[/THINKING]"),
    ],
)
def test_the_marks_of_other_models_are_known(server: ChatServer, opening: str, closing: str) -> None:
    tokens = (opening, "No", " wait", closing, "Yes")
    check(ask(server, reply({"content": "".join(tokens)}, *tokens)))


@pytest.mark.parametrize("mark", ["<|user|>", "<|observation|>", "<turn|>", "[/INST]", "<｜Assistant｜>"])
def test_any_mark_of_a_template_may_end_an_answer(server: ChatServer, mark: str) -> None:
    check(ask(server, reply({"content": "Yes", "reasoning_content": "No wait"}, *MIXED, mark)), count=2)


@pytest.mark.parametrize("kind", ["output_text", "input_text", "text", None])
def test_a_part_of_text_is_read_whatever_its_api_calls_it(server: ChatServer, kind: str | None) -> None:
    parts = [{"type": "reasoning_content", "reasoning_content": "No wait"}, {"type": kind, "text": "Yes"}]
    check(ask(server, reply({"content": parts}, *MIXED)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("<|START_THINKING|>", "No", " wait", "<|END_THINKING|>", "<|START_RESPONSE|>"), "<|END_RESPONSE|>"),
        (("<|begin_of_thought|>", "No", " wait", "<|end_of_thought|>", "\n\n", "<|begin_of_solution|>", "\n\n"), ""),
        (("<|START_RESPONSE|>",), "<|END_RESPONSE|>"),
        (("<|begin_of_solution|>", "\n"), "<|end_of_solution|>"),
    ],
)
def test_marks_around_an_answer_are_no_part_of_it(server: ChatServer, before: tuple[str, ...], after: str) -> None:
    tokens = (*before, "Yes", *([after] if after else []))
    thinking = "No wait" if "No" in before else None
    check(ask(server, reply({"content": "".join(tokens)}, *tokens)), thinking, count=1 + bool(after))
    chunks = [chunk({"content": token}, token) for token in tokens]
    streamed, response = stream(server, *chunks, chunk({}, finish="stop"))
    check(response, thinking, count=1 + bool(after))
    assert "".join(token.text for token in streamed if not token.thinking) == "Yes"
