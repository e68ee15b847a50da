"""The client and the magic in a real kernel, whose event loop is running."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.openai_server import ChatServer, Reply, Seen, chat, chunks, says

pytestmark = pytest.mark.slow


@dataclass
class Ran:
    """The outputs of a cell."""

    status: str = ""
    error: str = ""
    printed: str = ""
    displays: list[dict[str, Any]] = field(default_factory=list)
    value: dict[str, Any] = field(default_factory=dict)
    updates: list[dict[str, Any]] = field(default_factory=list)
    """Replacements of displays."""
    drawn: int = 0
    """The number of messages that gave tokens to a widget."""


WIDGET = {"application/vnd.jupyter.widget-view+json", "text/html"}


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.ran = Ran()
        """The outputs so far of the cell that runs, or those of the last one."""

    def start(self, code: str) -> str:
        return str(self.client.execute(code))

    def finish(self, request: str, timeout: float = 60) -> Ran:
        ran = self.ran = Ran()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                ran.printed += content["text"]
            elif kind == "display_data":
                ran.displays.append(content["data"])
            elif kind == "update_display_data":
                ran.updates.append(content["data"])
            elif kind == "comm_msg":
                message_data = content["data"]
                ran.drawn += ["data"] in message_data.get("buffer_paths", []) or "tokens" in message_data.get(
                    "content", {}
                ).get("parts", [])
            elif kind == "execute_result":
                ran.value = content["data"]
            elif kind == "error":
                ran.error = content["ename"]
                ran.printed += "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                break
        while not ran.status:
            reply = self.client.get_shell_msg(timeout=timeout)
            # A kernel that was slow to start answers several earlier requests for its state first.
            if reply["parent_header"].get("msg_id") == request:
                ran.status = reply["content"]["status"]
        return ran

    def run(self, code: str) -> Ran:
        return self.finish(self.start(code))


@contextlib.contextmanager
def running_kernel(folder: Path) -> Iterator[Kernel]:
    """Yield a kernel that has imported the package."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        kernel = Kernel(manager, client)
        kernel.run("from deluge_nb import *")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(server: ChatServer, tmp_path: Path) -> Iterator[Kernel]:
    with running_kernel(tmp_path) as kernel:
        yield kernel


def test_prompts_are_answered_in_a_cell(kernel: Kernel, server: ChatServer) -> None:
    ran = kernel.run("LLMClient('gpt-4o-mini').process_prompts_sync(['a', 'b'], return_completions_only=True)")
    assert ran.value["text/plain"] == "['Hello there', 'Hello there']"


def test_prompts_are_answered_in_an_asynchronous_cell(kernel: Kernel, server: ChatServer) -> None:
    ran = kernel.run(
        "import asyncio\nclient = LLMClient('gpt-4o-mini')\n"
        "calls = (client.process_prompts_async([p], return_completions_only=True) for p in 'ab')\n"
        "both = await asyncio.gather(*calls)\n"
        "inner = client.process_prompts_sync(['c'], return_completions_only=True)\n"
        "print(both, inner)"
    )
    assert ran.error == ""
    assert ran.printed.strip() == "[['Hello there'], ['Hello there']] ['Hello there']"


def test_an_interrupt_ends_the_call_at_once_and_keeps_the_answers_so_far(kernel: Kernel, server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        return Reply(chat(seen, says(seen.question)), delay=0 if seen.question == "fast" else 60)

    server.answer = answer
    kernel.run("client = LLMClient('gpt-4o-mini')")
    request = kernel.start("client.process_prompts_sync(['fast', 'slow', 'slower'], show_progress=False)")
    deadline = time.monotonic() + 30
    while not (len(server.seen) == 3 and server.in_flight == 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1)  # Let the client read the answers.
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request)
    assert ran.error == "KeyboardInterrupt"
    assert time.monotonic() - began < 10
    kept = kernel.run("[r and r.completion for r in client.interrupted]")
    assert kept.value["text/plain"] == "['fast', None, None]"
    server.answer = lambda seen, number: Reply(chat(seen, says("again")))
    after = kernel.run("client.process_prompts_sync(['x'], show_progress=False, return_completions_only=True)")
    assert after.value["text/plain"] == "['again']"


def test_the_magic_displays_tokens_and_charts_once(kernel: Kernel, server: ChatServer) -> None:
    kernel.run("%load_ext deluge_nb\n%config DelugeMagics.model = 'gpt-4o-mini'")
    ran = kernel.run("%%deluge -k 2 -o answer\nHi")
    assert ran.error == ""
    still, view, chart = ran.displays
    # Separate outputs: Jupyter shows only the widget of an output, even if the widget no longer exists.
    assert set(still) == {"text/html", "text/plain"}
    assert set(view) == WIDGET
    assert view["text/html"] == ""
    assert set(chart) == {"application/vnd.vegalite.v5+json", "image/png", "text/plain"}
    assert "layer" in chart["application/vnd.vegalite.v5+json"]
    assert ran.value == {}
    assert kernel.run("_ is answer").value["text/plain"] == "True"
    again = kernel.run("answer")
    assert [set(data) for data in again.displays] == [set(still), WIDGET]
    assert again.value == {}


def test_the_link_of_a_view_is_escaped_in_its_static_form(kernel: Kernel) -> None:
    shown = kernel.run("v = LogprobView([]); v.link = '\"><script>'; v").displays[0]["text/html"]
    assert 'data-link="&quot;&gt;&lt;script&gt;"' in shown
    assert "<script" not in shown


