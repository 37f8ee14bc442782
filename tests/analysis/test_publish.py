from pathlib import Path

import pytest

from analysis.publish import main
from analysis.publish import publish as publish_results
from analysis.reference.checksums import check_checksums
from analysis.reference.cpu_noise import measure_noise
from analysis.reference.rebuild import copy_records
from core.files.atomic import write_text
from core.record import Record, read_record
from core.result_tables import BINS

APS = {"projection": [30.0, 31.0], "full": [60.0, 61.0]}


@pytest.fixture
def results(tmp_path, monkeypatch, study, write_traced):
    """results/ with one study's records and plots; studies/ beside it."""
    monkeypatch.chdir(tmp_path)
    write_traced(tmp_path / "results", APS)
    (tmp_path / "results/plots").mkdir()
    for name in ("loss_terms.svg", "loss_terms.png", "loss_terms_pictures.png"):
        (tmp_path / "results/plots" / name).write_text(name)
    return tmp_path / "results"


def publish(*arguments):
    return main(["results", "reference/shapes", "--study-files", "studies", *arguments])


def test_records_tables_and_plots_are_published_without_pictures_of_the_data(results, tmp_path):
    assert publish() == 0
    reference = tmp_path / "reference/shapes"
    names = {path.relative_to(reference).as_posix() for path in reference.rglob("*") if path.is_file()}
    assert names >= {"loss_terms.csv", "tables/loss_terms.md", "plots/loss_terms.svg", "SHA256SUMS"}
    assert "<svg" in (reference / "plots/loss_terms.svg").read_text()  # drawn anew: what lay there was older
    assert len(list((reference / "loss_terms/trials").glob("*.json"))) == 4
    assert not any("pictures" in name for name in names)
    assert check_checksums(reference) == []
    assert [path.name for path in (tmp_path / "reference").iterdir()] == ["shapes"]


def test_pictures_are_published_where_one_says_so(results, tmp_path):
    assert publish("--pictures") == 0
    assert (tmp_path / "reference/shapes/plots/loss_terms_pictures.png").exists()


def test_the_page_is_published_where_one_says_so_and_never_stays_behind(results, tmp_path):
    for path in (results / "plots").iterdir():
        path.unlink()
    assert publish("--html") == 0
    page = tmp_path / "reference/shapes/report.html"
    assert "projection only" in page.read_text()
    assert check_checksums(tmp_path / "reference/shapes") == []
    assert publish() == 0
    assert not page.exists()


def test_what_else_the_reference_holds_stays_and_old_records_go(results, tmp_path):
    reference = tmp_path / "reference/shapes"
    (reference / "loss_terms/trials").mkdir(parents=True)
    (reference / "loss_terms/trials/old.json").write_text("{}")
    (reference / "README.md").write_text("by hand")
    assert publish() == 0
    assert (reference / "README.md").read_text() == "by hand"
    assert not (reference / "loss_terms/trials/old.json").exists()


def test_tables_are_made_anew_from_the_records(results, tmp_path):
    (results / "tables").mkdir()
    (results / "tables/loss_terms.md").write_text("| 99.9 |")
    assert publish() == 0
    table = (tmp_path / "reference/shapes/tables/loss_terms.md").read_text()
    assert "| projection only | 30.5 ± 0.7 |" in table
    assert "99.9" not in table


def test_a_csv_that_is_not_what_its_records_give_is_refused(results, tmp_path, capsys):
    path = results / "loss_terms.csv"
    path.write_text(path.read_text().replace("30.0", "35.0"))
    assert publish() == 2
    error = capsys.readouterr().err
    assert "results is not published" in error
    assert "reference/shapes/loss_terms.csv: arm 'projection', seed 0, column mask_AP" in error
    assert not any((tmp_path / "reference").iterdir())


def test_records_of_another_recipe_than_the_reference_are_refused(results, tmp_path, capsys):
    assert main(["results", "reference/people", "--study-files", "studies"]) == 2
    error = capsys.readouterr().err
    assert "results/loss_terms: trials of the recipe `shapes`, but the reference is reference/people" in error
    assert "expected reference/shapes" in error
    assert not (tmp_path / "reference").exists()


def test_an_interrupted_publication_leaves_nothing(results, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.publish.draw_from_records", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish_results(results, tmp_path / "reference/shapes", Path("studies"), pictures=False, html=False)
    assert list((tmp_path / "reference").iterdir()) == []


def test_only_the_studies_that_are_asked_for_and_the_measurements_are_published(results, tmp_path, write_edge_purity):
    (results / "warmup.csv").write_text("study,arm,seed,trial_key\n")  # left over from another data set
    write_edge_purity(results, {0.0: (1.0, 0.9), 0.3: (0.5, 1.0)})
    for name in ("warmup.svg", "warmup_sizes.svg", "edge_purity.svg", "consistency.svg"):
        (results / "plots" / name).write_text(name)
    assert publish("--studies", "loss_terms") == 0
    names = {path.name for path in (tmp_path / "reference/shapes").rglob("*.*")}
    assert names >= {"loss_terms.csv", "loss_terms.svg", "edge_purity.csv", "edge_purity.svg", "consistency.svg"}
    assert not any("warmup" in name for name in names)


def test_ious_of_masks_that_contradict_the_records_are_not_published(results, tmp_path, capsys):
    key = next((results / "loss_terms/trials").glob("*.json")).stem
    counts = ",".join(["1"] * len(BINS))
    (results / "loss_terms/mask_ious.csv").write_text(f"trial_key,{','.join(BINS)}\n{key},{counts}\n")
    assert publish() == 2
    told = f"reference/shapes/loss_terms/mask_ious.csv: trial {key} has no record with matched masks"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "reference/shapes").exists()


