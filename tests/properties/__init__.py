"""Properties of every reader, over drawn files; `tests.fuzz` tries many more files of the same kinds."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests",
    derandomize=True,  # the same files in every run
    database=None,
    deadline=30_000,  # ms; a busy machine may suspend a test for seconds
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")
