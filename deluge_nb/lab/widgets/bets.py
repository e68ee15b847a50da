"""``Bets``: chips on the ways in which sentences may end, for the learner and the model."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import traitlets

from ...errors import SettingError, invalid_argument
from ...widget.fallback import FallbackWidget
from ..quiz.betting import Question, option_shares

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...calibration.report import CalibrationReport


@dataclass(frozen=True, slots=True)
class Bet:
    """One question that was played.

    Parameters
    ----------
    question
        The question.
    share
        Your share of the chips on each option, in the question's order: the right one first.
    model_share
        The model's share of each option, in the same order.

    Examples
    --------
    >>> from deluge_nb.lab import Bet, Question
    >>> bet = Bet(Question("A female sheep is called a", ("ewe", "cow")), (0.5, 0.5), (0.25, 0.75))
    >>> bet.paid, bet.model_paid
    (1.0, 2.0)
    """

    question: Question
    share: tuple[float, ...]
    model_share: tuple[float, ...]

    @property
    def paid(self) -> float:
        """Your cost in bits: the surprisal of the right option. Infinite without a chip on it."""
        return _surprisal(self.share[0])

    @property
    def model_paid(self) -> float:
        """The model's cost in bits."""
        return _surprisal(self.model_share[0])


class Bets(FallbackWidget):
    """Betting game: place chips on the words that may end a sentence; you and the model pay surprisal, in bits.

    Tab goes from word to word, the arrow keys place chips, and the button is active once all are placed.

    Parameters
    ----------
    questions
        The questions, in order.
    shares
        The model's share of each option of each question; None asks the lessons' model.
    chips
        Chips for each question.

    Raises
    ------
    SettingError
        If there are no questions, or the shares do not fit them.
    DelugeError
        If the model cannot be asked.

    Examples
    --------
    >>> from deluge_nb.lab import Bets, Question
    >>> game = Bets([Question("Two and two are", ("four", "five"))], [[0.75, 0.25]], chips=4)
    >>> game.bet([2, 2])
    >>> game.history[0].paid
    1.0
    >>> game
    Bets(1 of 1 played: you paid 1.00 bits, the model 0.42 bits)
    """

    kind = traitlets.Unicode("bets").tag(sync=True)
    total = traitlets.Int(0).tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    chips = traitlets.Int(20).tag(sync=True)
    rounds = traitlets.List(traitlets.Dict()).tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)

    _script: ClassVar[str] = "lab.js"
    _page_assets: ClassVar[tuple[str, str]] = ("lab_page.js", "lab.css")
    title = "You against the model"

    def __init__(
        self, questions: Sequence[Question], shares: Sequence[ArrayLike] | None = None, chips: int = 20
    ) -> None:
        self._questions = tuple(questions)
        if not self._questions or not all(isinstance(question, Question) for question in self._questions):
            raise invalid_argument("questions", questions, "a list of Question")
        if isinstance(chips, bool) or not isinstance(chips, int) or not 1 <= chips <= 1000:
            raise invalid_argument("chips", chips, "a number of chips from 1 to 1000")
        self._shares = _checked(option_shares(self._questions) if shares is None else shares, self._questions)
        self.history: list[Bet] = []
        super().__init__(total=len(self._questions), chips=chips)
        self.on_msg(self._on_message)
        self._ask()

    def bet(self, chips: Sequence[int]) -> None:
        """Place the chips of the open question from code, one number for each option in the order shown.

        Parameters
        ----------
        chips
            As many numbers as there are options; their sum is the number of chips.

        Raises
        ------
        SettingError
            If the numbers are not of that form, or all questions were played.

        Examples
        --------
        >>> from deluge_nb.lab import Bets, Question
        >>> game = Bets([Question("Two and two are", ("four", "five"))], [[0.75, 0.25]], chips=4)
        >>> game.bet([4, 4])
        Traceback (most recent call last):
        ...
        deluge_nb.errors.base.SettingError: chips must be 2 whole numbers that add up to 4, not [4, 4].
        """
        if not self.options:
            raise SettingError("All questions were played; make a new game.", setting="chips", value=chips)
        numbers = list(chips) if isinstance(chips, Sequence) and not isinstance(chips, str) else []
        is_whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)
        if len(numbers) != len(self.options) or not is_whole or sum(numbers) != self.chips:
            requirement = f"{len(self.options)} whole numbers that add up to {self.chips}"
            raise invalid_argument("chips", chips, requirement)
        index = len(self.history)
        question, order = self._questions[index], self._order(index)
        share = [0.0] * len(order)
        for shown, option in enumerate(order):
            share[option] = numbers[shown] / self.chips
        played = Bet(question, tuple(share), tuple(self._shares[index]))
        self.history.append(played)
        with self.hold_sync():
            self.rounds = [*self.rounds, _round(played, order, numbers)]
            self.summary = self._summary()
            self._ask()

    def report(self, of: Literal["you", "model"] = "you") -> CalibrationReport:
        """Return a report on the bets: the largest share of each, against whether it was on the right option.

        Of options with equal shares the first one shown counts, so that evenly spread chips are right only by chance.

        Parameters
        ----------
        of
            ``"you"`` or ``"model"``.

        Returns
        -------
        CalibrationReport
            The report.

        Raises
        ------
        SettingError
            If nothing was played yet, or `of` is another word.

        Examples
        --------
        >>> from deluge_nb.lab import Bets, Question
        >>> game = Bets([Question("Two and two are", ("four", "five"))], [[0.75, 0.25]], chips=4)
        >>> game.bet([2, 2])
        >>> game.report("model").accuracy.value
        1.0
        """
        from ...calibration.report import CalibrationReport

        if of not in ("you", "model"):
            raise invalid_argument("of", of, "'you' or 'model'")
        if not self.history:
            raise SettingError("Nothing was played yet.", setting="of", value=of)
        shares = [bet.share if of == "you" else bet.model_share for bet in self.history]
        answers = [max(self._order(index), key=share.__getitem__) for index, share in enumerate(shares)]
        return CalibrationReport([max(share) for share in shares], [answer == 0 for answer in answers])

    def __repr__(self) -> str:
        played = f"{len(self.history)} of {len(self._questions)} played"
        return f"Bets({played}{self._paid(': you paid {}, the model {}')})"

    def _order(self, index: int) -> list[int]:
        """Return the options in the order shown, which is the same in every game."""
        count = len(self._questions[index].options)
        return [int(option) for option in np.random.default_rng(index).permutation(count)]

    def _ask(self) -> None:
        index = len(self.history)
        if index == len(self._questions):
            self.text = ""
            self.options = list[str]()
            return
        question = self._questions[index]
        self.text = question.text
        self.options = [question.options[option] for option in self._order(index)]

    def _paid(self, sentence: str) -> str:
        if not self.history:
            return ""
        yours, models = (sum(paid) for paid in zip(*((bet.paid, bet.model_paid) for bet in self.history), strict=True))
        return sentence.format(_bits(yours), _bits(models))

    def _summary(self) -> str:
        last = self.history[-1]
        even = sum(math.log2(len(bet.question.options)) for bet in self.history)
        return (
            f"It was “{last.question.options[0]}”. You had {last.share[0]:.0%} of your chips on it and pay "
            f"{_bits(last.paid)}; the model had {last.model_share[0]:.0%} and pays {_bits(last.model_paid)}. "
            f"{self._paid('So far: you {}, the model {}')}, chips spread evenly {_bits(even)}."
        )

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        chips = content.get("bet") if isinstance(content, dict) else None
        if isinstance(chips, list) and self.options:
            self.bet(chips)

    def _page_state(self) -> tuple[dict[str, Any], str]:
        # Without Python nothing can be bet: the page shows what was played.
        return {"text": "", "options": []}, repr(self)

    def _static_forms(self) -> dict[str, str]:
        rows = "".join(
            f"<tr><td>{html.escape(bet.question.text)} <strong>{html.escape(bet.question.options[0])}</strong></td>"
            f"<td>{bet.share[0]:.0%}</td><td>{bet.model_share[0]:.0%}</td>"
            f"<td>{_bits(bet.paid)}</td><td>{_bits(bet.model_paid)}</td></tr>"
            for bet in self.history
        )
        head = "<tr><th>Sentence</th><th>You</th><th>Model</th><th>You pay</th><th>Model pays</th></tr>"
        table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else ""
        words = html.escape(self._paid("You paid {}, the model {}.") or "Run the cell to play.")
        return {"text/html": f'<div class="mathjax_ignore"><p>{words}</p>{table}</div>', "text/plain": repr(self)}


def _round(bet: Bet, order: Sequence[int], chips: Sequence[int]) -> dict[str, Any]:
    return {
        "text": bet.question.text,
        "options": [bet.question.options[option] for option in order],
        "chips": list(chips),
        "shares": [bet.model_share[option] for option in order],
        "right": order.index(0),
        "paid": _bits(bet.paid),
        "model_paid": _bits(bet.model_paid),
    }


def _surprisal(share: float) -> float:
    return 0.0 - math.log2(share) if share > 0 else math.inf


def _bits(value: float) -> str:
    text = f"{value:.2f}" if math.isfinite(value) else "∞"
    return f"{text} bits"


def _checked(shares: Sequence[ArrayLike], questions: Sequence[Question]) -> list[tuple[float, ...]]:
    rows = [tuple(float(share) for share in np.asarray(row, dtype=float).ravel()) for row in shares]
    if [len(row) for row in rows] != [len(question.options) for question in questions]:
        raise invalid_argument("shares", shares, "a share for each option of each question")
    if any(min(row) < 0 or not math.isclose(sum(row), 1, rel_tol=1e-6) for row in rows):
        raise invalid_argument("shares", shares, "shares from 0 to 1 that add up to 1 for each question")
    return rows
