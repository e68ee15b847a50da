"""The static form that stands in for a widget in a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from deluge_nb import LogprobCompare, LogprobView, compare_many
from deluge_nb.render.assets import STATIC
from deluge_nb.widget import fallback
from deluge_nb.widget.fallback import FallbackWidget, for_static

ANSWER = [{"token": "Paris", "logprob": -0.1}]
WIDGETS: dict[str, Callable[[], FallbackWidget]] = {
    "view": lambda: LogprobView(ANSWER),
    "comparison": lambda: LogprobCompare(ANSWER, ANSWER),
    "comparisons": lambda: compare_many(["q"], {"a": [ANSWER], "b": [ANSWER]}),
}


@pytest.mark.parametrize("make", WIDGETS.values(), ids=WIDGETS)
def test_the_rules_of_a_static_form_are_about_static_forms(make: Callable[[], FallbackWidget]) -> None:
    page = fallback._fallback(make())["text/html"].replace(fallback._STYLE, "")
    sheets = re.findall("(?s)<style>(.*?)</style>", page)
    assert sheets
    assert all(rules.startswith(".deluge-still{") for rules in sheets)


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.glob("*.css")))
def test_a_stylesheet_can_be_made_one_of_static_forms(name: str) -> None:
    rules = (STATIC / name).read_text(encoding="utf-8")
    assert not re.search("@(keyframes|font-face|property|import|layer|charset|namespace)", rules)
    assert not re.search(r"[},](html|:root|:host)\b", rules)
    dark = re.search(r"body\.dark (\.deluge[\w-]*)", rules)
    assert dark is not None
    assert f"body.dark & {dark[1]}" in for_static(rules)
    assert not re.search(r"[},]body\S* \.", for_static(rules))
