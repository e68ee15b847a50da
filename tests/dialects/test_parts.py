"""Parts of messages are sent in the form of each dialect, or refused before any request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deluge_nb import Conversation, LLMClient, SettingError
from tests.openai_server import ChatServer, Reply

DATA = "iVBORw0KGgoAAAANSUhEUg"
INLINE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}
LINKED = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
MODELS = {
    "openai": "gpt-4o-mini",
    "responses": "openai-responses/gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "google/gemini-2.5-flash",
    "ollama": "ollama/llava",
    "cohere": "cohere/command-a-vision-07-2025",
    "completions": "gpt-3.5-turbo-instruct",
    "llamacpp": "llamacpp/any",
}
TAKING = ("openai", "responses", "anthropic", "gemini", "ollama", "cohere")
OTHERS: list[dict[str, Any]] = [
    {"type": "input_audio", "input_audio": {"data": "PAYLOAD", "format": "wav"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,PAYLOAD"}},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "PAYLOAD"}},
    {"type": "tool_result", "tool_use_id": "1", "content": "PAYLOAD"},
    {"type": "refusal", "refusal": "PAYLOAD"},
    {"type": "video_url", "video_url": {"url": "PAYLOAD"}},
    {"type": "thinking", "thinking": "PAYLOAD"},
    {"type": "never-heard-of", "x": "PAYLOAD"},
    {"type": 7, "x": "PAYLOAD"},
]
TEXTS = [{"type": "text", "text": "What is"}, {"type": "text", "text": " this?"}]
POSITIONS = ("first", "middle", "last", "only")


@pytest.fixture(autouse=True)
def addresses(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC", "OLLAMA", "GEMINI", "COHERE", "LLAMACPP"):
        monkeypatch.setenv(f"{name}_BASE_URL", server.url)
        monkeypatch.setenv(f"{name}_API_KEY", "key-0123456789")
    server.answer = lambda seen, number: Reply({"error": {"message": "that will do"}}, 400)


def message(part: dict[str, Any], position: str) -> list[dict[str, Any]]:
    content = {
        "first": [part, *TEXTS],
        "middle": [TEXTS[0], part, TEXTS[1]],
        "last": [*TEXTS, part],
        "only": [part],
    }[position]
    return [{"role": "user", "content": content}]


def send(dialect: str, messages: list[dict[str, Any]]) -> None:
    LLMClient(MODELS[dialect]).process_prompts_sync([messages], show_progress=False)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("part", [INLINE, LINKED])
@pytest.mark.parametrize("dialect", MODELS)
def test_a_picture_is_sent_or_refused(server: ChatServer, dialect: str, part: dict[str, Any], position: str) -> None:
    if dialect not in TAKING or (dialect == "ollama" and part is LINKED):
        with pytest.raises(SettingError, match="image_url") as refused:
            send(dialect, message(part, position))
        assert MODELS[dialect].rpartition("/")[2] in str(refused.value)
        assert not server.seen
        return
    send(dialect, message(part, position))
    sent = json.dumps(server.seen[0].body)
    assert (DATA if part is INLINE else "https://example.org/cat.png") in sent
    assert ("What is" in sent) == (position != "only")


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("part", OTHERS, ids=lambda part: str(part["type"]))
@pytest.mark.parametrize("dialect", MODELS)
def test_any_other_part_is_sent_or_refused(
    server: ChatServer, dialect: str, part: dict[str, Any], position: str
) -> None:
    if dialect in ("openai", "cohere"):
        send(dialect, message(part, position))
        assert "PAYLOAD" in json.dumps(server.seen[0].body)
        return
    with pytest.raises(SettingError, match=str(part["type"])) as refused:
        send(dialect, message(part, position))
    assert MODELS[dialect].rpartition("/")[2] in str(refused.value)
    assert not server.seen


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
@pytest.mark.parametrize("dialect", MODELS)
def test_a_picture_in_any_turn_is_sent_or_refused(server: ChatServer, dialect: str, role: str) -> None:
    turn: dict[str, Any] = {"role": role, "content": [TEXTS[0], INLINE]}
    if role == "tool":
        turn["tool_call_id"] = "c1"
    messages = [turn, {"role": "user", "content": "Well?"}]
    try:
        send(dialect, messages)
    except SettingError:
        assert not server.seen
    else:
        assert DATA in json.dumps(server.seen[0].body)


@pytest.mark.parametrize(
    ("dialect", "place", "form"),
    [
        ("ollama", ("messages", 0, "images", 0), DATA),
        ("gemini", ("contents", 0, "parts", 0), {"inlineData": {"mimeType": "image/png", "data": DATA}}),
        (
            "anthropic",
            ("messages", 0, "content", 0),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        ),
        (
            "responses",
            ("input", 0, "content", 0),
            {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"},
        ),
        ("openai", ("messages", 0, "content", 0), INLINE),
    ],
)
def test_a_picture_has_the_form_of_its_dialect(
    server: ChatServer, dialect: str, place: tuple[str | int, ...], form: Any
) -> None:
    send(dialect, message(INLINE, "first"))
    value: Any = server.seen[0].body
    for step in place:
        value = value[step]
    assert value == form


@pytest.mark.parametrize(
    ("dialect", "form"),
    [
        ("gemini", {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/cat.png"}}),
        ("anthropic", {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}),
        ("responses", {"type": "input_image", "image_url": "https://example.org/cat.png"}),
    ],
)
def test_a_picture_on_the_web_is_sent_as_its_address(server: ChatServer, dialect: str, form: Any) -> None:
    send(dialect, message(LINKED, "last"))
    assert json.dumps(form) in json.dumps(server.seen[0].body)


def test_a_refused_part_costs_no_request_for_other_prompts(server: ChatServer) -> None:
    prompts: list[Any] = ["Hello?", Conversation().user("What is this?", image="https://example.org/cat.png")]
    with pytest.raises(SettingError, match="image_url"):
        LLMClient(MODELS["ollama"]).process_prompts_sync(prompts, show_progress=False)
    assert not server.seen


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("part", [None, 3, {}, [], b"x", {"type": "image", "data": b"x"}, {"type": "x", "x": {1}}])
@pytest.mark.parametrize("dialect", MODELS)
def test_what_is_no_part_is_refused(server: ChatServer, dialect: str, part: Any, position: str) -> None:
    with pytest.raises(SettingError, match=r"part|must be text"):
        send(dialect, message(part, position))
    assert not server.seen


@pytest.mark.parametrize("dialect", [name for name in MODELS if name not in ("openai", "cohere")])
@pytest.mark.parametrize(
    "payload", [INLINE, {"source": {"url": "PAYLOAD"}}, {"data": "PAYLOAD"}, {"file_id": "x"}, {"never-heard-of": "x"}]
)
def test_a_text_with_another_content_is_refused(server: ChatServer, dialect: str, payload: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="inside a text"):
        send(dialect, message({**payload, "type": "text", "text": "What is this?"}, "only"))
    assert not server.seen


@pytest.mark.parametrize("dialect", [name for name in TAKING if name not in ("openai", "cohere")])
@pytest.mark.parametrize("payload", [{"text": "a caption"}, {"file_id": "x"}, {"never-heard-of": "x"}])
def test_a_picture_with_another_content_is_refused(server: ChatServer, dialect: str, payload: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(payload))!r} inside a picture"):
        send(dialect, message({**INLINE, **payload}, "last"))
    assert not server.seen


@pytest.mark.parametrize("part", [TEXTS[0], INLINE])
def test_what_is_no_content_may_stand_beside_one(server: ChatServer, part: dict[str, Any]) -> None:
    beside: dict[str, Any] = {"cache_control": {"type": "ephemeral"}, "annotations": [], "file_id": None}
    send("anthropic", message({**part, **beside}, "first"))
    assert server.seen


@pytest.mark.parametrize("role", ["user", "system"])
@pytest.mark.parametrize("field", ["images", "audio", "attachments", "function_call"])
@pytest.mark.parametrize("dialect", MODELS)
def test_a_content_beside_that_of_a_message_is_sent_or_refused(
    server: ChatServer, dialect: str, field: str, role: str
) -> None:
    messages = [{"role": role, "content": "What is this?", field: ["PAYLOAD"]}]
    if role == "system":
        messages.append({"role": "user", "content": "Well?"})
    if dialect in ("openai", "cohere") or (dialect, field) == ("ollama", "images"):
        send(dialect, messages)
        assert "PAYLOAD" in json.dumps(server.seen[0].body)
        return
    with pytest.raises(SettingError, match=f"{field!r} beside the content of a message|cannot hold a conversation"):
        send(dialect, messages)
    assert not server.seen


def test_pictures_of_both_forms_are_sent_together(server: ChatServer) -> None:
    send("ollama", [{"role": "user", "content": [*TEXTS, INLINE], "images": ["AAAA"]}])
    assert server.seen[0].body["messages"][0]["images"] == ["AAAA", DATA]
