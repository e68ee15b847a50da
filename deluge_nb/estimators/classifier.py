"""scikit-learn classifier that asks a language model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ..answers.classify import Method, check_method, classify
from ..answers.inputs import Template, read_answer_sets
from ..answers.results import Classifications
from ..calibration.shares import ShareCalibrator, fit_shares
from ..errors import RequestError, SettingError, invalid_argument
from ..extras import import_extra
from ..logprobs.columns import Floats
from ..stats.core.validation import count
from ..text.counts import pluralize
from ..warning import warn
from .classes import Rows, check_named, read_answers, read_classes
from .few_shot import build_prompt, choose_examples
from .model import is_greedy, open_client
from .rows import read_rows

_base = import_extra("sklearn.base", "LogprobClassifier")
_utils = import_extra("sklearn.utils", "LogprobClassifier")
_validation = import_extra("sklearn.utils.validation", "LogprobClassifier")

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator, ClassifierMixin
else:
    BaseEstimator, ClassifierMixin = _base.BaseEstimator, _base.ClassifierMixin

_CALIBRATIONS = ("temperature", "platt", "isotonic")
_ON_ERROR = ("raise", "prior")


class LogprobClassifier(ClassifierMixin, BaseEstimator):
    """scikit-learn classifier of texts: the shares of the labels are a language model's own probabilities.

    It works wherever scikit-learn takes a classifier: cross-validation, grid search, thresholds, calibration. Needs the
    extra ``sklearn``.

    Parameters
    ----------
    model
        A model's name, a :class:`LocalModel`, or a dict of settings: ``"model"`` and any argument of
        :class:`LLMClient`, such as ``{"model": "gpt-4o-mini", "cache": True}``. scikit-learn copies and pickles it, so
        it is no client and holds no key; keys are looked up where the estimator runs.
    template
        The question, with ``{0}`` as placeholder for the text, or ``{name}`` for a column: a text, a
        :class:`RawPrompt` or a :class:`Conversation`. None if the texts are whole prompts.
    labels
        A dict from each class to its spellings; examples in the prompt show the first one. None or a list: the classes
        themselves, as texts. Labels that ``y`` does not have are not asked for. Give them for ``cross_val_predict``,
        which replaces classes by numbers: texts then stand for the numbers in sorted order.
    method
        As in :func:`classify`: ``"first-token"``, ``"trie"`` or ``"exact"``.
    n_examples
        Number of rows that ``fit`` chooses as examples for the prompt, balanced by class. Each makes every request
        longer.
    calibration
        ``"temperature"``, ``"platt"`` or ``"isotonic"``: what ``fit`` fits to the rows that are no examples, with one
        question for each. Platt's line suits a hundred rows, an isotonic fit several hundred. None: shares as the model
        gives them, and ``fit`` asks nothing.
    on_error
        ``"raise"`` raises an error if the model gives no probability for a row. ``"prior"`` gives such rows the class
        frequencies of ``fit``, with one warning.
    random_state
        Seed or generator that chooses the examples.
    show_progress
        Show a progress bar for the requests of each call.

    Attributes
    ----------
    classes_ : ndarray
        The classes, sorted: ``np.unique(y)``.
    class_prior_ : ndarray of float64
        The share of each class in ``y``.
    examples_ : list of tuple
        The examples in the prompt: the input and its class.
    calibrator_ : ShareCalibrator or None
        The fitted calibration.

    Examples
    --------
    >>> from deluge_nb import LogprobClassifier, RawPrompt
    >>> question = RawPrompt("Review: {0} Sentiment:")
    >>> clf = LogprobClassifier("local", template=question, calibration=None)
    >>> clf = clf.fit(["I loved it.", "A waste of time."], ["positive", "negative"])
    >>> clf.predict(["I loved it."]).tolist(), clf.predict_proba(["I loved it."]).shape
    (['positive'], (1, 2))
    """

    classes_: np.ndarray[Any, np.dtype[Any]]
    class_prior_: Floats
    examples_: list[tuple[Any, Any]]
    calibrator_: ShareCalibrator | None

    # scikit-learn's rule: the constructor only stores its arguments, and `fit` checks them.
    def __init__(
        self,
        model: Any = "local",
        *,
        template: Template | None = None,
        labels: Mapping[Any, str | Iterable[str]] | Iterable[str] | None = None,
        method: Method = "first-token",
        n_examples: int = 0,
        calibration: Literal["temperature", "platt", "isotonic"] | None = "temperature",
        on_error: Literal["raise", "prior"] = "raise",
        random_state: Any = None,
        show_progress: bool = False,
    ) -> None:
        self.model = model
        self.template = template
        self.labels = labels
        self.method = method
        self.n_examples = n_examples
        self.calibration = calibration
        self.on_error = on_error
        self.random_state = random_state
        self.show_progress = show_progress

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the classes, choose examples for the prompt, and calibrate the shares on the other rows.

        Parameters
        ----------
        X
            Texts: a list, tuple, array, Series or frame with one column. A frame or array of several columns gives the
            template its values.
        y
            The class of each text: texts, numbers or booleans.

        Returns
        -------
        LogprobClassifier
            The estimator itself.

        Raises
        ------
        SettingError
            When an argument of the constructor, ``X`` or ``y`` is invalid, or ``y`` has a class that is not in
            ``labels``.
        RequestError
            When a row for the calibration has no probability and ``on_error`` is ``"raise"``.
        """
        for name, value, known in (
            ("calibration", self.calibration, (*_CALIBRATIONS, None)),
            ("on_error", self.on_error, _ON_ERROR),
        ):
            if value not in known:
                raise invalid_argument(name, value, " or ".join(map(repr, known)))
        open_client(self.model).close()  # an invalid model is reported even where fit asks nothing
        check_method(self.method, None)
        values, _ = read_rows(X)
        classes, codes = read_classes(y, len(values))
        answers = read_answers(self.labels, classes)
        read_answer_sets(dict(answers), 1)  # two classes with one spelling are reported here, too
        if self.labels is None and self.template is not None and not self.n_examples:
            check_named(self.template, classes)
        rest, examples = self._split(codes)
        shown = [(values[row], answers[codes[row]][1][0]) for row in examples]
        calibrator = None
        if self.calibration is not None and len(classes) > 1:
            found = self._ask([values[row] for row in rest], shown, answers, rest)
            failed = self._find_failures(found, rest, "are left out of the calibration")
            kept = np.setdiff1d(np.arange(len(rest)), failed)
            if not len(kept):
                raise _failure(found, failed, rest)
            calibrator = fit_shares(found.probabilities[kept], codes[rest][kept], self.calibration)
        else:  # a template that does not fit is reported here, too
            build_prompt(values[0], self.template, shown, "X[0]")
        self.classes_ = classes
        self.class_prior_ = np.bincount(codes) / len(codes)
        self.examples_ = [(values[row], classes.tolist()[codes[row]]) for row in examples]
        self.calibrator_ = calibrator
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return the calibrated share of each class.

        Parameters
        ----------
        X
            Texts, as for :meth:`fit`.

        Returns
        -------
        ndarray of float64
            Shape (n, number of classes), in the order of ``classes_``; each row adds up to 1.

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        RequestError
            When a row has no probability and ``on_error`` is ``"raise"``.
        SettingError
            When ``X`` is invalid.
        """
        _validation.check_is_fitted(self)
        if len(self.classes_) == 1:  # there is nothing to ask
            return np.ones((len(read_rows(X).values), 1))
        found = self.classify(X)
        failed = self._find_failures(found, range(len(found)), "get the class frequencies")
        shares = found.probabilities
        shares[failed] = 1 / len(self.classes_)
        if self.calibrator_ is not None and len(shares):
            shares = self.calibrator_.transform(shares)
        shares[failed] = self.class_prior_
        return shares

    def predict(self, X: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the class with the largest calibrated share; of equal ones, the first in ``classes_``.

        Parameters
        ----------
        X
            Texts, as for :meth:`fit`.

        Returns
        -------
        ndarray
            The classes, shape (n,).

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        RequestError
            When a row has no probability and ``on_error`` is ``"raise"``.
        SettingError
            When ``X`` is invalid.
        """
        shares = self.predict_proba(X)
        return self.classes_[shares.argmax(axis=1)]

    def classify(self, X: Any) -> Classifications:
        """Return the model's answers with bounds, matched mass and errors, before calibration.

        Parameters
        ----------
        X
            Texts, as for :meth:`fit`.

        Returns
        -------
        Classifications
            One result per text, as from :func:`deluge_nb.classify`; a failed request is a result, too. The labels are
            the classes as texts.

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        SettingError
            When ``X`` is invalid.
        """
        _validation.check_is_fitted(self)
        values, index = read_rows(X)
        answers = read_answers(self.labels, self.classes_)
        first = dict(zip(self.classes_.tolist(), (spellings[0] for _, spellings in answers), strict=True))
        shown = [(value, first[label]) for value, label in self.examples_]
        return self._ask(values, shown, answers, range(len(values)), index)

    def _split(self, codes: Rows) -> tuple[list[int], list[int]]:
        """Return the rows for the calibration, and those that are examples."""
        size = count(self.n_examples, "n_examples")
        if size > len(codes) or (size == len(codes) and self.calibration is not None):
            reason = f"is more than the {pluralize(len(codes), 'row')} of X"
            if size == len(codes):
                reason = "leaves no row for the calibration; use fewer examples, or calibration=None"
            raise SettingError(
                f"n_examples={size} {reason}.",
                setting="n_examples",
                value=size,
            )
        examples = choose_examples(codes, size, _utils.check_random_state(self.random_state))
        taken = set(examples)
        return [row for row in range(len(codes)) if row not in taken], examples

    def _ask(
        self,
        values: list[Any],
        shown: list[tuple[Any, str]],
        answers: list[tuple[str, list[str]]],
        rows: Sequence[int],
        index: Any = None,
    ) -> Classifications:
        """Classify inputs after examples; ``rows`` are their numbers in X."""
        prompts: list[Any] = [
            build_prompt(value, self.template, shown, f"X[{row}]") for row, value in zip(rows, values, strict=True)
        ]
        with closing(open_client(self.model)) as client:
            found = classify(prompts, dict(answers), client, method=self.method, show_progress=bool(self.show_progress))
        return Classifications(list(found), values, [name for name, _ in answers], self.method, index=index)

    def _find_failures(self, found: Classifications, rows: Sequence[int], effect: str) -> Rows:
        """Return the results without probabilities; raise an error for them, or warn."""
        failed = np.flatnonzero(~np.isfinite(found.probabilities).all(axis=1))
        if len(failed):
            if self.on_error == "raise":
                raise _failure(found, failed, rows)
            warn(f"{_describe(found, failed, rows)} These rows {effect}.")
        return failed

    def __sklearn_tags__(self) -> Any:
        parent: Any = super()
        tags = parent.__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.poor_score = True
        tags.non_deterministic = not is_greedy(self.model)
        return tags


def _failure(found: Classifications, failed: Rows, rows: Sequence[int]) -> RequestError:
    responses = found[int(failed[0])].responses
    return RequestError(
        f"{_describe(found, failed, rows)} on_error='prior' gives such rows the class frequencies; a model with "
        "'cache': True keeps the other answers.",
        model=responses[0].model if responses else "",
        status_code=responses[0].status_code if responses else None,
    )


def _describe(found: Classifications, failed: Rows, rows: Sequence[int]) -> str:
    reason = found[int(failed[0])].error_message or (
        "the model gave none of the labels any probability; does the template name them?"
    )
    reason = reason if reason.endswith("?") else reason.rstrip(".") + "."
    has = "has no probabilities; it" if len(failed) == 1 else "have no probabilities; the first"
    return f"{len(failed)} of {pluralize(len(found), 'row')} {has} is X[{rows[failed[0]]}]: {reason}"
