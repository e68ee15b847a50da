"""%%deluge in a real shell, against a local chat server: options, errors, display, completion."""

from __future__ import annotations

import importlib
import io
import pickle
import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell

from deluge_nb import APIResponse, LLMClient, Logprobs
from deluge_nb.magic import DelugeMagics, extension, magics
from tests.openai_server import ChatServer, Reply, chat, error, says


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    interactive = InteractiveShell()
    interactive.run_line_magic("load_ext", "deluge_nb")
    interactive.run_cell("%config DelugeMagics.model = 'gpt-4o-mini'")
    yield interactive
    interactive.run_line_magic("unload_ext", "deluge_nb")


@pytest.fixture
def terminal() -> Iterator[TerminalInteractiveShell]:
    interactive = TerminalInteractiveShell(simple_prompt=True)
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


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ("Wie groß? $größe, ${größe}.", "Wie groß? 3, 3."),
        ("$gro\u0308\u00dfe", "3"),
        ("$city的天气, $größe²", "Rome的天气, 3²"),
        ("$city. ${city}s $$city", "Rome. Romes $city"),
    ],
)
def test_names_are_filled_in_as_python_reads_them(
    shell: InteractiveShell, server: ChatServer, body: str, prompt: str
) -> None:
    shell.user_ns.update({"größe": 3, "city": "Rome"})
    run(shell, f"%%deluge --fill\n{body}")
    assert server.seen[0].question == prompt


