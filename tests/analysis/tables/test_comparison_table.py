from analysis.comparisons import compare_arms
from analysis.results import read_results
from analysis.tables.comparison_table import comparison_files

APS = {"projection": [30.0, 31.0], "pairwise": [1.0, None], "both": [50.0, 52.0], "full": [None, None]}


def test_a_comparison_without_p_says_whether_one_seed_or_no_trial_is_the_reason(tmp_path, write_results, study):
    results = read_results(write_results(tmp_path, APS))
    text = comparison_files({"loss_terms": (study, compare_arms(results, study))})["comparisons.md"]
    last = {cells[2].strip(): cells[-2].strip() for line in text.splitlines() if len(cells := line.split("|")) > 3}
    assert last["projection + pairwise - projection only"] in ("yes", "no")
    assert last["full masks - projection + pairwise"] == "no trial"
    alone = read_results(write_results(tmp_path / "alone", {"projection": [30.0], "both": [50.0]}))
    text = comparison_files({"loss_terms": (study, compare_arms(alone, study))})["comparisons.md"]
    row = next(line for line in text.splitlines() if "projection + pairwise - projection only" in line)
    assert row.split("|")[-2].strip() == "one seed"
