"""Every lesson: its frame, its answers with the mistakes they name, and no answer in a notebook before its guess."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deluge_nb import Conversation, LLMClient, SettingError, stats
from deluge_nb.lab import check, encode, likeliest, next_token, read, reveal, use_model
from deluge_nb.lab.catalog import find_lesson
from deluge_nb.lab.coding import Code
from deluge_nb.lab.lesson import Key, Lesson, format_number
from deluge_nb.lab.lessons import (
    LESSONS,
    finale,
    lesson0,
    lesson1,
    lesson2,
    lesson3,
    lesson4,
    lesson5,
    lesson6,
    lesson7,
    lesson8,
)
from deluge_nb.lab.lessons import finale_author as author
from deluge_nb.lab.lessons import finale_watermark as watermark
from deluge_nb.lab.model import bits, distribution, first_of_answer, probability
from deluge_nb.lab.quiz.recordings import recording
from tests.lab.minutes import word_count
from tests.lab.notebooks import calls_of, cells_of, is_bare

EXERCISES = [(lesson, number) for lesson in LESSONS for number in lesson.exercises]
REVEALS = [(lesson, number) for lesson in LESSONS for number in lesson.reveals]
ROOT = Path(__file__).parents[2]
TAGS = {"setup", "prediction", "reveal", "exercise", "claim", "play"}


def lesson_id(value: Any) -> str:
    return value.name if isinstance(value, Lesson) else str(value)


def plain(text: str) -> str:
    return text.replace("*", "")


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_a_notebook_has_the_frame_of_a_lesson(lesson: Lesson) -> None:
    cells = cells_of(lesson)
    prose = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    assert prose.startswith(f"# {lesson.number} · {lesson.title}\n")
    assert f"{lesson.minutes} minutes" in prose
    assert word_count(prose) <= 700
    assert all(len(line) <= 72 for cell in cells if cell.kind == "code" for line in cell.source.splitlines())
    assert {tag for cell in cells for tag in cell.tags} <= TAGS
    assert is_bare(lesson)


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_id)
def test_every_reveal_stands_below_the_guesses_it_answers(lesson: Lesson) -> None:
    code = [cell for cell in cells_of(lesson) if cell.kind == "code"]
    for before, cell in itertools.pairwise(code):
        if "reveal" in cell.tags:
            assert "prediction" in before.tags
    reveals = calls_of(lesson, "reveal")
    assert reveals.keys() == lesson.reveals.keys()
    assert all(reveals[number].keys() == lesson.reveals[number].guesses.keys() for number in reveals)
    assert calls_of(lesson, "check").keys() == lesson.exercises.keys()


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), EXERCISES, ids=lesson_id)
def test_the_right_answer_is_accepted_and_every_mistake_is_named(lesson: Lesson, number: str) -> None:
    key = lesson.exercises[number]()
    right = check(number, key.truth)
    assert right.ok
    assert plain(key.right) in right.text
    assert 2 <= len(key.wrong) <= 5
    for mistake in key.wrong:
        answered = check(number, mistake.value)
        assert not answered.ok
        assert answered.text == f"Not yet. {plain(mistake.why)}", mistake


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), EXERCISES, ids=lesson_id)
def test_an_exercise_says_what_form_an_answer_has(lesson: Lesson, number: str) -> None:
    key = lesson.exercises[number]()
    for value in (None, "word", True, float("nan"), (), object()):
        answered = check(number, value)
        assert not answered.ok
        assert re.search(r"number|[Cc]hoose one", answered.text), (value, answered)
    assert check(number, ...).state == "todo"
    assert _other(key) is None or not check(number, _other(key)).ok


def _other(key: Key) -> Any:
    """Return an answer that is no known mistake."""
    if isinstance(key.truth, str):
        return None
    if isinstance(key.truth, tuple):
        return tuple(2 * end + 1000 for end in key.truth)
    return 2 * key.truth + 1000


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), REVEALS, ids=lesson_id)
def test_a_reveal_answers_the_guess_and_hands_out_the_truth(lesson: Lesson, number: str) -> None:
    guesses = lesson.reveals[number].guesses
    truths = {name: guess.truth() for name, guess in guesses.items()}
    close = reveal(number, **truths)
    assert close.ok
    assert close.text.count("(close)") == len(guesses)
    assert close.truths == pytest.approx(truths)
    assert plain(lesson.reveals[number].after) in close.text
    for name in guesses:
        unmade = reveal(number, **{**truths, name: ...})
        assert not unmade.ok
        assert not unmade.truths
        assert plain(lesson.reveals[number].after) not in unmade.text
        assert "Guess first" in unmade.text


def _answers(key: Key) -> list[str]:
    """Return the texts and numbers of a key that would give it away; numbers of one or two digits are everywhere."""
    values = key.truth if isinstance(key.truth, tuple) else (key.truth,)
    numbers = [format_number(value) for value in values if not isinstance(value, str)]
    telling = [number for number in numbers if len(re.sub(r"\D", "", number).lstrip("0")) >= 3]
    return [key.right, *(mistake.why for mistake in key.wrong), *telling]


def _sources() -> str:
    return "\n".join(cell.source for lesson in LESSONS for cell in cells_of(lesson))


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), EXERCISES, ids=lesson_id)
def test_no_notebook_has_the_answer_of_an_exercise(lesson: Lesson, number: str) -> None:
    sources = _sources()
    assert not [text for text in _answers(lesson.exercises[number]()) if text in sources or plain(text) in sources]


@pytest.mark.model
@pytest.mark.parametrize(("lesson", "number"), REVEALS, ids=lesson_id)
def test_no_notebook_has_what_a_reveal_says(lesson: Lesson, number: str) -> None:
    part = lesson.reveals[number]
    numbers = [format_number(guess.truth()) for guess in part.guesses.values()]
    telling = [text for text in numbers if len(re.sub(r"\D", "", text).lstrip("0")) >= 3]
    sources = _sources()
    assert not [text for text in [part.after, plain(part.after), *telling] if text in sources]


# Sentences that mention a number, or compare two. They share the answers of the model with the tests above. -----------


@pytest.mark.model
def test_lesson_0_the_answer_may_begin_in_many_ways_and_friday_is_nearly_certain() -> None:
    begins = likeliest(first_of_answer(lesson0.QUESTION))
    assert max(begins, key=begins.__getitem__) == "The"
    assert list(begins)[1:4] == ["La", "Le", "L"]
    assert "Paris" in begins
    assert probability(lesson0._DAYS, " Friday") > 0.8


@pytest.mark.model
def test_lesson_1_the_coin_is_not_fair_and_the_tail_is_a_sixth() -> None:
    shown = likeliest(distribution(lesson1._COIN), 8)
    assert abs(shown[" heads"] - 0.5) > 0.05
    assert {" ", " Heads", " with"} <= shown.keys()
    assert likeliest(distribution(lesson1._FRANCE))[" Paris"] == pytest.approx(0.77, abs=0.01)
    assert lesson1._tail(lesson1._FRANCE) < lesson1._tail(lesson1._KING)
    assert lesson1._tail(lesson1._KING) == pytest.approx(1 / 6, abs=0.01)
    assert len(distribution(lesson1._KING).top(0)) == 49_152


@pytest.mark.model
def test_lesson_2_the_other_side_is_due_for_the_model() -> None:
    one, heads, tails = map(lesson2._share_of_heads, (lesson2._ONE, lesson2._HEADS, lesson2._TAILS))
    assert heads < one < 0.5 < tails
    assert lesson2._share_of_heads("I threw the coin again and again: heads, heads, heads, heads,") > 0.5
    assert len(lesson2.ALICE.split()) == pytest.approx(200, abs=20)
    # The smallest number above zero, as the text says it.
    assert f"{np.nextafter(0, 1):.0e}" == "5e-324"
    assert 100 < lesson2._tokens_to_zero() < len(read("\n", lesson2.ALICE))


@pytest.mark.parametrize(("factors", "count"), [([1e-200, 1e-200, 0.5], 2), ([0.5, 1e-300], 0), ([1e-300] * 3, 2)])
def test_lesson_2_a_product_that_stays_above_zero_counts_as_never(factors: list[float], count: int) -> None:
    assert lesson2._factors_to_zero(np.array(factors)) == count


def test_no_claim_compares_small_numbers_with_a_tolerance_that_is_larger() -> None:
    assert all("isclose" not in line or "atol=0)" in line for line in _sources().splitlines())


# All exercises but those about what the model says.
ASKING = {"1.1", "1.2", "1.3", "2.1", "2.2", "4.3", "5.2", "6.2", "6.3", "7.2", "11.1", "11.2"}
STATED = [number for lesson in LESSONS for number in lesson.exercises if number not in ASKING]


@pytest.fixture
def silent_model() -> Iterator[None]:
    """Let the lessons ask a server that does not exist."""
    use_model(LLMClient("gpt-4o-mini", base_url="http://127.0.0.1:9/v1", api_key="none", max_attempts=1))
    yield
    use_model("local")


@pytest.mark.parametrize("number", STATED)
def test_an_exercise_that_states_its_numbers_has_the_same_answer_with_any_model(
    number: str, silent_model: None
) -> None:
    assert check(number, find_lesson(int(number.split(".")[0])).exercises[number]().truth).ok


@pytest.mark.model
def test_lesson_2_neighbouring_words_are_not_independent() -> None:
    assert probability("Peanut butter and", " jelly") > 100 * probability("The weather and", " jelly")
    assert probability("She looked at the", " the") < 0.001
    assert probability("Jelly and", " peanut butter") < probability("Peanut butter and", " jelly") / 1000


@pytest.mark.model
def test_lesson_3_what_tools_show_is_not_possible() -> None:
    logprobs = lesson3._logprobs()
    allowed = stats.temperature_topk(logprobs[:20], 2.0, vocab_size=len(logprobs))
    assert allowed.lower[0] < lesson3._at(2.0) < allowed.upper[0] < allowed.conditional[0]
    assert allowed.conditional[0] == pytest.approx(0.42, abs=0.01)
    assert lesson3._at(1.0) == pytest.approx(0.8, abs=0.01)
    assert lesson3._odds() == pytest.approx(8.15, abs=0.02)
    assert lesson3._odds() ** 2 == pytest.approx(66.4, abs=0.3)
    assert 1 - math.fsum(np.exp(logprobs[:20])) == pytest.approx(0.03, abs=0.005)
    # The last bar of the picture is the number that was guessed.
    (picture,) = lesson3.LESSON.reveals["3.2"].figures()
    assert f"everything else {100 * lesson3._tail():.1f} %" in picture.to_dict()["description"]


@pytest.mark.model
def test_lesson_4_ten_draws_mislead_and_unseen_words_stay() -> None:
    sons, daughters = likeliest(distribution(lesson4.KING), 2).values()
    assert sons / daughters == pytest.approx(2, abs=0.3)
    assert lesson4.sample(10)[0] == lesson4.sample(10)[1]
    # Ten times the draws leave far more than a tenth.
    assert lesson4._unseen(1000) > lesson4._unseen(100) / 3
    assert 8 <= lesson4._width(10) / lesson4._width(1000) <= 10


@pytest.mark.model
def test_lesson_4_the_honest_recording_is_within_three_square_roots_and_the_other_is_not() -> None:
    truth = likeliest(distribution(lesson4.KING), 6)
    made = lesson4.recordings()
    misses = {
        letter: [abs(counts[token] - 1000 * p) / math.sqrt(1000 * p) for token, p in truth.items()]
        for letter, counts in made.items()
    }
    assert max(misses["A"]) < 3 < misses["B"][0]


@pytest.mark.model
def test_lesson_5_the_numbers_of_the_proverbs_and_the_sunrise() -> None:
    assert probability("An apple a day keeps the doctor", " away") > 0.95
    boils = probability("A watched pot never", " boils")
    assert 1 / boils == pytest.approx(10_000, rel=0.1)
    # It is no accident of the beginning: other texts before it do not help much.
    assert probability("\nA watched pot never", " boils") < 0.01
    word = bits("The grass is always", " purple") - bits("The grass is always", " greener")
    assert 0.3 < word / lesson5._saving() < 0.7
    assert 1 < lesson5._gap() < 2
    # The last noun has no colour in either sentence, and the views are in bits, as the lesson is.
    assert probability("The sun rises in the east and sets in the", " west") > 0.95
    assert probability("The sun rises in the west and sets in the", " east") > 0.95
    assert {view.color_by for view in lesson5.LESSON.reveals["5.3"].figures()} == {"surprisal"}
    assert sum(likeliest(distribution(lesson5._CUP), 2).values()) > 0.9
    assert lesson5._entropy(lesson5._DOOR) > 6
    assert [round(math.log2(n), 1) for n in (2, 6, 26)] == [1, 2.6, 4.7]


@pytest.mark.model
def test_lesson_6_the_recipe_leads_after_two_words_and_the_weather_after_cold() -> None:
    tokens, posteriors = lesson6.posterior_trace(lesson6._COLD)
    recipe, weather, _ = range(3)
    assert tokens[1] == " will"
    assert posteriors[2].argmax() == recipe
    assert posteriors[1 + tokens.index(" cold")].argmax() == weather
    _, fooled = lesson6.posterior_trace("Strong winds and rain are expected in the north.")
    assert list(lesson6.HEADINGS)[fooled[-1].argmax()] == "football report"


@pytest.mark.model
def test_lesson_7_half_begins_otherwise_and_the_model_says_no() -> None:
    sky = lesson7.verdict(lesson7.SKY)
    assert sky.lower["yes"] + sky.lower["no"] == pytest.approx(0.5, abs=0.1)
    assert {"The", "I"} <= lesson7.first_tokens(lesson7.SKY).keys()
    assert all(lesson7._share(question) < 0.5 for question in (lesson7.SKY, lesson7.FISH))
    assert probability(f"{lesson7.TURKEY} Ank", "ara") > 0.95
    shares = lesson7._dice_shares()
    assert max(shares, key=shares.__getitem__) != 7
    assert max(shares.values()) == pytest.approx(2 / 3, abs=0.03)


@pytest.mark.model
def test_lesson_8_one_recording_is_about_right_and_the_other_too_modest() -> None:
    capitals, reviews = recording("capitals"), recording("reviews")
    assert lesson8._right_between(capitals, lesson8._MOST, 1.0) > lesson8._MOST
    assert lesson8._right_between(reviews, *lesson8._MIDDLE) > lesson8._MIDDLE[1]
    assert 0 < len(lesson8._sure_and_wrong().lines) < 20
    sure = np.concatenate([recording(name).confidence for name in ("capitals", "cloze")])
    assert np.mean(sure > lesson8._MOST) == pytest.approx(2 / 3, abs=0.01)
    assert np.sum(1 - sure[sure >= lesson8.SURE]) == pytest.approx(5, abs=0.5)
    # Some sets are empty where many errors are allowed.
    assert lesson8.set_sizes(0.3)[1][0] > 0.01
    assert 1 < lesson8._mean_size() < 4
    # Both diagrams are seen at once, and read out.
    (diagrams,) = lesson8.LESSON.reveals["8.1"].figures()
    assert len(diagrams.hconcat) == 2
    assert diagrams.to_dict()["description"].startswith("Capitals: 90 % right, 92 % sure, in 100 answers")


@pytest.mark.model
def test_the_finale_order_matters_to_the_model_and_hardly_to_zlib() -> None:
    news, mixed = finale.NEWS, finale.shuffled(finale.NEWS)
    assert finale.model_bytes(mixed) > 2 * finale.model_bytes(news)
    assert finale.zlib_bytes(mixed) < 1.2 * finale.zlib_bytes(news)
    assert finale.zlib_bytes(finale.REPEATED) < finale.model_bytes(finale.REPEATED)
    assert len(finale.BIRD.encode()) == 29
    assert bits("\nThe", finale.BIRD) == pytest.approx(30.4, abs=0.3)


@pytest.mark.parametrize("call", [read, encode, partial(read, model="local")])
def test_an_empty_end_is_refused_by_the_name_that_the_lesson_gives_it(call: Callable[[str, str], Any]) -> None:
    with pytest.raises(SettingError, match=r"^end must be a text that is not empty"):
        call("The grass is always", "")


def test_a_code_of_one_token_is_counted_in_the_singular() -> None:
    assert repr(Code("The", "0", 1)) == "Code(1 token in 1 bit: 0)"


@pytest.mark.model
def test_the_watermark_of_forty_coins_and_of_undecided_places() -> None:
    assert math.sqrt(40) / 2 == pytest.approx(3, abs=0.2)
    assert 2 * math.sqrt(40) / 2 < 28 - 20
    assert 0.5 < watermark._share_of_green() < 8 / 9
    assert watermark.smallest_p(watermark.NOTE) < 0.05
    # A picture would answer the question that follows this guess.
    assert not watermark.LESSON.reveals["10.2"].figures()


@pytest.mark.model
def test_who_wrote_it_the_plain_sentence_surprises_less_and_the_groups_overlap() -> None:
    assert author._river(author.AUTHOR) < author._river(author.MODEL)
    assert 0 < author._fewest_errors() < 8
    # The picture of the reveal has a line with as few errors as the number beside it.
    assert author._errors(author.scores(), author._best_threshold()) == author._fewest_errors()
    mine, models = (np.array(author.scores()[name]) for name in (author.AUTHOR, author.MODEL))
    assert mine.mean() > models.mean()
    assert mine.min() < models.max()


@pytest.mark.model
def test_the_first_tokens_of_a_name_are_spread_widely() -> None:
    assert sum(likeliest(next_token("My name is")).values()) < 0.5


@pytest.mark.model
def test_the_tour_is_nearly_certain_of_paris_and_two_thirds_sure_of_a_wrong_answer() -> None:
    def begun(country: str) -> dict[str, float]:
        asked = Conversation.user(f"What is the capital of {country}?")
        return likeliest(next_token(asked.assistant_prefix(f"The capital of {country} is")), 1)

    assert begun("France") == {" Paris": pytest.approx(0.94, abs=0.03)}
    assert begun("Turkey") == {" Istanbul": pytest.approx(2 / 3, abs=0.03)}
    bees = Conversation.user("What do bees make?")
    assert next_token(bees).prob[0] < 0.7
    assert next_token(bees.assistant_prefix("B")).prob[0] > 0.95


@pytest.mark.parametrize("name", ["01_first_look", "02_reading_an_answer"])
def test_no_line_of_code_of_a_tour_is_cut_beside_the_file_browser(name: str) -> None:
    notebook = json.loads((ROOT / "examples" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    lines = [line for cell in notebook["cells"] if cell["cell_type"] == "code" for line in cell["source"]]
    assert max(len(line.rstrip("\n")) for line in lines) <= 72
