"""Settings as people know them from other clients: taken, or refused with what to write here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from deluge_nb import Cache, LLMClient, SettingError
from tests.openai_server import ChatServer
from tests.secret_hunter import shown


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("request_timeout", "timeout="),
        ("max_retries", "max_attempts="),
        ("max_tokens", "max_new_tokens="),
        ("max_completion_tokens", "max_new_tokens="),
        ("default_headers", "extra_headers="),
        ("token", "api_key="),
        ("openai_api_key", "api_key="),
        ("azure_ad_token", "extra_headers="),
        ("default_query", "base_url="),
        ("http_client", "transport="),
        ("api_base", "base_url="),
        ("azure_endpoint", "base_url="),
        ("api_version", "base_url="),
        ("max_retires", "max_attempts="),
        ("top_k", "extra_body="),
        ("reasoning", "reasoning_effort="),
    ],
)
def test_a_name_of_another_client_is_refused_with_the_name_here(name: str, remedy: str) -> None:
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(SettingError, match=f"LLMClient has no setting '{name}'; write .*{remedy}") as info:
        LLMClient("gpt-4o-mini", **settings)
    assert info.value.setting == name


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("model", r"LLMClient\('gpt-4o-mini'\)"),
        ("stream", r"client\.stream\(prompt\)"),
        ("response_format", "output_schema="),
        ("tools", "tools="),
        ("progress", "show_progress="),
        ("fallback_models", "is_error"),
        ("postprocess", "after the call"),
    ],
)
def test_what_a_client_does_not_take_is_refused_with_what_to_do(name: str, remedy: str) -> None:
    settings: dict[str, Any] = {name: 1}
    with pytest.raises(SettingError, match=f"LLMClient has no setting '{name}'; .*{remedy}"):
        LLMClient("gpt-4o-mini", **settings)


def test_uniform_weights_deal_the_prompts_out_evenly(server: ChatServer) -> None:
    client = LLMClient(["gpt-4o-mini", "gpt-4o"], model_weights="uniform")
    responses = client.process_prompts_sync([str(i) for i in range(6)], show_progress=False)
    assert [response.model for response in responses] == ["gpt-4o-mini", "gpt-4o"] * 3


@pytest.mark.parametrize("weights", ["even", "", "uniform ", "11"])
def test_any_other_word_for_weights_is_refused(weights: Any) -> None:
    with pytest.raises(SettingError, match="model_weights must be 'uniform', or one number for each of the 2 models"):
        LLMClient(["gpt-4o-mini", "gpt-4o"], model_weights=weights)


def test_a_key_under_a_wrong_name_is_not_kept_by_the_error() -> None:
    with pytest.raises(SettingError, match="did you mean 'api_key'") as raised:
        LLMClient("gpt-4o-mini", **cast(Any, {"apikey": "sk-secret-1234567890"}))
    trace = raised.value.__traceback__
    assert trace is not None
    assert "sk-secret" not in shown(raised.value.with_traceback(trace.tb_next))


@pytest.mark.parametrize("transport", [5, httpx.HTTPTransport(), httpx.AsyncClient])
def test_what_carries_no_requests_is_refused(transport: Any) -> None:
    with pytest.raises(SettingError, match=r"transport must be an httpx\.AsyncBaseTransport, not "):
        LLMClient("gpt-4o-mini", transport=transport)


@pytest.mark.parametrize("tools", [5, "weather", print])
def test_tools_that_are_no_list_are_refused(tools: Any) -> None:
    with pytest.raises(SettingError, match="tools must be a list of functions, not"):
        LLMClient("gpt-4o-mini", api_key="sk-invalid").process_prompts_sync(["a"], tools=tools, show_progress=False)


@pytest.mark.parametrize("prompt", ["", ["a"], 5])
def test_a_stream_names_its_prompt_in_errors(prompt: Any) -> None:
    with pytest.raises(SettingError, match=r"^prompt(\[0\])? (is|must be)"):
        LLMClient("gpt-4o-mini", api_key="sk-invalid").stream(prompt)


@pytest.mark.parametrize("size", ["a", 0, True, 1.5])
def test_a_cache_without_room_is_refused(tmp_path: Path, size: Any) -> None:
    with pytest.raises(SettingError, match="max_bytes must be an integer of at least 1"):
        Cache(tmp_path / "answers.sqlite3", max_bytes=size)
