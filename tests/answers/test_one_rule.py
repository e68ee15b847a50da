"""One matching rule: every function that reads answers gives the same verdict."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    LLMClient,
    Logprobs,
    SamplingParams,
    classify,
    extract_prob,
    extract_probs,
    is_match,
    score_llm,
)
from deluge_nb.stats import (
    binary_probability,
    binary_probability_batch,
    expected_score,
    label_distribution,
    label_distribution_batch,
    trie_label_probability,
)
from deluge_nb.text.normalize import is_unspaced, normalize
from tests.openai_server import ChatServer, Reply, Seen, chat

YES_AND_NO = ("yes", "no")
GRADES = tuple(map(str, range(1, 8)))
# Texts of a model, and the answer that each is; None where it is neither.
WORDS = {
    "¡Yes": "yes",
    "¿yes": "yes",
    "„yes": "yes",
    "«Yes": "yes",
    "「yes": "yes",
    "—yes": "yes",
    "– yes": "yes",
    "• yes": "yes",
    "· No": "no",
    "> yes": "yes",
    "~yes": "yes",
    "| No": "no",
    "✓ yes": "yes",
    "\u200bYes": "yes",
    "\ufeffYes": "yes",
    "\u2060no": "no",
    "→ no": "no",
    "…no": "no",
    "★Yes": "yes",
    "ＹＥＳ": "yes",
    "▁Yes": "yes",
    "Ġno": "no",
    "Yes.": "yes",
    "yes – of course": "yes",
    "No, thanks": "no",
    "*No*": "no",
    "yesterday": None,
    "not": None,
    "none": None,
    "no-one": None,
    "no\u2010one": None,
    "no's": None,
    "no\u2019s": None,
    "no\u05beone": None,  # Hebrew and Armenian hyphens and apostrophes
    "no\u058aone": None,
    "no\u055as": None,
    "no\u05f3s": None,
    "yes2": None,
    "№": None,
    "№ 5": None,
    "I": None,
}
NUMBERS = {
    "4": "4",
    " 4": "4",
    "#4": "4",
    "+4": "4",
    "- 4": "4",
    "− 4": "4",
    "(4)": "4",
    "4.": "4",
    "4)": "4",
    "4/ 10": "4",
    "４": "4",
    "④": "4",
    "٤": "4",
    "४": "4",
    "❹": "4",
    "➍": "4",
    "⓸": "4",
    "4️⃣": "4",
    "4\u20e3.": "4",
    "➊➎": None,
    "⓬": None,
    "4.5": None,
    "4,5": None,
    "４．５": None,
    "٤٫٥": None,
    "4/5": None,
    "4⁄5": None,
    "4∕5": None,
    "4억": None,  # 400 million
    "4만": None,
    "4'000": None,
    "4’000": None,
    "1,000": None,
    "4\u00a0000": None,
    "4\u202f000": None,
    "4\u2009000": None,
    "½": None,
    "15": None,
    "-4": None,
    "−4": None,
    "–4": None,
    "-$4": None,
    ".4": None,
    "4th": None,
    "4²": None,
    "4-year": None,
}


def table_of(text: str, p: float = 0.9) -> list[dict[str, Any]]:
    """A one-token answer, and alternatives of which the other is no answer."""
    top = [{"token": text, "logprob": math.log(p)}, {"token": "zebra", "logprob": math.log(0.05)}]
    return [{**top[0], "bytes": None, "top_logprobs": top}]


def likeliest(shares: dict[str, float]) -> str | None:
    name = max(shares, key=shares.__getitem__)
    return name if shares[name] > 0.5 else None


def by_is_match(texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    return [next((answer for answer in answers if is_match(text, answer)), None) for text in texts]


def by_extract_prob(texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    return [
        likeliest({answer: extract_prob(answer, table_of(text), True, False) for answer in answers}) for text in texts
    ]


def by_extract_probs(texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    rows = extract_probs(list(answers), [table_of(text) for text in texts], normalize_top_logprobs=False)
    return [likeliest(dict(zip(answers, row, strict=True))) for row in rows.tolist()]


def by_label_distribution(texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    return [likeliest(label_distribution(table_of(text)[0]["top_logprobs"], list(answers)).lower) for text in texts]


def by_label_distribution_batch(texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    batch = label_distribution_batch([Logprobs.from_entries(table_of(text)) for text in texts], list(answers))
    return [likeliest(one.lower) for one in batch]


def by_trie(texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    return [
        likeliest(trie_label_probability({"": {text: math.log(0.9), "zebra": math.log(0.05)}}, list(answers)).lower)
        for text in texts
    ]


OFFLINE = [by_is_match, by_extract_prob, by_extract_probs, by_label_distribution, by_label_distribution_batch, by_trie]


@pytest.mark.parametrize(("texts", "answers"), [(WORDS, YES_AND_NO), (NUMBERS, GRADES)], ids=["words", "numbers"])
@pytest.mark.parametrize("read", OFFLINE, ids=lambda read: read.__name__)
def test_every_function_reads_a_text_in_the_same_way(
    read: Callable[[Sequence[str], Sequence[str]], list[str | None]],
    texts: dict[str, str | None],
    answers: tuple[str, ...],
) -> None:
    assert dict(zip(texts, read(list(texts), answers), strict=True)) == texts


@pytest.mark.parametrize("text", WORDS, ids=ascii)
def test_both_binary_probabilities_read_a_text_in_the_same_way(text: str) -> None:
    top = table_of(text)[0]["top_logprobs"]
    for answer, other in (YES_AND_NO, YES_AND_NO[::-1]):
        expected = pytest.approx(0.9 if WORDS[text] == answer else 0.0)
        assert binary_probability(top, answer, other).p_lower == expected
        batch = binary_probability_batch([Logprobs.from_entries(table_of(text))], answer, other)
        assert batch.p_lower[0] == expected


@pytest.mark.parametrize("text", NUMBERS, ids=ascii)
def test_an_expected_score_is_made_of_whole_numbers_only(text: str) -> None:
    top = [{"token": text, "logprob": math.log(0.6)}, {"token": "2", "logprob": math.log(0.3)}]
    expected = (4 * 0.6 + 2 * 0.3) / 0.9 if NUMBERS[text] else 2
    assert expected_score(top, list(range(1, 8))).mean == pytest.approx(expected)


def asked(server: ChatServer, texts: Sequence[str]) -> LLMClient:
    """A client whose server answers with the text at the index given in the question, and ends a begun one."""

    def answer(seen: Seen, _: int) -> Reply:
        question, *begun = [message["content"] for message in seen.body["messages"]]
        # An answer that was begun ends there.
        text = "\n" if begun else texts[int(question.partition("#")[2].partition("#")[0])]
        return Reply(chat(seen, [(text, {text: 0.9, "zebra": 0.05})]))

    server.answer = answer
    return LLMClient("vllm/m", base_url=server.url, sampling_params=SamplingParams(logprobs=True, top_logprobs=5))


def questions(texts: Sequence[str]) -> list[str]:
    return [f"#{place}#" for place in range(len(texts))]


def by_first_token(client: LLMClient, texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    return [one.label for one in classify(questions(texts), list(answers), client, show_progress=False)]


def by_trie_requests(client: LLMClient, texts: Sequence[str], answers: Sequence[str]) -> list[str | None]:
    found = classify(questions(texts), list(answers), client, method="trie", show_progress=False)
    return [one.label for one in found]


@pytest.mark.parametrize(("texts", "answers"), [(WORDS, YES_AND_NO), (NUMBERS, GRADES)], ids=["words", "numbers"])
@pytest.mark.parametrize("read", [by_first_token, by_trie_requests], ids=lambda read: read.__name__)
@pytest.mark.filterwarnings("ignore:.*less than 5 % of the probability on any label")
def test_classify_reads_a_text_in_the_same_way(
    server: ChatServer,
    read: Callable[[LLMClient, Sequence[str], Sequence[str]], list[str | None]],
    texts: dict[str, str | None],
    answers: tuple[str, ...],
) -> None:
    found = read(asked(server, list(texts)), list(texts), answers)
    assert dict(zip(texts, found, strict=True)) == texts


def test_score_llm_reads_a_text_in_the_same_way_in_all_three_forms(server: ChatServer) -> None:
    texts, expected = list(WORDS), list(WORDS.values())
    client = asked(server, texts)
    shares = score_llm("{0}", questions(texts), client, True, show_progress=False)
    assert shares == [None if answer is None else float(answer == "yes") for answer in expected]
    details = score_llm("{0}", questions(texts), client, True, show_progress=False, return_details=True)
    assert [one.label for one in details] == expected
    says_yes = score_llm("{0}", questions(texts), client, False, show_progress=False)
    assert says_yes == [answer == "yes" for answer in expected]


def test_an_inverted_exclamation_mark_before_yes_is_read_as_yes(server: ChatServer) -> None:
    server.always(("¡Yes", {"¡Yes": 0.9, "no": 0.05}))
    client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))
    share = 0.9 / 0.95
    assert score_llm("{0}", ["?"], client, True, show_progress=False) == [pytest.approx(share, abs=1e-9)]
    for found in (
        score_llm("{0}", ["?"], client, True, show_progress=False, return_details=True)[0],
        classify(["?"], ["yes", "no"], client, show_progress=False)[0],
    ):
        assert (found.label, found.probability) == ("yes", pytest.approx(share, abs=1e-9))


def test_the_text_after_an_answer_is_read_before_it_settles(server: ChatServer) -> None:
    client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=5))
    server.always(("1", {"1": 0.9, "2": 0.1}), ("5", {"5": 0.8, ".": 0.2}))
    found = classify(["?"], ["1", "2"], client, show_progress=False)[0]
    assert found.lower == pytest.approx({"1": 0.18, "2": 0.1})
    server.always(("no", {"no": 0.8, "yes": 0.2}), ("-one", {"-one": 0.7, " way": 0.3}))
    found = classify(["?"], ["yes", "no"], client, show_progress=False)[0]
    assert found.lower == pytest.approx({"yes": 0.2, "no": 0.24})


def test_an_answer_keeps_the_mark_that_it_begins_with() -> None:
    top = [{"token": token, "logprob": math.log(p)} for token, p in (("+", 0.5), ("👍", 0.2), ("<b>", 0.2))]
    found = label_distribution(top, ["+", "-", "👍", "👎", "<b>", "<i>"])
    assert found.lower == pytest.approx({"+": 0.5, "-": 0, "👍": 0.2, "👎": 0, "<b>": 0.2, "<i>": 0})
    assert is_match("**+**", "+")
    assert is_match(" 👍🏽", "👍")
    assert is_match("½", "1/2")
    assert not is_match("+1", "+")
    assert not is_match("👎", "👍")


# Circled Latin letters are letters to people, though symbols to Unicode; U+FFFD stands for unknown text.
NO_MARKS = "".join(map(chr, range(0x24B6, 0x24EA))) + "\ufffd"
marks = st.text(
    st.characters(exclude_categories=("L", "N", "M", "Cs", "Co", "Cn", "Cc"), exclude_characters=NO_MARKS), max_size=4
)


def full_width(word: str) -> str:
    return word.translate(FULL_WIDTH)


cases = st.sampled_from([str.lower, str.upper, str.title, full_width])
# Apostrophes and hyphens, after which a word may go on.
JOINTS = {"'", "-", *"\u2019\u2018\u2010\u055a\u05f3\u058a\u05be"}
FULL_WIDTH = {ord(letter): ord(letter) + 0xFEE0 for letter in "abcdefghijklmnopqrstuvwxyz"}
ends = st.text(st.characters(exclude_categories=("L", "N", "M", "Cs"), exclude_characters=NO_MARKS), max_size=1).filter(
    lambda end: (
        not end
        or unicodedata.normalize("NFKC", end)[:1] not in ("'", "-", *"\u2019\u2018\u2010\u055a\u05f3\u058a\u05be")
    )
)


@given(marks, st.sampled_from(YES_AND_NO), cases, ends, st.text(max_size=3))
def test_marks_in_front_and_behind_change_no_answer(
    front: str, word: str, case: Callable[[str], str], end: str, more: str
) -> None:
    text = front + case(word) + end + (more if end else "")
    for read in OFFLINE:
        assert read([text], YES_AND_NO) == [word], read.__name__


def begins_with_a_letter_or_digit(text: str) -> bool:
    # ŉ is a letter that is made of an apostrophe and an n. In scripts without spaces letters make no other word.
    first = normalize(text).whole[0]
    return first.isalnum() and not is_unspaced(first)


@given(
    marks,
    st.sampled_from(YES_AND_NO),
    st.text(st.characters(categories=("Ll", "Lo", "Nd")), min_size=1).filter(begins_with_a_letter_or_digit),
)
def test_letters_and_digits_behind_make_another_word(front: str, word: str, more: str) -> None:
    for joint in ("", "'", "-", "\u2019"):
        if joint and not more[0].isalpha():
            continue
        text = front + word + joint + more
        for read in OFFLINE:
            assert read([text], YES_AND_NO) == [None], read.__name__


@given(st.integers(0, 999), st.sampled_from([".", ",", "'", "/", "⁄", "’", "٫"]), st.integers(0, 999))
def test_a_number_goes_on_over_a_separator_and_a_digit(number: int, joint: str, more: int) -> None:
    for read in OFFLINE:
        assert read([f"{number}{joint}{more}"], [str(number)]) == [None], read.__name__
        assert read([f"{number}{joint}"], [str(number)]) == [str(number)], read.__name__


@given(
    st.lists(st.tuples(marks, st.sampled_from(["yes", "no", "zebra"]), st.floats(0.001, 0.2)), min_size=1, max_size=5)
)
def test_shares_of_whole_words_are_the_same_everywhere(words: list[tuple[str, str, float]]) -> None:
    top = [{"token": front + word, "logprob": math.log(p)} for front, word, p in words]
    entry = [{**top[0], "bytes": None, "top_logprobs": top}]
    found = label_distribution(top, list(YES_AND_NO))
    by_token = {answer: extract_prob(answer, entry, True, False) for answer in YES_AND_NO}
    assert by_token == pytest.approx(found.lower, abs=1e-9)
    total = sum(by_token.values())
    if total:
        assert by_token["yes"] / total == pytest.approx(found.normalized["yes"], abs=1e-9)
