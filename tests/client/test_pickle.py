"""A client can be pickled and copied: its settings travel, and its secrets stay."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import LLMClient, LocalModel, Pace, SamplingParams
from tests.openai_server import ChatServer
from tests.openai_server import running as running_server

KEY = "sk-a-secret-of-mine"


def _key_sent(client: LLMClient, server: ChatServer) -> str | None:
    client.process_prompts_sync(["Hello?"], show_progress=False)
    return server.seen[0].headers.get("authorization")


@pytest.mark.parametrize(
    "settings",
    [
        {"model_or_models": "gpt-4o-mini", "logprobs": True, "top_logprobs": 5},
        {"model_or_models": ["vllm/a", "vllm/b"], "base_url": "http://127.0.0.1:8000/v1?api-version=3"},
        {"model_or_models": "gpt-4o", "pace": Pace(60), "max_concurrent_requests": 3, "timeout": 7},
        {"model_or_models": LocalModel(context=512, system="Be brief.", defaults={"temperature": 1})},
        {"model_or_models": "gpt-4o", "max_requests_per_minute": 60, "model_weights": [2.0], "continues": True},
    ],
)
def test_a_pickled_client_arrives_with_its_settings(settings: dict[str, Any]) -> None:
    client = LLMClient(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrived = pickle.loads(pickle.dumps(client))
    assert arrived.describe_requests() == client.describe_requests()
    assert repr(arrived) == repr(client)
    assert arrived._access.shown_address == client._access.shown_address
    for name in ("max_concurrent_requests", "timeout", "model_weights", "continues", "max_requests_per_minute"):
        assert arrived._settings[name] == client._settings[name]


def test_settings_changed_after_the_start_travel() -> None:
    client = LLMClient("gpt-4o-mini")
    client.sampling_params = [SamplingParams(temperature=0.5)]
    assert pickle.loads(pickle.dumps(client)).sampling_params == client.sampling_params


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"api_key": KEY}, "api_key of"),
        ({"base_url": f"http://me:{KEY}@127.0.0.1:9/v1"}, "the secrets in base_url of"),
        ({"base_url": f"http://127.0.0.1:9/v1?api-key={KEY}&v=1"}, "the secrets in base_url of"),
        ({"extra_headers": {"x-token": KEY}}, "extra_headers of"),
    ],
)
def test_secrets_stay_and_a_warning_says_which(settings: dict[str, Any], named: str) -> None:
    client = LLMClient("gpt-4o-mini", **settings)
    with pytest.warns(UserWarning, match=named) as caught:
        pickled = pickle.dumps(client)
    assert KEY.encode() not in pickled
    assert KEY not in str(caught[0].message)
    assert "looked up anew" in str(caught[0].message)


def test_the_key_is_looked_up_where_the_client_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server() as server:
        monkeypatch.setenv("VLLM_API_KEY", "first")
        pickled = pickle.dumps(LLMClient("vllm/a", base_url=server.url))
        assert b"first" not in pickled
        monkeypatch.setenv("VLLM_API_KEY", "second")
        assert _key_sent(pickle.loads(pickled), server) == "Bearer second"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_in_the_same_process_keeps_its_key_without_a_warning(duplicate: Any) -> None:
    with running_server() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        client = LLMClient("vllm/a", base_url=server.url, api_key=KEY, extra_headers={"x-own": "1"})
        client.process_prompts_sync(["Hello?"], show_progress=False)  # with connections open
        copied = duplicate(client)
        server.seen.clear()
        assert _key_sent(copied, server) == f"Bearer {KEY}"
        assert server.seen[0].headers["x-own"] == "1"
        assert (copied.usage.requests, client.usage.requests) == (1, 1)


def test_the_cache_travels_by_its_path(tmp_path: Path) -> None:
    client = LLMClient("gpt-4o-mini", cache=tmp_path / "answers.sqlite3")
    arrived = pickle.loads(pickle.dumps(client))
    assert arrived._cache is not None
    assert arrived._cache.path == tmp_path / "answers.sqlite3"
