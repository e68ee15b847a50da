"""Certificates and proxies of the environment: what counts, and how a refusal is reported, once."""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import APIResponse, LLMClient
from deluge_nb.transport.certificates import context_for
from tests import fault_server
from tests.secret_hunter import shown

pytestmark = pytest.mark.slow

REPLY = {"choices": [{"index": 0, "message": {"content": "Yes"}, "finish_reason": "stop"}]}
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
VARIABLES += ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, dict[str, str]]]
    status = 200

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        body = json.dumps(REPLY).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_CONNECT = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(status: int = 200, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[Any], list[int]]]:
    """Run a server; yield its address, the requests that it has seen, and a list with an item per connection."""
    seen: list[Any] = []
    connections: list[int] = []

    class Server(http.server.ThreadingHTTPServer):
        def get_request(self) -> tuple[Any, Any]:
            connection, client = self.socket.accept()
            connections.append(1)
            if context is None:
                return connection, client
            try:
                return context.wrap_socket(connection, server_side=True), client
            except OSError:
                connection.close()
                raise

    kind = type("OneHandler", (Handler,), {"seen": seen, "status": status})
    server = Server(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}/v1", seen, connections
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def secure(authority: Path) -> Iterator[tuple[str, list[Any], list[int]]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    with serving(context=context) as server:
        yield server


def ask(url: str) -> APIResponse:
    client = LLMClient("m", base_url=url, timeout=5)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    client.close()
    return response


def message(response: APIResponse) -> str:
    assert response.is_error
    return response.error_message or ""


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(("variable", "value"), [("SSL_CERT_FILE", "ca.pem"), ("SSL_CERT_DIR", "hashed")])
def test_certificates_of_the_environment_count_for_this_machine_too(
    secure: Any, authority: Path, monkeypatch: pytest.MonkeyPatch, name: str, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, str(authority / value))
    assert ask(secure[0].replace("127.0.0.1", name)).completion == "Yes"


def test_both_variables_count_at_once(secure: Any, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "server.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority / "hashed"))
    assert ask(secure[0]).completion == "Yes"


def test_a_refused_certificate_is_tried_once_and_the_message_says_what_to_set(secure: Any) -> None:
    error = message(ask(secure[0]))
    assert "certificate is refused" in error
    assert "SSL_CERT_FILE" in error
    assert "tries" not in error
    assert len(secure[2]) == 1


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_refusal_names_the_variable_that_another_library_reads(
    secure: Any, authority: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority / "ca.pem"))
    assert message(ask(secure[0])).endswith(f"set SSL_CERT_FILE to the file of {name}, which is not read here")


def test_a_folder_may_be_a_list_of_folders(secure: Any, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(authority / "missing"), str(authority / "hashed")]))
    assert ask(secure[0]).completion == "Yes"


