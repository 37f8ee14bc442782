"""Measure edge purity on a validation set: `python -m experiments.edge_purity`. Nothing is trained.

Writes `results/edge_purity.csv`, and to `results/edge_purity/` the arrays for the figure of one photo's edges.
"""

import argparse
import csv
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from core.compute.command import run_command
from core.config import Config, Fraction, Frozen
from core.config.file import build_config, read_yaml, validated
from core.datasets.coco import build_validation_set, read_training_file, read_validation_file
from core.datasets.digest import data_digest
from core.edge_purity import EdgeCounts, edge_purity
from core.files.atomic import replaced
from core.files.imagenet_weights import with_weights
from core.neighborhood import Neighborhood
from experiments.consistency import BOX, consistency, photo, write_consistency
from experiments.params import load_params, nothing_twice
from experiments.settings import base_settings

MEASUREMENT = Path(__file__).parent / "measurements" / "edge_purity.yaml"
COLUMNS = (
    "neighborhood_size",
    "neighborhood_dilation",
    "color_threshold",
    "edges",
    "kept",
    "pure",
    "different",
    "different_kept",
    "share_kept",
    "purity",
    "num_images",
    "num_instances",
    "data_digest",
    "short_side",
    "color_temperature",
)
DIGITS = 6  # decimals of the shares; the counts beside them are exact


def _neighborhood(pair: Any) -> Neighborhood:
    if not isinstance(pair, list) or len(pair) != 2 or not all(type(value) is int for value in pair):
        raise ValueError("expected two whole numbers, size and dilation")
    return Neighborhood(*pair)


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(values)) != list(values):
        raise ValueError("expected thresholds in rising order, none twice")
    return values


class Measurement(Frozen):
    """The keys of a measurement file."""

    question: str
    source: str
    expectation: str
    thresholds: Annotated[tuple[Fraction, ...], Field(min_length=1), AfterValidator(_rising)]
    neighborhoods: Annotated[
        tuple[Annotated[Neighborhood, BeforeValidator(_neighborhood)], ...],
        Field(min_length=1),
        AfterValidator(nothing_twice),
    ]


def load_measurement(path: Path = MEASUREMENT) -> Measurement:
    """Read a measurement file.

    Raises:
        ValueError: for an unknown key (suggests the nearest known one) or an invalid value.
    """
    return validated(Measurement, read_yaml(path), str(path))


def table(counts: dict[Neighborhood, EdgeCounts], *, digest: str, short_side: int, temperature: float) -> str:
    """CSV with a row per neighborhood and threshold. `pure` is out of the kept edges, `different` of all.

    `purity` is empty if no edge is kept.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for neighborhood, count in counts.items():
        shape = [neighborhood.size, neighborhood.dilation]
        origin = [count.num_images, count.num_instances, digest, short_side, f"{temperature:g}"]
        for threshold, kept, pure, different_kept in zip(
            count.thresholds, count.kept, count.kept_pure, count.kept_different, strict=True
        ):
            numbers = [count.edges, kept, pure, count.different, different_kept]
            shares = [_share(kept, count.edges), _share(pure, kept)]
            writer.writerow([*shape, f"{threshold:g}", *numbers, *shares, *origin])
    return text.getvalue()


def measure(measurement: Measurement, config: Config, results: Path, *, progress: bool) -> list[Path]:
    """Count edges on the validation set of `config`, write the table and the photo's arrays, and return their paths.

    Raises:
        ValueError: if the data cannot be read, the validation set has no masks, or a weights file is missing (the
            digest covers it, as in trials).
    """
    validation_file = read_validation_file(config.data)
    dataset = build_validation_set(validation_file, config.data, crowds=config.data.crowds)
    temperature = config.loss.color_temperature
    counts = edge_purity(dataset, measurement.thresholds, measurement.neighborhoods, temperature, progress=progress)
    # The same digest as in the records of trials, so that the report can see that both used the same data.
    digest = data_digest(read_training_file(config.data), validation_file)
    digest = with_weights(digest, config.model.backbone.weights)
    text = table(counts, digest=digest, short_side=config.data.val_short_side, temperature=temperature)

    arrays, path = results / "edge_purity" / "consistency.npz", results / "edge_purity.csv"
    path.unlink(missing_ok=True)  # never new arrays beside an old table
    write_consistency(consistency(photo(), BOX, Neighborhood(), temperature), arrays)
    with replaced(path) as partial:
        partial.write_text(text)
    count = next(iter(counts.values()))
    print(
        f"read {dataset.annotation_path}: {count.num_images} images, {count.num_instances} instances with a mask, "
        f"digest {digest}\n"
        f"view: short side {config.data.val_short_side} px, long side at most {config.data.long_side_max} px, "
        f"{config.data.ignored_bottom_rows} bottom rows ignored; color temperature {temperature:g}"
    )
    return [path, arrays]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.{DIGITS}f}" if whole else ""


def _config(options: argparse.Namespace) -> Config:
    """Config from the params, or the defaults with the COCO file and image sizes from the command line.

    That file serves as training and validation set, so its digest differs from the digests of trials.
    """
    if options.annotations is None:
        return build_config(base_settings(load_params(options.params), str(options.params)), str(options.params))
    data = {
        "root": ".",
        **{f"{split}_annotations": str(options.annotations) for split in ("train", "val")},
        **{f"{split}_images": str(options.images) for split in ("train", "val")},
        "val_short_side": options.short_side,
        "long_side_max": options.long_side_max,
        "ignored_bottom_rows": options.ignored_bottom_rows,
    }
    model = {"backbone": {"weights": None}}  # no network is built
    return build_config({"data": data, "model": model}, "command line")


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 and one line that says what is wrong with the input."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.edge_purity",
        description="Count how many edges each color threshold keeps on the instances of a validation set, and how "
        "many of these join two pixels with the same true label. Takes data and recipe from params.yaml, or with "
        "--annotations the COCO file and image size given here. Trains nothing.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="file whose set names data and recipe")
    parser.add_argument("--measurement", type=Path, default=MEASUREMENT, help="file with thresholds and neighborhoods")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder to write to")
    own = parser.add_argument_group("a COCO file instead of params.yaml")
    own.add_argument("--annotations", type=Path, help="COCO instances file with masks")
    own.add_argument("--images", type=Path, help="folder with its images")
    own.add_argument("--short-side", type=int, default=800, help="resize the short side to this, px")
    own.add_argument("--long-side-max", type=int, default=1333, help="limit of the long side, px")
    own.add_argument(
        "--ignored-bottom-rows",
        type=int,
        default=10,
        help="rows at the bottom, px of the file, whose masks are unreliable",
    )
    options = parser.parse_args(words)
    if (options.annotations is None) != (options.images is None):
        parser.error("--annotations and --images go together")

    def work() -> None:
        started = time.perf_counter()
        written = measure(load_measurement(options.measurement), _config(options), options.results, progress=True)
        print(f"wrote {', '.join(map(str, written))} in {time.perf_counter() - started:.0f} s")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
