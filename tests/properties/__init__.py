"""Properties of every reader, over drawn files; `tests.fuzz` tries many more files of the same kinds."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests",
    derandomize=True,  # the same files in every run
    database=None,
    deadline=5_000,  # ms
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")
