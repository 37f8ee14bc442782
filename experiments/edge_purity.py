"""Measure edge purity on a validation set: `python -m experiments.edge_purity`. Nothing is trained.

Writes `results/edge_purity.csv`, and in `results/edge_purity/` the arrays behind the figure of one photo's edges.
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

from core.config import Config, Fraction, Frozen
from core.config.file import build_config, read_yaml, validated
from core.datasets.coco import build_validation_set, read_training_file, read_validation_file
from core.datasets.digest import data_digest
from core.edge_purity import EdgeCounts, edge_purity
from core.files.atomic import replaced
from core.files.imagenet_weights import with_weights
from core.neighborhood import Neighborhood
from experiments.consistency import BOX, consistency, photo, write_consistency
from experiments.params import load_params
from experiments.recipe import base_settings

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
DIGITS = 6  # of the shares, after the point; the counts beside them are exact


def _neighborhood(pair: Any) -> Neighborhood:
    if not isinstance(pair, list) or len(pair) != 2 or not all(type(value) is int for value in pair):
        raise ValueError("expected two whole numbers, size and dilation")
    return Neighborhood(*pair)


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(values)) != list(values):
        raise ValueError("expected each threshold above the one before")
    return values


def _different(values: tuple[Neighborhood, ...]) -> tuple[Neighborhood, ...]:
    if len(set(values)) < len(values):
        raise ValueError("the same neighborhood twice")
    return values


class Measurement(Frozen):
    """The keys of the measurement's file."""

    question: str
    source: str
    expectation: str
    thresholds: Annotated[tuple[Fraction, ...], Field(min_length=1), AfterValidator(_rising)]
    neighborhoods: Annotated[
        tuple[Annotated[Neighborhood, BeforeValidator(_neighborhood)], ...],
        Field(min_length=1),
        AfterValidator(_different),
    ]


def load_measurement(path: Path = MEASUREMENT) -> Measurement:
    """Read the measurement's file.

    Raises:
        ValueError: for an unknown key (names the nearest real one) or a value that makes no sense.
    """
    return validated(Measurement, read_yaml(path), str(path))


def table(counts: dict[Neighborhood, EdgeCounts], *, digest: str, short_side: int, temperature: float) -> str:
    """CSV with a row for each neighborhood and threshold; `pure` counts among the kept edges, `different` among all.

    `purity` is empty where no edge is kept.
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
    """Count on the validation set of `config` and write the table and the photo's arrays; returns their paths.

    Raises:
        ValueError: if the data cannot be read, the validation set has no masks, or a file of weights is missing: the
            trials' digest tells them too.
    """
    validation_file = read_validation_file(config.data)
    dataset = build_validation_set(validation_file, config.data)
    temperature = config.loss.color_temperature
    counts = edge_purity(dataset, measurement.thresholds, measurement.neighborhoods, temperature, progress=progress)
    # As in the records of the trials on this data, so that the report can tell that both are of one data set.
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
    """The recipe and data of the params, or the defaults with the file and the view given on the command line.

    Such a file is a data set that holds it and nothing else, with a digest of its own.
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
    return build_config({"name": options.annotations.stem, "data": data, "model": model}, "command line")


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 and a line that says what is wrong with the input."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.edge_purity",
        description="Count, over the instances of a validation set, how many edges each color threshold keeps and how "
        "many of those join two pixels of the same true label. Reads data and recipe of params.yaml, or with "
        "--annotations the COCO file and the view given here. Trains nothing.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="file that names data and recipe")
    parser.add_argument("--measurement", type=Path, default=MEASUREMENT, help="file of thresholds and neighborhoods")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder to write to")
    own = parser.add_argument_group("a COCO file instead of the params")
    own.add_argument("--annotations", type=Path, help="COCO instances file, with masks")
    own.add_argument("--images", type=Path, help="folder of its images")
    own.add_argument("--short-side", type=int, default=800, help="px to resize the short side to")
    own.add_argument("--long-side-max", type=int, default=1333, help="px that the long side may not exceed")
    own.add_argument("--ignored-bottom-rows", type=int, default=10, help="px of the file whose masks are not trusted")
    options = parser.parse_args(words)
    if (options.annotations is None) != (options.images is None):
        parser.error("--annotations and --images go together")
    started = time.perf_counter()
    try:
        written = measure(load_measurement(options.measurement), _config(options), options.results, progress=True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {', '.join(map(str, written))} in {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
