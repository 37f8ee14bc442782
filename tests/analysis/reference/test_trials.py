import pytest

from analysis.reference.trials import nearest, read_reference

APS = {"both": [50.0, 51.0], "full": [60.0]}


@pytest.fixture
def reference(tmp_path, write_results, write_records):
    """reference/ with seeds 0 and 1 on one type of CPU, seed 0 on another."""
    write_results(tmp_path, APS)
    write_records(tmp_path, device="cpu x86_64 AVX2")
    write_results(tmp_path / "other_cpu", {"both": [50.5], "full": [None]})
    write_records(tmp_path / "other_cpu", device="cpu x86_64 AVX512")
    return tmp_path


def test_equal_trials_of_both_types_of_cpu_make_a_pair(reference):
    found = read_reference(reference, "loss_terms")
    assert [(trial.arm, trial.seed, trial.mask_ap) for trial in found.trials] == [
        ("both", 0, 50.0),
        ("both", 1, 51.0),
        ("full", 0, 60.0),
    ]
    ((trial, other),) = found.cpu_pairs  # `full` failed on the other
    assert (trial.mask_ap, trial.device) == (50.0, "cpu x86_64 AVX2")
    assert (other.mask_ap, other.device) == (50.5, "cpu x86_64 AVX512")


def test_trials_of_other_settings_make_no_pair(reference, write_records):
    write_records(reference / "other_cpu", epochs=16)
    assert read_reference(reference, "loss_terms").cpu_pairs == []


def test_a_reference_may_hold_nothing_of_a_study_or_of_another_type_of_cpu(reference, tmp_path, write_results):
    assert read_reference(reference, "warmup") is None
    write_results(tmp_path / "alone", APS)
    alone = read_reference(tmp_path / "alone", "loss_terms")
    assert (alone.other_cpu, alone.cpu_pairs, alone.trials[0].device) == ((), [], "")


@pytest.mark.parametrize(
    ("device", "chosen"),
    [
        ("cpu x86_64 AVX2", "cpu x86_64 AVX2"),
        ("cpu x86_64 AVX512", "cpu x86_64 AVX512"),
        ("cpu x86_64 AVX512 VNNI", "cpu x86_64 AVX512"),
        ("cpu aarch64 DEFAULT", "cpu x86_64 AVX2"),  # as far from both: the first
        ("", "cpu x86_64 AVX2"),
    ],
)
def test_the_nearest_trial_is_that_of_the_type_of_cpu_whose_name_begins_alike(reference, device, chosen):
    ((trial, other),) = read_reference(reference, "loss_terms").cpu_pairs
    assert nearest(device, [trial, other]).device == chosen
