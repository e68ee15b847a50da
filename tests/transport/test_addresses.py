"""Addresses as people write them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from deluge_nb import LLMClient, SettingError
from deluge_nb.transport.address import is_this_machine, mask, read_address
from deluge_nb.transport.network.proxies import proxy_for
from tests import fault_server
from tests.fault_server import FaultServer, reply

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server.running() as running:
        yield running


def asked(server: FaultServer, url: str, model: str = "m", **options: Any) -> str:
    """Return the path that a request for an answer goes to."""
    (response,) = LLMClient(model, base_url=url, **options).process_prompts_sync(["?"], show_progress=False)
    assert not response.is_error, response.error_message
    return server.seen[-1].path


@pytest.mark.parametrize(
    ("end", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("#main", "/v1/chat/completions"),
        (" \n", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/chat/completions/?a=b#c", "/v1/chat/completions?a=b"),
        ("/completions", "/v1/chat/completions"),
        ("/Chat/Completions//", "/v1/chat/completions"),
        ("/models", "/v1/chat/completions"),
        ("\u200b\ufeff", "/v1/chat/completions"),
        ("?a=b&c=%20d", "/v1/chat/completions?a=b&c=%20d"),
        (
            "/deployments/gpt-4o?api-version=2024-10-21",
            "/v1/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_an_address_means_what_it_says(server: FaultServer, end: str, path: str) -> None:
    assert asked(server, server.url + end) == path


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("127.0.0.1.", "127.0.0.1"),
        ("127。0．0｡1", "127.0.0.1"),
        ("例え。テスト", "例え.テスト"),
        ("[fe80::1%25eth0]", "[fe80::1%eth0]"),
        ("[fe80::1%eth0]", "[fe80::1%eth0]"),
    ],
)
def test_a_host_is_read_in_the_form_that_can_be_connected_to(host: str, read: str) -> None:
    address = read_address(f"http://{host}:8000/v1")
    assert address is not None
    assert address.base_url == f"http://{read}:8000/v1"


def test_slashes_and_digits_are_read_as_browsers_read_them(server: FaultServer) -> None:
    assert asked(server, server.url.replace("/v1", "//v1")) == "/v1/chat/completions"
    assert asked(server, server.url.replace("127.0.0.1", "１２７.0.0.1").upper()) == "/V1/chat/completions"


def test_the_classic_addresses_of_azure_work(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    end = "/openai/deployments/gpt-4o?api-version=2024-10-21"
    monkeypatch.setenv("AZURE_OPENAI_BASE_URL", server.url.removesuffix("/v1") + end)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-4711")
    (response,) = LLMClient("azure/gpt-4o").process_prompts_sync(["?"], show_progress=False)
    assert not response.is_error
    assert server.seen[0].path == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert server.seen[0].headers["api-key"] == "azure-key-4711"
    assert "authorization" not in server.seen[0].headers


def test_a_404_names_the_address_and_a_missing_version(server: FaultServer) -> None:
    server.answer = lambda seen, number: reply({"detail": "Not Found"}, 404)
    base = server.url.removesuffix("/v1")
    for url, hint in ((base, True), (server.url, False), (f"{base}?key=secret-4711", True)):
        (response,) = LLMClient("m", base_url=url).process_prompts_sync(["?"], show_progress=False)
        told = response.error_message or ""
        assert f"asked: {url.partition('?')[0]}/chat/completions" in told
        assert (f"try base_url='{base}/v1'" in told) is hint
        assert "4711" not in told


@pytest.mark.parametrize(
    "url",
    [
        *("host/v1", "ftp://h", "http://", "http://h:99999", "user:word-4711@host", "http://a b"),
        *(
            "http://h:0/v1",
            "http://h\\v1",
            "http://h/\x1b[2J",
            "http://h/v1\x00",
            "http://http://h/v1",
            "http://h\u200b/v1",
            "http://a..b/v1",
            "http://.b/v1",
            f"http://{'a' * 64}.b/v1",
            f"http://{'a.' * 128}b/v1",
        ),
        *(f"http://user:a{character}word-4711@host/v1" for character in "/#? []"),
        *("http://user: a b word-4711 @host", "//u:word-4711@host", "word-4711@h"),
    ],
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingError, match="base_url must be a server's address") as caught:
        LLMClient("m", base_url=url)
    assert "word-4711" not in f"{caught.value} {caught.value.value}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://user:PASS@host/v1", "http://user:***@host/v1"),
        ("http://TOKEN@host", "http://***@host"),
        ("http://u:p@ss@host", "http://u:***@host"),
        ("http://u:p/ss@host and https://u:p?ss@host/v1", "http://u:***@host and https://u:***@host/v1"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("http://h/?key=K&api-version=1", "http://h/?key=***&api-version=1"),
        ("http://h/?a=1&access_token=T;sig=S#x", "http://h/?a=1&access_token=***;sig=***#x"),
        ("see https://h/v1 and mail me@h", "see https://h/v1 and mail me@h"),
        ("http://h/?jwt=a&pwd=b&sid=c&session=d", "http://h/?jwt=***&pwd=***&sid=***&session=***"),
        (
            "http://h/?x=f00dcafe4711beefcafe&model=gpt-4o-mini-2024-07-18",
            "http://h/?x=***&model=gpt-4o-mini-2024-07-18",
        ),
    ],
)
def test_an_address_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *((name, True) for name in ("localhost", "localhost.", "LocalHost", "a.localhost", "127.1", "127.9.9.9")),
        *((name, True) for name in ("0.0.0.0", "0", "2130706433", "0x7f.1", "[::1]", "[::]", "[::ffff:127.0.0.1]")),
        *((name, True) for name in ("ip6-localhost", "①②⑦.0.0.1", "[0:0:0:0:0:0:0:1]", "[::1%25lo]")),
        *((name, True) for name in ("127.0.0.1.", "127。0．0｡1", "ＬＯＣＡＬＨＯＳＴ。")),
        (socket.gethostname(), True),
        *((name, False) for name in ("example.com", "localhost.example.com", "127.0.0.1.nip.io", "8.8.8.8", "face")),
    ],
)
def test_names_of_this_machine(host: str, own: bool) -> None:
    assert is_this_machine(f"http://{host}:8000/v1") is own


def test_parts_of_an_address_that_are_secret_are_kept_apart() -> None:
    address = read_address("http://user:word-4711@host:80/v1?key=key-4711&a=b")
    assert address is not None
    assert address.base_url == "http://host:80/v1"
    assert "4711" not in f"{address} {address.shown}"
    assert [secret.get_secret_value() for secret in address.secrets] == ["word-4711", "key-4711"]


def test_organisation_and_project_are_sent_to_openai_only(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    cases: list[dict[str, Any]] = [{}, {"organization": "org-2", "project": "proj-2"}]
    for options in cases:
        asked(server, server.url, "gpt-4o-mini", **options)
        assert not [name for name in server.seen[-1].headers if name.startswith("openai-")]
        headers = LLMClient("gpt-4o-mini", **options)._routes[0]._headers()
        sent = {name: value.get_secret_value() for name, value in headers.items()}
        assert sent["OpenAI-Organization"] == options.get("organization", "org-1")
        assert sent.get("OpenAI-Project") == options.get("project")


@pytest.mark.parametrize(
    ("exempt", "host", "proxied"),
    [
        *(
            (networks, "10.1.2.3", False)
            for networks in ("10.0.0.0/8", "192.168.0.0/16, 10.1.2.3", "10.9.9.9/8", "10.*")
        ),
        *(("10.0.0.0/8", host, True) for host in ("11.1.2.3", "ten.example", "[fd00::1]")),
        *((name, "[fd00::1]:8000", False) for name in ("fd00::/8", "fd00::1", "[fd00::1]", "[fd00::1]:8000")),
        ("[fd00::1]:8000", "[fd00::1]:9000", True),
        *(
            (name, "a.example.com", False)
            for name in ("*.example.com", ".example.com", "EXAMPLE.com.", "b.com;example.com")
        ),
        *((name, "badexample.com", True) for name in ("*.example.com", ".example.com", "example.com", "")),
        *((name, "example.com", False) for name in ("example.com:80", "http://example.com/", "b.com example.com", "*")),
        ("example.com:443", "example.com", True),
        ("bücher.example", "xn--bcher-kva.example", False),
        ("10.0.0.0/99", "10.0.0.1", True),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(
    monkeypatch: pytest.MonkeyPatch, exempt: str, host: str, proxied: bool
) -> None:
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert (proxy_for(f"http://{host}/v1") is not None) is proxied
