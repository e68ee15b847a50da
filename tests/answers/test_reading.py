"""Readings of tokens as answers: scripts, half characters, ends, and the draw, through every entry point."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    LLMClient,
    Logprobs,
    SamplingParams,
    SettingError,
    classify,
    classify_responses,
    extract_prob,
    extract_probs,
    is_match,
    score_llm,
)
from deluge_nb.answers.first_token import Row, classify_rows
from deluge_nb.answers.results import Classification
from deluge_nb.stats import (
    binary_probability,
    expected_score,
    label_distribution,
    label_distribution_batch,
    trie_label_probability,
)
from deluge_nb.text.matching import Labels
from tests.openai_server import ChatServer, Reply, chat

# For each script: yes, no, each with two endings, and a word that only looks like yes or holds it.
SCRIPTS = {
    "Han": ("是", "不是", ["是的", "是啊。"], ["不是的", "不是呢"], "可是"),
    "Japanese": ("はい", "いいえ", ["はいです", "はい、そうです"], ["いいえです", "いいえ。"], "いはい"),
    "Katakana": ("イエス", "ノー", ["イエスです", "イエス!"], ["ノーです", "ノーだ"], "アイエス"),
    "Thai": ("ใช่", "ไม่", ["ใช่ครับ", "ใช่ค่ะ"], ["ไม่ครับ", "ไม่ใช่"], "คำใช่"),
    "Lao": ("ແມ່ນ", "ບໍ່", ["ແມ່ນແລ້ວ", "ແມ່ນ."], ["ບໍ່ແມ່ນ", "ບໍ່ເລີຍ"], "ກໍແມ່ນ"),
    "Khmer": ("បាទ", "ទេ", ["បាទបង", "បាទ។"], ["ទេបង", "ទេ។"], "កបាទ"),
    "Burmese": ("ဟုတ်", "မဟုတ်", ["ဟုတ်ကဲ့", "ဟုတ်တယ်"], ["မဟုတ်ဘူး", "မဟုတ်ပါ"], "သဟုတ်"),
    "Hangul": ("예", "아니요", ["예요", "예입니다"], ["아니요입니다", "아니요."], "차예"),
}
ENDINGS = [
    (name, (yes, no), text, answer)
    for name, (yes, no, ayes, noes, _) in SCRIPTS.items()
    for answer, texts in ((yes, [yes, *ayes]), (no, [no, *noes]))
    for text in texts
]


def entry(top: dict[Any, float], drawn: Any | None = None) -> dict[str, Any]:
    """One token with its alternatives, given by text or by bytes."""

    def spell(token: Any) -> dict[str, Any]:
        if isinstance(token, bytes):
            return {"token": token.decode("utf-8", "replace"), "bytes": list(token)}
        return {"token": token, "bytes": None}

    listed = [{**spell(token), "logprob": math.log(p)} for token, p in top.items()]
    drawn = next(iter(top)) if drawn is None else drawn
    chosen = next((item for item in listed if item["token"] == spell(drawn)["token"]), {**spell(drawn), "logprob": -20})
    return {**chosen, "bytes": spell(drawn)["bytes"], "top_logprobs": listed}


def read(labels: Sequence[str], *entries: dict[str, Any], finish: str | None = "stop") -> Classification:
    return classify_rows([Row(None, Logprobs.from_entries(list(entries)), Labels(list(labels)), finish)])[0]


def client() -> LLMClient:
    return LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=10))


@pytest.mark.parametrize(("script", "answers", "text", "answer"), ENDINGS)
def test_an_ending_in_a_script_without_spaces_leaves_the_answer(
    server: ChatServer, script: str, answers: tuple[str, str], text: str, answer: str
) -> None:
    other = answers[answers[0] == answer]
    top = {text: 0.6, other: 0.2}
    found = entry(top)
    share = pytest.approx(0.75)
    assert is_match(text, answer)
    assert not is_match(text, other)
    assert extract_prob(answer, [found], True, False) == pytest.approx(0.6)
    assert extract_probs(list(answers), [[found]], normalize_top_logprobs=False)[0, answers.index(answer)] == (
        pytest.approx(0.6)
    )
    one, batch = label_distribution(found["top_logprobs"], list(answers)), label_distribution_batch([[found]], answers)
    for result in (one, batch[0]):
        assert result.upper[answer] == pytest.approx(0.8)
        assert result.lower[answer] + result.attributed[answer] == pytest.approx(0.6)
        assert result.likeliest == answer
    bounds = trie_label_probability({"": {token: math.log(p) for token, p in top.items()}}, list(answers))
    assert bounds.upper[answer] == pytest.approx(0.8)
    assert binary_probability(found["top_logprobs"], answer, other).p_upper == pytest.approx(0.8)
    server.always((text, top))
    result = classify(["?"], list(answers), client(), show_progress=False)[0]
    assert (result.label, result.probability) == (answer, share)
    options: dict[str, Any] = {"yes_token": answers[0], "no_token": answers[1], "show_progress": False}
    details = score_llm("{0}", ["?"], client(), True, return_details=True, **options)[0]
    assert (details.label, details.probability) == (answer, share)
    yes = 0.75 if answer == answers[0] else 0.25
    assert score_llm("{0}", ["?"], client(), True, **options) == [pytest.approx(yes)]
    assert score_llm("{0}", ["?"], client(), False, **options) == [answer == answers[0]]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_word_that_merely_holds_an_answer_is_not_it(server: ChatServer, script: str) -> None:
    yes, no, _, _, holder = SCRIPTS[script]
    assert not is_match(holder, yes)
    server.always((holder, {holder: 0.9}))
    options: dict[str, Any] = {"yes_token": yes, "no_token": no, "show_progress": False}
    assert score_llm("{0}", ["?"], client(), False, **options) == [False]
    assert score_llm("{0}", ["?"], client(), True, **options) == [None]


@pytest.mark.parametrize(
    ("text", "label", "matches"),
    [
        ("大阪府", "大阪", True),
        ("十一", "十", False),  # another number
        ("一百", "一", False),
        ("3点", "3", True),
        ("4개", "4", True),
        ("4천", "4", False),
        ("HAYIR", "hayır", True),
        ("Hayır", "HAYIR", True),
        ("İYİ", "iyi", True),
        ("iyi", "İyi", True),
        ("כן־לא", "כן", False),
        ("A입니다", "A", True),
        ("нету", "нет", False),
        ("نعمة", "نعم", False),
        ("ναίω", "ναι", False),
        ("yesterday", "yes", False),
        ("نعم،", "نعم", True),
        ("\u200fنعم", "نعم", True),
        ("是\u0301", "是", False),  # a mark changes the letter before it
    ],
)
def test_letters_after_an_answer_make_another_word_only_in_spaced_scripts(text: str, label: str, matches: bool) -> None:
    assert is_match(text, label) is matches


def test_the_longest_answer_that_fits_wins() -> None:
    assert read(["大阪", "大阪府"], entry({"大阪府": 0.9})).label == "大阪府"
    assert read(["大阪", "大阪府"], entry({"大阪府の": 0.9})).label == "大阪府"
    assert read(["是", "不是"], entry({"不是": 0.9})).label == "不是"


def test_an_ending_settles_nothing_and_decides_nothing() -> None:
    found = read(["是", "不是"], entry({"是的": 0.8, "是": 0.05, "不是": 0.1}))
    assert (found.label, found.decided) == ("是", False)
    assert found.probability == pytest.approx(0.85 / 0.95)
    assert (found.matched_mass, found.attributed_mass) == (pytest.approx(0.95), pytest.approx(0.8))
    assert found.lower == pytest.approx({"是": 0.05, "不是": 0.1})


# Half characters ------------------------------------------------------------------------------------------------------

PIECES: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "OpenAI": lambda raw: {"token": "".join(f"\\x{byte:02x}" for byte in raw), "bytes": list(raw)},
    "DeepSeek without bytes": lambda raw: {"token": "".join(f"\\x{byte:02x}" for byte in raw), "bytes": None},
    "completions": lambda raw: {"token": "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw), "bytes": None},
    "sentencepiece": lambda raw: {"token": "".join(f"<0x{byte:02X}>" for byte in raw), "bytes": None},
    "llama.cpp": lambda raw: {"token": "", "bytes": list(raw)},
    "question mark": lambda raw: {"token": "?", "bytes": list(raw)},
    "other letters": lambda raw: {"token": raw.decode("latin-1"), "bytes": list(raw)},
    "replaced": lambda raw: {"token": "\ufffd", "bytes": list(raw)},
    "vLLM": lambda raw: {"token": "\ufffd", "bytes": list("\ufffd".encode())},
    "lost": lambda raw: {"token": "\ufffd", "bytes": None},
}
MIXED: dict[str, Callable[[str], str]] = {
    "DeepSeek": lambda text: text,
    "completions": lambda text: f"bytes:{text}",
}
HALVES = [("👍", "👎"), ("𠮷", "𠮸"), ("é", "è"), ("да", "нет"), ("好", "坏"), ("❤️", "💔")]


def cut(answer: str) -> list[tuple[bytes, bytes]]:
    """Every way to cut the first character of an answer in two."""
    raw, size = answer.encode(), len(answer[0].encode())
    return [(raw[:at], raw[at:]) for at in range(1, size)]


@pytest.mark.parametrize("provider", PIECES)
@pytest.mark.parametrize("answers", HALVES, ids=lambda answers: "/".join(map(ascii, answers)))
def test_half_a_character_leaves_open_every_answer_that_goes_on_from_it(
    answers: tuple[str, str], provider: str
) -> None:
    for answer in answers:
        for first, _ in cut(answer):
            top = [{**PIECES[provider](first), "logprob": math.log(0.9)}]
            table = [{**top[0], "top_logprobs": top}]
            for found in (
                label_distribution(top, list(answers)),
                label_distribution_batch([Logprobs.from_entries(table)], list(answers))[0],
                read(answers, table[0], finish=None),
            ):
                assert found.upper[answer] >= 0.9
                assert not found.decided
            assert label_distribution(top, list(answers)).partial_mass == pytest.approx(0.9)
            assert extract_prob(answer, table, True, False) == pytest.approx(0.9)
            assert extract_probs(answer, [table], normalize_top_logprobs=False) == pytest.approx(0.9)


@pytest.mark.parametrize("provider", [name for name in PIECES if name not in ("vLLM", "lost")])
@pytest.mark.parametrize("answers", HALVES, ids=lambda answers: "/".join(map(ascii, answers)))
def test_a_walk_joins_the_bytes_of_its_tokens(answers: tuple[str, str], provider: str) -> None:
    piece = PIECES[provider]
    for answer in answers:
        for first, rest in cut(answer):
            other = next((raw[1] for raw in cut(answers[answer == answers[0]]) if raw[0] == first), b"~")
            head = [{**piece(first), "logprob": math.log(0.9)}]
            tail = [{**_piece_or_text(piece, raw), "logprob": math.log(p)} for raw, p in ((rest, 0.8), (other, 0.2))]
            found = read(answers, {**head[0], "top_logprobs": head}, {**tail[0], "top_logprobs": tail})
            assert found.label == answer
            assert found.lower[answer] == pytest.approx(0.72)


@pytest.mark.parametrize("provider", MIXED)
@pytest.mark.parametrize("before", [" ", "**", "\n\n", "「"])
def test_half_a_character_beside_a_whole_one_is_read_by_its_bytes(provider: str, before: str) -> None:
    first, rest = "👍".encode()[:3], "👍".encode()[3:]
    spelt = ["".join(f"\\x{byte:02x}" for byte in raw) for raw in (first, rest)]
    head, tail = (MIXED[provider](text) for text in (before + spelt[0], spelt[1]))
    top = entry({head: 0.9})
    assert label_distribution(top["top_logprobs"], ["👍", "👎"]).partial_mass == pytest.approx(0.9)
    assert extract_prob("👍", [top], True, False) == pytest.approx(0.9)
    found = read(["👍", "👎"], top, entry({tail: 0.8}))
    assert (found.label, found.lower["👍"]) == ("👍", pytest.approx(0.72))


def _piece_or_text(piece: Any, raw: bytes) -> dict[str, Any]:
    return {"token": raw.decode(), "bytes": None} if raw.isascii() else piece(raw)


def test_half_a_quotation_mark_leaves_every_answer_open() -> None:
    found = label_distribution([{"token": "\ufffd", "bytes": [0xE2, 0x80], "logprob": math.log(0.9)}], ["yes", "no"])
    assert (found.transparent_mass, found.upper["yes"]) == (pytest.approx(0.9), pytest.approx(1))
    assert not is_match("\ufffd", "yes")


def test_half_a_full_width_letter_leaves_its_answer_open() -> None:
    raw = "Ｙ".encode()[:2]
    found = label_distribution([{"token": "\ufffd", "bytes": list(raw), "logprob": math.log(0.9)}], ["yes", "no"])
    assert found.upper["yes"] >= 0.9


# Ends -----------------------------------------------------------------------------------------------------------------

GRADES = [str(grade) for grade in range(1, 11)]
GRADE_LIST = {"1": 0.95, "2": 0.03, "3": 0.01, "10": 0.001}
END_TOKENS = [
    *("</s>", "<eos>", "<end_of_turn>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|eos|>"),
    *("▁</s>", "[|endofturn|]", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<|message_end|>", "<|return|>"),
]
# Marks after which the answer is still to come.
NO_END_TOKENS = ["<|end_of_thought|>", "<|END_THINKING|>", "<|end_header_id|>", "<|endofprompt|>", "</think>", "<end>"]


def test_a_reply_that_ends_after_an_answer_is_that_answer() -> None:
    found = read(GRADES, entry(GRADE_LIST))
    assert (found.label, found.probability) == ("1", pytest.approx(0.95 / 0.991))
    assert found.lower["1"] == 0
    assert not found.decided
    assert read(["New York", "New"], entry({"New": 0.9, "Boston": 0.05})).label == "New"


def test_a_reply_that_was_cut_off_does_not_say_which_of_two_answers_it_began() -> None:
    for finish in ("length", None):
        found = read(GRADES, entry(GRADE_LIST), finish=finish)
        # 1 or 10 is likelier than 2, whatever follows.
        assert (found.label, found.attributed_mass) == (None, 0)


@pytest.mark.parametrize("end", END_TOKENS)
def test_a_token_that_ends_the_answer_settles_it(end: str) -> None:
    found = read(GRADES, entry(GRADE_LIST), entry({end: 0.9, "0": 0.05}))
    assert found.lower["1"] == pytest.approx(0.95 * 0.9)
    assert found.lower["10"] == pytest.approx(0.95 * 0.05 + 0.001)
    assert (found.label, found.decided) == ("1", True)
    assert not is_match(end, "s")
    assert label_distribution(entry({end: 0.9})["top_logprobs"], ["s", "end", "eos"]).other_mass == pytest.approx(0.9)


@pytest.mark.parametrize("token", NO_END_TOKENS)
def test_the_end_of_a_thought_or_a_header_is_no_end_of_the_answer(token: str) -> None:
    found = label_distribution(entry({token: 0.6, "yes": 0.3, "no": 0.05})["top_logprobs"], ["yes", "no"])
    assert (found.argmax, found.other_mass, found.decided) == ("yes", pytest.approx(0.6), False)


@pytest.mark.parametrize("follows", [".", "\n", ")", " is the grade"])
def test_what_follows_an_answer_settles_it(follows: str) -> None:
    found = read(GRADES, entry(GRADE_LIST), entry({follows: 0.97, "0": 0.02}), finish="length")
    assert (found.label, found.decided) == ("1", True)
    assert found.lower["1"] == pytest.approx(0.95 * 0.97)


def test_an_answer_that_goes_on_is_the_longer_one() -> None:
    assert read(GRADES, entry(GRADE_LIST), entry({"0": 0.97, ".": 0.02})).label == "10"
    assert read(["New York", "New"], entry({"New": 0.9}), entry({" York": 0.8, ".": 0.1})).label == "New York"


def test_an_empty_reply_leads_to_no_answer() -> None:
    found = label_distribution(entry({"yes": 0.5, "<|im_end|>": 0.45, "no": 0.02})["top_logprobs"], ["yes", "no"])
    assert (found.other_mass, found.decided) == (pytest.approx(0.45), True)


def test_single_tokens_is_the_promise_that_an_answer_does_not_go_on() -> None:
    top = entry(GRADE_LIST)["top_logprobs"]
    promised = label_distribution(top, GRADES, single_tokens=True)
    assert promised.lower["1"] == pytest.approx(0.95)
    assert promised.likeliest == "1"
    assert label_distribution_batch([[entry(GRADE_LIST)]], GRADES, single_tokens=True)[0].lower == promised.lower
    assert expected_score(top, range(1, 11)).mean == pytest.approx(2.4390243902)
    assert expected_score(top, range(1, 11), single_tokens=True).mean == pytest.approx(1.0595358224)


# Decided --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "top", "decided"),
    [
        (["A", "B"], {"The": 0.9, "A": 0.05, "B": 0.03}, False),
        (["yes", "no"], {"<think>": 0.97, "Yes": 0.02}, False),
        (["A", "B", "C"], {"Sure": 0.6, "A": 0.3, "B": 0.05}, False),
        (["yes", "no"], {"yes": 0.7, "no": 0.2, "Well": 0.05}, True),
        (["yes", "no"], {"yes": 0.5, "Let": 0.3, "no": 0.15}, False),
        (["yes", "no"], {"yes": 0.45, " ": 0.5}, False),
    ],
)
def test_nothing_is_decided_while_the_probability_lies_elsewhere(
    labels: list[str], top: dict[str, float], decided: bool
) -> None:
    for found in (
        read(labels, entry(top)),
        label_distribution(entry(top)["top_logprobs"], labels),
        label_distribution_batch([[entry(top)]], labels)[0],
    ):
        assert found.decided is decided


words = st.sampled_from(["A", "a", " B", "C.", "The", "Sure", "<think>", " ", "**", "(", "Answer", "\n"])


@given(st.dictionaries(words, st.integers(1, 100), min_size=1), st.floats(0.3, 1), st.integers(0, 2**32))
def test_a_decided_winner_stays_the_winner_however_the_rest_is_completed(
    weights: dict[str, int], listed: float, seed: int
) -> None:
    labels, draw = ["A", "B", "C"], random.Random(seed)
    total = sum(weights.values())
    found = label_distribution(
        [{"token": token, "logprob": math.log(listed * weight / total)} for token, weight in weights.items()], labels
    )
    if not found.decided:
        return
    hidden = (found.tail_mass, found.transparent_mass, found.other_mass)
    for _ in range(20):
        masses = dict(found.lower)
        rival = draw.choice(labels)
        for mass in hidden:
            masses[rival if draw.random() < 0.7 else draw.choice(labels)] += mass
        assert max(masses, key=masses.__getitem__) == found.argmax


# The draw -------------------------------------------------------------------------------------------------------------

TICKET = {"Shippi": 0.87, "shippi": 0.097, "Billing": 0.0138, "The": 0.0077, "This": 0.0039, "billing": 0.0015}


@pytest.mark.parametrize("drawn", TICKET)
def test_the_draw_changes_neither_label_nor_share(server: ChatServer, drawn: str) -> None:
    server.always((drawn, TICKET))
    found = classify(["?"], ["billing", "shipping"], client(), show_progress=False)[0]
    assert (found.label, found.probability) == ("shipping", pytest.approx(0.967 / 0.9823))
    assert found.matched_mass == pytest.approx(0.9823)
    assert not found.decided


@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "10", "10.", "1)", "3", "cat", "cate", "category", "dog", "The", " ", "是的", "是"]),
        st.integers(1, 50),
        min_size=2,
    )
)
def test_a_permuted_draw_of_a_one_token_reply_changes_nothing(weights: dict[str, int]) -> None:
    labels = ["1", "2", "3", "10", "cat", "category", "dog", "是", "不是"]
    total = sum(weights.values()) / 0.95
    top = {token: weight / total for token, weight in weights.items()}
    results = [read(labels, entry(top, drawn)) for drawn in top]
    for left, right in itertools.pairwise(results):
        assert left.label == right.label
        assert left.probabilities == pytest.approx(right.probabilities)
        assert left.matched_mass == pytest.approx(right.matched_mass)


def test_one_token_answers_have_one_number_everywhere(server: ChatServer) -> None:
    draw = random.Random(3)
    spellings = ["Yes", " yes", "¡Yes", "no", " No.", "„no", "Y", "n", "zebra", "yesterday"]
    for _ in range(25):
        weights = {token: draw.random() for token in draw.sample(spellings, 5)}
        top = {token: 0.97 * weight / sum(weights.values()) for token, weight in weights.items()}
        table = [entry(top)]
        yes, no = (extract_prob(answer, table, use_top_logprobs=True) for answer in ("yes", "no"))
        server.answer = lambda seen, _, top=top: Reply(chat(seen, [(next(iter(top)), top)]))
        scores = score_llm("{0}", ["?"], client(), True, show_progress=False)
        details = score_llm("{0}", ["?"], client(), True, show_progress=False, return_details=True)
        found = classify(["?"], ["yes", "no"], client(), show_progress=False)
        if yes + no == 0:
            assert scores == [None]
            continue
        expected = pytest.approx(yes / (yes + no), abs=1e-9)
        assert scores == [expected]
        assert details.probabilities[0, 0] == expected
        assert found.probabilities[0, 0] == expected


def test_a_lone_yes_has_its_own_probability_and_not_a_share(server: ChatServer) -> None:
    server.always(("ham", {"ham": 0.7, "spam": 0.2}))
    options: dict[str, Any] = {"yes_token": "spam", "show_progress": False}
    assert score_llm("{0}", ["?"], client(), True, **options) == [pytest.approx(0.2)]
    details = score_llm("{0}", ["?"], client(), True, return_details=True, **options)
    assert details.probabilities[0, 0] == pytest.approx(0.2)
    server.always(("ham", {"ham": 0.7, "eggs": 0.2}))
    assert score_llm("{0}", ["?"], client(), True, **options) == [0.0]


# Responses that are there ---------------------------------------------------------------------------------------------


def test_responses_are_classified_without_asking_again(server: ChatServer) -> None:
    server.always(("1", GRADE_LIST))
    asked = client()
    responses = asked.process_prompts_sync(["a", "b"], show_progress=False)
    found = classify_responses([*responses, None], GRADES, inputs=["a", "b", "c"])
    assert len(server.seen) == 2
    assert found.labels == ["1", "1", None]
    assert found[2].is_error
    assert found[0].probabilities == classify(["a"], GRADES, asked, show_progress=False)[0].probabilities
    assert found.to_pandas()["input"].tolist() == ["a", "b", "c"]


def test_tables_and_documented_lists_are_classified_too() -> None:
    top = {"yes": 0.7, "no": 0.2}
    found = classify_responses([Logprobs.from_entries([entry(top)]), [entry(top)]], ["yes", "no"])
    assert found.labels == ["yes", "yes"]
    assert found.probability == pytest.approx([7 / 9, 7 / 9])
    promised = classify_responses([[entry(GRADE_LIST)]], GRADES, single_tokens=True)
    assert (promised.labels, promised[0].attributed_mass) == (["1"], 0)


def test_as_many_inputs_as_responses_are_needed() -> None:
    with pytest.raises(SettingError, match="one entry for each response, 1 in all, not 2"):
        classify_responses([None], ["yes", "no"], inputs=["a", "b"])


# Order and rounding ---------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.sampled_from(["yes", "Yes", " yes", "no", "No.", "Y", "n", "The", " ", "zebra"]), st.integers(1, 10**6)
    ).filter(bool),
    st.floats(0.5, 0.999),
    st.sampled_from([5, 6, 8, None]),
    st.randoms(use_true_random=False),
)
def test_neither_order_nor_rounding_changes_an_answer(
    weights: dict[str, int], listed: float, decimals: int | None, draw: random.Random
) -> None:
    labels, total = ["yes", "no"], sum(weights.values())
    p = {token: listed * weight / total for token, weight in weights.items()}
    exact = read(labels, entry(p))
    tokens = list(p)
    draw.shuffle(tokens)
    shuffled = read(labels, entry({token: p[token] for token in tokens}))
    assert shuffled.label == exact.label or exact.probability == pytest.approx(0.5)
    assert shuffled.probabilities == pytest.approx(exact.probabilities)
    rounded = {
        token: float(np.float32(math.log(value))) if decimals is None else round(math.log(value), decimals)
        for token, value in p.items()
    }
    top = [{"token": token, "logprob": min(logprob, 0.0)} for token, logprob in rounded.items()]
    found = label_distribution(top, labels, rounding=None if decimals is None else 0.5 * 10.0**-decimals)
    whole = label_distribution([{"token": token, "logprob": math.log(value)} for token, value in p.items()], labels)
    for label in labels:
        assert found.lower[label] <= whole.lower[label] * (1 + 1e-6) + 1e-9
        assert found.upper[label] >= whole.upper[label] * (1 - 1e-6) - 1e-9
    if found.decided:
        assert whole.argmax == found.argmax
