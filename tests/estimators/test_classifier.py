"""LogprobClassifier: classes, examples, calibration, inputs and failures, against a local server."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from deluge_nb import (
    CalibrationReport,
    Conversation,
    LLMClient,
    LocalModel,
    LogprobClassifier,
    RawPrompt,
    RequestError,
    SettingError,
)
from tests.data import reviews
from tests.estimators.questions import CLASSES, TEMPLATE, TEXTS, answer_by_number, classifier, questions, shares
from tests.openai_server import ChatServer


@pytest.fixture
def server(server: ChatServer) -> ChatServer:
    server.answer = answer_by_number()
    return server


def test_probabilities_are_the_models_shares_in_the_order_of_the_classes(server: ChatServer) -> None:
    clf = classifier(server).fit(TEXTS, CLASSES)
    assert clf.classes_.tolist() == ["bad", "good"]
    assert clf.predict_proba(TEXTS) == pytest.approx(np.array(shares(TEXTS)))
    assert clf.predict(TEXTS).tolist() == CLASSES
    assert clf.score(TEXTS, CLASSES) == 1


def test_fit_without_calibration_asks_nothing(server: ChatServer) -> None:
    clf = classifier(server, n_examples=2, random_state=0)
    assert clf.fit(TEXTS, CLASSES) is clf
    assert not server.seen
    assert clf.calibrator_ is None
    assert clf.class_prior_.tolist() == [0.5, 0.5]


def test_classify_gives_bounds_mass_and_the_index_of_a_series(server: ChatServer) -> None:
    clf = classifier(server).fit(TEXTS, CLASSES)
    found = clf.classify(pd.Series(["It was 90."], index=["row 7"]))
    assert found.labels == ["good"]
    assert found[0].matched_mass == pytest.approx(0.8)
    assert found[0].lower["good"] == pytest.approx(0.72)
    assert found.to_pandas().index.tolist() == ["row 7"]
    assert found.to_pandas()["input"].tolist() == ["It was 90."]


# Examples -------------------------------------------------------------------------------------------------------------


def test_a_chat_shows_examples_as_earlier_turns(server: ChatServer) -> None:
    clf = classifier(server, n_examples=2, random_state=0).fit(TEXTS, CLASSES)
    clf.predict(["It was 90."])
    messages = server.seen[-1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant", "user"]
    shown = [(TEMPLATE.replace("{0}", text), label) for text, label in clf.examples_]
    assert [(messages[i]["content"], messages[i + 1]["content"]) for i in (0, 2)] == shown
    assert messages[-1]["content"] == "Good or bad? It was 90."


def test_an_instruction_is_given_once_and_the_beginning_of_an_answer_each_time(server: ChatServer) -> None:
    template = Conversation().system("Be strict.").user("Good or bad? {0}").assistant_prefix("It is ")
    model = {"model": "m", "base_url": server.url, "continues": True}
    clf = classifier(server, template=template, model=model, n_examples=2, random_state=0).fit(TEXTS, CLASSES)
    clf.classify(["It was 90."])
    messages = server.seen[-1].body["messages"]
    assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 3]
    assert [messages[i]["content"] for i in (2, 4, 6)] == [f"It is {label}" for _, label in clf.examples_] + ["It is"]


def test_a_raw_prompt_shows_examples_as_text() -> None:
    from deluge_nb.estimators.few_shot import build_prompt

    template = RawPrompt("Review: {0} Sentiment:")
    prompt = build_prompt("Fine.", template, [("{0} stars", "bad"), ("Top!", "good")], "X[0]")
    assert prompt.raw == (
        "Review: {0} stars Sentiment: bad\n\nReview: Top! Sentiment: good\n\nReview: Fine. Sentiment:"
    )


def test_a_placeholder_in_the_instruction_is_refused_with_examples(server: ChatServer) -> None:
    template = Conversation().system("The text: {0}").user("Good or bad?")
    with pytest.raises(SettingError, match="placeholder in its instruction"):
        classifier(server, template=template, n_examples=2).fit(TEXTS, CLASSES)


@pytest.mark.parametrize("seed", range(5))
def test_examples_are_balanced_by_class_as_far_as_possible(server: ChatServer, seed: int) -> None:
    texts = [f"{i} of 100" for i in range(20)]
    classes = ["a"] * 2 + ["b"] * 6 + ["c"] * 12
    clf = classifier(server, n_examples=8, random_state=seed).fit(texts, classes)
    counts = [[label for _, label in clf.examples_].count(name) for name in "abc"]
    assert counts == [2, 3, 3]
    assert len({text for text, _ in clf.examples_}) == 8


def test_the_choice_of_examples_follows_the_random_state(server: ChatServer) -> None:
    choices = [classifier(server, n_examples=4, random_state=seed).fit(TEXTS, CLASSES).examples_ for seed in (1, 1, 2)]
    assert choices[0] == choices[1] != choices[2]


def test_examples_show_the_first_spelling_of_their_class(server: ChatServer) -> None:
    labels = {"bad": ["poor", "bad"], "good": ["great", "good"]}
    clf = classifier(server, labels=labels, n_examples=2, random_state=0).fit(TEXTS, CLASSES)
    clf.predict(["It was 90."])
    messages = server.seen[-1].body["messages"]
    assert {messages[1]["content"], messages[3]["content"]} == {"poor", "great"}


# Calibration ----------------------------------------------------------------------------------------------------------


def test_the_calibration_asks_for_every_row_that_is_no_example(server: ChatServer) -> None:
    clf = classifier(server, n_examples=4, random_state=0, calibration="temperature").fit(TEXTS, CLASSES)
    asked = {question.removeprefix("Good or bad? ") for question in questions(server)}
    assert asked == set(TEXTS) - {text for text, _ in clf.examples_}
    assert len(server.seen) == len(TEXTS) - 4


@pytest.mark.parametrize("calibration", ["temperature", "platt", "isotonic"])
def test_calibrated_rows_add_up_to_one_and_improve_the_log_loss(server: ChatServer, calibration: Any) -> None:
    texts, classes = noisy(400)
    clf = classifier(server, calibration=calibration).fit(texts[:200], classes[:200])
    plain = classifier(server).fit(texts[:200], classes[:200])
    calibrated, raw = clf.predict_proba(texts[200:]), plain.predict_proba(texts[200:])
    assert calibrated.sum(axis=1) == pytest.approx(1)
    assert loss(calibrated, classes[200:]) < loss(raw, classes[200:])


def noisy(size: int) -> tuple[list[str], list[str]]:
    """Texts on which the server is far too certain."""
    random = np.random.default_rng(0)
    percents = random.integers(1, 100, size)
    truth = random.random(size) < 0.5 + (percents / 100 - 0.5) / 3
    return [f"It was {percent}." for percent in percents], ["good" if good else "bad" for good in truth]


def loss(rows: Any, classes: list[str]) -> float:
    chosen = np.where(np.array(classes) == "good", rows[:, 1], rows[:, 0])
    return float(-np.log(np.clip(chosen, 1e-9, 1)).mean())


def test_a_few_rows_that_are_all_right_make_no_answer_certain(server: ChatServer) -> None:
    clf = classifier(server, calibration="temperature").fit(TEXTS, CLASSES)
    assert clf.predict_proba(TEXTS).max() < 1 - 1e-3
    assert clf.predict(TEXTS).tolist() == CLASSES


def test_a_second_fit_forgets_the_first(server: ChatServer) -> None:
    clf = classifier(server, n_examples=2, calibration="temperature", random_state=0).fit(TEXTS, CLASSES)
    clf.set_params(n_examples=0, calibration=None, labels={"good": "good", "bad": "bad", "odd": "odd"})
    clf.fit(TEXTS[:4], ["bad", "good", "bad", "good"])
    assert (clf.examples_, clf.calibrator_) == ([], None)


def test_one_class_needs_no_question(server: ChatServer) -> None:
    clf = classifier(server, calibration="temperature").fit(TEXTS, ["good"] * 12)
    assert clf.predict_proba(TEXTS).tolist() == [[1.0]] * 12
    assert set(clf.predict(TEXTS)) == {"good"}
    assert not server.seen


# Labels ---------------------------------------------------------------------------------------------------------------


def test_classes_may_be_numbers_with_spellings(server: ChatServer) -> None:
    clf = classifier(server, labels={0: ["bad"], 1: ["good"]}).fit(TEXTS, [0, 1] * 6)
    assert clf.predict(TEXTS[:2]).tolist() == [0, 1]
    assert clf.classes_.dtype.kind == "i"
    booleans = classifier(server, labels={False: "bad", True: "good"}).fit(TEXTS, [False, True] * 6)
    assert booleans.predict(TEXTS[:2]).tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "bool", "int64"])
def test_classes_keep_their_type(server: ChatServer, dtype: Any) -> None:
    y = pd.Series([0, 1] * 6).astype(dtype)
    clf = classifier(server, labels={0: "bad", 1: "good"}).fit(TEXTS, y)
    assert clf.classes_.dtype.kind == ("b" if dtype.startswith("bool") else "i")
    assert clf.predict(TEXTS).tolist() == y.tolist()


def test_a_class_without_an_entry_is_refused_by_name(server: ChatServer) -> None:
    with pytest.raises(SettingError, match=r"no entry for 'good', which y has; it has 'bad', 'fine'\."):
        classifier(server, labels=["bad", "fine"]).fit(TEXTS, CLASSES)


def test_labels_that_y_does_not_have_are_not_asked_for(server: ChatServer) -> None:
    clf = classifier(server, labels=["bad", "good", "Maybe"]).fit(TEXTS, CLASSES)
    assert clf.predict_proba(TEXTS) == pytest.approx(np.array(shares(TEXTS)))


# Inputs ---------------------------------------------------------------------------------------------------------------


FORMS: list[Callable[[list[str]], Any]] = [
    list,
    tuple,
    np.array,
    lambda texts: np.array(texts, object),
    lambda texts: np.array(texts)[:, None],
    pd.Series,
    lambda texts: pd.DataFrame({"text": texts}),
    lambda texts: pd.DataFrame({7: texts}, index=range(100, 100 + len(texts))),
    iter,
]


@pytest.mark.parametrize("form", FORMS)
def test_texts_come_in_many_forms(server: ChatServer, form: Any) -> None:
    clf = classifier(server).fit(form(TEXTS), pd.Series(CLASSES))
    assert clf.predict_proba(form(TEXTS)) == pytest.approx(np.array(shares(TEXTS)))


def test_a_frame_of_several_columns_fills_named_placeholders(server: ChatServer) -> None:
    frame = pd.DataFrame({"title": ["A"] * 12, "text": TEXTS})
    clf = classifier(server, template="{title}: good or bad? {text}").fit(frame, CLASSES)
    clf.predict(frame.iloc[:1])
    assert questions(server) == [f"A: good or bad? {TEXTS[0]}"]


def test_an_array_of_several_columns_fills_numbered_placeholders(server: ChatServer) -> None:
    table = np.array([["A", text] for text in TEXTS], object)
    classifier(server, template="{1} ({0})").fit(table, CLASSES).predict(table[:1])
    assert questions(server) == [f"{TEXTS[0]} (A)"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("It was 5.", r"X must be a list of texts; put the one you have in brackets: \['It was 5\.'\]"),
        (["It was 5.", None], r"X\[1\] is missing"),
        (["It was 5.", float("nan")], r"X\[1\] is missing"),
        (["It was 5.", b"bytes"], r"X\[1\] must be a text"),
        (["It was 5.", []], r"X\[1\] must be a text"),
        (np.zeros((2, 1, 1)), "not an array of 3 dimensions"),
        (3, "X must be a list of texts"),
        (pd.DataFrame(index=[0, 1]), "X has no columns"),
        (pd.DataFrame([["a", "b"]] * 2, columns=["x", "x"]), "two columns with the name 'x'"),
        (pd.DataFrame({"a": ["1", "2"], "b": ["1", "2"]}), r"template asks for \{0\}, and X\[0\] has 'a', 'b'"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(server: ChatServer, X: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        classifier(server).fit(X, ["bad", "good"])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ("bad", "a list with the class"),
        (["bad"], "one class for each of the 2 texts, not 1"),
        (["bad", None], r"y\[1\] is missing"),
        ([0.0, float("nan")], r"y\[1\] is missing"),
        (["bad", float("nan")], r"y\[1\] is missing"),
        (pd.Series([1, None], dtype="Int64"), r"y\[1\] is missing"),
        (["bad", 1], "y mixes texts with other classes"),
        (np.array(["bad", 1], object), "y mixes texts with other classes"),
        ([False, True], "The classes are False, True, which template does not name: give labels"),
        ([0.5, 0.25], "continuous"),
    ],
)
def test_what_is_no_list_of_classes_is_refused(server: ChatServer, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(server).fit(TEXTS[:2], y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibration": "sigmoid"}, "calibration must be 'temperature' or 'platt' or 'isotonic' or None"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'prior'"),
        ({"n_examples": -1}, "n_examples must be a whole number"),
        ({"n_examples": 13}, "n_examples=13 is more than the 12 rows of X"),
        ({"n_examples": 12, "calibration": "platt"}, "leaves no row for the calibration"),
        ({"template": "No placeholder"}, "no placeholder"),
        ({"method": "guess"}, "method must be"),
        ({"labels": []}, "it has none"),
        ({"labels": {"good": ["x"], "bad": ["X"]}}, "are the same answer"),
        ({"labels": "good"}, "labels must be a dict"),
        ({"labels": {"good": [], "bad": "bad"}}, "labels.'good'. must be a text"),
    ],
)
def test_a_wrong_argument_is_refused_by_fit(server: ChatServer, options: Any, message: str) -> None:
    clf = classifier(server, **options)
    with pytest.raises(SettingError, match=message):
        clf.fit(TEXTS, CLASSES)
    assert not server.seen


@pytest.mark.parametrize("calibration", ["temperature", None])
def test_the_model_is_a_name_or_settings_without_secrets(calibration: Any) -> None:
    def fit(model: Any) -> None:
        LogprobClassifier(model, template=TEMPLATE, calibration=calibration, n_examples=0).fit(TEXTS, CLASSES)

    with pytest.raises(SettingError, match="not a client, because scikit-learn copies it"):
        fit(LLMClient("gpt-4o-mini"))
    with pytest.raises(SettingError, match="must not have 'api_key'") as caught:
        fit({"model": "gpt-4o-mini", "api_key": "sk-secret"})
    assert "sk-secret" not in f"{caught.value} {vars(caught.value)}"
    with pytest.raises(SettingError, match="the name at 'model'"):
        fit({"temperature": 0})


def test_an_estimator_that_is_not_fitted_says_so(server: ChatServer) -> None:
    for method in ("predict", "predict_proba", "classify"):
        with pytest.raises(NotFittedError):
            getattr(classifier(server), method)(TEXTS)


# Failures -------------------------------------------------------------------------------------------------------------


def test_a_failed_row_raises_with_the_count_and_the_first_reason(server: ChatServer) -> None:
    clf = classifier(server).fit(TEXTS, CLASSES)
    with pytest.raises(RequestError, match=r"^2 of 4 rows have .*first is X\[1\]: .*This text is refused\.") as caught:
        clf.predict_proba(["It was 5.", "refuse", "refuse", "It was 9."])
    assert caught.value.status_code == 400


def test_a_row_without_any_label_is_a_failure_too(server: ChatServer) -> None:
    clf = classifier(server).fit(TEXTS, CLASSES)
    with pytest.raises(RequestError, match=r"^1 of 2 rows has no probabilities; it is X\[1\]: the model gave none"):
        clf.predict(["It was 5.", "silent"])


def test_the_prior_takes_the_place_of_failed_rows_with_one_warning(server: ChatServer) -> None:
    clf = classifier(server, on_error="prior").fit(TEXTS[:3], CLASSES[:3])
    with pytest.warns(UserWarning, match=r"^2 of 3 rows have .*get the class frequencies\.$") as caught:
        rows = clf.predict_proba(["refuse", "It was 80.", "silent"])
    assert len(caught) == 1
    assert rows == pytest.approx(np.array([[2 / 3, 1 / 3], [0.2, 0.8], [2 / 3, 1 / 3]]))


def test_rows_that_fail_are_left_out_of_the_calibration(server: ChatServer) -> None:
    texts, classes = noisy(40)
    both = classifier(server, calibration="temperature", on_error="prior")
    with pytest.warns(UserWarning, match=r"1 of 41 rows has .* is X\[0\]: .*left out of the calibration"):
        both.fit(["refuse", *texts], ["good", *classes])
    assert both.calibrator_ == classifier(server, calibration="temperature").fit(texts, classes).calibrator_


def test_a_failure_in_fit_names_the_row_of_x(server: ChatServer) -> None:
    clf = classifier(server, calibration="temperature", n_examples=4, random_state=3)
    with pytest.raises(RequestError, match=r"is X\[12\]: "):
        clf.fit([*TEXTS, "refuse"], [*CLASSES, "bad"])
    assert not hasattr(clf, "classes_")


def test_nothing_is_left_to_calibrate_on(server: ChatServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RequestError, match="2 of 2 rows"):
            classifier(server, calibration="platt", on_error="prior").fit(["refuse 1", "refuse 2"], ["bad", "good"])


# The rest -------------------------------------------------------------------------------------------------------------


def test_predicting_sets_no_attribute(server: ChatServer) -> None:
    clf = classifier(server, calibration="temperature").fit(TEXTS, CLASSES)
    before = pickle.dumps(clf)
    clf.predict_proba(TEXTS)
    clf.classify(TEXTS)
    assert pickle.dumps(clf) == before


def test_an_answer_from_the_cache_is_not_asked_for_again(server: ChatServer, tmp_path: Any) -> None:
    model = {"model": "m", "base_url": server.url, "cache": str(tmp_path / "answers.sqlite")}
    clf = classifier(server, model=model).fit(TEXTS, CLASSES)
    clf.predict(TEXTS)
    clf.predict_proba(TEXTS)
    assert len(server.seen) == len(TEXTS)


def test_results_become_a_calibration_report(server: ChatServer) -> None:
    clf = classifier(server).fit(TEXTS, CLASSES)
    assert CalibrationReport.from_results(clf.classify(TEXTS), CLASSES).accuracy.value == 1


@pytest.mark.model
def test_it_works_on_the_embedded_model() -> None:
    texts, truth = zip(*reviews()[:24], strict=True)
    classes = ["good" if good else "bad" for good in truth]
    clf = LogprobClassifier(
        LocalModel(),
        template=RawPrompt("Review: {0} Sentiment:"),
        labels={"good": ["positive", "good"], "bad": ["negative", "bad"]},
        n_examples=4,
        random_state=0,
    )
    rows = clf.fit(texts[:16], classes[:16]).predict_proba(texts[16:])
    assert rows.shape == (8, 2)
    assert rows.sum(axis=1) == pytest.approx(1)
    assert pickle.loads(pickle.dumps(clf)).predict_proba(texts[16:]) == pytest.approx(rows, abs=1e-3)
