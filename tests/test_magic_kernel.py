"""Cells with %%deluge in one real kernel: their displays, and what they keep."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, error, says
from tests.test_kernel import WIDGET, Kernel, Ran, running_kernel
from tests.test_magic import NAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.run("%load_ext deluge_nb")
        yield kernel


@pytest.fixture
def kernel(shared: Kernel, server: ChatServer) -> Kernel:
    shared.run(
        f"client = LLMClient('gpt-4o-mini', base_url={server.url!r}, api_key='k')\n"
        "%config DelugeMagics.model = 'local'\n%config DelugeMagics.view = True\n%config DelugeMagics.chart = 'both'"
    )
    return shared


def shown(ran: Ran) -> tuple[int, int, int]:
    """Return the number of widgets, of charts and of values that a cell shows."""
    assert ran.status == "ok", ran.printed
    views = sum(set(data) == WIDGET for data in ran.displays)
    charts = sum("image/png" in data for data in ran.displays)
    assert len(ran.displays) == 2 * views + charts
    return views, charts, bool(ran.value)


def test_a_cell_that_shall_show_nothing_shows_nothing(kernel: Kernel) -> None:
    ran = kernel.run("%%deluge -m client --no-view --chart none -o a\nHi")
    assert (shown(ran), ran.updates, ran.printed) == ((0, 0, 0), [], "")
    assert kernel.run("_ is a").value["text/plain"] == "True"
    assert shown(kernel.run("a")) == (1, 0, 0)


def test_a_configuration_that_shows_nothing_is_obeyed(kernel: Kernel) -> None:
    kernel.run("%config DelugeMagics.view = False\n%config DelugeMagics.chart = 'none'")
    assert shown(kernel.run("%%deluge -m client\nHi")) == (0, 0, 0)
    assert shown(kernel.run("%%deluge -m client --view\nHi")) == (1, 0, 0)


def test_an_answer_is_shown_once_whatever_calls_the_magic(kernel: Kernel) -> None:
    line = "-m client --chart none"
    kernel.run(f"def f(q): return get_ipython().run_cell_magic('deluge', {line!r}, q)")
    assert shown(kernel.run("f('Hi')")) == (1, 0, 0)
    assert shown(kernel.run("f('One'); f('Two')")) == (2, 0, 0)
    assert shown(kernel.run("r = f('Hi')\nr")) == (1, 0, 0)
    assert shown(kernel.run("r")) == (1, 0, 0)
    timed = kernel.run(f"%%time\n%%deluge {line}\nHi")
    assert "Wall time" in timed.printed
    assert shown(timed) == (1, 0, 0)
    assert shown(kernel.run(f"if True:\n    get_ipython().run_cell('%%deluge {line}\\nHi')")) == (1, 0, 0)
    assert shown(kernel.run(f"done = get_ipython().run_cell('%%deluge {line} -o r\\nHi')\nr")) == (1, 0, 0)


def test_several_answers_are_shown_as_one_comparison(kernel: Kernel, server: ChatServer) -> None:
    ran = kernel.run("%%deluge -m client --compare client -o both\nHi")
    assert shown(ran) == (1, 0, 0)
    assert kernel.run("len(both), _ is both").value["text/plain"] == "(2, True)"
    assert shown(kernel.run("both")) == (1, 0, 0)
    assert kernel.run("%%deluge -m client --compare client --no-view\nHi").displays == []
    server.answer = lambda seen, number: error("no", status=400) if number % 2 else Reply(chat(seen, says("a")))
    ran = kernel.run("%%deluge -m client --compare client -o both\nHi")
    (failed,) = [data for data in ran.displays if set(data) == {"text/plain"}]
    assert "answered 400" in failed["text/plain"]
    assert kernel.run("[r.is_error for r in both]").value["text/plain"] == "[False, True]"


def test_several_answers_of_one_model_are_a_tree_of_all_of_them(kernel: Kernel, server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        choices = [chat(seen, says(text))["choices"][0] for text in ["a"] * 9 + ["b"]]
        return Reply({"model": "m", "choices": [{**choice, "index": at} for at, choice in enumerate(choices)]})

    server.answer = answer
    ran = kernel.run("%%deluge -m client -n 10 -o several\nHi")
    assert shown(ran) == (1, 0, 0)
    (text,) = [data["text/plain"] for data in ran.displays if "text/plain" in data and "text/html" in data]
    assert "10 answers · 2 different" in text
    assert "9 of 10" in text
    assert kernel.run("len(several), _ is several").value["text/plain"] == "(10, True)"
    assert shown(kernel.run("several")) == (1, 0, 0)
    assert kernel.run("%%deluge -m client -n 10 --no-view\nHi").displays == []


def interrupt(kernel: Kernel, server: ChatServer, cell: str) -> Ran:
    """Run a cell whose answer stops after five tokens, and interrupt it when these have come."""
    tokens = says(*(f" {n}" for n in range(20)))
    server.answer = lambda seen, number: Reply(pieces=chunks(seen, tokens), held=lambda index: index > 5)
    before = len(server.seen)
    request = kernel.start(cell)
    deadline = time.monotonic() + 30
    while len(server.seen) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1)  # Let the client read the tokens.
    kernel.manager.interrupt_kernel()
    return kernel.finish(request)


@pytest.mark.parametrize("options", ["-o kept", "-o kept --no-view", "-o kept --no-view --chart none", "--no-view"])
def test_an_interrupt_keeps_what_came_with_and_without_a_view(kernel: Kernel, server: ChatServer, options: str) -> None:
    ran = interrupt(kernel, server, f"%%deluge -m client -k 2 {options}\nCount")
    name = "kept" if "-o" in options else "_"
    assert ran.printed.strip() == f"UsageError: Interrupted: {name} has the 5 tokens received so far."
    kept = kernel.run(f"{name}.completion, {name}.finish_reason, len({name}.logprobs)")
    assert kept.value["text/plain"] == "(' 0 1 2 3 4', 'interrupted', 5)"


def test_an_interrupt_ends_a_loop_over_prompts(kernel: Kernel, server: ChatServer) -> None:
    loop = "for q in 'ab':\n    get_ipython().run_cell_magic('deluge', '-m client --no-view -o kept', q)"
    ran = interrupt(kernel, server, loop)
    assert ran.status == "error"
    assert [seen.question for seen in server.seen] == ["a"]
    assert kernel.run("kept.completion, kept.finish_reason").value["text/plain"] == "(' 0 1 2 3 4', 'interrupted')"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--no-view", "before the first token"),
        ("--chart none", "before the first token"),
        ("-n 2", "before the first answer"),
        ("--compare client", "before the first answer"),
        ("-m other --read", "before the text was read"),
    ],
)
def test_an_interrupt_before_the_first_token_is_one_line(
    kernel: Kernel, server: ChatServer, options: str, sentence: str
) -> None:
    server.answer = lambda seen, number: (
        Reply(pieces=chunks(seen, says("late")), held=lambda index: index > 0)
        if "--chart" in options
        else Reply(chat(seen, says("late")), delay=60)
    )
    kernel.run(f"kept, other = 'before', LLMClient('m', base_url={server.url!r})")
    request = kernel.start(f"%%deluge -m client -o kept {options}\nHi")
    deadline = time.monotonic() + 30
    while not server.seen and time.monotonic() < deadline:
        time.sleep(0.01)
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request)
    assert (ran.printed.strip(), ran.displays) == (f"UsageError: Interrupted {sentence}.", [])
    assert kernel.run("kept").value["text/plain"] == "'before'"


def test_an_interrupt_while_the_chart_is_drawn_keeps_the_answer(kernel: Kernel, server: ChatServer) -> None:
    kernel.run(
        "import altair, os, signal\nforms = get_ipython().display_formatter.ipython_display_formatter\n"
        "none = forms.for_type(altair.LayerChart, lambda chart: os.kill(os.getpid(), signal.SIGINT))"
    )
    ran = kernel.run("%%deluge -m client -o kept\nHi")
    kernel.run("del forms.type_printers[altair.LayerChart]")
    assert ran.printed.strip() == "UsageError: Interrupted: kept has the whole answer."
    assert kernel.run("kept.completion, kept.finish_reason, _ is kept").value["text/plain"] == (
        "('Hello there', 'stop', True)"
    )


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%deluge ", NAMES),
        ("%%deluge -k 3 --ch", ["--chart"]),
        ("%%deluge --chart e", ["entropy"]),
        ("%%deluge -m cli", ["client"]),
        ("%%deluge --system ", []),
        ("%%deluge --system 'two wo", []),
        ("%%deluge --system 'two words' --ch", ["--chart"]),
        ("%%deluge -k 3\nab", []),
        ("%deluge ", ["course", "models"]),
    ],
)
def test_the_kernel_completes_the_line_by_the_magic_alone(kernel: Kernel, line: str, offered: list[str]) -> None:
    content = kernel.client.complete(f"{line}\nHi", len(line), reply=True, timeout=30)["content"]
    assert sorted(content["matches"]) == sorted(offered)
    assert all(
        line[content["cursor_start"] : content["cursor_end"]]
        == match[: content["cursor_end"] - content["cursor_start"]]
        for match in content["matches"]
    )