def test_a_variable_with_a_client_can_be_the_model(shell: InteractiveShell, server: ChatServer) -> None:
    shell.user_ns["mine"] = LLMClient("my-model", base_url=server.url, temperature=0.25)
    assert run(shell, "%%deluge -m mine -k 1\nHi").model == "my-model"
    assert server.seen[0].body["temperature"] == 0.25
    assert server.seen[0].body["top_logprobs"] == 1


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("%%deluge --nonsense\nHi", "no option --nonsense; %%deluge? lists"),
        ("%%deluge -k 21\nHi", "--top-logprobs must be an integer from 0 to 20, not 21."),
        ("%%deluge -t -1\nHi", "--temperature must be a number of at least 0"),
        ("%%deluge -t hot\nHi", "--temperature must be a number, not 'hot'."),
        ("%%deluge -m claude-sonnet-4-5\nHi", "gives no log-probabilities"),
        ("%%deluge --raw\nHi", "cannot continue raw text; leave out --raw"),
        ("%%deluge --prefill Well\nHi", "; leave out --prefill, use 'local'"),
        ("%%deluge --raw --system x -m local\nHi", "--system is for a chat"),
        ("%%deluge\n  \n", "The cell is empty"),
        ("%%deluge -o 3x\nHi", "--out must be the name of a variable"),
        ("%%deluge --chart pie\nHi", "--chart must be one of entropy, confidence, both, none, not 'pie'"),
        ("%%deluge --fill\nHi $nobody", "no variable 'nobody'"),
        ("%%deluge --fill\nIt costs $5", "write $$ for a dollar"),
        ("%deluge -k 3", "write the prompt on the lines below it"),
        ("%deluge It's \"odd", "write the prompt on the lines below it"),
        ("%deluge models no-such-word", "No model has 'no-such-word' in its row"),
        ("%%deluge --modle x\nHi", "no option --modle; did you mean --model?"),
        ("%%deluge --tempereture=1\nHi", "did you mean --temperature?"),
        ("%%deluge Hi\nthere", "'Hi' is no option"),
        ('%%deluge --system "a\nHi', "A quote in the line of %%deluge is not closed"),
        ("%%deluge --stop ''\nHi", "--stop must be a string that is not empty"),
        ("%%deluge -n 0\nHi", "-n must be an integer of at least 1, not 0"),
        ("%%deluge -n 2 --compare gpt-4o-mini\nHi", "use one of them"),
        ("%%deluge --full-vocab\nHi", "--full-vocab is for models"),
        ("%%deluge --full-vocab -k 3 -m local\nHi", "leave out --top-logprobs"),
        ("%%deluge --read --top-p 0.5\nHi", "--top-p is for one"),
        ("%%deluge --read -n 3\nHi", "-n is for one"),
        ("%%deluge --top-p 2\nHi", "--top-p must be a number above 0 and up to 1"),
        ("%%deluge -n x\nHi", "-n must be an integer, not 'x'."),
        ("%%deluge --chart entorpy\nHi", "did you mean entropy?"),
        ("%%deluge -m ''\nHi", "--model has an empty value, ''; give it one"),
        ("%%deluge --base-url=\nHi", "--base-url has an empty value"),
        ("%%deluge --compare ' '\nHi", "--compare has an empty value, ' '"),
        ("%%deluge --out\nHi", "--out needs a value."),
        ("%%deluge --no-view \\\n  -k 3\nHi", "cannot end in a backslash"),
        ("%%deluge --raw=yes\nHi", "--raw takes no value."),
        ("%%deluge --top 5\nHi", "--top is short for --top-logprobs and for --top-p"),
        ("%%deluge --max-tokens 0\nHi", "--max-tokens must be an integer of at least 1, not 0"),
        ("%%deluge --full-vocab --max-tokens 200 -m local\nHi", "at most 32 tokens; --max-tokens cannot be 200."),
        ("%%deluge --base-url x\nHi", "--base-url must be a server's address"),
        ("%%deluge -t -inf\nHi", "write --temperature=-inf for one that begins with a dash"),
        ("%%deluge --system -x\nHi", "write --system=-x for one"),
        ("%%deluge --system --raw\nHi", "--system needs a value."),
        ("%%deluge --seed=--\nHi", "--seed must be an integer, not '--'."),
        ("%%deluge --=x\nHi", "There is no option --;"),
        ("%%deluge —model x\nHi", "no option —model; did you mean --model?"),
        ("%%deluge –k 3\nHi", "no option –k; did you mean -k?"),
        ("%%deluge --system “two words”\nHi", "has a curly quote; write straight ones"),
        ("%%deluge What’s “up” today’\nHi", "'What’s' is no option"),
        ("%%deluge -k 3 # few alternatives\nHi", "no comments; remove '# few alternatives'."),
        ("%%deluge -k 3  # it's few\nHi", 'no comments; remove "# it\'s few".'),
        (f"%%deluge -k {'9' * 5000}\nHi", "999…."),
        ("%%deluge -n 10001\nHi", "-n must be at most 10,000"),
        (f"%%deluge -n {'9' * 60}\nHi", "-n must be at most 10,000"),
        ("%%deluge -n 2 --chart both\nHi", "-n shows several answers without a chart"),
        ("%%deluge --compare gpt-4o --chart entropy\nHi", "--compare shows several answers without a chart"),
        ("%%deluge --compare claude-sonnet-4-5\nHi", "gives no log-probabilities"),
        ("%%deluge -o get_ipython\nHi", "cannot be get_ipython"),
        ("%%deluge --fill\n $nothing\n", "nothing but white space is left"),
        ("%%deluge --fill\n$größe", "no variable 'größe'"),
        ("%%deluge --fill\n$€", "write $$ for a dollar"),
        ("%%deluge --fill\n$mute", "'mute' has no text; its str() raises KeyError: 'no'"),
        ("%deluge mdoels gpt", "The list of models is %deluge models"),
        ("%deluge Lesson 3", "The lessons are %deluge course"),
        ("x = 1\n%%deluge\nWhat is it?", "move the code above it into another cell"),
        ("%matplotlib inline\n# y\n%%deluge\nWhat is it?", "move the code above it"),
        ("# A question\n%%deluge\nHi", "must be the first line of its cell"),
        ("\n# one\n\n# two\n%%deluge -k 3\nHi", "must be the first line of its cell"),
    ],
)
def test_a_mistake_is_one_line(shell: InteractiveShell, server: ChatServer, cell: str, sentence: str) -> None:
    shell.user_ns.update(nothing="", mute=Mute())
    assert sentence in error_line(shell, cell)
    assert not server.seen


