"""Lesson 8: calibration, abstention, and conformal sets, on recorded answers to the project's own questions."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...logprobs.columns import Floats
from ...stats.conformal import conformal_lac_quantile, conformal_lac_sets
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..quiz.betting import Question
from ..quiz.recordings import Recording, recording
from ..widgets.bets import Bets

if TYPE_CHECKING:
    from ...calibration.report import CalibrationReport

SURE = 0.8
_MOST = 0.9
_MIDDLE = (0.7, 0.8)
_CALIBRATION, _SPLITS, _SEED = 50, 200, 8
_SIZES = ("none", "one", "two", "three", "all four")


def reliability_of(game: Bets) -> Any:
    """Return the reliability diagrams of both sides of a game."""
    return _side_by_side({"You": game.report("you"), "Model": game.report("model")})


def _side_by_side(reports: Mapping[str, CalibrationReport]) -> Any:
    """Return the reliability diagrams of reports: side by side, as two of them are higher than a screen."""
    from ...charts.offline import OfflineHConcatChart

    drawn: list[Any] = []
    words: list[str] = []
    for name, report in reports.items():
        right, sure, count = report.accuracy.value, float(report.confidence.mean()), len(report.correct)
        title = f"{name}: {100 * right:.0f} % right, {100 * sure:.0f} % sure"
        drawn.append(report.reliability_chart().properties(title=title))
        words.append(f"{title}, in {count} answer{'s' if count != 1 else ''}, ECE {report.ece.value:.2f}")
    return OfflineHConcatChart(hconcat=drawn, description="; ".join(words))


def answered_figure(threshold: float) -> Any:
    """Return the chart of right, wrong and withheld sentences, if the model answers from a confidence on."""
    from ...charts.probability.outcomes import events_chart

    answers = recording("cloze")
    answered = answers.confidence >= threshold
    right = float((answered & answers.correct).mean())
    shares = {"right": right, "wrong": float(answered.mean()) - right, "not answered": 1 - float(answered.mean())}
    precision = right / float(answered.mean())
    title = f"{100 * answered.mean():.0f} % answered, {100 * precision:.0f} % of them right"
    return _of_questions(events_chart(list(shares), list(shares.values())), title)


@lru_cache(maxsize=16)
def set_sizes(alpha: float) -> tuple[float, tuple[float, ...]]:
    """Return how many conformal sets hold the right answer, and the share of each size, over random splits."""
    p = recording("cloze").shares
    rng = np.random.default_rng(_SEED)
    sizes = np.zeros(len(_SIZES))
    covered = 0
    for _ in range(_SPLITS):
        order = rng.permutation(len(p))
        calibration, rest = p[order[:_CALIBRATION], 0], p[order[_CALIBRATION:]]
        for members in conformal_lac_sets(conformal_lac_quantile(calibration, alpha).qhat, rest):
            sizes[len(members)] += 1
            covered += 0 in members
    return covered / float(sizes.sum()), tuple((sizes / sizes.sum()).tolist())


def sets_figure(alpha: float) -> Any:
    """Return the chart of the sizes of conformal sets for sentences, at an error rate."""
    from ...charts.probability.outcomes import events_chart

    coverage, sizes = set_sizes(alpha)
    title = f"{100 * coverage:.0f} % of the sets have the right word"
    return _of_questions(events_chart(list(_SIZES), sizes), title)


def _of_questions(chart: Any, title: str) -> Any:
    """Return a chart of shares of questions, under a title."""
    chart.encoding.x.title = "Share of questions"
    return chart.properties(title=title)


def game() -> Bets:
    """Return a game of six recorded questions, half of them on capitals."""
    questions: list[Question] = []
    shares: list[Floats] = []
    for name, chosen in (("capitals", slice(28, None, 25)), ("cloze", slice(3, 84, 27))):
        answers = recording(name)
        questions += answers.questions[chosen]
        shares += [*answers.shares[chosen]]
    return Bets(questions, shares)


@dataclass(frozen=True, slots=True)
class _Statements:
    """Wrong answers of which the model was sure."""

    lines: tuple[tuple[str, str, float], ...]

    def __repr__(self) -> str:
        return "\n".join(f"{share:.2f}  {text} {option}" for text, option, share in self.lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{share:.2f}</td><td style='text-align:left'>{html.escape(text)} "
            f"<strong>{html.escape(option)}</strong></td></tr>"
            for text, option, share in self.lines
        )
        head = "<tr><th>sure</th><th style='text-align:left'>and wrong</th></tr>"
        return f'<table class="mathjax_ignore"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _sure_and_wrong() -> _Statements:
    lines = []
    for name in ("capitals", "cloze"):
        answers = recording(name)
        for place in np.flatnonzero((answers.confidence >= SURE) & ~answers.correct):
            question = answers.questions[place]
            option = question.options[int(answers.logprobs[place].argmax())]
            lines.append((question.text, option, float(answers.confidence[place])))
    return _Statements(tuple(sorted(lines, key=lambda line: -line[2])))


def _right_between(answers: Recording, low: float, high: float) -> float:
    """Return the share of right answers among those whose confidence is in a range."""
    chosen = (answers.confidence > low) & (answers.confidence <= high)
    return float(answers.correct[chosen].mean())


def _diagrams() -> Sequence[Any]:
    from ...calibration.report import CalibrationReport

    recorded = {name.capitalize(): recording(name) for name in ("capitals", "reviews")}
    reports = {name: CalibrationReport(answers.confidence, answers.correct) for name, answers in recorded.items()}
    return (_side_by_side(reports),)


def _statements() -> Sequence[Any]:
    return (_sure_and_wrong(),)


def _sets() -> Sequence[Any]:
    return (sets_figure(0.1),)


def _mean_size() -> float:
    return sum(size * share for size, share in enumerate(set_sizes(0.1)[1]))


def _precision() -> Key:
    return Key(
        0.75,
        "Four answers are given, and three of them are right.",
        [
            Mistake(0.6, "That is for all five: the last one is not answered."),
            Mistake(0.8, "That is how many are answered, not how many of those are right."),
            Mistake(0.875, "That is how sure it was, on average: count how often it was right."),
            Mistake(2 / 3, "From .80 on means .80 as well."),
        ],
        kind="probability",
    )


def _brier() -> Key:
    squares = [0.01, 0.36, 0.04]
    return Key(
        sum(squares) / 3,
        "The mean of the squared errors .1², .6² and .2².",
        [
            Mistake(0.3, "That is the mean error: square each one first."),
            Mistake(0.41, "That is the sum: divide by the number of forecasts."),
            Mistake(0.27, "That is for three that came true: two did not, and their outcome is 0."),
            Mistake(math.sqrt(sum(squares) / 3), "No root at the end: that would be another score."),
            Mistake(0.09, "That squares the mean error: square each error, then take the mean."),
        ],
        tolerance=0.002,
    )


def _rank() -> Key:
    return Key(
        19,
        "(20 + 1) · 0.9 = 18.9, rounded up.",
        [
            Mistake(18, "That is 0.9 · 20: the new question counts as well, so take 20 + 1."),
            Mistake(20, "That is the largest: it would do for an error rate of 1 in 20."),
            Mistake(2, "Small scores are good answers: count from the smallest up."),
            Mistake(18.9, "Places are whole numbers: round up, to be safe."),
        ],
        tolerance=0.01,
    )


LESSON = Lesson(
    number=8,
    name="08_can_you_trust_it",
    title="Can you trust 90 %?",
    learn="test whether a model is right as often as it says, and let it answer only where it is sure enough",
    minutes=45,
    reveals={
        "8.1": Reveal(
            {
                "capitals": Guess(
                    "capitals, more than 90 % sure", lambda: _right_between(recording("capitals"), _MOST, 1.0)
                ),
                "reviews": Guess("reviews, 70 to 80 % sure", lambda: _right_between(recording("reviews"), *_MIDDLE)),
            },
            "Capitals: most answers are above 90 %, and there it is right about as often as it says; below, there are few "
            "answers. Reviews: it is *much too modest*. One model, two characters: test it on your own questions.",
            _diagrams,
        ),
        "8.2": Reveal(
            {
                "wrong": Guess(
                    "sure and wrong",
                    lambda: float(len(_sure_and_wrong().lines)),
                    "number",
                    [
                        Mistake(0, "Then it would be too modest: about five should be wrong."),
                        Mistake(42, "It would be so if the model were exactly 80 % sure in all 210."),
                    ],
                )
            },
            "157 answers are that sure, most of them much surer than 80 %. A calibrated model would have five wrong. Nothing "
            "in these sentences warns you.",
            _statements,
        ),
        "8.3": Reveal(
            {
                "size": Guess(
                    "words in a set, on average",
                    _mean_size,
                    "number",
                    [
                        Mistake(1, "One word each is right in three of four sentences only."),
                        Mistake(4, "All four words are always enough, and say nothing."),
                    ],
                )
            },
            "Where the model is sure, one word is enough. Where it is not, the set grows, and shows it.",
            _sets,
        ),
    },
    exercises={"8.1": _precision, "8.2": _brier, "8.3": _rank},
)
