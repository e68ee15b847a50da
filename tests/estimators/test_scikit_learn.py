"""LogprobClassifier among scikit-learn's own tools, and its checks that make sense for texts."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags

from deluge_nb import LogprobClassifier, SettingError
from tests.estimators.questions import CLASSES, TEXTS, answer_by_number, classifier, shares
from tests.openai_server import ChatServer, Reply, Seen, chat

CHECKS = [
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_repr",
    "check_estimator_cloneable",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_estimators_unfitted",
    "check_estimators_pickle",
    "check_classifiers_classes",
    "check_classifiers_one_label",
    "check_decision_proba_consistency",
    "check_fit_score_takes_y",
    "check_mixin_order",
    "check_valid_tag_types",
    "check_estimator_tags_renamed",
]
FORMS: list[Callable[[list[str]], Any]] = [
    list,
    np.array,
    lambda texts: np.array(texts, object),
    lambda texts: pd.DataFrame({"text": texts}),
]


@pytest.fixture
def server(server: ChatServer) -> ChatServer:
    server.answer = answer_by_number()
    return server


def answer_any_class(seen: Seen, number: int) -> Reply:
    """Give every name of a class of the checks some probability, and the more to one the larger the text is."""
    place = hash_of(seen.question)
    names = ["0", "1", "2", "-1", "one", "two", "three", "setosa"]
    weights = {name: 1.0 + (index == place % len(names)) for index, name in enumerate(names)}
    total = sum(weights.values())
    likeliest = max(weights, key=weights.__getitem__)
    return Reply(chat(seen, [(likeliest, {name: weight / total for name, weight in weights.items()})]))


def hash_of(text: str) -> int:
    return sum(text.encode())


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.filterwarnings("ignore:The shares:RuntimeWarning")
def test_a_check_of_scikit_learn_passes(server: ChatServer, name: str) -> None:
    server.answer = answer_any_class
    model = {"model": "m", "base_url": server.url, "sampling_params": None}
    estimator = LogprobClassifier(model, template="Class of {0}?", calibration="temperature", n_examples=1)
    # The checks ask for a few classes by numbers of both signs.
    getattr(estimator_checks, name)("LogprobClassifier", estimator)


def test_the_whole_suite_of_checks_passes_for_what_takes_texts(server: ChatServer) -> None:
    estimator_checks.check_estimator(classifier(server))


def test_the_tags_say_that_it_classifies_texts(server: ChatServer) -> None:
    tags: Any = get_tags(classifier(server))
    assert is_classifier(classifier(server))
    assert (tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array) == (True, True, False)
    assert not tags.non_deterministic
    assert get_tags(LogprobClassifier({"model": "gpt-4o-mini", "temperature": 1})).non_deterministic


def test_a_clone_and_a_pickle_answer_alike(server: ChatServer) -> None:
    clf = classifier(server, n_examples=2, calibration="platt", random_state=0)
    fitted = clone(clf).fit(TEXTS, CLASSES)
    rows = fitted.predict_proba(TEXTS)
    assert pickle.loads(pickle.dumps(fitted)).predict_proba(TEXTS) == pytest.approx(rows)
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "classes_")


@pytest.mark.parametrize("form", FORMS)
def test_probabilities_are_cross_validated(server: ChatServer, form: Any) -> None:
    # scikit-learn passes 0 and 1 in place of the classes.
    clf = classifier(server, labels={"good": ["good"], "bad": ["bad"]}, n_examples=2)
    rows = cross_val_predict(clf, form(TEXTS), CLASSES, cv=3, method="predict_proba")
    assert rows == pytest.approx(np.array(shares(TEXTS)))


def test_numbers_in_place_of_classes_are_refused_where_their_meaning_is_not_known(server: ChatServer) -> None:
    for labels, message in ((None, "which template does not name"), (["good", "bad"], "another order")):
        with pytest.raises(SettingError, match=message):
            classifier(server, labels=labels).fit(TEXTS, [0, 1] * 6)
    with pytest.raises(SettingError, match="no entry for 0, 1"):
        classifier(server, labels=["bad", "good", "odd"]).fit(TEXTS, [0, 1] * 6)
    assert not server.seen


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scikit_learn_calibrates_it(server: ChatServer, form: Any) -> None:
    for estimator in (classifier(server), FrozenEstimator(classifier(server).fit(TEXTS, CLASSES))):
        calibrated = CalibratedClassifierCV(estimator, cv=3).fit(form(TEXTS), CLASSES)
        rows = calibrated.predict_proba(form(TEXTS))
        assert rows.sum(axis=1) == pytest.approx(1)
        assert calibrated.predict(form(TEXTS)).tolist() == CLASSES


@pytest.mark.parametrize("form", FORMS)
def test_a_grid_search_finds_the_better_template(server: ChatServer, form: Any) -> None:
    # The second question hides the text behind a number that says nothing.
    templates = ["Good or bad? {0}", "50 % sure: {0}"]
    search = GridSearchCV(classifier(server), {"template": templates}, scoring="neg_log_loss", cv=3)
    search.fit(form(TEXTS), CLASSES)
    assert search.best_params_ == {"template": templates[0]}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_threshold_is_tuned(server: ChatServer) -> None:
    tuned = TunedThresholdClassifierCV(classifier(server), cv=3).fit(TEXTS, CLASSES)
    assert 0 < tuned.best_threshold_ < 1
    assert tuned.score(TEXTS, CLASSES) > 0.9


def test_it_is_the_last_step_of_a_pipeline(server: ChatServer) -> None:
    def upper(texts: list[str]) -> list[str]:
        return [text.upper() for text in texts]

    steps = make_pipeline(FunctionTransformer(upper), classifier(server))
    assert steps.fit(TEXTS, CLASSES).predict(TEXTS).tolist() == CLASSES
    assert "IT WAS" in server.seen[0].question


def test_curves_and_scores_take_its_probabilities(server: ChatServer) -> None:
    clf = classifier(server).fit(TEXTS, CLASSES)
    rows = clf.predict_proba(TEXTS)
    accuracy, confidence = calibration_curve(np.array(CLASSES) == "good", rows[:, 1], n_bins=2)
    assert (accuracy.tolist(), confidence.tolist()) == ([0, 1], pytest.approx([1.2 / 6, 4.8 / 6], abs=0.1))
    assert log_loss(CLASSES, rows) == pytest.approx(-np.log(rows.max(axis=1)).mean())
    assert cross_val_score(clf, TEXTS, CLASSES, cv=3, scoring="roc_auc").tolist() == [1, 1, 1]


def test_wrong_labels_are_found_as_in_confident_learning(server: ChatServer) -> None:
    """The rule of cleanlab: rows whose own label is unlikely, and another at least as likely as where it is given."""
    given = np.array([0, 1] * 6)
    given[[1, 6]] = 1 - given[[1, 6]]
    names = np.array(["bad", "good"])
    clf = classifier(server, labels=["bad", "good"])
    rows = cross_val_predict(clf, TEXTS, names[given], cv=3, method="predict_proba")
    limits = np.array([rows[given == label, label].mean() for label in (0, 1)])
    issues = [
        row
        for row in range(12)
        if rows[row, 1 - given[row]] >= limits[1 - given[row]] and rows[row].argmax() != given[row]
    ]
    assert issues == [1, 6]
