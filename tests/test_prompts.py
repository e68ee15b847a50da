"""Prompts: text, messages, conversations, raw text, and invalid values."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import Conversation, Message, RawPrompt, SettingError
from deluge_nb.prompts import Prompt, as_prompt, as_prompts

ASK = {"role": "user", "content": "Is it raining?"}
BEGUN = {"role": "assistant", "content": "I think "}

turns = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1, max_size=6)


# Conversations


@given(turns)
def test_each_turn_is_added_in_order(said: list[tuple[str, str]]) -> None:
    conversation = Conversation()
    for role, content in said:
        conversation = getattr(conversation, role)(content)
    assert [(message.role, message.content) for message in conversation] == said
    assert len(conversation) == len(said)


def test_adding_a_turn_leaves_the_conversation_as_it_was() -> None:
    first = Conversation().system("Answer briefly.")
    asked, other = first.user("Is it raining?"), first.user("Is it late?")
    assert len(first) == 1
    assert asked[1] == Message("user", "Is it raining?")
    assert other[1] == Message("user", "Is it late?")


def test_a_conversation_cannot_be_changed() -> None:
    conversation = Conversation().user("Is it raining?")
    with pytest.raises(FrozenInstanceError):
        conversation.messages = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        conversation[0].content = "Is it late?"  # type: ignore[misc]


def test_a_conversation_is_a_sequence_of_messages() -> None:
    conversation = Conversation().system("Answer briefly.").user("Is it raining?")
    assert conversation[-1] == Message("user", "Is it raining?")
    assert conversation[1:] == (Message("user", "Is it raining?"),)
    assert Message("system", "Answer briefly.") in conversation
    with pytest.raises(IndexError):
        conversation[2]


def test_equal_conversations_are_equal_and_hash_alike() -> None:
    made = {Conversation().user("a"), Conversation((Message("user", "a"),)), Conversation().user("a").assistant("b")}
    assert len(made) == 2


def test_a_conversation_survives_pickling() -> None:
    conversation = Conversation().user("Is it raining?").assistant_prefix("I think")
    assert pickle.loads(pickle.dumps(conversation)) == conversation


def test_a_repr_has_the_number_of_messages_and_marks_a_prefill() -> None:
    conversation = Conversation().user("Is it raining?")
    assert repr(conversation) == "Conversation(1 message)"
    assert repr(conversation.assistant_prefix("I think")) == "Conversation(1 message, prefilled)"


def test_the_beginning_of_an_answer_loses_its_white_space_at_the_end() -> None:
    assert Conversation().user("Is it raining?").assistant_prefix(" I think \n").prefill == " I think"


@pytest.mark.parametrize("method", ["system", "user", "assistant", "assistant_prefix"])
def test_nothing_follows_the_beginning_of_an_answer(method: str) -> None:
    begun = Conversation().user("Is it raining?").assistant_prefix("I think")
    with pytest.raises(SettingError, match="Nothing can follow an assistant_prefix"):
        getattr(begun, method)("so")


# One prompt


def test_text_is_a_message_of_the_user() -> None:
    assert as_prompt("Is it raining?") == Prompt((ASK,))


def test_raw_text_has_no_messages() -> None:
    assert as_prompt(RawPrompt("It is raining")) == Prompt(raw="It is raining")


@pytest.mark.parametrize(
    "value",
    [
        [ASK],
        (ASK,),
        [Message("user", "Is it raining?")],
        Conversation().user("Is it raining?"),
        Prompt((ASK,)),
    ],
)
def test_messages_may_come_in_several_forms(value: Any) -> None:
    assert as_prompt(value) == Prompt((ASK,))


@given(turns)
def test_a_conversation_and_its_messages_as_dicts_mean_the_same(said: list[tuple[str, str]]) -> None:
    said = [*said, ("user", "?")]
    conversation = Conversation()
    for role, content in said:
        conversation = getattr(conversation, role)(content)
    assert as_prompt(conversation) == as_prompt([{"role": role, "content": content} for role, content in said])


def test_fields_that_this_package_does_not_know_are_passed_on() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "What is this?"}], "name": "Ada"}
    assert as_prompt([message]).messages == (message,)


def test_the_caller_s_messages_are_copied() -> None:
    message = dict(ASK)
    prompt = as_prompt([message])
    message["content"] = "Is it late?"
    assert prompt.messages == (ASK,)


def test_an_assistant_message_at_the_end_begins_the_answer() -> None:
    assert as_prompt([ASK, BEGUN]) == Prompt((ASK,), prefill="I think")
    assert as_prompt(Conversation().user("Is it raining?").assistant_prefix("I think ")) == Prompt((ASK,), "I think")


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
@pytest.mark.parametrize("is_list", [True, False])
def test_a_beginning_without_a_word_is_none(blank: str, is_list: bool) -> None:
    begun = (
        [ASK, {"role": "assistant", "content": blank}] if is_list else Conversation().user("Hi").assistant_prefix(blank)
    )
    prompt = as_prompt(begun)
    assert prompt.is_plain
    assert prompt.gap == blank
    assert prompt.as_asked == begun


def test_an_assistant_s_turn_of_a_conversation_is_no_beginning() -> None:
    prompt = as_prompt(Conversation().user("Is it raining?").assistant("Yes."))
    assert prompt.prefill is None
    assert len(prompt.messages) == 2


def test_an_assistant_message_in_the_middle_is_a_turn() -> None:
    assert as_prompt([ASK, BEGUN, ASK]) == Prompt((ASK, BEGUN, ASK))


def test_a_call_of_a_tool_needs_no_text() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    result = {"role": "tool", "content": "No.", "tool_call_id": "1"}
    assert as_prompt([ASK, call, result]) == Prompt((ASK, call, result))


@pytest.mark.parametrize(("role", "brings"), [("system", True), ("developer", True), ("user", False), ("tool", False)])
def test_a_prompt_knows_whether_it_brings_an_instruction(role: str, brings: bool) -> None:
    assert as_prompt([{"role": role, "content": "Answer briefly."}, ASK]).has_system is brings


@pytest.mark.parametrize("value", [5, None, b"Is it raining?", ASK, Message("user", "Is it raining?"), iter([ASK])])
def test_a_value_that_is_no_prompt_is_refused_with_the_accepted_forms(value: Any) -> None:
    with pytest.raises(SettingError, match="must be text, a list of messages, a Conversation or a RawPrompt, not "):
        as_prompt(value)


@pytest.mark.parametrize("value", ["", RawPrompt("")])
def test_empty_text_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="prompt is empty"):
        as_prompt(value)


@pytest.mark.parametrize("value", [5, None, b"It is raining"])
def test_raw_text_must_be_text(value: Any) -> None:
    with pytest.raises(SettingError, match="prompt must be text, not "):
        as_prompt(RawPrompt(value))


@pytest.mark.parametrize("value", [[], (), Conversation(), [BEGUN], Conversation().assistant_prefix("I think")])
def test_a_prompt_without_a_message_to_answer_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="no message for the model to answer"):
        as_prompt(value)


@pytest.mark.parametrize(
    ("message", "field", "wanted"),
    [
        ("Is it raining?", "", "a message such as {'role': 'user', 'content': '…'}"),
        ({"content": "Is it raining?"}, "", "a message such as {'role': 'user', 'content': '…'}"),
        ({"role": "human", "content": "a"}, "['role']", "one of system, developer, user, assistant, tool"),
        ({"role": None, "content": "a"}, "['role']", "one of system, developer, user, assistant, tool"),
        ({"role": ["user"], "content": "a"}, "['role']", "one of system, developer, user, assistant, tool"),
        ({"role": "user"}, "['content']", "text"),
        ({"role": "user", "content": 5}, "['content']", "text"),
        (Message("user", 5), "['content']", "text"),  # type: ignore[arg-type]
    ],
)
def test_a_message_of_another_structure_is_refused_by_its_place(message: Any, field: str, wanted: str) -> None:
    with pytest.raises(SettingError) as caught:
        as_prompt([ASK, message], "prompts[3]")
    assert str(caught.value).startswith(f"prompts[3][1]{field} must be {wanted}, not ")
    assert len(str(caught.value)) < 200


# Several


def test_a_list_may_mix_all_forms() -> None:
    found = as_prompts(["Is it raining?", [ASK], Conversation().user("Is it raining?"), RawPrompt("It is")])
    assert found == [Prompt((ASK,))] * 3 + [Prompt(raw="It is")]


def test_any_iterable_is_a_list_of_prompts() -> None:
    assert as_prompts(text for text in ("Is it raining?", "Is it raining?")) == [Prompt((ASK,))] * 2
    assert as_prompts([]) == []


@pytest.mark.parametrize("value", ["Is it raining?", RawPrompt("It is"), Conversation().user("Hm?"), ASK])
def test_a_lone_prompt_is_refused_with_brackets_to_add(value: Any) -> None:
    with pytest.raises(SettingError, match="put the one you have in brackets") as caught:
        as_prompts(value)
    assert f"[{value!r}]" in str(caught.value)
    assert caught.value.setting == "prompts"


def test_a_long_prompt_is_cut_in_the_sentence() -> None:
    with pytest.raises(SettingError) as caught:
        as_prompts("Is it raining? " * 1000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [5, None])
def test_a_value_that_is_no_list_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="prompts must be a list of prompts, not "):
        as_prompts(value)


@pytest.mark.parametrize("message", [ASK, Message("user", "Is it raining?")])
def test_messages_that_lack_a_pair_of_brackets_are_refused(message: Any) -> None:
    with pytest.raises(SettingError, match=r"prompts\[1\] is a single message; .*another pair of brackets"):
        as_prompts(["Is it late?", message])


def test_a_refusal_names_the_prompt_by_its_place() -> None:
    with pytest.raises(SettingError, match=r"^prompts\[2\] is empty") as caught:
        as_prompts(["a", "b", ""])
    assert caught.value.setting == "prompts[2]"


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_conversation_begins_with_any_turn_on_the_class(role: str) -> None:
    begun = getattr(Conversation, role)("Hello")
    assert begun == getattr(Conversation(), role)("Hello")
    assert [message.role for message in begun.user("And?")] == [role, "user"]
