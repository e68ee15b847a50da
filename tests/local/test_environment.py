"""Child processes get what they need to run, and no key of the user's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deluge_nb import LLMClient
from deluge_nb.local import default_server
from deluge_nb.local.environment import child_environment

KEY = "sk-secret-4711-do-not-show"


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "MY_PASSWORD", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL"])
def test_a_key_is_not_handed_on(monkeypatch: pytest.MonkeyPatch, name: str, network: bool) -> None:
    monkeypatch.setenv(name, KEY)
    assert KEY not in child_environment(network=network).values()


def test_what_a_process_needs_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "HOME", "LC_ALL", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, f"/{name}")
    kept = child_environment(GOMP_SPINCOUNT="1000")
    assert [kept[name] for name in ("PATH", "HOME", "LC_ALL", "LD_LIBRARY_PATH")] == [
        "/PATH",
        "/HOME",
        "/LC_ALL",
        "/LD_LIBRARY_PATH",
    ]
    assert kept["GOMP_SPINCOUNT"] == "1000"


def test_proxies_and_certificates_go_to_a_child_that_uses_the_network_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "SSL_CERT_FILE", "PIP_CERT"):
        monkeypatch.setenv(name, "/value")
    assert {"https_proxy", "SSL_CERT_FILE", "PIP_CERT"} <= child_environment(network=True).keys()
    assert not {"https_proxy", "SSL_CERT_FILE", "PIP_CERT"} & child_environment().keys()


@pytest.mark.model
def test_the_embedded_models_process_has_no_key_in_its_environment_or_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    default_server().stop()
    (response,) = LLMClient("local", max_new_tokens=1).process_prompts_sync(["Hello"], show_progress=False)
    assert not response.is_error
    folder = Path(f"/proc/{default_server().pid}")
    if sys.platform != "linux":  # elsewhere a process's environment cannot be read
        return
    assert KEY.encode() not in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
    assert b"PATH=" in (folder / "environ").read_bytes()