def test_an_empty_folder_is_refused(results, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["empty", "reference/shapes"]) == 2
    assert "empty: no <study>.csv" in capsys.readouterr().err


OTHER = {"projection": [31.0, 32.0], "full": [60.5]}


@pytest.fixture
def both_cpus(results, tmp_path, write_traced):
    """reference/shapes as published, and results/ of a run on another type of CPU with a seed more."""
    assert publish() == 0
    write_traced(results, OTHER, device="cpu aarch64")
    return tmp_path / "reference/shapes"


def test_seed_0_of_another_type_of_cpu_stands_beside_the_reference(both_cpus, capsys):
    before = (both_cpus / "loss_terms.csv").read_bytes()
    assert publish("--other-cpu") == 0
    rows = (both_cpus / "other_cpu/loss_terms.csv").read_text().splitlines()
    assert [row.split(",")[1:3] for row in rows[1:]] == [["projection", "0"], ["full", "0"]]
    assert len(list((both_cpus / "other_cpu/loss_terms/trials").glob("*.json"))) == 2
    assert (both_cpus / "loss_terms.csv").read_bytes() == before
    assert check_checksums(both_cpus) == []
    noise = measure_noise(both_cpus)  # 1 AP at 30.5 and 0.5 AP at 60.25
    assert noise.scaled == pytest.approx((1 / (30.5 * 69.5) ** 0.5, 0.5 / (60.25 * 39.75) ** 0.5))


def test_the_other_type_of_cpu_stays_when_the_reference_is_published_anew(both_cpus, results, write_traced):
    assert publish("--other-cpu") == 0
    kept = (both_cpus / "other_cpu/loss_terms.csv").read_bytes()
    write_traced(results, APS)
    assert publish() == 0
    assert (both_cpus / "other_cpu/loss_terms.csv").read_bytes() == kept


@pytest.mark.parametrize(
    ("aps", "device", "message"),
    [
        (OTHER, "cpu x86_64", "arm 'projection', seed 0: ran on cpu x86_64 like the reference itself"),
        (
            OTHER | {"both": [1.0]},
            "cpu aarch64",
            "arm 'both', seed 0: the reference itself has no finished trial for it",
        ),
        ({"full": [60.0]}, "cpu aarch64", "settings differ from the reference itself: loss.projection: 1.0 -> 0.0"),
        ({"projection": [None]}, "cpu aarch64", "arm 'projection', seed 0: has no mask AP: MemoryError"),
    ],
)
def test_what_makes_no_pair_with_the_reference_is_refused(
    both_cpus, results, tmp_path, write_traced, capsys, aps, device, message
):
    write_traced(results, aps, device=device)
    assert publish("--other-cpu") == 2
    error = capsys.readouterr().err
    assert "reference/shapes/other_cpu/loss_terms.csv: arm" in error
    assert message in error
    assert not (both_cpus / "other_cpu").exists()
    assert [path.name for path in (tmp_path / "reference").iterdir()] == ["shapes"]


def test_without_seed_0_or_a_reference_there_is_nothing_to_pair(both_cpus, results, tmp_path, capsys):
    csv = results / "loss_terms.csv"
    csv.write_text(csv.read_text().replace(",0,", ",7,"))
    assert publish("--other-cpu") == 2
    assert "results/loss_terms.csv: no trial of seed 0" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "reference").iterdir()] == ["shapes"]
    with pytest.raises(SystemExit):
        publish("--other-cpu", "--html")


def test_no_reference_tells_the_machine_that_ran_its_trials(tmp_path):
    ran = Record(
        key="k", status="failed", reason="r", config={}, seed=0, data_digest="d", code="c", metrics={}, curves=[],
        pictures=[], host="my-laptop", process=7, rank=0,
    ).sealed()  # fmt: skip
    write_text(tmp_path / "results" / "trials" / "k.json", ran.to_json())
    copy_records(tmp_path / "results", tmp_path / "reference", seed=0)
    copied = read_record(tmp_path / "reference" / "trials" / "k.json")
    assert (copied.host, copied.process, copied.rank, copied.reason) == (None, None, 0, "r")
    copy_records(tmp_path / "results", tmp_path / "other", seed=1)
    assert not (tmp_path / "other").exists()
