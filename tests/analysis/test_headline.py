import json

from analysis.headline import main


def test_the_mask_ap_of_the_arms_of_the_first_study_is_shown(tmp_path, capsys):
    (tmp_path / "metrics").mkdir()
    for study in ("loss_terms", "warmup"):
        arms = {"both": {"mask_AP": 53.0, "low": 50.0, "high": 56.0, "seeds": 3}, "full": {"mask_AP": 60.2, "seeds": 1}}
        (tmp_path / "metrics" / f"{study}.json").write_text(json.dumps(arms))
    assert main(["--results", str(tmp_path), "--studies", "warmup", "loss_terms"]) == 0
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"warmup": {"both": 53.0, "full": 60.2}}


def test_a_study_without_a_report_is_named(tmp_path, capsys):
    assert main(["--results", str(tmp_path), "--studies", "main"]) == 2
    assert (
        f"{tmp_path}/metrics/main.json: no such file; `python -m analysis.report` writes it" in capsys.readouterr().err
    )
