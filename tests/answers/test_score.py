"""score_llm: the same question about many inputs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import LLMClient, LogprobsNotSupportedError, SamplingParams, SettingError, classify, score_llm
from deluge_nb.answers.score import fill_template
from tests.openai_server import ChatServer, Distribution, Reply, Seen, chat, error, says

TEMPLATE = "Is this true? {0}\n\nAnswer yes or no."


def client(**settings: Any) -> LLMClient:
    return LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5), **settings)


def score(server: ChatServer, *tokens: tuple[str, Distribution], probabilities: bool = True, **options: Any) -> Any:
    server.always(*tokens)
    asked = client() if probabilities else LLMClient("gpt-4o-mini")
    return score_llm(TEMPLATE, [("It rains.",)], asked, probabilities, show_progress=False, **options)[0]


def test_the_score_is_the_share_of_yes_among_yes_and_no(server: ChatServer) -> None:
    assert score(server, ("Yes", {"Yes": 0.6, "No": 0.3, "I": 0.1})) == pytest.approx(2 / 3)


@pytest.mark.parametrize("drawn", ["Yes", "No", "I"])
def test_the_score_does_not_depend_on_which_token_was_drawn(server: ChatServer, drawn: str) -> None:
    assert score(server, (drawn, {"Yes": 0.6, "No": 0.3, "I": 0.1})) == pytest.approx(2 / 3)


def test_spellings_of_yes_are_added_up(server: ChatServer) -> None:
    assert score(server, ("Yes", {"Yes": 0.4, " yes": 0.2, "no": 0.2})) == pytest.approx(0.75)


def test_white_space_and_markdown_in_front_are_passed_over(server: ChatServer) -> None:
    tokens = [("\n", {"\n": 0.97}), ("**", {"**": 0.9}), ("No", {"No": 0.6, "Yes": 0.2})]
    assert score(server, *tokens) == pytest.approx(0.25)


def test_an_answer_that_is_neither_gives_none(server: ChatServer) -> None:
    assert score(server, ("I", {"I": 0.99, "The": 0.01})) is None


def test_only_yes_in_the_list_is_certain(server: ChatServer) -> None:
    assert score(server, ("Yes", {"Yes": 0.9, "I": 0.1})) == 1.0


def test_only_no_in_the_list_is_certain_as_well(server: ChatServer) -> None:
    assert score(server, ("No", {"No": 0.9, "I": 0.1})) == 0.0


def test_true_and_false_are_opposites(server: ChatServer) -> None:
    assert score(server, ("True", {"True": 0.3, "False": 0.1}), yes_token="true") == pytest.approx(0.75)


def test_a_prefix_of_both_answers_counts_for_neither(server: ChatServer) -> None:
    tokens = ("in", {"in": 0.4, "correct": 0.2, "c": 0.2})
    assert score(server, tokens, yes_token="correct") == pytest.approx(0.5)


def test_a_custom_no_token_is_used(server: ChatServer) -> None:
    tokens = ("oui", {"oui": 0.3, "non": 0.6})
    assert score(server, tokens, yes_token="oui", no_token="non") == pytest.approx(1 / 3)


def test_without_a_known_no_the_chosen_token_s_complement_is_taken(server: ChatServer) -> None:
    assert score(server, ("oui", {"oui": 0.8, "non": 0.2}), yes_token="oui") == pytest.approx(0.8)


def test_without_alternatives_the_chosen_token_decides(server: ChatServer) -> None:
    asked = LLMClient("gpt-4o-mini", logprobs=True)
    for drawn, expected in (("Yes", 0.8), ("No", 0.2), ("Hm", None)):
        server.always((drawn, {drawn: 0.8}))
        found = score_llm(TEMPLATE, [("x",)], asked, True, show_progress=False)[0]
        assert found == (None if expected is None else pytest.approx(expected))


def test_a_failed_row_is_none_and_the_others_are_not_lost(server: ChatServer) -> None:
    def answer(seen: Seen, number: int) -> Reply:
        if "two" in seen.question:
            return error("no", status=400)
        if "three" in seen.question:
            return Reply(chat(seen, []))
        return Reply(chat(seen, [("Yes", {"Yes": 0.9, "No": 0.1})]))

    server.answer = answer
    scores = score_llm(TEMPLATE, ["one", "two", "three", "four"], client(), True, show_progress=False)
    assert scores == [pytest.approx(0.9), None, None, pytest.approx(0.9)]
    assert score_llm(TEMPLATE, ["one", "two"], client(), False, show_progress=False) == [True, None]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes.", True),
        ("no", False),
        ("**Yes**, it rained", True),
        ("Yesterday it rained, so no.", False),
        ("No – the eyes deceive.", False),
        ("No, answering yes would be wrong.", False),
        ("I cannot tell.", False),
        ("", False),
    ],
)
def test_a_boolean_is_the_first_whole_yes_or_no(server: ChatServer, answer: str, expected: bool) -> None:
    assert score(server, *says(answer), probabilities=False) is expected


def test_probabilities_are_refused_on_a_client_without_logprobs(server: ChatServer) -> None:
    with pytest.raises(LogprobsNotSupportedError, match=r"SamplingParams\(logprobs=True, top_logprobs=20\)"):
        score_llm(TEMPLATE, [("x",)], LLMClient("gpt-4o-mini"), return_probabilities=True)
    assert not server.seen


def test_logprobs_may_come_through_either_the_settings_or_the_shortcut(server: ChatServer) -> None:
    server.always(("Yes", {"Yes": 0.9, "No": 0.1}))
    for asked in (client(), LLMClient("gpt-4o-mini", logprobs=True, top_logprobs=5)):
        assert score_llm(TEMPLATE, [("x",)], asked, True, show_progress=False) == [pytest.approx(0.9)]


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("{0} and {1}", ("a", "b"), "a and b"),
        ("{} and {}", ("a", "b"), "a and b"),
        ("{0}", "a lone text", "a lone text"),
        ("{name}!", {"name": "Ada"}, "Ada!"),
        ('Answer as {"ok": true}: {0}', ("x",), 'Answer as {"ok": true}: x'),
        ("{set} of {0}", (3,), "{set} of 3"),
        ("{0}", ("{1} {0.__class__}",), "{1} {0.__class__}"),
    ],
)
def test_a_template_is_filled_and_other_braces_are_text(template: str, values: Any, text: str) -> None:
    assert fill_template(template, values) == text


@pytest.mark.parametrize(
    ("template", "values", "sentence"),
    [
        ("{1}", ("a",), r"scoring_prompt_template asks for \{1\}, and inputs has 1 value\."),
        ("{0} {1} {2}", ("a", "b"), r"asks for \{2\}, and inputs has 2 values\."),
        ("{nmae}", {"name": "Ada"}, "asks for {nmae}, and inputs has 'name'"),
        ("no place", ("a",), "no placeholder"),
        ("{0}", 3, "must be a text, a tuple or a dict, not int"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(template: str, values: Any, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        fill_template(template, values)


def test_a_refused_template_is_named_as_it_was_passed_and_shown_at_its_placeholder(server: ChatServer) -> None:
    template = f"{'Read with care. ' * 20}Is {{review}} friendly?{' Think.' * 20}"
    with pytest.raises(SettingError, match=r"has no placeholder such as \{0\} for inputs\[0\]") as caught:
        score_llm(template, ["It rains."], client(), True)
    assert str(caught.value).startswith("scoring_prompt_template has")
    assert "write {0} in place of {review}, or pass a dict with 'review': '…" in str(caught.value)
    assert "Is {review} friendly? Think." in str(caught.value)
    assert len(str(caught.value)) < 240
    with pytest.raises(SettingError) as caught:
        classify(["It rains."], ["yes", "no"], client(), template=template)
    assert str(caught.value).startswith("template has no placeholder such as {0} for inputs[0]: write {0}")
    assert caught.value.setting == "template"
    with pytest.raises(SettingError, match=r"would be the same: '….*Is \{0\.text\} friendly") as caught:
        classify(["It rains."], ["yes", "no"], client(), template=template.replace("review", "0.text"))
    with pytest.raises(SettingError, match=r"^template asks for \{1\}, and inputs\[0\] has 1 value\.$"):
        classify(["It rains."], ["yes", "no"], client(), template="{0} {1}")
    assert not server.seen


def test_a_lone_text_as_inputs_is_refused(server: ChatServer) -> None:
    with pytest.raises(SettingError, match="inputs must be a list"):
        score_llm(TEMPLATE, "It rains.", client(), True)


@given(st.text())
def test_a_value_is_inserted_unchanged(value: str) -> None:
    assert fill_template("<{0}>", (value,)) == f"<{value}>"


@given(
    st.dictionaries(st.sampled_from(["Yes", "yes", " no", "No", "NO.", "I", "\n"]), st.floats(0.001, 0.14), min_size=1)
)
def test_the_scores_of_yes_and_of_no_add_up_to_one(weighed: dict[str, float]) -> None:
    from deluge_nb import Logprobs
    from deluge_nb.answers.responses import read_binary
    from deluge_nb.response import APIResponse
    from deluge_nb.text.matching import Labels

    top = [{"token": token, "logprob": math.log(p)} for token, p in weighed.items()]
    table = Logprobs.from_entries([{"token": "?!", "logprob": -9.0, "bytes": None, "top_logprobs": top}])
    pairs = (("yes", "no"), ("no", "yes"))
    yes, no = (
        read_binary([APIResponse("m", logprobs=table)], Labels(pair)).columns().shares[pair[0]][0] for pair in pairs
    )
    assert (yes is None) == (no is None)
    if yes is not None and no is not None:
        assert yes + no == pytest.approx(1.0)


def test_the_documented_import_path_is_the_same_function() -> None:
    from deluge_nb.llm_tools.score import score_llm as documented

    assert documented is score_llm
