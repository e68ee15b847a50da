"""%%deluge in a real shell, against a local chat server: options, errors, display, completion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import APIResponse, LLMClient, Logprobs
from tests.openai_server import ChatServer, Reply, chat, error, says


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    interactive = InteractiveShell()
    interactive.run_line_magic("load_ext", "deluge_nb")
    interactive.run_cell("%config DelugeMagics.model = 'gpt-4o-mini'")
    yield interactive
    interactive.run_line_magic("unload_ext", "deluge_nb")


def run(shell: InteractiveShell, cell: str) -> Any:
    done = shell.run_cell(cell)
    done.raise_error()
    return done.result


def error_line(shell: InteractiveShell, cell: str) -> str:
    done = shell.run_cell(cell)
    assert isinstance(done.error_in_exec, UsageError), done.error_in_exec
    assert "\n" not in str(done.error_in_exec)
    return str(done.error_in_exec)


def test_the_cell_s_body_is_the_prompt_and_the_response_its_value(shell: InteractiveShell, server: ChatServer) -> None:
    response = run(shell, "%%deluge\nWhat is the capital\nof France?\n")
    assert isinstance(response, APIResponse)
    assert server.seen[0].body["messages"] == [{"role": "user", "content": "What is the capital\nof France?"}]
    assert server.seen[0].body["logprobs"] is True
    assert server.seen[0].body["top_logprobs"] == 20
    assert shell.user_ns["_"] is response


def test_every_option_reaches_the_request(shell: InteractiveShell, server: ChatServer) -> None:
    line = '%%deluge -m gpt-4o -k 3 -t 0.5 --max-tokens 9 --seed 4 --system "Be brief." -o answer'
    response = run(shell, f"{line}\nHi")
    body = server.seen[0].body
    assert (body["model"], body["top_logprobs"], body["temperature"]) == ("gpt-4o", 3, 0.5)
    assert (body["max_completion_tokens"], body["seed"]) == (9, 4)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert shell.user_ns["answer"] is response


def test_defaults_are_configured(shell: InteractiveShell, server: ChatServer) -> None:
    run(shell, "%config DelugeMagics.top_logprobs = 2\n%config DelugeMagics.temperature = 0.0")
    run(shell, "%config DelugeMagics.system = 'Answer in French.'")
    run(shell, "%%deluge\nHi")
    assert server.seen[0].body["top_logprobs"] == 2
    assert server.seen[0].body["temperature"] == 0.0
    assert server.seen[0].body["messages"][0]["content"] == "Answer in French."


def test_the_body_is_literal_without_fill(shell: InteractiveShell, server: ChatServer) -> None:
    shell.user_ns["city"] = "Rome"
    run(shell, "%%deluge\nCost of {city} in $city?")
    run(shell, "%%deluge --fill\nCost of {city} in $city, ${city}? 5$$")
    assert [seen.question for seen in server.seen] == ["Cost of {city} in $city?", "Cost of {city} in Rome, Rome? 5$"]


def test_a_variable_with_a_client_can_be_the_model(shell: InteractiveShell, server: ChatServer) -> None:
    shell.user_ns["mine"] = LLMClient("my-model", base_url=server.url, temperature=0.25)
    assert run(shell, "%%deluge -m mine -k 1\nHi").model == "my-model"
    assert server.seen[0].body["temperature"] == 0.25
    assert server.seen[0].body["top_logprobs"] == 1


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("%%deluge --nonsense\nHi", "unrecognized arguments: --nonsense"),
        ("%%deluge -k 21\nHi", "top_logprobs must be an integer from 0 to 20"),
        ("%%deluge -t -1\nHi", "temperature must be a number of at least 0"),
        ("%%deluge -t hot\nHi", "invalid float value: 'hot'"),
        ("%%deluge -m claude-sonnet-4-5\nHi", "gives no log-probabilities"),
        ("%%deluge --raw\nHi", "cannot continue raw text"),
        ("%%deluge --prefill Well\nHi", "cannot continue the beginning of an answer"),
        ("%%deluge --raw --system x -m local\nHi", "--system is for a chat"),
        ("%%deluge\n  \n", "The cell is empty"),
        ("%%deluge -o 3x\nHi", "--out must be the name of a variable"),
        ("%%deluge --chart pie\nHi", "invalid choice: 'pie'"),
        ("%%deluge --fill\nHi $nobody", "no variable 'nobody'"),
        ("%%deluge --fill\nIt costs $5", "write $$ for a dollar"),
        ("%deluge -k 3", "write the prompt on the lines below it"),
    ],
)
def test_a_mistake_is_one_line(shell: InteractiveShell, server: ChatServer, cell: str, sentence: str) -> None:
    assert sentence in error_line(shell, cell)
    assert not server.seen


def test_a_misspelt_model_is_one_line(shell: InteractiveShell) -> None:
    assert "did you mean 'gpt-4o'" in error_line(shell, "%%deluge -m gtp-4o\nHi")


def test_a_missing_key_is_one_line(shell: InteractiveShell) -> None:
    assert "OPENAI_API_KEY" in error_line(shell, "%%deluge\nHi")


def test_a_failed_request_is_one_line_and_its_response_is_kept(shell: InteractiveShell, server: ChatServer) -> None:
    server.answer = lambda seen, number: error("The model is overloaded.", status=400)
    assert "The model is overloaded." in error_line(shell, "%%deluge -o answer\nHi")
    assert shell.user_ns["answer"].is_error


def test_an_internal_error_keeps_its_traceback(shell: InteractiveShell, server: ChatServer) -> None:
    shell.user_ns["broken"] = Explosive("m", base_url=server.url)
    assert isinstance(shell.run_cell("%%deluge -m broken\nHi").error_in_exec, ZeroDivisionError)


class Explosive(LLMClient):
    def process_prompts_sync(self, *args: Any, **options: Any) -> Any:
        raise ZeroDivisionError


def test_the_line_magic_shows_settings_and_models(shell: InteractiveShell) -> None:
    shown = run(shell, "%deluge")
    for text in (repr(shown), shown._repr_markdown_()):
        assert "DelugeMagics.top_logprobs" in text
        assert "Claude" in text


def test_responses_and_tables_display_themselves(shell: InteractiveShell, server: ChatServer) -> None:
    server.always(("<b>Hi", {"<b>Hi": 0.25, "Ho": 0.5}))
    response = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=2).process_prompts_sync(["x"], show_progress=False)[
        0
    ]
    for shown in (response, response.logprobs):
        data, _ = shell.display_formatter.format(shown)
        assert "application/vnd.jupyter.widget-view+json" in data
        assert "&lt;b&gt;Hi" in data["text/html"]
        assert "<b>" not in data["text/html"]
        assert "Ho 50 %" in data["text/plain"]


def test_a_response_without_a_table_displays_its_text_or_its_error(shell: InteractiveShell) -> None:
    for response, text in (
        (APIResponse("m", completion="Hello"), "Hello"),
        (APIResponse("m", is_error=True, error_message="no"), "no"),
        (APIResponse("m", completion="Hello", note="none came"), "Hello\n(none came)"),
    ):
        data, _ = shell.display_formatter.format(response)
        assert data == {"text/plain": text}


def test_an_answer_without_tokens_is_displayed(shell: InteractiveShell, server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, []))
    assert len(run(shell, "%%deluge\nHi").logprobs) == 0


def completions(shell: InteractiveShell, line: str) -> list[str]:
    return list(shell.complete("", line, len(line))[1])


@pytest.mark.slow
def test_options_models_and_choices_are_completed(shell: InteractiveShell) -> None:
    shell.user_ns["mine"] = LLMClient("gpt-4o-mini")
    assert "--model" in completions(shell, "%%deluge --mo")
    assert "--max-tokens" in completions(shell, "%%deluge -k 3 --m")
    assert set(completions(shell, "%%deluge -m gpt-4o")) >= {"gpt-4o", "gpt-4o-mini"}
    assert "smollm2-135m" in completions(shell, "%%deluge --model sm")
    assert "mine" in completions(shell, "%%deluge -m mi")
    assert completions(shell, "%%deluge --chart en") == ["entropy"]


def test_unloading_removes_everything(server: ChatServer) -> None:
    shell = InteractiveShell()
    before = [len(callbacks) for callbacks in shell.events.callbacks.values()]
    shell.run_line_magic("load_ext", "deluge_nb")
    shell.run_line_magic("unload_ext", "deluge_nb")
    assert "deluge" not in shell.magics_manager.magics["cell"]
    assert [len(callbacks) for callbacks in shell.events.callbacks.values()] == before
    assert "DelugeMagics" not in {type(configurable).__name__ for configurable in shell.configurables}
    table = Logprobs.from_entries([])
    assert set(shell.display_formatter.format(table)[0]) == {"text/plain"}
    assert completions(shell, "%%deluge --mo") == []


def test_loading_twice_is_loading_once() -> None:
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "deluge_nb")
    events = [len(callbacks) for callbacks in shell.events.callbacks.values()]
    shell.run_line_magic("reload_ext", "deluge_nb")
    shell.run_line_magic("load_ext", "deluge_nb")
    assert [len(callbacks) for callbacks in shell.events.callbacks.values()] == events


def test_no_chart_and_no_view_show_nothing(
    shell: InteractiveShell, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.always(*says("Hello"))
    run(shell, "%%deluge --no-view --chart none -o answer\nHi")
    assert shell.user_ns["answer"].completion == "Hello"