class Mute:
    def __str__(self) -> str:
        raise KeyError("no")


def test_an_error_about_a_configured_value_names_the_setting(shell: InteractiveShell) -> None:
    run(shell, "%config DelugeMagics.max_tokens = 0")
    assert error_line(shell, "%%deluge\nHi").startswith("DelugeMagics.max_tokens must be")


def test_a_text_with_the_magic_in_it_runs(shell: InteractiveShell, server: ChatServer) -> None:
    assert run(shell, "text = '''\n%%deluge\n'''\ntext") == "\n%%deluge\n"


@pytest.mark.parametrize("cell", ["%deluge --help", "%deluge -h", "%deluge help", "%%deluge -k 3 --help\nHi"])
def test_the_options_are_listed(shell: InteractiveShell, server: ChatServer, cell: str) -> None:
    text = repr(run(shell, cell))
    assert text.startswith("%%deluge [-m MODEL]")
    assert all(name in text for name in NAMES)
    assert max(map(len, text.splitlines())) <= 80
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
    def stream(self, *args: Any, **options: Any) -> Any:
        raise ZeroDivisionError


def test_the_line_magic_says_what_differs_and_what_to_write_next(shell: InteractiveShell) -> None:
    run(shell, "%config DelugeMagics.top_logprobs = 3")
    shown = run(shell, "%deluge")
    for text in (repr(shown), shown._repr_markdown_()):
        assert len(text.splitlines()) <= 25
        for part in ("gpt-4o-mini", "DelugeMagics.top_logprobs = 3", "%config DelugeMagics.", "%%deluge", "models"):
            assert part in text
        assert "chart" not in text


def test_the_models_are_listed_by_words_in_any_case(shell: InteractiveShell) -> None:
    every = run(shell, "%deluge models")
    some = run(shell, "%deluge models gEmini")
    assert 0 < len(some.rows) < len(every.rows)
    assert all("gemini" in " ".join(row).lower() for row in some.rows)
    assert 0 < len(run(shell, "%deluge models refuse GEMINI service").rows) < len(some.rows)


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
        assert re.search(r"Ho +50 %", data["text/plain"])


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


PARSER: Any = DelugeMagics.deluge.parser  # type: ignore[missing-attribute]
NAMES = sorted({name for action in PARSER._actions for name in action.option_strings} - {"-h", "--help"})


@pytest.mark.parametrize(
    "line",
    [
        "%%deluge ",
        "%%deluge -",
        "%%deluge -k 3 ",
        "%%deluge --no-view --stop=x ",
        "%%deluge --system 'two words' ",
        '%%deluge --stop="it\'s" -',
    ],
)
def test_an_options_place_offers_the_options_and_no_names_of_python(shell: InteractiveShell, line: str) -> None:
    assert sorted(set(completions(shell, line))) == NAMES


@pytest.mark.parametrize(
    "line", ["%%deluge --mo", "%%deluge\t--mo", "%%deluge --seed 3 --mo", "%%deluge --system 'a b' --mo"]
)
def test_a_word_is_completed_to_the_options_that_begin_with_it(shell: InteractiveShell, line: str) -> None:
    assert completions(shell, line) == ["--model"]


@pytest.mark.parametrize("option", ["-m ", "-m", "--mod ", "--model=", "--compare ", "--system 'a b' --com="])
def test_models_and_variables_are_completed(shell: InteractiveShell, option: str) -> None:
    shell.user_ns.update(gpt_mine=LLMClient("gpt-4o-mini"), gpt_no=3)
    offered = completions(shell, f"%%deluge {option}gpt")
    assert {"gpt-4o", "gpt-4o-mini", "gpt_mine"} <= set(offered)
    assert all(name.startswith("gpt") for name in offered)
    assert "gpt_no" not in offered
    assert completions(shell, f'%%deluge {option}"smollm2-1') == ['"smollm2-135m']


