"""The finale about authors: a score that differs on average does not convict anybody."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...client.client import LLMClient
from ...prompts import RawPrompt
from ...sampling import SamplingParams
from ..lesson import Guess, Key, Lesson, Mistake, Reveal
from ..model import scored
from ..quiz.recordings import recorded_texts

MODEL, AUTHOR = "by the model", "by the author"
_RIVER = 3  # the pair that opens the lesson
_THRESHOLD = 4.0
_HIGHER_THRESHOLD = 5.0
_PLACES = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)
_SHARE = 0.05


def sentences() -> dict[str, list[tuple[str, str]]]:
    """Return the beginnings with their ends, eight by the author of the lesson and eight that the model drew."""
    recorded = recorded_texts("finale_author")
    return {
        MODEL: list(zip(recorded["begins"], recorded["model"], strict=True)),
        AUTHOR: list(zip(recorded["begins"], recorded["author"], strict=True)),
    }


@dataclass(frozen=True, slots=True)
class Table:
    """All sentences: a row for each beginning, and a column for each author."""

    rows: tuple[tuple[str, str, str], ...]

    def __repr__(self) -> str:
        return "\n".join(f"{begin}\n   {MODEL}: …{model}\n   {AUTHOR}: …{author}" for begin, model, author in self.rows)

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], tag: str) -> str:
            return "".join(f"<{tag} style='text-align:left;width:33%'>{html.escape(cell)}</{tag}>" for cell in cells)

        head = row(("beginning", MODEL, AUTHOR), "th")
        body = "".join(
            f"<tr>{row((begin, f'…{model}', f'…{author}'), 'td')}</tr>" for begin, model, author in self.rows
        )
        return f'<table class="mathjax_ignore"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def table() -> Table:
    """Return all sentences as a table."""
    pairs = zip(*sentences().values(), strict=True)
    return Table(tuple((begin, model, author) for (begin, model), (_, author) in pairs))


def bits_per_token(begin: str, end: str) -> float:
    """Return the mean surprisal of the tokens of an end after its beginning."""
    return float(scored(begin, end).surprisal(2).mean())


def scores() -> dict[str, list[float]]:
    """Return the bits per token of all sentences, by who wrote them."""
    return {name: [bits_per_token(*pair) for pair in pairs] for name, pairs in sentences().items()}


@lru_cache(maxsize=8)
def redraw(count: int) -> str:
    """Return the first tokens of the model's first sentence, drawn again with the seed of the recording."""
    recorded = recorded_texts("finale_author")
    params = SamplingParams(temperature=1.0, seed=recorded["seed"], max_new_tokens=count)
    client = LLMClient("local", sampling_params=params)
    (response,) = client.process_prompts_sync([RawPrompt(recorded["begins"][0])], show_progress=False)
    return response.completion or ""


def shares_below(threshold: float) -> dict[str, float]:
    """Return the share of sentences with fewer bits per token than a threshold, by who wrote them."""
    return {name: float(np.mean(np.array(values) < threshold)) for name, values in scores().items()}


def threshold_figure(threshold: float) -> Any:
    """Return the chart of all sentences with a threshold, and the two shares below it as a title."""
    from ...charts.probability.groups import groups_chart

    values = scores()
    below = {name: sum(score < threshold for score in group) for name, group in values.items()}
    counts = [
        f"{below[name]} of {len(values[name])} {words}" for name, words in ((MODEL, "found"), (AUTHOR, "accused"))
    ]
    texts = {name: [begin + end for begin, end in pairs] for name, pairs in sentences().items()}
    return groups_chart(
        values,
        threshold=threshold,
        measure="bits per token",
        title=f"Below {threshold:g} bits: {counts[0]}, {counts[1]} wrongly",
        domain=(2.5, 8.5),
        cases=texts,
    )


def _river(name: str) -> float:
    return bits_per_token(*sentences()[name][_RIVER])


def _fewest_errors() -> int:
    """Return how many sentences the best threshold puts on the wrong side."""
    values = scores()
    places = [*values[MODEL], *values[AUTHOR], np.inf]
    return int(min(_errors(values, place) for place in places))


