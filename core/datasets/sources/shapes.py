"""Generate the default data set: textured shapes that occlude each other, with masks, in COCO format.

    python -m core.datasets.sources.shapes --root datasets/shapes

Settings are chosen on `val`; studies report `test`. Equal seeds give equal annotations and pixels; splits share no
random stream.
"""

import sys
from collections.abc import Sequence

from core.datasets.sources.generated_set import GeneratedSet, generate_by_command
from core.datasets.sources.shape_drawing import DIAMETERS, draw

NUM_IMAGES = {"train": 480, "val": 150, "test": 1000}
SHAPES = GeneratedSet("generated shapes", "1", draw, NUM_IMAGES, smallest_size=round(2 * DIAMETERS[0]))
generate = SHAPES.write


def main(arguments: Sequence[str] | None = None) -> int:
    return generate_by_command(SHAPES, "core.datasets.sources.shapes", arguments)


if __name__ == "__main__":
    sys.exit(main())
