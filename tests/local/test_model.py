"""The real embedded model: its server, its log-probabilities, and features that only its server has."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deluge_nb import (
    APIResponse,
    Conversation,
    LLMClient,
    LocalModel,
    LocalModelError,
    Logprobs,
    RawPrompt,
    SamplingParams,
    SettingError,
    extract_prob,
    score_llm,
)
from deluge_nb.client.sending.batch import Batch
from deluge_nb.local import default_server, weights
from deluge_nb.local.server import LlamaServer
from tests.processes import ends

pytestmark = pytest.mark.model

GREEDY = SamplingParams(logprobs=True, top_logprobs=5, temperature=0, max_new_tokens=12)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    made = LLMClient("local", sampling_params=GREEDY)
    yield made
    made.close()


def ask(client: Any, prompt: Any, **settings: Any) -> Any:
    params = client.sampling_params[0].replace(**settings)
    response = client.process_prompts_sync([prompt], sampling_params=params, show_progress=False)[0]
    assert not response.is_error, response.error_message
    return response


def test_a_completion_has_a_row_for_each_token(client: Any) -> None:
    response = ask(client, "What is the capital of France?")
    assert response.logprobs.text == response.completion
    assert "Paris" in response.completion
    assert {len(entry["top_logprobs"]) for entry in response.logprobs} == {5}
    assert response.logprobs.vocab_size == 49152
    assert response.usage["completion_tokens"] >= len(response.logprobs)
    assert response.finish_reason == "stop"


def test_the_likeliest_token_is_taken_at_temperature_zero(client: Any) -> None:
    table = ask(client, "Name a colour.").logprobs
    assert table.rank().tolist() == [1.0] * len(table)


def test_the_raw_response_holds_the_table(client: Any) -> None:
    response = ask(client, "Hi")
    assert response.raw_response["completion_probabilities"] == list(response.logprobs)
    assert json.dumps(response.raw_response)


def test_the_alias_names_the_same_model() -> None:
    response = ask(LLMClient("smollm2-135m", sampling_params=GREEDY), RawPrompt("1, 2, 3,"))
    assert response.completion.startswith(" 4")


def test_without_a_number_of_alternatives_only_the_chosen_token_is_given(client: Any) -> None:
    table = ask(client, "Hi", top_logprobs=None).logprobs
    assert not table.top_counts.any()
    assert np.isfinite(table.logprob).all()


def test_log_probabilities_do_not_depend_on_the_temperature(client: Any) -> None:
    prompt = RawPrompt("The capital of France is")
    first = [ask(client, prompt, temperature=t, max_new_tokens=1).logprobs.top(0) for t in (0, 0.5, 2.0)]
    assert first[0] == first[1] == first[2]


def test_a_seed_repeats_a_completion(client: Any) -> None:
    said = [ask(client, "Tell me a story.", temperature=1.0, seed=11).completion for _ in range(2)]
    assert said[0] == said[1]


def test_log_probabilities_are_the_same_with_many_prompts_at_once(client: Any) -> None:
    prompts = [f"Name the number after {number}." for number in range(12)]
    together = client.process_prompts_sync(prompts, show_progress=False)
    alone = [client.process_prompts_sync([prompt], show_progress=False)[0] for prompt in prompts]
    for left, right in zip(together, alone, strict=True):
        assert left.completion == right.completion
        assert left.logprobs.logprob == pytest.approx(right.logprobs.logprob, abs=1e-6)


def test_raw_text_is_continued_without_a_template(client: Any) -> None:
    response = ask(client, RawPrompt("The quick brown fox jumps over the lazy"), max_new_tokens=1)
    assert response.completion == " dog"
    assert response.logprobs.prob[0] > 0.8


def test_the_beginning_of_an_answer_is_continued_and_not_repeated(client: Any) -> None:
    prompt = Conversation().user("What is the capital of France?").assistant_prefix("The capital of France is ")
    response = ask(client, prompt, max_new_tokens=1)
    assert response.completion == " Paris"
    assert response.logprobs.tokens == [" Paris"]


def test_the_whole_vocabulary_sums_to_one(client: Any) -> None:
    params = SamplingParams(logprobs=True, full_vocab=True)
    response = client.process_prompts_sync([RawPrompt("I am")], sampling_params=params, show_progress=False)[0]
    table = response.logprobs
    assert table.top_counts.tolist() == [49152]
    assert table.top_mass()[0] == pytest.approx(1.0, abs=1e-12)
    lower, upper = table.entropy_bounds(base=2)
    assert lower[0] == pytest.approx(upper[0])
    assert lower[0] == pytest.approx(8.45, abs=0.15)


def test_bounds_from_twenty_alternatives_contain_the_entropy_of_the_whole_vocabulary(client: Any) -> None:
    for text in ("My favorite food is", "The capital of France is", "1, 2, 3, 4,"):
        prompt = RawPrompt(text)
        whole = client.process_prompts_sync(
            [prompt], sampling_params=SamplingParams(logprobs=True, full_vocab=True), show_progress=False
        )[0].logprobs.entropy()[0]
        lower, upper = ask(client, prompt, top_logprobs=20, max_new_tokens=1).logprobs.entropy_bounds()
        assert lower[0] - 1e-3 <= whole <= upper[0] + 1e-3


def test_too_many_whole_vocabularies_are_refused(client: Any) -> None:
    with pytest.raises(SettingError, match="max_new_tokens"):
        client.process_prompts_sync(
            ["Hi"], sampling_params=SamplingParams(logprobs=True, full_vocab=True, max_new_tokens=500)
        )


def entries_of(table: Logprobs) -> list[tuple[bytes, float]]:
    return list(zip(table.token_bytes, table.logprob.tolist(), strict=True))


def test_characters_cut_across_tokens_have_a_row_for_each_piece(client: Any) -> None:
    response = ask(client, RawPrompt("Emoji: 🦆 🐢 🦆 🐢 🦆 🐢 🦆"), max_new_tokens=16)
    table = response.logprobs
    assert len(table) == 16
    assert any(len(raw.decode("utf-8", "ignore")) == 0 for raw in table.token_bytes)
    assert table.text.rstrip("\ufffd") == response.completion.rstrip("\ufffd")
    # What was asked for piece by piece is what the model gives to the same text as a whole.
    scored = client.score_continuations_sync(
        [(RawPrompt("Emoji: 🦆 🐢 🦆 🐢 🦆 🐢 🦆"), response.completion.rstrip("\ufffd"))], show_progress=False
    )[0].logprobs
    for mine, its in zip(entries_of(table), entries_of(scored), strict=False):
        assert mine[0] == its[0]
        assert mine[1] == pytest.approx(its[1], abs=0.05)


def test_stop_strings_end_the_text_and_the_table(client: Any) -> None:
    response = ask(client, RawPrompt("1, 2, 3, 4,"), stop=[" 8"], max_new_tokens=30)
    assert response.completion == " 5, 6, 7,"
    assert response.logprobs.text == " 5, 6, 7,"
    assert response.finish_reason == "stop"


def test_the_log_likelihood_of_a_text_is_the_sum_over_its_tokens(client: Any) -> None:
    prompt = RawPrompt("The capital of France is")
    response = client.score_continuations_sync([(prompt, " Paris.")], show_progress=False)[0]
    assert response.logprobs.tokens == [" Paris", "."]
    first = ask(client, prompt, max_new_tokens=1, top_logprobs=20).logprobs.top(0)
    paris = next(entry["logprob"] for entry in first if entry["token"] == " Paris")
    second = ask(client, RawPrompt("The capital of France is Paris"), max_new_tokens=1, top_logprobs=20).logprobs.top(0)
    stop = next(entry["logprob"] for entry in second if entry["token"] == ".")
    assert response.logprobs.total_logprob == pytest.approx(paris + stop, abs=1e-4)


def test_a_space_at_the_end_of_a_raw_prompt_goes_to_the_text(client: Any) -> None:
    pairs = [(RawPrompt("The capital of France is"), " Paris"), (RawPrompt("The capital of France is "), "Paris")]
    left, right = client.score_continuations_sync(pairs, show_progress=False)
    assert left.logprobs == right.logprobs


def test_a_true_sentence_is_likelier_than_a_false_one(client: Any) -> None:
    prompt = "What is the capital of France?"
    true, false = client.score_continuations_sync(
        [(prompt, f"The capital of France is {city}.") for city in ("Paris", "Rome")], show_progress=False
    )
    assert true.logprobs.total_logprob > false.logprobs.total_logprob + 3


def test_an_answer_in_a_given_shape_is_read(client: Any) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    response = client.process_prompts_sync(
        ["The capital of France, as JSON."],
        output_schema=schema,
        sampling_params=GREEDY.replace(max_new_tokens=40),
        show_progress=False,
    )[0]
    assert isinstance(response.parsed["city"], str)


def test_a_prompt_beyond_the_context_is_refused_in_numbers(client: Any) -> None:
    response = client.process_prompts_sync(["word " * 3000], show_progress=False)[0]
    assert response.is_error
    assert "the context holds 2048" in response.error_message


def test_the_documented_score_runs_and_gives_probabilities(client: Any) -> None:
    template = "Is this statement factually correct? {0}\n\nAnswer yes or no."
    statements = [("The Earth orbits the Sun.",), ("The Moon is made of cheese.",)]
    asked = LLMClient("local", logprobs=True, top_logprobs=20, max_new_tokens=1)
    scores = score_llm(template, statements, asked, return_probabilities=True, show_progress=False)
    assert all(score is not None and 0 < score < 1 for score in scores)


def test_sentiment_is_classified_by_words(client: Any) -> None:
    reviews = {"I loved every minute of it.": "positive", "A boring waste of time.": "negative"}
    for review, sentiment in reviews.items():
        table = ask(client, RawPrompt(f"Review: {review}\nSentiment:"), top_logprobs=20, max_new_tokens=1).logprobs
        found = {label: extract_prob(label, table, use_top_logprobs=True) for label in ("positive", "negative")}
        assert max(found, key=lambda label: found[label]) == sentiment


# The server -----------------------------------------------------------------------------------------------------------


def status(url: str, **headers: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_server_wants_its_key_and_listens_on_this_machine_only(client: Any) -> None:
    address = default_server().address()
    assert address.base_url.startswith("http://127.0.0.1:")
    assert status(f"{address.base_url}/v1/models") == 401
    assert status(f"{address.base_url}/v1/models", Authorization=f"Bearer {address.key}") == 200


def test_no_web_page_is_given_access(client: Any) -> None:
    address = default_server().address()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(
        f"{address.base_url}/v1/models",
        headers={"Authorization": f"Bearer {address.key}", "Origin": "https://evil.example"},
    )
    with opener.open(asked, timeout=10) as answer:
        assert "evil" not in str(answer.headers.get("Access-Control-Allow-Origin"))


def test_one_server_serves_every_client() -> None:
    assert default_server() is default_server()
    pids = set()
    for _ in range(3):
        ask(LLMClient("local", sampling_params=GREEDY), RawPrompt("1, 2,"))
        pids.add(default_server().pid)
    assert len(pids) == 1


def test_a_server_that_died_is_started_again(client: Any) -> None:
    server = default_server()
    ask(client, RawPrompt("1, 2,"))
    before = server.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert ask(client, RawPrompt("1, 2,")).completion
    assert server.pid not in (None, before)


def test_the_server_ends_with_its_kernel_however_it_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom deluge_nb.local import default_server\ns = default_server()\ns.address()\n"
        "print(s.pid, flush=True)\ntime.sleep(600)\n"
    )
    kernel = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    child = int(kernel.stdout.readline())
    os.kill(child, 0)
    kernel.kill()
    kernel.wait()
    kernel.stdout.close()
    assert ends(child)


def test_nothing_of_the_server_s_log_reaches_the_user() -> None:
    code = (
        "from deluge_nb import LLMClient\n"
        "LLMClient('local', max_new_tokens=2).process_prompts_sync(['Hi'], show_progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("path", ["", "a\0b.gguf", 5])
def test_what_can_be_no_path_is_refused(path: Any) -> None:
    with pytest.raises(SettingError, match="path must be the path of a GGUF file"):
        LocalModel(path)


def test_a_model_file_of_one_s_own_is_served(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "über model.gguf"
    path.symlink_to(weights.locate())
    with LocalModel(path, context=512) as model:
        response = ask(LLMClient(model, sampling_params=GREEDY), RawPrompt("The capital of France is"))
        assert response.model == "über model"
        assert response.completion.startswith(" Paris")
        assert "127.0.0.1" not in repr(model)


def test_a_file_that_passes_for_a_model_and_is_none_fails_without_taking_the_kernel_along(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(60))
    with pytest.raises(LocalModelError, match="could not be started"):
        LLMClient(LocalModel(path)).process_prompts_sync(["Hi"], show_progress=False)


def test_a_server_that_keeps_crashing_is_not_restarted_and_its_log_is_shown(client: Any) -> None:
    server = LlamaServer(weights.locate(), "mortal", 512)
    try:
        with pytest.raises(LocalModelError, match="times in a row"):
            while_killed(server, 5)
    finally:
        server.stop()


def while_killed(server: LlamaServer, times: int) -> None:
    for _ in range(times):
        server.address()
        os.kill(server.pid or 0, signal.SIGKILL)
        time.sleep(0.3)


def test_awaited_scores_of_given_texts_are_those_that_are_waited_for(client: Any) -> None:
    pairs = [(RawPrompt("The capital of France is"), text) for text in (" Paris", " Berlin")]
    waited = client.score_continuations_sync(pairs, show_progress=False)
    awaited = asyncio.run(client.score_continuations_async(pairs, show_progress=False))
    assert [list(response.logprobs) for response in awaited] == [list(response.logprobs) for response in waited]


def test_an_interrupted_batch_leaves_the_server_usable(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(client, RawPrompt("1, 2,"))
    prompts = [f"Tell me story number {number}." for number in range(2000)]
    answers, answer_one = itertools.count(1), Batch._ask

    async def answer_and_interrupt(batch: Batch, *arguments: Any) -> APIResponse:
        response = await answer_one(batch, *arguments)
        if next(answers) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return response

    monkeypatch.setattr(Batch, "_ask", answer_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.process_prompts_sync(prompts, sampling_params=GREEDY.replace(max_new_tokens=1), show_progress=False)
    finished = [response for response in client.interrupted if response is not None]
    assert 0 < len(finished) < 2000
    assert ask(client, RawPrompt("1, 2,")).completion
    assert math.isfinite(finished[0].logprobs.total_logprob)
