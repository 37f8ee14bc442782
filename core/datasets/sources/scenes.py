"""Generate scenes: objects that are as hard to tell from their ground by color as those in photos, in COCO format.

    python -m core.datasets.sources.scenes --root datasets/scenes

The classes are those of `core.datasets.sources.shapes`, whose objects differ from their ground by color. Sizes, fill,
overlap, colors and edge purity agree with those of photos (`reference/appearance.md`). Settings are chosen on `val`;
studies report `test`, large enough that the sampling of its images is not the largest part of an interval. Equal seeds
give equal annotations and pixels; splits share no random stream.
"""

import sys
from collections.abc import Sequence

from core.datasets.sources.generated_set import GeneratedSet, generate_by_command
from core.datasets.sources.scene_drawing import draw

NUM_IMAGES = {"train": 4800, "val": 300, "test": 1000}
SCENES = GeneratedSet("generated scenes", "2", draw, NUM_IMAGES, smallest_size=80)


def main(arguments: Sequence[str] | None = None) -> int:
    return generate_by_command(SCENES, "core.datasets.sources.scenes", arguments)


if __name__ == "__main__":
    sys.exit(main())
