"""Counts written for people."""

from __future__ import annotations

import pytest

from deluge_nb.text.counts import pluralize


@pytest.mark.parametrize(("count", "expected"), [(0, "0 tokens"), (1, "1 token"), (2, "2 tokens")])
def test_only_one_thing_is_singular(count: int, expected: str) -> None:
    assert pluralize(count, "token") == expected
