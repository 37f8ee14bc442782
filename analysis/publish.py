"""Publish results as the reference of their recipe: CSVs, trial records, tables, plots and their checksums.

`python -m analysis.publish results reference/shapes` replaces the studies of the reference that are in `results/`,
keeps the others, and rebuilds all tables and the plots of these studies. It rejects a CSV that does not match its
records, and records of a recipe other than the reference's name, which would never be compared with it. Picture grids
show photos of the data set, so they are only published with `--pictures`. `--html` also writes the page of the whole
reference. Checkpoints are not copied, nor the names of the machines that ran the trials.

`python -m analysis.publish results reference/shapes --other-cpu` adds seed 0 of a run on another type of CPU, in
`other_cpu/`: its differences to the reference's own seed 0 determine the tolerance of every comparison.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.drawing import draw_from_records, draw_study
from analysis.page.figures import owner
from analysis.page.html import render
from analysis.presentation import study_table
from analysis.reference.checksums import write_checksums
from analysis.reference.other_cpu import copy_seed_0
from analysis.reference.plots import WITHOUT_RECORDS, stale_grids, write_versions
from analysis.reference.rebuild import copy_records, read_trials
from analysis.reference.verify import verify_folder
from analysis.report import write_tables
from analysis.results import is_study, recipe_of, study_names
from analysis.study import add_choice, chosen_studies
from analysis.study_data import read_study_data
from core.compute.command import run_command
from core.files.atomic import write_text
from core.result_tables import MASK_IOUS, RESAMPLED_AP

PICTURES = "*_pictures.*"
PAGE = "report.html"


def publish(
    results: Path,
    reference: Path,
    study_files: Path,
    chosen: Collection[str] | None = None,
    *,
    pictures: bool,
    html: bool,
) -> int:
    """Copy the chosen studies and all measurements into `reference`; returns the number of files there.

    The reference is replaced in full or not at all.

    Raises:
        ValueError: if there are no results, or they belong to another recipe or do not verify; names every difference.
    """
    studies = _studies_of(results, reference, chosen)
    csvs = [path for path in sorted(results.glob("*.csv")) if path.stem in studies or not is_study(path)]
    if not csvs:
        raise ValueError(f"{results}: no <study>.csv; `python -m experiments.run <study>` writes one")
    for name in studies if pictures else ():  # or grids of older results would be published
        data = read_study_data(study_files / f"{name}.yaml", results)
        draw_study(data, study_table(data), results)
    with _new_version(reference) as partial:
        for path in csvs:
            _copy_study(path, partial)
        (partial / "plots").mkdir(exist_ok=True)
        published, known = {path.stem for path in csvs}, {path.stem for path in results.glob("*.csv")}
        for path in (path for pattern in WITHOUT_RECORDS for path in (results / "plots").glob(pattern)):
            if owner(path.stem, known) in published and (pictures or not path.match(PICTURES)):
                shutil.copy(path, partial / "plots")
        for path in stale_grids(partial):
            path.unlink()
        _draw_all(partial, study_files)
        shutil.rmtree(partial / "tables", ignore_errors=True)
        write_tables(partial, study_files)
        (partial / PAGE).unlink(missing_ok=True)
        if html:
            write_text(partial / PAGE, render(partial, study_files, ask_reference=False))
        return _seal(partial, results, reference, study_files)


def _draw_all(reference: Path, study_files: Path) -> None:
    """Draw the plots of all studies of a reference, also of those that are not published anew."""
    plots = reference / "plots"
    for path in plots.glob("*.*"):
        if not any(path.match(pattern) for pattern in WITHOUT_RECORDS):
            path.unlink()
    draw_from_records(reference, study_files)
    write_versions(plots)


def publish_other_cpu(results: Path, reference: Path, study_files: Path, chosen: Collection[str] | None = None) -> int:
    """Copy seed 0 of the chosen studies, run on another type of CPU, into `reference`; returns its number of files.

    Raises:
        ValueError: if there are no results, or they belong to another recipe, ran on the reference's own type of CPU or
            with other settings, or do not verify; names every difference.
    """
    studies = _studies_of(results, reference, chosen)
    if not studies:
        raise ValueError(f"{results}: no <study>.csv; `python -m experiments.run <study>` writes one")
    with _new_version(reference) as partial:
        for name in studies:
            copy_seed_0(results / f"{name}.csv", partial)
        return _seal(partial, results, reference, study_files)


def _studies_of(results: Path, reference: Path, chosen: Collection[str] | None) -> list[str]:
    """The chosen studies that have results; all must belong to the reference's recipe."""
    studies = study_names(results, chosen)
    for name in studies:
        _check_recipe(results / name, reference)
    return studies


@contextmanager
def _new_version(reference: Path) -> Iterator[Path]:
    """A copy of the reference to work on, which is gone in the end, also after an error or Ctrl-C."""
    partial = reference.with_name(f".{reference.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        if reference.exists():
            shutil.copytree(reference, partial)
        partial.mkdir(parents=True, exist_ok=True)
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _seal(partial: Path, results: Path, reference: Path, study_files: Path) -> int:
    """Verify the new folder and replace the reference with it; returns its number of files."""
    write_checksums(partial)
    found = verify_folder(partial, study_files, (write_tables, draw_from_records))
    if found.differences:
        lines = [line.replace(str(partial), str(reference)) for line in found.differences]
        raise ValueError("\n".join([f"{results} is not published:", *lines]))
    _replace(reference, partial)
    return sum(path.is_file() for path in reference.rglob("*"))


def _check_recipe(study_folder: Path, reference: Path) -> None:
    recipe = recipe_of(read_trials(study_folder).values())
    if recipe is not None and recipe != reference.name:
        raise ValueError(
            f"{study_folder}: trials of the recipe `{recipe}`, but the reference is {reference}, of "
            f"`{reference.name}`; expected {reference.with_name(recipe)}"
        )


def _copy_study(path: Path, target: Path) -> None:
    """Copy a CSV and its records, replacing those of the study in `target`."""
    name = path.stem
    shutil.rmtree(target / name, ignore_errors=True)
    shutil.copy(path, target)
    copy_records(path.parent / name, target / name)
    for file in (MASK_IOUS, RESAMPLED_AP):
        if (table := path.parent / name / file).exists():
            shutil.copy(table, target / name)


def _replace(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Publish; exit status 0, or 2 for invalid input."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, help="output folder of the pipeline")
    parser.add_argument("reference", type=Path, help="folder to publish to, such as reference/shapes")
    parser.add_argument("--other-cpu", action="store_true", help="publish seed 0 as run on another type of CPU")
    parser.add_argument("--pictures", action="store_true", help="also publish the picture grids")
    add_choice(parser)
    parser.add_argument("--html", action="store_true", help="also write report.html")
    options = parser.parse_args(arguments)
    if options.other_cpu and (options.pictures or options.html):
        parser.error("--other-cpu publishes records alone: expected neither --pictures nor --html beside it")

    def work() -> None:
        what = options.results, options.reference, options.study_files, chosen_studies(options)
        if options.other_cpu:
            count = publish_other_cpu(*what)
        else:
            count = publish(*what, pictures=options.pictures, html=options.html)
        print(f"{options.reference}: {count} files, verified")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