def test_choices_are_completed(shell: InteractiveShell) -> None:
    assert set(completions(shell, "%%deluge --chart ")) == {"entropy", "confidence", "both", "none"}
    assert completions(shell, "%%deluge --chart=en") == completions(shell, "%%deluge --ch en") == ["entropy"]
    assert completions(shell, "%deluge ") == ["course", "models"]
    assert "5" in completions(shell, "%deluge course ")


@pytest.mark.parametrize(
    "line", ["%%deluge --system a", "%%deluge --system 'two wo", "%%deluge --out a", "%%deluge --seed ", "%%deluge abs"]
)
def test_free_text_has_no_completions(shell: InteractiveShell, line: str) -> None:
    assert completions(shell, line) == []


@pytest.mark.parametrize("above", ["%%deluge -k 3\n", "\n%%deluge\nWhy\n", "%%time\n%%deluge\n%%deluge\n"])
def test_the_prompt_has_no_completions(shell: InteractiveShell, above: str) -> None:
    with provisionalcompleter():
        for text in ("abs", "import o", "%%deluge --mo"):
            cell = above + text
            assert list(shell.Completer.completions(cell, len(cell))) == []
        assert list(shell.Completer.completions("x = 1\nab", 8))


def test_other_lines_are_completed_as_ever(shell: InteractiveShell) -> None:
    assert "%%deluge" in completions(shell, "%%delu")
    assert "%%timeit" in completions(shell, "%%tim")


TEXTS = [
    "two words",
    "both \" and '",
    "use -h or --help",
    "back\\slash \\n \\\\",
    "a=b",
    "# no comment",
    "{shell} $shell {} {{}}",
    "ünï 日本 🙂",
    "a;b|c&d>(e)*?",
    "  spaces  ",
    "\ttab",
    "%%deluge -m x",
    "!ls",
]
DASHED = ["-x", "--model", "-m gpt", "-3", "--"]


@pytest.mark.parametrize("text", [*TEXTS, *DASHED])
@pytest.mark.parametrize("option", ["--system", "--stop"])
def test_a_text_in_the_line_arrives_as_a_shell_reads_it(
    shell: InteractiveShell, server: ChatServer, option: str, text: str
) -> None:
    forms = [f"{option}={shlex.quote(text)}"]
    forms += [f"{option} {shlex.quote(text)}"] if not text.startswith("-") else []
    for form in forms:
        run(shell, f"%%deluge --base-url {server.url} -m m {form}\nHi")
        body = server.seen[-1].body
        if option == "--system":
            got = body["messages"][0]["content"]
        else:
            got = body["stop"] if isinstance(body["stop"], str) else body["stop"][0]
        assert got == text


@pytest.mark.parametrize(
    ("line", "system"),
    [
        ('--system "say \\"hi\\""', 'say "hi"'),
        (r"""--system "a\\b\n\$" """, "a\\b\\n\\$"),
        (r"--system 'a\\b'", "a\\\\b"),
        (r"--system two\ words", "two words"),
        ("--system a'b'\"c\"", "abc"),
    ],
)
def test_quotes_and_backslashes_are_those_of_a_shell(
    shell: InteractiveShell, server: ChatServer, line: str, system: str
) -> None:
    run(shell, f"%%deluge {line}\nHi")
    assert server.seen[0].body["messages"][0]["content"] == system


@pytest.mark.parametrize("line", ["-o answer", "-oanswer", "--out=answer", "--out 'answer'", '--out "answer"'])
def test_a_value_may_be_written_in_several_ways(shell: InteractiveShell, server: ChatServer, line: str) -> None:
    response = run(shell, f"%%deluge {line}\nHi")
    assert shell.user_ns["answer"] is response


def test_a_variable_has_the_name_that_python_reads(shell: InteractiveShell, server: ChatServer) -> None:
    response = run(shell, "%%deluge -o \ufb01x\nHi")
    assert run(shell, "\ufb01x") is run(shell, "fix") is response


