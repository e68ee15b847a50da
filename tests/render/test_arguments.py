"""Arguments of the wrong type: each is refused in one sentence that names it and its value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deluge_nb as d
from deluge_nb import SettingError

TABLE = d.as_logprobs([{"token": "Yes", "logprob": -0.1}])
CALLS: list[tuple[Callable[..., Any], str, Any]] = [
    (d.to_html, "title", 5),
    (d.to_svg, "title", b"a"),
    (d.to_png, "title", ["a"]),
    (d.to_text, "width", "a"),
    (d.to_text, "width", 0),
    (d.to_text, "width", True),
    (d.to_svg, "width", 19),
    (d.to_svg, "width", 80.0),
    (d.to_png, "scale", "2"),
    (d.to_png, "scale", float("nan")),
    (d.to_png, "scale", True),
    (d.LogprobView, "limits", 5),
    (d.LogprobView, "limits", ["a", "b"]),
    (d.LogprobView, "limits", (2, 1)),
]


@pytest.mark.parametrize(("function", "name", "value"), CALLS)
def test_a_wrong_argument_is_refused_and_named(function: Callable[..., Any], name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=rf"^{name} must be .+, not .+\.$"):
        function(TABLE, **{name: value})


@pytest.mark.parametrize("path", ["", 5, None])
@pytest.mark.parametrize("method", ["save_html", "save_png", "save_svg"])
def test_a_file_that_cannot_be_written_is_refused(method: str, path: Any) -> None:
    with pytest.raises(SettingError, match="path must be the path of a file to write, not "):
        getattr(d.LogprobView(TABLE), method)(path)


def test_a_folder_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="and this is a folder"):
        d.LogprobView(TABLE).save_html(tmp_path)


@pytest.mark.parametrize("token", [5, None, ["yes"]])
def test_an_answer_that_is_no_text_is_refused(token: Any) -> None:
    with pytest.raises(SettingError, match="token must be the text of an answer"):
        d.extract_prob(token, TABLE)


@pytest.mark.parametrize("argument", [{"path": 5}, {"path": ""}, {"name": ""}, {"name": 5}, {"system": 5}])
def test_a_local_model_of_nothing_is_refused(argument: dict[str, Any]) -> None:
    ((name, _),) = argument.items()
    with pytest.raises(SettingError, match=f"^{name} must be "):
        d.LocalModel(**argument)


def test_a_provider_that_is_no_name_is_refused() -> None:
    wrong: Any = 5
    with pytest.raises(SettingError, match="provider must be the name of a server"):
        d.find_models(provider=wrong)
