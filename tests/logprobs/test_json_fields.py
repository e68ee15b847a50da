"""Probabilities of the values of a JSON answer, checked against every text that a small model can write."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import APIResponse, LLMClient, Logprobs, LogprobsMissingError, SamplingParams, SettingError
from deluge_nb.logprobs.json_fields import field_probs
from tests.openai_server import ChatServer, Reply, chat


def row(token: str | bytes, p: float, **others: float) -> dict[str, Any]:
    def entry(text: str | bytes, mass: float) -> dict[str, Any]:
        octets = text if isinstance(text, bytes) else text.encode()
        return {"token": octets.decode("utf-8", "replace"), "logprob": math.log(mass), "bytes": list(octets)}

    top = [entry(token, p), *(entry(other, mass) for other, mass in others.items())]
    return {**entry(token, p), "top_logprobs": top}


def found(*rows: dict[str, Any]) -> Any:
    table = Logprobs.from_entries(rows)
    return field_probs(table.text, table)


def test_each_value_has_the_probability_of_its_tokens() -> None:
    start = [row('{"', 1), row("a", 1), row('":', 1)]
    probs = found(*start, row(" 12", 0.5), row(', "b":', 0.9), row(" true", 0.4), row("}", 1))
    assert probs["a"].probability == pytest.approx(0.5 * 0.9)  # and that it ends there
    assert probs["b"].probability == pytest.approx(0.4)
    assert (probs["a"].value, probs["a"].text, probs["a"].tokens) == (12, "12", (3, 5))
    assert list(probs) == [("a",), ("b",)]


def test_a_token_may_hold_more_than_the_value() -> None:
    probs = found(row('{"a":"', 0.9, **{'{"a":n': 0.05, "[": 0.05}), row('x"}', 0.5, **{'x",': 0.2, "y": 0.3}))
    field = probs["a"]
    # Of what begins {"a": the 0.9 has a quotation mark; of that, 0.7 is x and its end.
    assert field.probability == pytest.approx(0.9 * 0.7 / 0.95)
    assert field.lower == pytest.approx(field.probability)
    assert field.upper == pytest.approx(field.probability)


def test_what_the_list_hides_leaves_bounds() -> None:
    field = found(row("[", 1), row("7", 0.6, **{"8": 0.1}), row("]", 0.8, **{"0": 0.1}))[0]
    assert field.lower == field.probability == pytest.approx(0.6 * 0.8)
    # 0.3 of the first token and 0.1 of the second might be the same text.
    assert field.upper == pytest.approx(0.6 * 0.9 + 0.3)


def test_other_tokens_of_the_same_text_count() -> None:
    whole = found(row("[", 1), row("tr", 0.5, **{"true": 0.3, "f": 0.2}), row("ue", 1), row("]", 1))[0]
    assert whole.lower == pytest.approx(0.8)
    assert whole.upper == pytest.approx(0.8)


def test_emoji_and_escapes_do_not_shift_what_follows() -> None:
    smile = "😀".encode()
    rows = [row('{"e":"', 1), row(smile[:2], 0.9), row(smile[2:], 0.8), row("\\u00e9", 0.7), row('","yes":"', 1)]
    probs = found(*rows, row("no", 0.6), row('"}', 1))
    assert probs["e"].value == "😀é"
    assert probs["e"].probability == pytest.approx(0.9 * 0.8 * 0.7)
    assert probs["yes"].probability == pytest.approx(0.6)


def test_paths_are_keys_and_positions() -> None:
    text = '{"a": [1, {"b.c": [true, null]}], "d": {}, "e": [], "f": "x\\"}y", "": -2.5e3}'
    table = Logprobs.from_entries([row(letter, 0.9) for letter in text])
    probs = field_probs(text, table)
    assert [one.name for one in probs.values()] == ["a[0]", "a[1].b.c[0]", "a[1].b.c[1]", "f", ""]
    assert [one.value for one in probs.values()] == [1, True, None, 'x"}y', -2500.0]
    assert probs["a", 1, "b.c", 0] is probs[("a", 1, "b.c", 0)]
    assert probs["a[0]"].value == 1
    tree = probs.as_tree()
    assert set(tree) == {"a", "f", ""}
    assert tree["a"][1]["b.c"] == [probs["a", 1, "b.c", 0].probability, probs["a", 1, "b.c", 1].probability]
    with pytest.raises(KeyError, match=r"no value at 'z'; there are 'a\[0\]'"):
        probs["z"]
    assert list(probs.to_pandas()["name"]) == [one.name for one in probs.values()]
    assert "a[0]: 1" in repr(probs)


def test_a_lone_value_has_an_empty_path() -> None:
    probs = found(row("4", 0.5), row("2", 0.5))
    assert probs[()].value == 42
    assert probs.as_tree() == probs[()].probability


def test_a_fence_around_it_does_not_matter() -> None:
    probs = found(row("```", 1), row("json\n", 1), row('{"a": ', 1), row("5", 0.3), row("}\n```", 0.9))
    assert probs["a"].probability == pytest.approx(0.27)


def test_rows_beside_the_text_do_not_matter() -> None:
    table = Logprobs.from_entries([row("<think>", 1), row("[", 1), row("5", 0.3), row("]", 1), row("<end>", 1)])
    assert field_probs("[5]", table)[0].probability == pytest.approx(0.3)


@pytest.mark.parametrize("withheld", [None, -9999.0])
def test_a_withheld_probability_leaves_everything_open(withheld: float | None) -> None:
    hidden: dict[str, Any] = {"token": "5", "logprob": withheld, "bytes": [53], "top_logprobs": []}
    field = found(row("[", 1), hidden, row("]", 1))[0]
    assert math.isnan(field.probability)
    assert math.isnan(field.logprob)
    assert (field.lower, field.upper) == (0, 1)


def test_an_answer_that_is_not_json_or_not_that_of_the_tokens_is_refused() -> None:
    table = Logprobs.from_entries([row("Hello", 1)])
    with pytest.raises(SettingError, match="field_probs needs an answer in JSON, which this is not"):
        field_probs("Hello", table)
    with pytest.raises(LogprobsMissingError, match="There are no log-probabilities"):
        field_probs("[1]", None)
    with pytest.raises(LogprobsMissingError, match="The log-probabilities belong to another text: the tokens spell"):
        field_probs("[1]", table)


def test_a_response_has_them(server: ChatServer) -> None:
    def answer(seen: Any, number: int) -> Reply:
        among = [('{"ok": ', {'{"ok": ': 1.0}), ("true", {"true": 0.75, "false": 0.25}), ("}", {"}": 1.0})]
        return Reply(chat(seen, among))

    server.answer = answer
    client = LLMClient("gpt-4o-mini", sampling_params=SamplingParams(logprobs=True, top_logprobs=2))
    (response,) = client.process_prompts_sync(["?"], output_schema={"type": "object"}, show_progress=False)
    assert response.parsed == {"ok": True}
    assert response.field_probs["ok"].probability == pytest.approx(0.75)
    assert response.field_probs["ok"].upper == pytest.approx(0.75)
    with pytest.raises(LogprobsMissingError):
        _ = APIResponse("m", completion="[1]").field_probs


@pytest.mark.model
def test_the_embedded_model_s_values_lie_within_their_bounds() -> None:
    client = LLMClient("local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, temperature=0))
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
    }
    prompt = "Name the capital of France in JSON."
    (response,) = client.process_prompts_sync([prompt], output_schema=schema, show_progress=False)
    probs = response.field_probs
    assert {path: one.value for path, one in probs.items()} == {
        ("city",): response.parsed["city"],
        ("big",): response.parsed["big"],
    }
    assert all(0 <= one.lower <= one.probability <= one.upper <= 1 for one in probs.values())


# Every text that a small model can write ------------------------------------------------------------------------------

WORDS = [b'{"a":', b'{"a":"', b'{"', b"a", b'":', b'"', b"x", b"xy", b"y", b'x"', b'"}', b"}", b"1", b"12", b"2", b"2}"]
TEXTS = [b'{"a":"x"}', b'{"a":"xy"}', b'{"a":12}', b'{"a":1}', b'{"a":122}']


class Toy:
    """Draws each word with a probability that depends on all words before it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def weighs(self, before: tuple[bytes, ...]) -> dict[bytes, float]:
        dice = random.Random(f"{self._seed}{before}")
        weights = [dice.random() ** 3 for _ in WORDS]
        return {word: weight / sum(weights) for word, weight in zip(WORDS, weights, strict=True)}

    def begins(self, before: tuple[bytes, ...], wanted: bytes, number: bool) -> float:
        """Return the probability that the rest begins with this text; a number must also end there."""
        if not wanted and not number:
            return 1.0
        total = 0.0
        for word, mass in self.weighs(before).items():
            if wanted.startswith(word) and word != wanted:
                total += mass * self.begins((*before, word), wanted[len(word) :], number)
            elif word == wanted and number:
                total += mass * self.ended((*before, word))
            elif word.startswith(wanted) and (not number or word[len(wanted)] not in b"0123456789"):
                total += mass
        return total

    def ended(self, before: tuple[bytes, ...]) -> float:
        return sum(mass for word, mass in self.weighs(before).items() if word[0] not in b"0123456789")

    def written(self, text: bytes, dice: random.Random) -> list[bytes] | None:
        """The text in words, drawn at random."""
        if not text:
            return []
        words = [word for word in WORDS if text.startswith(word)]
        dice.shuffle(words)
        for word in words:
            rest = self.written(text[len(word) :], dice)
            if rest is not None:
                return [word, *rest]
        return None


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(TEXTS), st.integers(0, len(WORDS)))
def test_the_truth_lies_within_the_bounds(seed: int, text: bytes, top: int) -> None:
    toy = Toy(seed)
    words = toy.written(text, random.Random(seed))
    assert words is not None
    rows = []
    for place, word in enumerate(words):
        weighed = sorted(toy.weighs(tuple(words[:place])).items(), key=lambda one: -one[1])
        entries = [{"token": w.decode(), "logprob": math.log(p), "bytes": list(w)} for w, p in weighed]
        own = next(one for one in entries if one["token"] == word.decode())
        rows.append({**own, "top_logprobs": entries[:top]})
    table = Logprobs.from_entries(rows)
    field = field_probs(text.decode(), table)["a"]
    start = text.index(b":") + 1
    length = 0
    first = 0
    while length + len(words[first]) <= start:
        length += len(words[first])
        first += 1
    number = not isinstance(json.loads(text)["a"], str)
    lead = text[length:start]
    literal = text[start:-1]
    context = tuple(words[:first])
    truth = toy.begins(context, lead + literal, number) / toy.begins(context, lead, False)
    assert field.lower - 1e-9 <= truth <= field.upper + 1e-9
    assert field.lower - 1e-9 <= field.probability <= field.upper + 1e-9
