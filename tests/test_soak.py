"""The soak check sees memory that grows, and no more than that."""

import pytest

from tests.soak import growth, report


def test_only_the_readings_after_warm_up_count_and_one_peak_does_not() -> None:
    # of 100 readings 20 are warm-up, a quarter of the rest is 20
    assert growth([*range(20), *[100.0] * 80]) == 0
    assert growth([1.0] * 20 + [100.0] * 60 + [110.0] * 20) == pytest.approx(0.1)
    assert growth([1.0] * 20 + [100.0] * 79 + [900.0]) == 0


def test_growth_beyond_3_percent_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("training", [100.0] * 80 + [102.9] * 20)
    assert not report("training", [100.0] * 80 + [103.1] * 20)
    assert not report("training", [100.0] * 80 + [96.0] * 20)
    flat, grown, shrunk = capsys.readouterr().out.splitlines()
    assert flat.endswith("+2.9% from the first to the last quarter: flat")
    assert grown.endswith("+3.1% from the first to the last quarter: NOT flat")
    assert shrunk.endswith("-4.0% from the first to the last quarter: NOT flat")