def test_the_magic_shows_tokens_as_they_arrive(kernel: Kernel, server: ChatServer) -> None:
    tokens = says(*(f" {n}" for n in range(20)))

    def answer(seen: Seen, number: int) -> Reply:
        # Send four more tokens only after the earlier ones are on the screen: showing must not wait for more.
        limit = time.monotonic() + 30

        def held(index: int) -> bool:
            shown = bool(kernel.ran.displays) + kernel.ran.drawn
            return index >= 4 * (1 + shown) and time.monotonic() < limit

        return Reply(pieces=chunks(seen, tokens), held=held)

    server.answer = answer
    kernel.run("%load_ext deluge_nb")
    ran = kernel.run("%%deluge -m gpt-4o-mini -k 2 -o answer --chart none\nCount")
    assert ran.error == ""
    assert len(ran.displays) == 2
    assert ran.drawn >= 3
    # A notebook saves the whole answer.
    assert " 19" in ran.updates[-1]["text/html"]
    assert " 19" not in ran.displays[0]["text/html"]
    assert kernel.run("len(answer.logprobs)").value["text/plain"] == "20"


def test_an_interrupted_magic_keeps_the_tokens_received_so_far(kernel: Kernel, server: ChatServer) -> None:
    tokens = says(*(f" {n}" for n in range(20)))
    server.answer = lambda seen, number: Reply(pieces=chunks(seen, tokens), held=lambda index: index > 5)
    kernel.run("%load_ext deluge_nb")
    request = kernel.start("%%deluge -m gpt-4o-mini -k 2 -o answer\nCount")
    deadline = time.monotonic() + 30
    while not server.seen and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(2)  # Let the client read the tokens.
    kernel.manager.interrupt_kernel()
    ran = kernel.finish(request)
    server.answer = lambda seen, number: Reply(chat(seen, says("again")))
    assert ran.status == "error"
    assert ran.printed.strip() == "UsageError: Interrupted: answer has the 5 tokens received so far."
    shown = ran.updates[-1] if ran.updates else ran.displays[0]
    assert " 4" in shown["text/html"]
    kept = kernel.run("answer.completion, answer.finish_reason, _ is answer")
    assert kept.value["text/plain"] == "(' 0 1 2 3 4', 'interrupted', True)"


@pytest.mark.parametrize(
    ("options", "views", "charts"),
    [("--chart none", 1, 0), ("--no-view", 0, 1), ("--chart entropy", 1, 1), ("--no-view --chart confidence", 0, 1)],
)
def test_options_choose_the_displays(kernel: Kernel, server: ChatServer, options: str, views: int, charts: int) -> None:
    kernel.run("%load_ext deluge_nb")
    ran = kernel.run(f"%%deluge -m gpt-4o-mini {options}\nHi")
    assert sum(set(data) == WIDGET for data in ran.displays) == views
    assert sum("image/png" in data for data in ran.displays) == charts
    assert len(ran.displays) == 2 * views + charts


def test_a_response_that_is_the_value_of_an_ordinary_cell_is_displayed_once(kernel: Kernel, server: ChatServer) -> None:
    kernel.run("%load_ext deluge_nb")
    ran = kernel.run("r = get_ipython().run_cell_magic('deluge', '-m gpt-4o-mini --chart none', 'Hi')\nr")
    assert [set(data) == WIDGET for data in ran.displays] == [False, True]


def test_options_and_models_are_completed_by_the_kernel(kernel: Kernel) -> None:
    kernel.run("%load_ext deluge_nb")
    for line, expected in (("%%deluge --mo", "--model"), ("%%deluge -m smol", "smollm2-135m")):
        reply = kernel.client.complete(line, len(line), reply=True, timeout=30)
        assert expected in reply["content"]["matches"]


def test_a_mistake_is_one_line_in_the_notebook(kernel: Kernel) -> None:
    kernel.run("%load_ext deluge_nb")
    ran = kernel.run("%%deluge -m claude-sonnet-4-5\nHi")
    assert "gives no log-probabilities" in ran.printed
    assert len(ran.printed.strip().splitlines()) == 1
    assert ran.status == "error"


def test_a_key_appears_in_no_output_of_a_notebook(kernel: Kernel, server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply({"error": {"message": "bad key sk-test-0123456789"}}, 401)
    kernel.run("%load_ext deluge_nb\nclient = LLMClient('gpt-4o-mini')")
    runs = [
        kernel.run("%%deluge -m gpt-4o-mini -o answer\nHi"),
        kernel.run("client"),
        kernel.run("answer, answer.raw_response, answer.error"),
        kernel.run("raise answer.error"),
    ]
    assert runs[-1].error == "RequestError"
    assert not [ran for ran in runs if "sk-test" in repr(ran)]


def test_the_magic_uses_the_configured_cache(kernel: Kernel, server: ChatServer, tmp_path: Path) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says(f"draw {number}")))
    kernel.run("%load_ext deluge_nb\n%config DelugeMagics.model = 'gpt-4o-mini'")

    def ask(options: str) -> str:
        kernel.run(f"%%deluge --chart none -o answer {options}\nHi")
        return str(kernel.run("answer.completion").value["text/plain"])

    assert [ask(""), ask("")] == ["'draw 0'", "'draw 1'"]
    kernel.run(f"%config DelugeMagics.cache = {str(tmp_path / 'kept')!r}")
    assert [ask(""), ask(""), ask("--no-cache"), ask("")] == [
        "'draw 2'",
        "'draw 2'",
        "'draw 3'",
        "'draw 2'",
    ]
    kernel.run("%config DelugeMagics.cache = False")
    kernel.run(f"client = LLMClient('gpt-4o-mini', cache={str(tmp_path / 'kept')!r})")
    assert [ask("-m client"), ask("-m client --no-cache"), ask("-m client")] == [
        "'draw 2'",
        "'draw 4'",
        "'draw 2'",
    ]
