"""Parts of a prompt, and the prompt without one of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Conversation, Message, RawPrompt, SettingError
from deluge_nb.attribution.parts import SplitPrompt, identity_of
from deluge_nb.prompts import as_prompt


def shortened(prompt: Any, by: Any = "sentence", *, keeps_empty: bool = True) -> list[Any]:
    split = SplitPrompt(prompt, by)
    return [split.without(part, keeps_empty=keeps_empty) for part in split.parts]


def texts(prompt: str, by: Any = "sentence") -> list[str]:
    return [raw.text for raw in shortened(prompt, by)]


@pytest.mark.parametrize(
    ("text", "by", "expected"),
    [
        ("A b. C d. E f", "sentence", ["C d. E f", "A b. E f", "A b. C d."]),
        (" A b.  C d.\n", "sentence", [" C d.\n", " A b.\n"]),
        ("A b. C d.\n\nE f.", "sentence", ["C d.\n\nE f.", "A b.\n\nE f.", "A b. C d."]),
        ("A b.\n\nC d. E f.", "sentence", ["C d. E f.", "A b.\n\nE f.", "A b.\n\nC d."]),
        ("Only one", "sentence", [""]),
        ("  Only one ", "sentence", ["   "]),
        ("one two  three", "word", ["two  three", "one three", "one two"]),
        ("我爱你。", "word", ["爱你。", "我你。", "我爱"]),
        ("one two", [(0, 3), (4, 7)], [" two", "one "]),
        ("one two", [(4, 7), (0, 3)], ["one ", " two"]),
        ("🦆 🐢", np.array([[0, 1], [2, 3]]), [" 🐢", "🦆 "]),
    ],
)
def test_white_space_beside_a_sentence_or_a_word_goes_with_it(text: str, by: Any, expected: list[str]) -> None:
    assert texts(text, by) == expected


@given(st.text(st.sampled_from("ab. \n本。"), min_size=1), st.sampled_from(["sentence", "word"]))
def test_only_the_part_and_white_space_are_left_out_and_the_ends_stay(text: str, by: Any) -> None:
    if not text.strip():
        return
    split = SplitPrompt(text, by)
    assert "".join(part.content for part in split.parts).replace(" ", "") == re.sub(r"\s", "", text) or by == "sentence"
    for part, rest in zip(split.parts, texts(text, by), strict=True):
        assert text[part.begin : part.end] == part.content
        without = text[: part.begin] + text[part.end :]
        assert re.sub(r"\s", "", rest) == re.sub(r"\s", "", without)
        if rest.strip():
            assert rest[: len(rest) - len(rest.lstrip())] == text[: len(text) - len(text.lstrip())]
            assert rest[len(rest.rstrip()) :] == text[len(text.rstrip()) :]


CHAT = Conversation.system("Be brief. Be kind.").user("Hello?").assistant("Yes.").user("Who are you?")


def test_the_parts_of_a_chat_are_those_of_its_messages_end_to_end() -> None:
    split = SplitPrompt(CHAT, "sentence")
    whole = "".join(text.content for text in split.texts)
    assert [whole[part.begin : part.end] for part in split.parts] == [part.content for part in split.parts]
    assert [(part.content, part.text.message) for part in split.parts] == [
        ("Be brief.", 0),
        ("Be kind.", 0),
        ("Hello?", 1),
        ("Yes.", 2),
        ("Who are you?", 3),
    ]


def test_the_turns_of_a_chat_stay() -> None:
    kept = shortened(CHAT)
    assert kept[0] == Conversation.system("Be kind.").user("Hello?").assistant("Yes.").user("Who are you?")
    assert [message.role for message in kept[2]] == [message.role for message in CHAT]
    assert kept[2][1] == Message("user", "")


def test_an_empty_message_is_left_out_for_protocols_that_take_none() -> None:
    left = shortened(CHAT, keeps_empty=False)
    assert left[2] == Conversation.system("Be brief. Be kind.").assistant("Yes.").user("Who are you?")
    assert shortened(Conversation.user("Hi"), keeps_empty=False) == [None]


def test_the_beginning_of_an_answer_is_no_part_and_stays() -> None:
    begun = Conversation.user("Name a colour. Now.").assistant_prefix("It is ")
    assert [part.content for part in SplitPrompt(begun, "sentence").parts] == ["Name a colour.", "Now."]
    for prompt in shortened(begun):
        assert (as_prompt(prompt).prefill, as_prompt(prompt).gap) == ("It is", " ")


def test_a_last_message_of_the_model_stays_a_whole_turn() -> None:
    ended = Conversation.user("Say a. Say b.").assistant("a")
    assert [as_prompt(prompt).prefill for prompt in shortened(ended)] == [None, None, None]
    assert SplitPrompt(ended, "word").whole == ended


def test_texts_beside_pictures_have_parts_and_other_fields_stay() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    messages = [{"role": "user", "name": "Ada", "content": [picture, {"type": "text", "text": "What? Where?"}]}]
    first, second = shortened(messages)
    assert first == [{"role": "user", "name": "Ada", "content": [picture, {"type": "text", "text": "Where?"}]}]
    assert second == [{"role": "user", "name": "Ada", "content": [picture, {"type": "text", "text": "What?"}]}]
    (only,) = shortened([{"role": "user", "content": [picture, {"type": "text", "text": "What?"}]}])
    assert only == [{"role": "user", "content": [picture]}]


def test_equal_prompts_are_known_as_equal() -> None:
    first, second, third = shortened("ha ha ho", "word")
    assert identity_of(first) == identity_of(second) != identity_of(third)
    assert identity_of(Conversation.user("a")) == identity_of([{"role": "user", "content": "a"}])
    assert identity_of(Conversation.user("a")) != identity_of(RawPrompt("a"))


@pytest.mark.parametrize(
    ("prompt", "by", "message"),
    [
        ("", "sentence", "prompt is empty"),
        (" \n", "word", "a prompt with a text of which a part can be left out"),
        (Conversation(), "sentence", "prompt has no message"),
        (Conversation.user(""), "sentence", "a prompt with a text of which a part can be left out"),
        (5, "sentence", "prompt must be text"),
        ("a b", "line", "by must be 'sentence', 'word' or pairs of positions"),
        ("a b", None, "by must be 'sentence', 'word' or pairs of positions"),
        ("a b", [], "by must be 'sentence', 'word' or pairs of positions"),
        ("a b", b"ab", "by must be 'sentence', 'word' or pairs of positions"),
        ("a b", [(0, 4)], r"by\[0\] = \(0, 4\) must lie within the prompt, 0 to 3"),
        ("a b", [(-1, 2)], r"by\[0\] = \(-1, 2\) must lie within the prompt"),
        ("a b", [(2, 2)], r"by\[0\] = \(2, 2\) must lie within the prompt, 0 to 3, and not be empty"),
        ("a b", [(0, 2), (1, 3)], r"by\[1\] = \(1, 3\) overlaps by\[0\] = \(0, 2\)"),
        ("a b", [(1, 3), (0, 2)], r"by\[0\] = \(1, 3\) overlaps by\[1\] = \(0, 2\)"),
        ("a b", [(0, 1, 2)], r"by\[0\] must be a pair of whole numbers"),
        ("a b", [(0, 1.5)], r"by\[0\] must be a pair of whole numbers"),
        ("a b", [(False, True)], r"by\[0\] must be a pair of whole numbers"),
        ("a b", ["ab"], r"by\[0\] must be a pair of whole numbers"),
        (CHAT, [(0, 20)], r"by\[0\] = \(0, 20\) goes on beyond the end of its message, 18"),
    ],
)
def test_other_prompts_and_parts_are_refused_with_the_value(prompt: Any, by: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SplitPrompt(prompt, by)
