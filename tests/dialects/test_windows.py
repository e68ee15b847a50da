"""Windows of a text that does not fit the context."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deluge_nb.dialects.given_text.windows import token_windows

sizes = st.integers(2, 40)


@given(st.integers(1, 200), st.integers(0, 200), sizes, st.integers(0, 1))
def test_windows_read_each_token_once_and_in_order(before: int, text: int, size: int, lead: int) -> None:
    everything = list(range(before + text))
    windows = list(token_windows(everything[:lead], everything[:before], everything[before:], size))
    assert [token for _, ids in windows for token in ids] == everything[before:]
    for known, ids in windows:
        assert len(known) + len(ids) <= size
        assert known[:lead] == everything[:lead]
        if ids:  # what stands before the tokens ends where they begin
            assert known[lead:] == everything[ids[0] - len(known) + lead : ids[0]]


@given(st.integers(1, 200), st.integers(0, 200), sizes)
def test_each_row_after_the_first_window_has_half_a_window_before_it(before: int, text: int, size: int) -> None:
    everything = list(range(before + text))
    first, *others = token_windows([], everything[:before], everything[before:], size)
    # Of the prompt, as much as fits beside a short text.
    assert len(first[0]) >= min(before, max(size // 2, size - text))
    assert all(len(known) >= size / 2 for known, _ in others)


def test_a_text_that_fits_is_one_window_as_it_is() -> None:
    assert list(token_windows([0], [0, 1, 2], [3, 4], 5)) == [([0, 1, 2], [3, 4])]
