"""Given texts on the real embedded model: read, next_token, the magic, and views of what was read."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import (
    APIResponse,
    Conversation,
    LLMClient,
    LocalModel,
    LogprobCompare,
    LogprobView,
    RawPrompt,
    SettingError,
    lab,
    next_token,
    read,
)
from deluge_nb.stats import word_surprisal

pytestmark = pytest.mark.model

FRANCE = "The capital of France is"
# Longer than the smallest context of the runtime, which is 256 tokens.
NUMBERS = " ".join(f"item {i} is number {i * 7 % 13}," for i in range(40))


@pytest.fixture(scope="module")
def client() -> Iterator[LLMClient]:
    made = LLMClient("local")
    yield made
    made.close()


@pytest.fixture(scope="module")
def small() -> Iterator[LLMClient]:
    model = LocalModel(context=128)
    made = LLMClient(model)
    yield made
    made.close()
    model.close()


def total_of(response: APIResponse) -> float:
    assert response.logprobs is not None
    return response.logprobs.total_logprob


def test_the_rows_of_a_text_spell_the_text() -> None:
    table = read(" Paris.", before=FRANCE)
    assert table.tokens == [" Paris", "."]
    assert len(table.top(0)) == 20
    assert table.note is None


def test_a_text_before_it_is_raw_text_and_a_conversation_is_a_chat(client: LLMClient) -> None:
    chat, raw = Conversation().user("What is the capital of France?"), "What is the capital of France?"
    as_answer, as_rest = read("Paris.", before=chat, model=client), read("Paris.", before=raw, model=client)
    (scored,) = client.score_continuations_sync([(raw, "Paris.")], show_progress=False)
    assert as_answer.total_logprob == pytest.approx(total_of(scored), abs=1e-3)
    assert as_answer.total_logprob != pytest.approx(as_rest.total_logprob, abs=1e-3)


def test_a_text_is_read_from_the_very_beginning(client: LLMClient) -> None:
    (scored,) = client.score_continuations_sync([(RawPrompt(""), FRANCE)], show_progress=False)
    table = read(FRANCE, model=client)
    assert table.text == FRANCE
    assert table.total_logprob == pytest.approx(total_of(scored), abs=1e-3)
    assert not table.censored.any()


def test_a_first_row_that_straddles_the_boundary_is_marked(client: LLMClient) -> None:
    table = read("Paris.", before=FRANCE + " ", model=client)
    assert table.text == " Paris."
    assert table.note == "the first row also holds 1 character before the text"


@pytest.mark.parametrize(
    "text", ["🦆 x 🐢", "a <|im_end|> b", "\n\n\t ", "日本語 and more", " ", "e\u0301\u200d", "a\0b", "\0"]
)
def test_any_text_can_be_read(client: LLMClient, text: str) -> None:
    table = read(text, model=client)
    assert table.text == text
    assert not table.censored.any()


def test_a_text_of_pieces_of_characters_has_the_numbers_of_its_tokens_alone(client: LLMClient) -> None:
    # Forced in runs, and piece by piece: each must be what the model says at its place.
    table = read("one 🦆 two", before="Zero", model=client)
    (row,) = (i for i, token in enumerate(table.tokens) if token == " two")
    distribution = {entry["token"]: entry["logprob"] for entry in next_token("Zeroone 🦆", model=client).top(0)}
    assert table.logprob[row] == pytest.approx(distribution[" two"], abs=0.05)


def test_a_lesson_reads_the_beginning_before_the_end(client: LLMClient) -> None:
    assert lab.read("The capital of France is", " Paris", model=client) == read(
        " Paris", before="The capital of France is", model=client
    )
    assert lab.next_token("The capital of France is", model=client) == next_token(
        "The capital of France is", model=client
    )


def test_a_lesson_asks_for_a_text_once_and_anew_after_another_model_is_chosen(client: LLMClient) -> None:
    questions = lab.questions(5)[:1]
    asked = [lambda: lab.read("The", " cat"), lambda: lab.next_token("The cat"), lambda: lab.option_shares(questions)]
    lab.use_model(client)
    try:
        before = client.usage.requests
        for ask in asked:
            ask()
            requests = client.usage.requests
            ask()
            assert before < requests == client.usage.requests
            before = requests
        lab.use_model(client)
        asked[0]()
        assert client.usage.requests > before
    finally:
        lab.use_model("local")


def test_a_text_is_read_anew_where_the_cache_is_bypassed(client: LLMClient, tmp_path: Path) -> None:
    cached = LLMClient("local", cache=tmp_path / "answers.sqlite3")
    pairs = [("The capital of France is", " Paris")]
    from_cache = [
        cached.read_sync(pairs, show_progress=False, use_cache=use_cache)[0].from_cache
        for use_cache in (True, True, False)
    ]
    assert from_cache == [False, True, False]


def test_many_texts_are_read_in_order(client: LLMClient) -> None:
    pairs: list[Any] = [(FRANCE, f" {city}") for city in ("Paris", "Rome", "Berlin")]
    read_now = client.read_sync(pairs, show_progress=False)
    awaited = asyncio.run(client.read_async(pairs, show_progress=False))
    assert [response.completion for response in read_now] == [" Paris", " Rome", " Berlin"]
    assert [response.logprobs for response in awaited] == [response.logprobs for response in read_now]


def test_a_text_longer_than_the_context_is_read_in_windows(client: LLMClient, small: LLMClient) -> None:
    whole, windows = read(NUMBERS, model=client), read(NUMBERS, model=small)
    assert windows.tokens == whole.tokens
    assert windows.text == NUMBERS
    assert "with a stride of 128 tokens" in str(windows.note)
    assert "at least the 128 tokens before it" in str(windows.note)
    assert whole.note is None
    # The first window is the same; later rows miss at most what is further back.
    assert windows.logprob[:200] == pytest.approx(whole.logprob[:200], abs=0.02)
    assert np.abs(windows.logprob - whole.logprob).mean() < 0.5
    assert pickle.loads(pickle.dumps(windows[3:])).note == windows.note


def test_a_beginning_longer_than_the_context_is_cut_and_the_note_says_so(small: LLMClient) -> None:
    table = read(" and so on.", before=NUMBERS, model=small)
    assert table.text == " and so on."
    assert table.note == "of the prompt, the last 252 tokens were given: the whole does not fit the context"


def test_the_next_token_has_the_whole_distribution(client: LLMClient) -> None:
    table = next_token(FRANCE, model=client)
    assert table.tokens == [" Paris"]
    assert len(table.top(0)) == 49152
    assert table.top_mass()[0] == pytest.approx(1, abs=1e-6)
    assert table.prob[0] == pytest.approx(
        float(np.exp(read(" Paris", before=FRANCE, model=client).logprob[0])), abs=1e-3
    )


def test_the_next_token_is_there_at_the_beginning_and_after_a_chat(client: LLMClient) -> None:
    assert len(next_token("", model=client).top(0)) == 49152
    assert len(next_token(Conversation().user("Hi"), model=client)) == 1


def test_a_text_that_ends_has_a_next_token_without_text(client: LLMClient) -> None:
    answered = Conversation().user("Say only: hi").assistant_prefix("Hi! How can I help you today?")
    table = next_token(answered, model=client)
    assert len(table) == 1
    assert table.rank().tolist() == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": ""}, "text must be a text that is not empty, not ''"),
        ({"text": 5}, "text must be a text that is not empty, not 5"),
        ({"text": "a", "before": 5}, "before must be text"),
        ({"text": "a\ud83d"}, "text must be a text of whole characters"),
        ({"text": "a", "before": "\ude00b"}, "before must be a text of whole characters"),
        ({"text": "a", "model": "gpt-4o-mini"}, "'local' can, and so can models of Together, Fireworks, vLLM"),
        ({"text": "a", "model": "ollama/x"}, "Ollama has no request for it"),
        ({"text": "a", "top_logprobs": -1}, "top_logprobs must be an integer"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(options: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read(**options)


def test_no_alternatives_are_none_or_zero(client: LLMClient) -> None:
    for count in (None, 0):
        table = read("a b", model=client, top_logprobs=count)
        assert (len(table), table.top(0)) == (2, [])


def test_a_text_that_was_read_is_shown_and_compared(client: LLMClient, small: LLMClient) -> None:
    table, other = read(FRANCE, model=client), read(FRANCE, model=small)
    assert LogprobView(table).logprobs.text == FRANCE
    assert LogprobCompare(table, other).tables == (table, other)
    words = word_surprisal(table, table.logprob)
    assert [word.word for word in words] == FRANCE.split()
    assert sum(word.surprisal for word in words) == pytest.approx(table.surprisal().sum())


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    interactive = InteractiveShell()
    interactive.run_line_magic("load_ext", "deluge_nb")
    yield interactive
    interactive.run_line_magic("unload_ext", "deluge_nb")


def test_the_magic_reads_the_cell_itself(shell: InteractiveShell, client: LLMClient) -> None:
    shell.user_ns["mine"] = client
    done = shell.run_cell(f"%%deluge --read -m mine -k 3 -o seen\n{FRANCE}\n  Paris.\n")
    done.raise_error()
    response = shell.user_ns["seen"]
    assert done.result is response
    assert response.logprobs.text == f"{FRANCE}\n  Paris."
    assert len(response.logprobs.top(0)) == 3


def test_the_magic_refuses_to_read_with_the_settings_of_an_answer(shell: InteractiveShell) -> None:
    for option in ("-t 0", "--system x", "--raw", "--prefill x", "--seed 0", "--max-tokens 3"):
        done = shell.run_cell(f"%%deluge --read {option}\nHi")
        assert isinstance(done.error_in_exec, UsageError)
        assert "asks for no answer" in str(done.error_in_exec)
