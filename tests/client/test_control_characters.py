"""No control character of a model or a server reaches a terminal; the data stays as it came."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from deluge_nb import (
    LLMClient,
    LogprobCompare,
    RequestError,
    as_logprobs,
    classify,
    load_ipython_extension,
    to_svg,
    to_text,
)
from deluge_nb.magic.display import response_bundle
from deluge_nb.printable import printable
from tests import fault_server
from tests.fault_server import FaultServer, reply

pytestmark = pytest.mark.slow

CONTROLS = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u2028"]
CONTROLS = [character for character in CONTROLS if character not in "\n\t"]
COMMAND = re.compile(f"[{re.escape(''.join(CONTROLS))}]")
EVIL = f"a{''.join(CONTROLS)}b"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server.running() as running:
        yield running


def answer(text: str = "fine", **more: Any) -> Any:
    call = {"id": EVIL, "type": "function", "function": {"name": EVIL, "arguments": json.dumps({EVIL: EVIL})}}
    message = {"content": text, **({"tool_calls": [call]} if more.pop("calls", False) else {})}
    return reply({"choices": [{"index": 0, "message": message, "finish_reason": more.pop("end", "stop")}], **more})


REPLIES: dict[str, Any] = {
    "message": reply({"error": {"message": EVIL, "code": EVIL}}, 400),
    "code": reply({"error": {"code": EVIL}}, 500),
    "no JSON": reply(EVIL.encode(), 500, kind="text/plain"),
    "no JSON in a 200": reply(EVIL.encode()),
    "name of a model": answer(model=EVIL),
    "finish reason": answer(end=EVIL),
    "text": answer(EVIL),
    "name of a tool": answer(calls=True),
    "address": reply(b"", 307, location="http://h/\x1b]52;c;AAAA\x07"),
    "wrong type": reply({"choices": [{"message": {EVIL: 1}, "finish_reason": [EVIL]}]}),
    "error in a 200": reply({"error": {"message": EVIL}}),
    "refusal": reply({"choices": [{"index": 0, "message": {"content": None, "refusal": EVIL}}]}),
}


@pytest.mark.parametrize("name", REPLIES)
def test_nothing_that_is_shown_commands_a_terminal(server: FaultServer, name: str) -> None:
    server.answer = lambda seen, number: REPLIES[name]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        client = LLMClient("m", base_url=server.url, max_attempts=1, logprobs=True)
        (response,) = client.process_prompts_sync(["?"], show_progress=False)
    texts = [repr(response), str(response), response.error_message or "", response.note or "", str(response.error)]
    texts += [repr(response.tool_calls), response_bundle(response).get("text/plain", "")]
    texts += [str(warning.message) for warning in told]
    assert not [text for text in texts if COMMAND.search(text)]


def test_the_text_of_a_model_stays_as_it_came(server: FaultServer) -> None:
    server.answer = lambda seen, number: REPLIES["text"]
    (response,) = LLMClient("m", base_url=server.url).process_prompts_sync(["?"], show_progress=False)
    assert response.completion == EVIL
    assert response.raw_response["choices"][0]["message"]["content"] == EVIL


def test_an_error_of_the_magic_commands_no_terminal(server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answer = lambda seen, number: REPLIES["message"]
    shell = InteractiveShell.instance()
    load_ipython_extension(shell)
    shell.user_ns["asked"] = LLMClient("m", base_url=server.url, max_attempts=1)
    shell.run_cell("%%deluge -m asked --chart none\nHello")
    shell.run_cell("%%deluge --a\x1b[2J\nHello")
    shell.run_cell("%%deluge 'a\x1b[2J\nHello")
    written = capsys.readouterr()
    assert "␛" in written.out + written.err
    assert not COMMAND.search(re.sub(r"\x1b\[[\d;]*m", "", written.out + written.err))  # IPython's own colours


@pytest.mark.parametrize("character", CONTROLS)
def test_each_control_character_is_a_sign_in_every_error(character: str) -> None:
    error = RequestError(f"a{character}b")
    assert str(error) == printable(f"a{character}b") != f"a{character}b"
    assert printable(str(error)) == str(error)


@pytest.mark.parametrize("line", ["HTTP/1.1 \x1b[2J 500", "\x1b]52;c;AA\x07", "SSH-2.0-OpenSSH\r"])
def test_a_reply_that_is_no_http_is_reported_in_one_line(server: FaultServer, line: str) -> None:
    server.answer = lambda seen, number: [f"{line}\r\n\r\n".encode()]
    client = LLMClient("m", base_url=f"{server.url}?key=k4711", max_attempts=1)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    message = response.error_message or ""
    assert ": its answer is no HTTP: " in message
    assert f"; it begins with {line.rstrip()!r}" in message
    assert not COMMAND.search(message)
    assert "\n" not in message
    assert "4711" not in message


def test_pictures_of_a_table_have_no_control_characters() -> None:
    table = as_logprobs([{"token": EVIL, "logprob": -0.1}])
    assert not COMMAND.search(to_svg(table) + to_text(table, color=False))
    # By default the names are those of the models, as the servers call them.
    compared = LogprobCompare(table, table, names=[EVIL, "b"])
    formats = InteractiveShell.instance().display_formatter
    assert formats is not None
    data, _ = formats.format(compared)
    drawn = compared.to_html() + compared.to_svg() + compared.to_text()
    assert not COMMAND.search(drawn + str(data["text/html"]))


@pytest.mark.parametrize("status", [200, 400])
def test_results_of_a_classification_command_no_terminal(server: FaultServer, status: int) -> None:
    rows = [{"token": EVIL, "logprob": -0.1, "top_logprobs": [{"token": EVIL, "logprob": -0.1}]}]
    choice = {"index": 0, "message": {"content": EVIL}, "finish_reason": "length", "logprobs": {"content": rows}}
    server.answer = lambda seen, number: reply({"choices": [choice], "error": EVIL if status == 400 else None}, status)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = classify([EVIL], [EVIL, "other"], LLMClient("m", base_url=server.url), show_progress=False)
    formats = InteractiveShell.instance().display_formatter
    assert formats is not None
    for shown in (results, results[0]):
        data, _ = formats.format(shown)
        assert not COMMAND.search("".join(map(str, data.values())) + repr(shown))
