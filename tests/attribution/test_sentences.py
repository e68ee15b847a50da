"""Sentences and words of a text, in several languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.attribution.sentences import sentence_spans, word_spans

WRAPPED = "This is a long line of wrapped prose that goes\non with a small letter."


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("A cat sat. It slept!  Did it?", ["A cat sat.", "It slept!", "Did it?"]),
        ("  lead. trail \n", ["lead.", "trail"]),
        ("", []),
        (" \n\t", []),
        ("...", ["..."]),
        # Abbreviations, initials and numbers.
        ("Mr. Smith met Dr. J. R. Jones. He left.", ["Mr. Smith met Dr. J. R. Jones.", "He left."]),
        ("Cats, e.g. Tom, sleep. Fine.", ["Cats, e.g. Tom, sleep.", "Fine."]),
        ("See fig. 3 and No. 5. No. It is not.", ["See fig. 3 and No. 5.", "No.", "It is not."]),
        ("Das ist z.B. Berlin. Und dann?", ["Das ist z.B. Berlin.", "Und dann?"]),
        ("Pi is 3.14. Next!", ["Pi is 3.14.", "Next!"]),
        ("She and I. We left.", ["She and I.", "We left."]),
        # Marks within a sentence, and after a quotation.
        ('He said "Really?" and left. She did not.', ['He said "Really?" and left.', "She did not."]),
        ("He said “No.” Then he left.", ["He said “No.”", "Then he left."]),
        ("Wait... what? Yes... No.", ["Wait... what?", "Yes...", "No."]),
        ("See https://a.b/c?d=1. Next", ["See https://a.b/c?d=1.", "Next"]),
        ("¿Qué? ¡Sí! Vale.", ["¿Qué?", "¡Sí!", "Vale."]),
        # A text without capitals.
        ("i love it. it is great. ok", ["i love it.", "it is great.", "ok"]),
        # Scripts with marks of their own, and without white space.
        ("你好！「再见。」他说。", ["你好！", "「再见。」", "他说。"]),
        ("これはペンです。それは本。 Yes.", ["これはペンです。", "それは本。", "Yes."]),
        ("円周率は３．１４です．次。", ["円周率は３．１４です．", "次。"]),
        ("यह है। वह था।", ["यह है।", "वह था।"]),
        ("هل هذا؟ نعم.", ["هل هذا؟", "نعم."]),
        # Line breaks, lists, forms and wrapped prose.
        ("Question: Is it?\nAnswer:", ["Question: Is it?", "Answer:"]),
        ("Options:\n- yes\n- no", ["Options:", "- yes", "- no"]),
        ("1. First item. It is long.\n2. Second", ["1. First item.", "It is long.", "2. Second"]),
        (f"{WRAPPED} Then.", [WRAPPED, "Then."]),
        (WRAPPED.replace("\n", "\r\n"), [WRAPPED.replace("\n", "\r\n")]),
        (WRAPPED.replace("\n", "\n\n"), WRAPPED.split("\n")),
        ("a.\r\nb.\r\n\r\nc", ["a.", "b.", "c"]),
        ("A b\u2028C d\x85E\x0cF", ["A b", "C d", "E", "F"]),
    ],
)
def test_a_text_is_cut_into_its_sentences(text: str, sentences: list[str]) -> None:
    assert [text[begin:end] for begin, end in sentence_spans(text)] == sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ["Hello,", "world!"]),
        ("我爱你。", ["我", "爱", "你。"]),
        ("「東京」は広い。Tokyoです", ["「東", "京」", "は", "広", "い。", "Tokyo", "で", "す"]),
        ("人々とラー", ["人々", "と", "ラー"]),
        ("안녕하세요 여러분", ["안녕하세요", "여러분"]),
        ("สวัสดี ครับ", ["สวัสดี", "ครับ"]),
        ("e\u0301 x", ["e\u0301", "x"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_its_words(text: str, words: list[str]) -> None:
    assert [text[begin:end] for begin, end in word_spans(text)] == words


def test_long_texts_without_an_end_are_cut_too() -> None:
    for text in ("." * 200_000, "a" * 200_000, "a.b" * 70_000, "(" * 200_000, ("a" * 50 + "\n") * 4_000):
        assert len(word_spans(text)) == len(text.split())
        assert sentence_spans(text)


@given(st.text(st.sampled_from("aB1 .!?\n\r\"'()。「」本 …é-:")))
def test_sentences_and_words_lie_in_order_and_hold_everything_but_white_space(text: str) -> None:
    for spans in (sentence_spans(text), word_spans(text)):
        place = 0
        for begin, end in spans:
            assert not text[place:begin].strip()
            assert text[begin:end].strip() == text[begin:end] != ""
            place = end
        assert not text[place:].strip()