def _errors(values: Mapping[str, Sequence[float]], threshold: float) -> int:
    missed = sum(score >= threshold for score in values[MODEL])
    return int(missed + sum(score < threshold for score in values[AUTHOR]))


def _innocent() -> float:
    """Return the share of innocent people among the accused, where few have used a model."""
    below = shares_below(_THRESHOLD)
    accused = _SHARE * below[MODEL] + (1 - _SHARE) * below[AUTHOR]
    return (1 - _SHARE) * below[AUTHOR] / accused


def _best_threshold() -> float:
    """Return the place of the dial that puts the fewest sentences on the wrong side."""
    values = scores()
    return min(_PLACES, key=lambda place: _errors(values, place))


def _best_line() -> Sequence[Any]:
    return (threshold_figure(_best_threshold()),)


def _false_alarms() -> Key:
    below = shares_below(_HIGHER_THRESHOLD)
    found, accused = below[MODEL], below[AUTHOR]
    return Key(
        accused,
        "Of those the author wrote, this share is accused: the *false alarm rate*.",
        [
            Mistake(found, "That is the share of the *model's* sentences that is found."),
            Mistake(accused / (accused + found), "That is the share of the *accused* sentences: divide by eight."),
            Mistake((accused + 1 - found) / 2, "Those are the errors of both kinds, among all sixteen."),
            Mistake(1 - accused, "That is the share that is left in peace."),
            Mistake(shares_below(_THRESHOLD)[AUTHOR], "That is for a line at 4 bits."),
        ],
        kind="probability",
    )


def _pairs() -> Key:
    values = scores()
    model, author = np.array(values[MODEL]), np.array(values[AUTHOR])
    share = float(np.mean(model[:, None] < author[None, :]))
    best = 1 - _fewest_errors() / (len(model) + len(author))
    return Key(
        share,
        "This share of the pairs is called *AUROC*. It needs no threshold.",
        [
            Mistake(1 - share, "Those are the pairs in which the author's sentence has fewer bits."),
            Mistake(0.5, "That is what a coin would do."),
            Mistake(64 * share, "That is the number of pairs: divide by 64."),
            Mistake(best, "That is what the best threshold gets right: compare pairs instead."),
            Mistake(float(np.mean(model < author)), "Those are eight pairs: take every sentence with every other."),
        ],
        tolerance=0.004,
        kind="probability",
    )


def _known() -> Key:
    return Key(
        "b",
        "A score says something of the text. It takes base rates, and other evidence, to say something of a person.",
        [
            Mistake("a", "That depends on how many used a model, and on how plainly people write."),
            Mistake("c", "A single score excludes neither."),
        ],
        choices=("a", "b", "c"),
    )


LESSON = Lesson(
    number=11,
    name="11_finale_who_wrote_it",
    title="The finale: who wrote it?",
    learn="judge a detector by its two kinds of errors, and say why it proves nothing about a person",
    minutes=45,
    reveals={
        "11.1": Reveal(
            {
                "first": Guess("bits per token of the first end", lambda: _river(MODEL), "bits"),
                "second": Guess("bits per token of the second end", lambda: _river(AUTHOR), "bits"),
            },
            "The model drew the *first* end. It finds the author's plain sentence less surprising than its own.",
        ),
        "11.2": Reveal(
            {
                "errors": Guess(
                    "sentences on the wrong side",
                    lambda: float(_fewest_errors()),
                    "number",
                    mistakes=[
                        Mistake(0, "The groups overlap: no line divides them."),
                        Mistake(8, "A coin would be wrong in eight. The score does say something."),
                    ],
                )
            },
            "On average the groups differ clearly. They overlap where people write plainly. The picture shows a best line.",
            _best_line,
        ),
        "11.3": Reveal(
            {
                "innocent": Guess(
                    "innocent among the accused",
                    _innocent,
                    mistakes=[
                        Mistake(_SHARE, "That is the share of people who used a model."),
                        Mistake(1 - _SHARE, "That is the share of innocent people in the whole school."),
                    ],
                )
            },
            "Few used a model. A small share of all the others is still more people.",
        ),
    },
    exercises={"11.1": _false_alarms, "11.2": _pairs, "11.3": _known},
)
