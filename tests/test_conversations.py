"""Dialogues that grow by answers, and pictures in them."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from deluge_nb import APIResponse, Conversation, LLMClient, Message, SettingError, classify
from deluge_nb.prompts import pictures
from tests.openai_server import ChatServer, Reply, chat, says

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
PICTURES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/gif": b"GIF89arest",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
}


def url_of(conversation: Conversation) -> str:
    content = conversation[-1].content
    assert isinstance(content, list)
    return content[0]["image_url"]["url"]


def test_a_dialogue_goes_on_with_an_answer() -> None:
    answer = APIResponse("m", completion="Paris.", thinking="Hm.")
    dialogue = Conversation().user("Capital of France?").with_response(answer).user("And of Italy?")
    assert list(dialogue) == [
        Message("user", "Capital of France?"),
        Message("assistant", "Paris."),
        Message("user", "And of Italy?"),
    ]


def test_ai_is_a_turn_of_the_model() -> None:
    assert list(Conversation().user("a").ai("b")) == [Message("user", "a"), Message("assistant", "b")]


def test_an_answer_that_was_begun_is_added_with_its_beginning() -> None:
    begun = Conversation().user("Sum?").assistant_prefix("It is ")
    assert begun.with_response(APIResponse("m", completion=" 4."))[-1] == Message("assistant", "It is 4.")


@pytest.mark.parametrize(
    "response", [APIResponse("m"), APIResponse("m", completion="part", is_error=True), None, "text"], ids=repr
)
def test_an_answer_without_text_cannot_be_added(response: Any) -> None:
    with pytest.raises(SettingError, match=r"with_response\(\) adds the text of an answer"):
        Conversation().user("a").with_response(response)


def test_a_second_cell_sends_the_whole_dialogue(server: ChatServer) -> None:
    client, dialogue = LLMClient("gpt-4o-mini"), Conversation().user("One?")
    (first,) = client.process_prompts_sync([dialogue], show_progress=False)
    client.process_prompts_sync([dialogue.with_response(first).user("Two?")], show_progress=False)
    assert [message["content"] for message in server.seen[1].body["messages"]] == ["One?", "Hello there", "Two?"]


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("form", ["bytes", "path", "text"])
def test_a_picture_is_sent_with_its_type(kind: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.dat"  # the content says what it is, not the name
    path.write_bytes(PICTURES[kind])
    image: Any = {"bytes": PICTURES[kind], "path": path, "text": str(path)}[form]
    url = url_of(Conversation().user("What is this?", image=image))
    assert url == f"data:{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}"


@pytest.mark.parametrize("url", ["https://example.org/a.png", "HTTP://example.org/a", "data:image/png;base64,AA=="])
def test_a_url_is_sent_as_it_is(url: str) -> None:
    assert url_of(Conversation().user("What is this?", image=url)) == url


def test_a_picture_reaches_the_server_in_the_form_of_the_chat_api(server: ChatServer) -> None:
    prompt = Conversation().user("What is this?", image=PNG)
    LLMClient("gpt-4o-mini").process_prompts_sync([prompt], show_progress=False)
    picture, text = server.seen[0].body["messages"][0]["content"]
    assert picture["type"] == "image_url"
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "What is this?"}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "no PNG, JPEG, GIF or WebP"),
        (b"%PDF-1.7", "no PNG, JPEG, GIF or WebP"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "no PNG, JPEG, GIF or WebP"),
        ("/no/such/picture.png", "cannot be read"),
        ("a\0b", "cannot be read"),
        (Path(), "cannot be read"),
        ("iVBORw0KGgo" * 2000, "cannot be read"),
        ("", "cannot be read"),
        (3, "must be a path, bytes or a URL, not int"),
        ([PNG], "must be a path, bytes or a URL, not list"),
    ],
)
def test_no_picture_is_one_clear_sentence(image: Any, reason: str) -> None:
    with pytest.raises(SettingError, match=reason) as info:
        Conversation().user("What is this?", image=image)
    assert len(str(info.value)) < 250


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on Windows")
def test_a_pipe_is_no_picture_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for image in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(SettingError, match="cannot be read: it is no file"):
            Conversation().user("What is this?", image=image)


@pytest.mark.parametrize("form", ["bytes", "path"])
def test_a_picture_that_is_too_large_is_refused(form: str, tmp_path: Path) -> None:
    content = PNG + bytes(pictures.MOST_BYTES)
    (tmp_path / "large.png").write_bytes(content)
    with pytest.raises(SettingError, match="more than 20 MB"):
        Conversation().user("?", image=content if form == "bytes" else tmp_path / "large.png")


def test_a_template_of_classify_may_show_a_picture(server: ChatServer) -> None:
    server.answer = lambda seen, number: Reply(chat(seen, says("yes")))
    template = Conversation().user("Is this a {}?", image=PNG)
    client = LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=5)
    classify(["cat"], ["yes", "no"], client, template=template, show_progress=False)
    picture, text = server.seen[0].body["messages"][-1]["content"]
    assert picture["type"] == "image_url"
    assert text["text"] == "Is this a cat?"


@pytest.mark.parametrize("messages", ["You are brief.", ["Hi"], [1], 5, None, {"role": "user", "content": "Hi"}, b"Hi"])
def test_a_conversation_of_anything_but_messages_is_refused(messages: Any) -> None:
    with pytest.raises(SettingError, match=r"messages must be a list of messages, not .*; .*Conversation\.user\('…'\)"):
        Conversation(messages)


def test_a_conversation_may_be_made_of_a_list() -> None:
    turns: Any = [Message("user", "a"), {"role": "assistant", "content": "b"}]
    assert Conversation(turns).messages == tuple(turns)
    assert Conversation(turns).user("c")[-1] == Message("user", "c")