def test_a_variable_that_is_set_after_a_refusal_counts_for_the_same_client(
    secure: Any, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = LLMClient("m", base_url=secure[0], timeout=5)
    (refused,) = client.process_prompts_sync(["?"], show_progress=False)
    assert "SSL_CERT_FILE" in message(refused)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    assert client.process_prompts_sync(["?"], show_progress=False)[0].completion == "Yes"


@pytest.mark.parametrize(
    ("names", "until", "remedy"),
    [("DNS:elsewhere", "30", "has into base_url"), ("IP:127.0.0.1", "-1", "needs a new certificate")],
    ids=["other name", "expired"],
)
def test_a_certificate_that_no_authority_can_mend_is_named(
    authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: str, until: str, remedy: str
) -> None:
    (tmp_path / "names").write_text(f"subjectAltName={names}\n")
    files = {name: str(authority / name) for name in ("server.csr", "ca.pem", "ca.key", "server.key")}
    sign = ("-CA", files["ca.pem"], "-CAkey", files["ca.key"], "-set_serial", "7", "-extfile", "names", "-days", until)
    request = ("openssl", "x509", "-req", "-in", files["server.csr"], *sign, "-out", "other.pem")
    subprocess.run(request, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "other.pem", files["server.key"])
    monkeypatch.setenv("SSL_CERT_FILE", files["ca.pem"])
    with serving(context=context) as (url, _, connections):
        error = message(ask(url))
    assert remedy in error
    assert "SSL_CERT_FILE" not in error
    assert len(connections) == 1


ASKING = """
import os, sys
from deluge_nb import LLMClient
for url in sys.argv[1:]:
    (response,) = LLMClient("m", base_url=url, timeout=5).process_prompts_sync(["?"], show_progress=False)
    print(response.completion, response.error_message)
print(os.environ["SSL_CERT_FILE"])
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in a folder are of Unix")
def test_a_pipe_in_place_of_certificates_is_refused_for_https_and_never_waited_for(secure: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with serving() as (plain, _, _):
        # A process of its own: the certificates are read when a library is imported.
        run = subprocess.run(
            [sys.executable, "-c", ASKING, plain, secure[0], plain],
            env={**os.environ, "SSL_CERT_FILE": str(pipe)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    first, refused, last, variable = run.stdout.splitlines()
    assert [first, last] == ["Yes None"] * 2
    assert f"SSL_CERT_FILE names '{pipe}', which is no file; set it anew, or unset it" in refused
    assert variable == str(pipe)


def test_a_server_without_tls_is_tried_once() -> None:
    with serving() as (url, _, connections):
        error = message(ask(url.replace("http:", "https:")))
    assert "write http://" in error
    assert len(connections) == 1


def test_an_error_says_that_a_server_may_expect_tls(secure: Any) -> None:
    assert "write https:// in place of http://" in message(ask(secure[0].replace("https:", "http:")))


def test_a_server_that_has_answered_in_plain_text_is_not_asked_for_tls() -> None:
    with fault_server.running() as server:
        server.answer = lambda seen, number: fault_server.reply(REPLY) if number == 0 else ["reset"]
        client = LLMClient("m", base_url=server.url, max_attempts=1)
        responses = [client.process_prompts_sync(["?"], show_progress=False)[0] for _ in range(2)]
        client.close()
    assert responses[0].completion == "Yes"
    assert "https://" not in message(responses[1])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_without_tls_is_named(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with serving() as (url, _, connections):
        monkeypatch.setenv("ALL_PROXY", url.removesuffix("/v1").replace("http:", "https:"))
        error = message(ask(f"{scheme}://somewhere.invalid/v1"))
    assert "the proxy of ALL_PROXY: it does not speak TLS; write http://" in error
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("SSL_CERT_FILE", "missing.pem", "No such file"),
        ("SSL_CERT_FILE", "", "is no file"),
        ("SSL_CERT_FILE", "names", "no certificate"),
        ("SSL_CERT_FILE", "server.key", "no certificate"),
        ("SSL_CERT_DIR", "missing", "is no folder"),
        ("SSL_CERT_DIR", "ca.pem", "is no folder"),
    ],
)
def test_a_stale_variable_is_named_for_https_and_is_no_matter_for_http(
    secure: Any, authority: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, str(authority / value))
    error = message(ask(secure[0]))
    assert variable in error
    assert str(authority / value) in error
    assert reason.lower() in error.lower()
    assert not secure[2]
    with serving() as (url, _, _):
        assert ask(url).completion == "Yes"


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_none(authority: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", value.strip())
    with serving() as (url, _, _):
        assert ask(url).completion == "Yes"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login_is_named_once(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with serving(407) as (proxy, seen, _):
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1"))
        error = message(ask(f"{scheme}://somewhere.invalid/v1"))
    assert "the proxy wants a login" in error
    assert f"{scheme.upper()}_PROXY" in error
    assert "tries" not in error
    assert len(seen) == 1


@pytest.mark.parametrize("status", [403, 405, 511])
def test_a_proxy_that_refuses_an_address_is_asked_once(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with serving(status) as (proxy, seen, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy.removesuffix("/v1"))
        error = message(ask("https://somewhere.invalid/v1"))
    assert f"the proxy answered {status}" in error
    assert "tries" not in error
    assert len(seen) == 1


def test_a_proxy_without_a_way_is_asked_again_and_nothing_may_be_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(502) as (proxy, seen, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy.removesuffix("/v1"))
        client = LLMClient("m", base_url="https://somewhere.invalid/v1", max_attempts=2)
        (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert message(response).endswith("the proxy answered 502 Bad Gateway (2 tries)")
    assert len(seen) == 2


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_server_with_old_versions_of_tls_is_tried_once(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    with serving(context=context) as (url, _, connections):
        error = message(ask(url))
    assert "no version of TLS in common" in error
    assert len(connections) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "127.1", "localhost.", "localhost", "[::ffff:127.0.0.1]"])
def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with serving() as (proxy, by_proxy, _), serving() as (url, direct, _):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1"))
        ask(url.replace("127.0.0.1", host))
        assert not by_proxy
        assert ask(url.replace("127.0.0.1", "somewhere.invalid")).completion == "Yes"
        assert len(by_proxy) == 1
        assert direct or host.startswith("[")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_password_of_a_proxy_goes_to_it_and_shows_nowhere(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with serving(502) as (proxy, seen, _):
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1").replace("//", "//user:pass-4711%25-word@"))
        client = LLMClient("m", base_url=f"{scheme}://somewhere.invalid/v1", timeout=5, max_attempts=1)
        (response,) = client.process_prompts_sync(["?"], show_progress=False)
    login = base64.b64encode(b"user:pass-4711%-word").decode()
    assert seen[0][1]["proxy-authorization"] == f"Basic {login}"
    assert login not in repr(response) + message(response)
    assert "pass-4711-word" not in repr(response) + message(response)


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://user:word/4711@proxy:3128", r"must be the address of a proxy .*, not '\*\*\*@proxy:3128'"),
        ("http://user:word-4711@proxy:port", "must be the address of a proxy"),
        ("://user:word-4711@proxy", "must be the address of a proxy"),
        ("socks5://user:word-4711@proxy:1080", r"names the proxy '\*\*\*@proxy:1080', and socks5 is not spoken here"),
        ("socks5h://proxy:1080", r"pass transport=httpx\.AsyncHTTPTransport\(proxy=…\)"),
        ("http://user:word-4711@127.0.0.1:9", "cannot be reached: Connection refused"),
        ("0.0.0.0:9", "cannot be reached: Connection refused"),
        ("http://user:word-4711@proxy.invalid:9", "cannot be reached"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str, reason: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    client = LLMClient("m", base_url=f"{scheme}://somewhere.invalid/v1", timeout=5, max_attempts=1)
    (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert re.search(f"ALL_PROXY.* {reason}", message(response))
    assert "4711" not in shown(response)


def test_a_proxy_that_quotes_its_login_shows_it_in_no_form(monkeypatch: pytest.MonkeyPatch) -> None:
    with fault_server.running() as proxy:
        login = base64.b64encode(b"user:pass-4711@word").decode()
        quoted = f"Basic {login}, pass-4711@word, pass-4711%40word"
        proxy.answer = lambda seen, number: fault_server.reply({"error": {"message": quoted}}, 502)
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1").replace("//", "//user:pass-4711%40word@"))
        client = LLMClient("m", base_url="http://somewhere.invalid/v1", max_attempts=1)
        (response,) = client.process_prompts_sync(["?"], show_progress=False)
    assert proxy.seen[0].headers["proxy-authorization"] == f"Basic {login}"
    assert message(response).endswith("Basic [key], [key], [key]")
    assert not [form for form in ("4711", login) if form in shown(response)]


def test_certificates_are_read_for_addresses_that_need_tls_only() -> None:
    assert context_for("http://127.0.0.1:8080", "").cert_store_stats()["x509_ca"] == 0
    assert context_for("http://127.0.0.1:8080", "https://proxy").cert_store_stats()["x509_ca"] > 0
