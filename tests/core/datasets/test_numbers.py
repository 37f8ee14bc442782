"""In JSON, true, 7.0 and "7" are not 7."""

from core.datasets.numbers import is_integer, is_number


def test_numbers_are_told_from_their_look_alikes() -> None:
    assert [is_integer(value, 0, 7) for value in (0, 7, 8, -1, True, 7.0, "7", None)] == [True, True] + [False] * 6
    numbers, others = (0, -1.5, 1e-300, 2**31 - 1), (True, "1", None, [1], 2**31, 10**400, float("nan"), float("-inf"))
    assert all(map(is_number, numbers))
    assert not any(map(is_number, others))
