"""The comparison with what is published: it lets an honest run pass and notices a fault."""

from pathlib import Path

import pytest

from analysis.reference.compare import compare
from analysis.reference.cpu_noise import measure_noise
from analysis.reference.trials import read_reference
from analysis.results import read_records, read_results, study_names
from analysis.study import load_study

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "reference/shapes"


@pytest.mark.parametrize(("folder", "arms"), [(PUBLISHED, 66), (PUBLISHED / "other_cpu", 16)])
def test_every_arm_of_the_published_shapes_that_loses_5_ap_fails_the_comparison(folder, arms):
    """Seed 0 of either type of CPU, which holds, and with one arm worse, which does not."""
    noise = measure_noise(PUBLISHED)
    undetected, count = [], 0
    for name in study_names(folder):
        reference = read_reference(PUBLISHED, name)
        results = read_results(folder / f"{name}.csv")
        results = results[(results["seed"] == 0) & results["mask_AP"].notna()]
        records = read_records(results, folder / name / "trials")
        study = load_study(ROOT / f"experiments/studies/{name}.yaml", results["arm"].tolist())
        honest = compare(results, records, study, reference, noise)
        assert honest.holds
        assert all(arm.verdict == "equal" for arm in honest.arms)
        for arm in results["arm"]:
            faulty = results.copy()
            lost = (faulty.loc[faulty["arm"] == arm, "mask_AP"] - 5.0).clip(lower=0.0)
            faulty.loc[faulty["arm"] == arm, "mask_AP"] = lost
            count += 1
            if compare(faulty, records, study, reference, noise).holds:
                undetected.append((name, arm))
    assert count == arms
    assert undetected == [("loss_terms", "pairwise")]  # at 0 AP there is nothing to lose


def test_the_tolerance_of_the_published_shapes_is_measured():
    noise = measure_noise(PUBLISHED)
    assert len(noise.scaled) == 13  # of 16 arms 14 are different trainings, and one stays at 0 AP on both
    assert 3.0 < noise.tolerance(50.0) < 4.0
    assert f"{noise.tolerance(50.0):.1f} AP at 50 AP for 47 networks" in (ROOT / "README.md").read_text()


def test_numbers_of_one_type_of_cpu_hold_on_a_third_that_rounds_otherwise():
    """Seed 0 of the second type, said to be of a third, which has no trials in the reference."""
    folder, noise = PUBLISHED / "other_cpu", measure_noise(PUBLISHED)
    for name in study_names(folder):
        results = read_results(folder / f"{name}.csv")
        records = read_records(results, folder / name / "trials")
        records = {key: record.model_copy(update={"device": "cpu aarch64"}) for key, record in records.items()}
        study = load_study(ROOT / f"experiments/studies/{name}.yaml", results["arm"].tolist())
        found = compare(results, records, study, read_reference(PUBLISHED, name), noise)
        assert found.holds
        assert {arm.verdict for arm in found.arms} <= {"equal", "within tolerance"}
        assert any(arm.verdict == "within tolerance" for arm in found.arms)
