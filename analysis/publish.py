"""Publish results as the reference of their recipe: CSVs, trial records, tables, plots and the checksums of all.

`python -m analysis.publish results reference/shapes` replaces what the reference holds of the studies in `results/`,
keeps the rest, makes all tables and the studies' plots anew; it refuses a CSV that is not what its records give, and
records of a recipe that the reference is not named after: they would never be compared with it. Grids of pictures
show the data set's photos: they are left out unless `--pictures` is given, for data that may be published. `--html`
writes the page of the whole reference too. No checkpoint is copied.

`python -m analysis.publish results reference/shapes --other-cpu` adds seed 0 of a run on another type of CPU, in
`other_cpu/`: how far it is from the reference's own seed 0 is the tolerance of every comparison.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from analysis.page.figures import owner
from analysis.page.html import render
from analysis.presentation import study_table
from analysis.reference.checksums import write_checksums
from analysis.reference.other_cpu import copy_seed_0
from analysis.reference.rebuild import read_trials
from analysis.reference.verify import verify_folder
from analysis.report import draw_study, write_tables
from analysis.results import is_study, recipe_of, study_names
from analysis.study import add_choice, chosen_studies
from analysis.study_data import read_study_data
from core.compute.command import run_command
from core.files.atomic import write_text

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
    """Copy the chosen studies and all measurements into `reference`; returns the number of files it then holds.

    The reference appears whole or not at all.

    Raises:
        ValueError: if there are no results, they are of another recipe, or they do not verify; names every difference.
    """
    studies = _studies_of(results, reference, chosen)
    csvs = [path for path in sorted(results.glob("*.csv")) if path.stem in studies or not is_study(path)]
    if not csvs:
        raise ValueError(f"{results}: no <study>.csv; has a study run?")
    for name in studies:  # else plots of results that have changed since would be published
        data = read_study_data(study_files / f"{name}.yaml", results)
        draw_study(data, study_table(data), results)
    partial = _copy_of(reference)
    for path in csvs:
        _copy_study(path, partial)
    (partial / "plots").mkdir(exist_ok=True)
    published, known = {path.stem for path in csvs}, {path.stem for path in results.glob("*.csv")}
    for path in (path for kind in ("png", "svg") for path in (results / "plots").glob(f"*.{kind}")):
        if owner(path.stem, known) in published and (pictures or not path.match(PICTURES)):
            shutil.copy(path, partial / "plots")
    shutil.rmtree(partial / "tables", ignore_errors=True)
    write_tables(partial, study_files)
    (partial / PAGE).unlink(missing_ok=True)
    if html:
        write_text(partial / PAGE, render(partial, study_files, ask_reference=False))
    return _seal(partial, results, reference, study_files)


def publish_other_cpu(results: Path, reference: Path, study_files: Path, chosen: Collection[str] | None = None) -> int:
    """Copy seed 0 of the chosen studies into `reference`, as run on another type of CPU; returns its number of files.

    Raises:
        ValueError: if there are no results, they are of another recipe, ran on the reference's own type of CPU or with
            other settings, or they do not verify; names every difference.
    """
    studies = _studies_of(results, reference, chosen)
    if not studies:
        raise ValueError(f"{results}: no <study>.csv; has a study run?")
    partial = _copy_of(reference)
    try:
        for name in studies:
            copy_seed_0(results / f"{name}.csv", partial)
    except ValueError:
        shutil.rmtree(partial)
        raise
    return _seal(partial, results, reference, study_files)


def _studies_of(results: Path, reference: Path, chosen: Collection[str] | None) -> list[str]:
    """The chosen studies that have results, all of the reference's recipe."""
    studies = study_names(results, chosen)
    for name in studies:
        _check_recipe(results / name, reference)
    return studies


def _copy_of(reference: Path) -> Path:
    partial = reference.with_name(f".{reference.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if reference.exists():
        shutil.copytree(reference, partial)
    partial.mkdir(parents=True, exist_ok=True)
    return partial


def _seal(partial: Path, results: Path, reference: Path, study_files: Path) -> int:
    """Put a verified folder in the place of the reference; returns its number of files."""
    write_checksums(partial)
    found = verify_folder(partial, study_files, write_tables)
    if found.differences:
        shutil.rmtree(partial)
        lines = [line.replace(str(partial), str(reference)) for line in found.differences]
        raise ValueError("\n".join([f"{results} is not published:", *lines]))
    _replace(reference, partial)
    return sum(path.is_file() for path in reference.rglob("*"))


def _check_recipe(study_folder: Path, reference: Path) -> None:
    recipe = recipe_of(read_trials(study_folder).values())
    if recipe is not None and recipe != reference.name:
        raise ValueError(
            f"{study_folder}: its trials are of the recipe `{recipe}`, but the reference is {reference}, of "
            f"`{reference.name}`; expected {reference.with_name(recipe)}"
        )


def _copy_study(path: Path, target: Path) -> None:
    """Copy a CSV and its records, in place of what `target` holds of that study."""
    name = path.stem
    shutil.rmtree(target / name, ignore_errors=True)
    shutil.copy(path, target)
    if (path.parent / name / "trials").is_dir():
        shutil.copytree(path.parent / name / "trials", target / name / "trials")


def _replace(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Publish; 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, help="what the pipeline and the report wrote")
    parser.add_argument("reference", type=Path, help="such as reference/shapes")
    parser.add_argument("--other-cpu", action="store_true", help="publish seed 0 as run on another type of CPU")
    parser.add_argument("--pictures", action="store_true", help="publish grids of pictures too")
    add_choice(parser)
    parser.add_argument("--html", action="store_true", help="write report.html too")
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
