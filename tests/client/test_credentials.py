"""Places where keys are found, and places where they never show."""

from __future__ import annotations

import copy
import gc
import importlib.util
import io
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from deluge_nb import LLMClient, MissingKeyError, SamplingParams
from deluge_nb.client import credentials
from tests import fault_server
from tests.fault_server import FaultServer, good, reply
from tests.openai_server import ChatServer

pytestmark = pytest.mark.slow

KEY = "sk-secret-4711-do-not-show"


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The real places, of this test's own."""
    monkeypatch.setattr(credentials, "_has_extra", importlib.util.find_spec)
    monkeypatch.chdir(tmp_path)
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    credentials._from_keyring.cache_clear()
    yield
    keyring.set_keyring(before)
    credentials._from_keyring.cache_clear()


def sent(server: ChatServer, **options: Any) -> str:
    """The key that a request is sent with."""
    (response,) = LLMClient("gpt-4o-mini", **options).process_prompts_sync(["?"], show_progress=False)
    assert not response.is_error, response.error_message
    return server.seen[-1].headers["authorization"].removeprefix("Bearer ")


def test_a_key_is_looked_for_in_order(server: ChatServer, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")

    def found(**options: Any) -> str | None:
        key = LLMClient("gpt-4o-mini", **options)._routes[0].key
        return None if key is None else key.get_secret_value()

    assert found() is None
    keyring.set_password("deluge_nb", "OPENAI_API_KEY", "of-the-keyring")
    credentials._from_keyring.cache_clear()
    assert found() == "of-the-keyring"
    (tmp_path / ".env").write_text("# keys\nexport OPENAI_API_KEY='of-the-file'\n")
    assert found() == "of-the-file"
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-environment")
    assert found() == "of-the-environment"
    assert found(api_key="of-the-argument") == "of-the-argument"


def test_a_key_of_a_file_is_sent(server: ChatServer, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    assert sent(server) == KEY


def test_a_file_is_found_from_a_folder_below(server: ChatServer, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert sent(server) == KEY


def test_a_changed_file_is_read_again(server: ChatServer, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    for number in range(2):
        (tmp_path / ".env").write_text(f"OPENAI_API_KEY=key-{number}{'x' * number}\n")
        assert sent(server).startswith(f"key-{number}")


def test_a_file_does_not_change_the_environment(server: ChatServer, monkeypatch: Any, tmp_path: Path) -> None:
    import os

    monkeypatch.delenv("OPENAI_API_KEY")
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    sent(server)
    assert KEY not in os.environ.values()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"just words\n", b"OPENAI_API_KEY=\n"])
def test_a_file_without_a_key_is_no_trouble(monkeypatch: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(MissingKeyError):
        LLMClient("gpt-4o-mini").process_prompts_sync(["?"])


def test_a_file_that_is_too_long_for_settings_is_not_read(monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"OPENAI_API_KEY=key-4711-word\n" + b"#" * (1 << 20))
    with pytest.raises(MissingKeyError):
        LLMClient("gpt-4o-mini").process_prompts_sync(["?"])


def test_a_locked_keyring_is_no_trouble() -> None:
    ring = keyring.get_keyring()
    assert isinstance(ring, Ring)
    ring.locked = True
    with pytest.raises(
        MissingKeyError, match=r"set OPENAI_API_KEY, also in a \.env file or the keyring, or give api_key"
    ):
        LLMClient("gpt-4o-mini").process_prompts_sync(["?"])


def test_without_the_packages_neither_is_spoken_of(monkeypatch: Any) -> None:
    monkeypatch.setattr(credentials, "_has_extra", {}.get)
    with pytest.raises(MissingKeyError, match=r"set OPENAI_API_KEY or give api_key"):
        LLMClient("gpt-4o-mini").process_prompts_sync(["?"])


# Where it never shows -------------------------------------------------------------------------------------------------


@pytest.fixture
def faulty() -> Iterator[FaultServer]:
    with fault_server.running() as found:
        yield found


def quoting(status: int) -> Any:
    return reply({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}, status)


ENDS: dict[str, Any] = {
    "refused": quoting(401),
    "refused in a 200": quoting(200),
    "moved": reply(b"", 307, location=f"http://127.0.0.1:9/?key={KEY}"),
    "no JSON": reply(f"<html>{KEY}".encode(), 500, kind="text/html"),
    "no JSON in a 200": reply(f"<html>{KEY}".encode(), 200),
    "reset": ["reset"],
    "silent": [5.0],
}


def everything(value: Any) -> str:
    """Every text form of an object that a person may see."""
    text = io.StringIO()
    packed = pickle.dumps(value)
    for one in (value, copy.copy(value), pickle.loads(packed), packed):
        text.write(f"{one!r} {one} {getattr(one, '__dict__', '')!r}")
    return text.getvalue()


@pytest.mark.parametrize("end", ["answered", *ENDS])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_key_shows_in_no_object_traceback_or_log(faulty: FaultServer, end: str, streamed: bool) -> None:
    faulty.answer = lambda seen, number: ENDS.get(end) or good(seen)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        params = SamplingParams(logprobs=True, top_logprobs=2)
        client = LLMClient(
            "gpt-4o-mini", base_url=faulty.url, api_key=KEY, timeout=1.0, max_attempts=1, sampling_params=params
        )
        if streamed:
            stream = client.stream("Hello?")
            try:
                list(stream)
            except Exception as error:
                shown = verbose(error)
                assert KEY not in shown
            response = stream.response
        else:
            (response,) = client.process_prompts_sync(["Hello?"], show_progress=False)
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert response is not None
    assert response.is_error == (end != "answered")
    seen = everything(response) + repr(client) + repr(vars(client)) + log.getvalue() + repr(response.raw_response)
    seen += repr([vars(route) for route in client._routes]) + repr(client._routes[0].transport().__dict__)
    if response.error is not None:
        seen += everything(response.error) + verbose(response.error)
    assert KEY not in seen
    assert KEY in faulty.seen[0].headers["authorization"]
    # Nor does anything that outlives the call have it in a form that is shown.
    gc.collect()
    held = [one for one in gc.get_objects() if isinstance(one, BaseException)]
    assert not [one for one in held if KEY in str(one)]


def verbose(error: BaseException) -> str:
    """An error as the most talkative of tools show it."""
    try:
        raise error
    except BaseException as raised:
        trace = "".join(traceback.TracebackException.from_exception(raised, capture_locals=True).format())
        shell = InteractiveShell.instance()
        shell.InteractiveTB.set_mode("Verbose")
        found = shell.InteractiveTB.text(type(raised), raised, raised.__traceback__)
        # These lines are this file's own, which names the key.
        return "\n".join(line for line in (trace + found).splitlines() if "KEY" not in line)


def test_a_key_shows_in_no_executed_notebook(faulty: FaultServer, tmp_path: Path) -> None:
    faulty.answer = lambda seen, number: good(seen) if number % 2 else quoting(401)
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    cells = [
        "%load_ext deluge_nb",
        f"%env OPENAI_BASE_URL={faulty.url}",
        "from deluge_nb import *\nclient = LLMClient('gpt-4o-mini', logprobs=True, top_logprobs=2)\nclient",
        "%%deluge -m client -o answer\nHello?",
        "%%deluge -m client -o answer\nHello?",
        "answer, vars(client), client._routes[0].key",
        "client.process_prompts_sync(['a', 'b'])",
        "raise client.process_prompts_sync(['a'], show_progress=False)[0].error or ValueError",
        "%tb",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}).execute()
    written = nbformat.writes(notebook)
    assert "Hello?" in written
    assert json.loads(written)["cells"][5]["outputs"]
    assert faulty.seen[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in written
