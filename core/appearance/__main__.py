"""Measure how a data set looks, beside photos and the generated sets: `python -m core.appearance datasets/own`."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.appearance.measure import Sizes, measure
from core.appearance.statistics import statistics
from core.appearance.table import KNOWN, markdown, read_table, with_column, write_table
from core.compute.command import run_command
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.datasets.annotation_file import AnnotationFile
from core.datasets.layout import find_layout
from core.datasets.view_sizes import MOSTLY_MISSED


def run(options: argparse.Namespace) -> None:
    data = build_config(load_recipe(options.recipe), f"recipe {options.recipe}").data
    layout = find_layout(options.folder, data, {})
    pairs = {layout.train_annotations: layout.train_images, layout.val_annotations: layout.val_images}
    files = [
        AnnotationFile.read(options.folder / annotations, options.folder / images)
        for annotations, images in pairs.items()
        if (options.folder / annotations).exists()
    ]
    rows = data.ignored_bottom_rows if options.ignored_bottom_rows is None else options.ignored_bottom_rows
    sizes = Sizes(data.val_short_side, data.long_side_max, options.smallest, rows)
    found = measure(files, sizes, progress=True)
    table = with_column(read_table(options.table) if options.table.exists() else {}, options.name, statistics(found))
    print(
        f"{', '.join(str(file.path) for file in files)}: {len(found.per_image)} images, {sum(found.per_image)} objects "
        f"with a mask whose box has at least {sizes.smallest:g} px (square root of its area); recipe {options.recipe}: "
        f"short side {sizes.short_side} px, long side at most {sizes.long_side_max} px; "
        f"{rows} bottom rows of a file ignored\n\n{markdown(table)}"
    )
    if options.save:
        write_table(table, options.table)
        print(f"\nwrote {options.table}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.appearance",
        description="Measure sizes, fill, overlap and colors of the objects of a data set with masks, and the purity "
        "of its edges, beside those of COCO photos and the generated sets. Trains nothing.",
    )
    parser.add_argument("folder", type=Path, help="folder of the data set, as for core.datasets.check")
    parser.add_argument(
        "--recipe", default="shapes", help="whose image sizes for validation are used (default: %(default)s)"
    )
    of_boxes = "smallest side of a box that counts, px (default: %(default)s)"
    parser.add_argument("--smallest", type=float, default=MOSTLY_MISSED, help=of_boxes)
    parser.add_argument(
        "--ignored-bottom-rows",
        type=int,
        help="rows at the bottom of a file whose masks are unreliable, px (default: as the recipe says)",
    )
    parser.add_argument(
        "--table", type=Path, default=KNOWN, help="CSV with the statistics of other sets (default: %(default)s)"
    )
    parser.add_argument("--name", default="yours", help="name of the column of this set (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help="write the column to the table")
    return run_command(partial(run, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