@pytest.mark.parametrize("prefill", ["", "' '", "'\t'"])
def test_an_empty_text_is_none(shell: InteractiveShell, server: ChatServer, prefill: str) -> None:
    run(shell, "%config DelugeMagics.system = 'Answer in French.'")
    run(shell, f"%%deluge --system '' --prefill={prefill}\nHi")
    assert server.seen[0].body["messages"] == [{"role": "user", "content": "Hi"}]


def test_the_further_settings_reach_the_request(shell: InteractiveShell, server: ChatServer) -> None:
    run(shell, "%%deluge --top-p 0.5 --stop a --stop 'b c'\nHi")
    assert (server.seen[0].body["top_p"], server.seen[0].body["stop"]) == (0.5, ["a", "b c"])


@pytest.mark.parametrize(
    "body",
    [
        "    def f():\n        pass",
        "\u00a0nbsp\u00a0",
        ">>> print(1)\n1",
        "In [1]: x\n   ...: y",
        "text\n",
        "\n\ntext",
        "  two\n one",
        "a\x0cb\x85c\u2028d",
        "%%time\n%deluge?",
        "!ls; x = ?\n# comment",
    ],
)
@pytest.mark.parametrize("above", ["%%deluge", "\n\n%%deluge -k 3", "%%deluge ", "\n  %%deluge"])
def test_the_body_arrives_to_the_letter(shell: InteractiveShell, server: ChatServer, body: str, above: str) -> None:
    run(shell, f"{above}\n{body}\n")
    assert server.seen[0].question == body


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")).filter(str.strip))
def test_any_body_arrives_unchanged(shell: InteractiveShell, server: ChatServer, body: str) -> None:
    run(shell, f"%%deluge\n{body}\n")
    assert server.seen[-1].question == body
    shell.user_ns["body"] = body
    run(shell, "get_ipython().run_cell_magic('deluge', '', body + '\\n')")
    assert server.seen[-1].question == body


def test_a_line_break_of_windows_ends_the_body(shell: InteractiveShell, server: ChatServer) -> None:
    run(shell, "%%deluge -k 3\r\nHi\r\nthere\r\n")
    assert server.seen[0].question == "Hi\r\nthere"


@pytest.mark.parametrize(("typed", "prompt"), [("The grass\nis\n\n\n", "The grass\nis"), ("\n  a\n\n\n", "\n  a")])
def test_the_empty_line_that_ends_a_cell_in_a_terminal_is_no_part_of_it(
    terminal: TerminalInteractiveShell, server: ChatServer, monkeypatch: pytest.MonkeyPatch, typed: str, prompt: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"%%deluge\n{typed}"))
    terminal.run_cell(terminal.prompt_for_code(), store_history=True)
    terminal.run_cell("get_ipython().run_cell('%%deluge\\nHi\\n\\n')", store_history=True)
    assert [seen.question for seen in server.seen] == [prompt, "Hi\n"]


def test_the_text_below_another_magic_is_the_prompt(shell: InteractiveShell, server: ChatServer) -> None:
    run(shell, "%%time\n%%deluge -k 2\nHi there\n")
    assert server.seen[0].question == "Hi there"


