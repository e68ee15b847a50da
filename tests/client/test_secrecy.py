"""Keys and passwords: sent as they are, and shown nowhere, whatever a server does with them."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from deluge_nb import LLMClient, SamplingParams, SettingError, register_endpoint
from deluge_nb.models import REGISTRY
from deluge_nb.transport.address import mask
from deluge_nb.transport.secrecy import HIDDEN, Secrets, is_secret
from tests import fault_server
from tests.fault_server import FaultServer, good, reply
from tests.secret_hunter import shown, walk

pytestmark = pytest.mark.slow

KEY = "sk-secret-4711-do-not-show"
ESCAPED = "".join(f"\\u{ord(character):04X}" for character in KEY)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server.running() as running:
        yield running


def error_body(text: str) -> bytes:
    return b'{"error": {"message": "%s"}}' % text.encode()


FAULTS: dict[str, Any] = {
    "key in a message": reply(error_body(f"bad key {KEY}"), 401),
    "escaped key in a message": reply(error_body(f"bad key {ESCAPED}"), 401),
    "escaped key in no JSON": reply(f"bad key {ESCAPED}".encode(), 400),
    "key escaped twice": reply(json.dumps({"error": json.dumps({"message": ESCAPED})}).encode(), 400),
    "key in an address": reply(f"see http://x/?q={quote(KEY, safe='')}".encode(), 400),
    "key as a name": reply({KEY: 1, "error": {KEY: [KEY]}}, 400),
    "key cut at the excerpt's end": reply(b"x" * 385 + KEY.encode() + b"x" * 90, 400),
    "key cut in a 200": reply(b"x" * 188 + KEY.encode(), 200),
    "deep JSON": reply(b"[" * 100_000, 500),
    "deep JSON with the key": reply(b'{"a":' * 300 + json.dumps(KEY).encode() + b"}" * 300, 500),
    "huge year": reply(error_body(KEY), 429, retry_after="Wed, 21 Oct 20151020102010201020 07:28:00 GMT"),
    "moved": reply(b"", 307, location=f"http://u:{KEY}@h/?key={KEY}"),
    "error in a 200": reply({"error": {"message": KEY, "code": 500}}),
    "no choices": reply({"choices": [], "key": KEY}),
    "wrong type": reply({"choices": KEY}),
    "stream that fails": reply(b'data: {"error": {"message": "%s"}}\n\n' % KEY.encode(), kind="text/event-stream"),
    "header": reply(b"x", 500, x_key=KEY),
    "reset": ["reset"],
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_no_fault_shows_the_key(server: FaultServer, fault: str, streamed: bool) -> None:
    server.answer = lambda seen, number: FAULTS[fault]
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            client = LLMClient("m", base_url=server.url, api_key=KEY, timeout=5, max_attempts=2)
            if streamed:
                stream = client.stream("?")
                with pytest.raises(Exception) as caught:  # noqa: PT011 - each fault has its own
                    list(stream)
                texts = shown(caught.value) if caught.value.__traceback__ is None else shown(stream.response)
                response = stream.response
            else:
                response = client.process_prompts_sync(["?", "!"], show_progress=False)[0]
                texts = shown(response)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert response is not None
    assert response.is_error
    texts += shown(response) + repr(response.raw_response) + log.getvalue() + repr([str(one.message) for one in told])
    texts += repr(client) + repr([vars(route) for route in client._routes])
    for form in (KEY, KEY[:9], ESCAPED, ESCAPED.lower(), ESCAPED[:54], quote(KEY, safe="")):
        assert form not in texts
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("fault", ["key cut in a 200", "no choices", "key in a message"])
def test_a_server_that_is_asked_for_a_proof_shows_the_key_in_no_frame(server: FaultServer, fault: str) -> None:
    server.answer = lambda seen, number: FAULTS[fault]
    client = LLMClient("m", base_url=server.url, api_key=KEY, timeout=5, max_attempts=1)
    with pytest.raises(SettingError) as caught:
        client.read_sync([("a", "b")], show_progress=False)
    trace = caught.value.__traceback__
    assert trace is not None
    assert KEY[:9] not in shown(caught.value.with_traceback(trace.tb_next))


@pytest.mark.parametrize("key", ["ollama", "key", "null", "local", "x", "EMPTY", "not-needed", "sk-no-key-required"])
def test_a_word_in_place_of_a_key_mangles_nothing(server: FaultServer, key: str) -> None:
    text = f"try pulling it first: {key} pull x; null key local EMPTY"
    server.answer = lambda seen, number: reply({"error": {"message": text, "code": None}}, 404)
    client = LLMClient("m", base_url=server.url, api_key=key)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert text in (response.error_message or "")
    assert server.seen[0].headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (
            "see https://docs.example.com",
            {"extra_headers": {"HTTP-Referer": "https://example.com/", "X-Title": "Mine 1"}},
        ),
        ("the application failed: application/json", {"extra_headers": {"Accept": "application/json"}}),
        ("the assistants API of 2023-06-01", {"extra_headers": {"Beta": "assistants=v2", "Version": "2023-06-01"}}),
        ("my-app/1.9 is newer", {"extra_headers": {"User-Agent": "my-app/1.0"}}),
        ("model qwen2.5-7b-instruct not found", {"api_key": "qwen2.5-7b-instruct"}),
        ("model qwen2.5-7b-instruct not found", {"api_key": "qwen2.5-7b"}),
        ("nothing at http://localhost:1234/v1", {"api_key": "http://localhost:1234"}),
    ],
)
def test_what_messages_contain_for_another_reason_is_no_secret(
    server: FaultServer, text: str, options: dict[str, Any]
) -> None:
    server.answer = lambda seen, number: reply({"error": {"message": text}}, 400)
    client = LLMClient("qwen2.5-7b-instruct", base_url=server.url, **options)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert response.error_message == f"'qwen2.5-7b-instruct' at OpenAI-compatible server answered 400: {text}"


@pytest.mark.parametrize(("value", "secret"), [("abcdefg1", True), ("abcdef1", False), ("a" * 19, False)])
def test_the_rule_for_a_secret(value: str, secret: bool) -> None:
    assert is_secret(value) is secret
    assert is_secret("a-b_" * 5)


@pytest.mark.parametrize(
    "written", [r"0000000000\\u0030", r"0000000000\\\\u0030", r"0000000000\u005c\x30", r"0000000000\\0"]
)
def test_backslashes_of_a_secret_and_of_escapes_are_kept_distinct(written: str) -> None:
    assert Secrets([SecretStr(r"0000000000\0")]).hide(f"<{written}>") == "<[key]>"


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8).filter(is_secret), st.data())
def test_a_secret_is_hidden_in_every_spelling_and_where_it_is_cut(secret: str, data: st.DataObject) -> None:
    forms = ("{0}", "\\u{1:04x}", "%{1:02X}", "&#{1};")
    spelled = "".join(data.draw(st.sampled_from(forms)).format(character, ord(character)) for character in secret)
    secrets = Secrets([SecretStr(secret)])
    assert secrets.hide(f"<{spelled}>") == "<[key]>" or secret[0] == "<" or secret[-1] == ">" or secret[0] in "\\%&"
    cut = data.draw(st.integers(8, len(secret)))
    assert secret[:8] not in secrets.hide(f"\n{secret[:cut]}…")


SPELLINGS: dict[str, str] = {
    "capital letters": KEY.upper(),
    "base64 of a login": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "base64 of the key and more": base64.b64encode(f"x{KEY}!".encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(f"??{KEY}".encode()).decode(),
    "hex": KEY.encode().hex().upper(),
    "an address within an address": quote("".join(f"%{ord(character):02x}" for character in KEY)),
    "octal": "".join(f"\\{ord(character):03o}" for character in KEY),
    "JavaScript": "".join(f"\\u{{{ord(character):x}}}" for character in KEY),
    "long escapes of Python": "".join(f"\\U{ord(character):08x}" for character in KEY),
    "without its prefix": KEY.removeprefix("sk-"),
    "a line break": f"{KEY[:9]}\n{KEY[9:]}",
    "a zero-width space": f"{KEY[:5]}\u200b{KEY[5:]}",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_key_is_hidden_however_a_server_changes_it(name: str) -> None:
    hidden = Secrets([SecretStr(KEY)]).hide(f"bad key: {SPELLINGS[name]}")
    assert HIDDEN in hidden
    assert not [part for part in (SPELLINGS[name][4:14], SPELLINGS[name][-14:-4]) if part in hidden]


def test_references_of_pages_are_hidden_with_the_rest() -> None:
    secret = "4711&<word>'\"4711"
    assert Secrets([SecretStr(secret)]).hide(html.escape(html.escape(secret))) == HIDDEN


def test_long_words_of_a_secret_are_left_where_they_are_words() -> None:
    secrets = Secrets(
        [SecretStr("My Application 1"), SecretStr("of-gpt-4o-mini-2024-4711")], public=["gpt-4o-mini-2024"]
    )
    text = "The application knows no gpt-4o-mini-2024"
    assert secrets.hide(text) == text


# Each took minutes, or hours: the search went through the rest of the text from every character.
LONG = {
    "backslashes": "\\" * 100_000,
    "parameters": "&key=" * 20_000,
    "question marks": "?" * 100_000,
    "beginnings of logins": "http://a:x" * 10_000,
    "random values": "?x=" + "a" * 100_000,
    "beginnings of the key": f"{KEY[:9]}\\" * 10_000,
}


@pytest.mark.parametrize("name", LONG)
def test_secrets_are_sought_in_any_text_without_going_through_it_again_and_again(name: str) -> None:
    text = LONG[name]
    hidden = Secrets([SecretStr(KEY)], [SecretStr("Bearer b-secret-4711")]).hide(mask(text))
    assert (HIDDEN in hidden) is (name == "beginnings of the key")


def test_the_arguments_of_a_client_are_in_no_frame(server: FaultServer) -> None:
    header, password = "header-value-4711", "pass-4711-word"
    url = server.url.replace("//", f"//user:{password}@")
    for settings in ({"temperature": -1}, {"timeout": 0}, {"nonsense": 1}, {"top_logprobs": 99, "logprobs": True}):
        for address in ({"base_url": url}, {"api_key": KEY}):
            arguments: dict[str, Any] = {"base_url": server.url, "extra_headers": {"X-Own": header}}
            arguments = {**arguments, **address, **settings}
            with pytest.raises(SettingError) as caught:
                LLMClient("m", **arguments)
            trace = caught.value.__traceback__
            assert trace is not None
            # The first frame is this test's own.
            texts = shown(caught.value.with_traceback(trace.tb_next))
            assert not [one for one in (KEY, header, password) if one in texts]


@pytest.mark.parametrize("key", [f"{KEY}\n", f"  {KEY}\t", f"\u00a0{KEY}\r\n"])
def test_white_space_around_a_key_is_no_part_of_it(server: FaultServer, key: str, monkeypatch: Any) -> None:
    LLMClient("m", base_url=server.url, api_key=key).process_prompts_sync(["?"], show_progress=False)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    LLMClient("m", base_url=server.url).process_prompts_sync(["?"], show_progress=False)
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize("character", ["\n", "\x00", "\u2019", "\u200b", "é", "\x7f"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(character: str) -> None:
    key = f"sk-47{character}11-do-not-show"
    with pytest.raises(SettingError, match=r"api_key cannot be a key: its character 6 is U\+") as caught:
        LLMClient("gpt-4o-mini", api_key=key)
    trace = caught.value.__traceback__
    assert trace is not None
    assert "do-not-show" not in shown(caught.value.with_traceback(trace.tb_next))


def test_headers_of_ones_own_win_and_are_secret(server: FaultServer) -> None:
    server.answer = lambda seen, number: reply(
        error_body(f"{seen.headers['x-own']} {seen.headers['authorization']}"), 400
    )
    own = {"X-Own": "own-value-4711", "authorization": "Token other-4711", "User-Agent": "mine"}
    client = LLMClient("m", base_url=server.url, api_key=KEY, extra_headers=own)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    sent = server.seen[0].headers
    assert (sent["x-own"], sent["authorization"], sent["user-agent"]) == ("own-value-4711", "Token other-4711", "mine")
    assert "4711" not in shown(response) + repr(client)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Expect", "Trailer", "Upgrade"])
def test_headers_that_say_where_a_request_ends_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=rf"extra_headers\['{name}'\] is for the client to set"):
        LLMClient("gpt-4o-mini", extra_headers={name: "5"})


@pytest.mark.parametrize(
    "header",
    [
        "Bearer quoted-4711-key",
        "Token quoted-4711-key",
        "a=b; session=quoted-4711-key",
        "Basic dXNlcjpxdW90ZWQtNDcxMS1rZXk=",
        'Digest name="u", response="quoted-4711-key"',
        "https://u:quoted-4711-key@h",
        "ApiKey='quoted-4711-key'",
        "v1 key:quoted-4711-key",
    ],
)
@pytest.mark.parametrize("name", ["Authorization", "OpenAI-Organization", "Cookie", "Ocp-Apim-Subscription-Key"])
def test_the_parts_of_a_header_are_secret_as_well(server: FaultServer, header: str, name: str) -> None:
    server.answer = lambda seen, number: reply(error_body("quoted-4711-key is wrong; Bearer token expected"), 401)
    client = LLMClient("m", base_url=server.url, extra_headers={name: header})
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert response.error_message is not None
    assert response.error_message.endswith("[key] is wrong; Bearer token expected")


@pytest.mark.parametrize("name", ["organization", "project"])
@pytest.mark.parametrize("value", [5, "key-4711\nb", "é"])
def test_an_organisation_that_cannot_be_sent_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"{name} must be a text of printable ASCII; the value given is none"):
        LLMClient("gpt-4o-mini", **{name: value})


def test_a_key_in_a_query_is_nowhere_in_a_client_that_was_used(server: FaultServer) -> None:
    client = LLMClient("m", base_url=f"{server.url}?api-key=query-4711-word")
    client.process_prompts_sync(["?"], show_progress=False)
    assert server.seen[0].path.endswith("?api-key=query-4711-word")
    assert "query-4711-word" not in "\n".join(walk(vars(client._routes[0].transport())["_urls"]))


@pytest.mark.parametrize("end", ["?api-key=word-4711", "//user:word-4711@"])
def test_an_endpoint_takes_no_secrets_in_its_address(server: FaultServer, end: str) -> None:
    url = server.url.replace("//", end) if end[0] == "/" else server.url + end
    with pytest.raises(SettingError, match="base_url of an endpoint is shown in messages") as caught:
        register_endpoint("lab", url)
    trace = caught.value.__traceback__
    assert trace is not None
    assert trace.tb_next is not None
    assert "4711" not in shown(caught.value.with_traceback(trace.tb_next.tb_next))


def test_the_headers_of_an_endpoint_are_secret(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY, "_endpoints", list(REGISTRY._endpoints))
    endpoint = register_endpoint("lab", server.url, headers={"X-Key": "word-4711-key"})
    server.answer = lambda seen, number: reply(error_body(seen.headers["x-key"]), 400)
    (response,) = LLMClient("lab/m").process_prompts_sync(["?"], show_progress=False)
    assert (response.error_message or "").endswith("answered 400: [key]")
    assert "4711" not in shown(response) + repr(endpoint)


def test_half_made_settings_can_be_shown_in_a_traceback_with_locals() -> None:
    wrong: dict[str, Any] = {"temperature": -1}
    with pytest.raises(SettingError) as caught:
        SamplingParams(**wrong)
    shown_by_python = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "SamplingParams(…)" in "".join(shown_by_python.format())


@pytest.mark.parametrize("headers", [{"X Y": "a"}, {"X": "a\nb"}, {"X": "é"}, {"": "a"}, {"X": 1}, ["X"], {"X:": "a"}])
def test_headers_that_cannot_be_sent_are_refused(headers: Any) -> None:
    with pytest.raises(SettingError, match="extra_headers"):
        LLMClient("gpt-4o-mini", extra_headers=headers)


def test_a_login_in_an_address_is_sent_as_basic_and_masked(server: FaultServer, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    quoted = error_body("p%4011-word-99 p@11-word-99")
    server.answer = lambda seen, number: good(seen) if number == 0 else reply(quoted, 404)
    client = LLMClient("m", base_url=server.url.replace("//", "//user:p%4011-word-99@"))
    first, second = (client.process_prompts_sync(["?"], show_progress=False)[0] for _ in range(2))
    assert not first.is_error
    login = base64.b64encode(b"user:p@11-word-99").decode()
    assert server.seen[0].headers["authorization"] == f"Basic {login}"
    assert not [one for one in ("11-word-99", login, KEY) if one in shown(second) + repr(vars(client._routes[0]))]
    with pytest.raises(SettingError, match=r"http://user:\*\*\*@.* has a login, and api_key is given too"):
        LLMClient("m", base_url=server.url.replace("//", "//user:p%4011-word-99@"), api_key=KEY)


LOOK_UP = """
import sys
started = []
sys.addaudithook(lambda name, args: started.append((name, args)) if name in (
    "subprocess.Popen", "os.posix_spawn", "os.fork", "os.system", "os.exec") else None)
asked = []
import keyring.backends.SecretService as service, keyring.backend
from deluge_nb import LLMClient
LLMClient("vllm/m")._routes[0].key, LLMClient("m", base_url="http://127.0.0.1:1/v1")._routes[0].key
LLMClient("local")._routes[0].key
from deluge_nb.client import credentials
assert credentials._from_keyring.cache_info().currsize == 0
LLMClient("gpt-4o-mini")._routes[0].key
assert credentials._from_keyring.cache_info().currsize == 1
assert "keyring.backends.macOS" not in sys.modules
print(started)
"""


def test_a_look_up_of_a_key_starts_no_process(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    ran = subprocess.run([sys.executable, "-c", LOOK_UP], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