def test_several_answers_are_a_list_of_one_request(shell: InteractiveShell, server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(
        {
            "model": "m",
            "choices": [
                {**chat(seen, says(text))["choices"][0], "index": index} for index, text in enumerate(("a", "b", "c"))
            ],
        }
    )
    answers = run(shell, "%%deluge -n 3 -o answers\nHi")
    assert [answer.completion for answer in answers] == ["a", "b", "c"]
    assert shell.user_ns["answers"] is answers
    assert [seen.body["n"] for seen in server.seen] == [3]


def test_a_server_that_gives_one_answer_is_asked_several_times(shell: InteractiveShell, server: ChatServer) -> None:
    shell.user_ns["mine"] = LLMClient("ollama/m", base_url=server.url.removesuffix("/v1"))
    server.answer = lambda seen, number: Reply(
        {
            "model": "m",
            "message": {"role": "assistant", "content": "a"},
            "logprobs": [],
            "done": True,
            "done_reason": "stop",
        }
    )
    answers = run(shell, "%%deluge -m mine -n 3 --seed 4\nHi")
    assert len(answers) == 3
    assert sorted(seen.body["options"]["seed"] for seen in server.seen) == [4, 5, 6]


def test_two_models_are_asked_the_same(shell: InteractiveShell, server: ChatServer) -> None:
    answers = run(shell, "%%deluge --compare gpt-4o -o both\nHi")
    assert [answer.model for answer in answers] == ["gpt-4o-mini", "gpt-4o"]
    assert [seen.body["messages"] for seen in server.seen] == [[{"role": "user", "content": "Hi"}]] * 2
    assert shell.user_ns["both"] is answers


def test_a_failed_answer_costs_no_other(
    shell: InteractiveShell, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda seen, number: (
        error("The model is overloaded.", status=400)
        if seen.body["model"] == "gpt-4o"
        else Reply(chat(seen, says("a")))
    )
    answers = run(shell, "%%deluge --compare gpt-4o\nHi")
    assert [answer.completion for answer in answers] == ["a", None]
    assert "The model is overloaded." in capsys.readouterr().out
    assert "overloaded" in error_line(shell, "%%deluge -m gpt-4o -n 2 -o kept\nHi")
    assert shell.user_ns["kept"][0].is_error


def test_a_second_model_that_fails_costs_no_first_answer(shell: InteractiveShell, server: ChatServer) -> None:
    answers = run(shell, "%%deluge --compare mistral-large-latest -o both\nHi")
    assert [answer.completion for answer in answers] == ["Hello there", None]
    assert "MISTRAL_API_KEY" in shell.user_ns["both"][1].error_message


def test_several_answers_display_themselves_again(shell: InteractiveShell, server: ChatServer) -> None:
    answers = run(shell, "%%deluge --compare gpt-4o\nHi")
    for several in (answers, pickle.loads(pickle.dumps(answers))):
        data, _ = shell.display_formatter.format(several)
        assert "application/vnd.jupyter.widget-view+json" in data
        assert "B  gpt-4o: 2 tokens" in data["text/plain"]


def test_an_address_in_the_line_is_asked(shell: InteractiveShell, server: ChatServer) -> None:
    run(shell, f"%%deluge --base-url {server.url} -m my-model\nHi")
    assert server.seen[0].body["model"] == "my-model"
    shell.user_ns["mine"] = LLMClient("my-model", base_url=server.url)
    assert "has its own" in error_line(shell, "%%deluge --base-url http://127.0.0.1:9 -m mine\nHi")
    run(shell, "%config DelugeMagics.model = 'local'")
    assert "add --model NAME" in error_line(shell, "%%deluge --base-url http://127.0.0.1:9\nHi")


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
    assert "--model" not in completions(shell, "%%deluge --mo")


def test_loading_twice_is_loading_once() -> None:
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "deluge_nb")
    events = [len(callbacks) for callbacks in shell.events.callbacks.values()]
    shell.run_line_magic("reload_ext", "deluge_nb")
    shell.run_line_magic("load_ext", "deluge_nb")
    assert [len(callbacks) for callbacks in shell.events.callbacks.values()] == events


def test_a_reloaded_module_unregisters_what_it_registered() -> None:
    shell = InteractiveShell()
    before = [len(callbacks) for callbacks in shell.events.callbacks.values()]
    shell.run_line_magic("load_ext", "deluge_nb")
    kept = magics.DelugeMagics
    try:
        importlib.reload(magics)
        importlib.reload(extension)
        shell.run_line_magic("unload_ext", "deluge_nb")
    finally:
        magics.DelugeMagics = extension.DelugeMagics = kept  # type: ignore[misc]
    assert [len(callbacks) for callbacks in shell.events.callbacks.values()] == before
    assert run(shell, "x = 1\nx") == 1


def test_no_chart_and_no_view_show_nothing(
    shell: InteractiveShell, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.always(*says("Hello"))
    run(shell, "%%deluge --no-view --chart none -o answer\nHi")
    assert shell.user_ns["answer"].completion == "Hello"
