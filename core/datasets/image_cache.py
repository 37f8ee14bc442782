"""The decoded images of a data set, held once for the main process and all processes that load images for it."""

import logging
import mmap
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.compute.memory import available_memory
from core.files.lock import NumberedLocks

# MiB of pixels. A data set that fits, such as 5,000 images of 256 x 256 px, is decoded once. Of a larger one a part
# would save little, and the system keeps the files themselves in the same memory, ten times smaller.
HELD_MIB = 1024.0
MEMORY_SHARE = 0.25  # of the memory available: a training has two or three data sets, and the machine other work
PATIENCE = 30.0  # seconds to wait for another process that decodes the same image

log = logging.getLogger(__name__)


class _Place(NamedTuple):
    number: int
    start: int  # of its pixels, bytes
    height: int
    width: int

    @property
    def end(self) -> int:
        return self.start + 3 * self.height * self.width


class ImageCache:
    """Holds RGB images of known sizes, each made by the first process that needs it.

    `sizes` are the heights and widths by image id. In this order each image that still fits into `held_mib` has a place
    in memory; the others are made every time. The system gives the memory page by page, as it is written: an image is
    held while all together take at most MEMORY_SHARE of what they have and what is available (`available_memory`).
    Which images are held changes no pixel.

    The memory is shared with the processes that are forked from this one, however small /dev/shm is. A process that is
    killed leaves no lock and no half-written image. A copy sent to a process that is started otherwise (spawn) holds
    nothing, nor does any where the system refuses the memory: slower, with the same images.
    """

    def __init__(self, sizes: Mapping[int, tuple[int, int]], held_mib: float = HELD_MIB) -> None:
        self._places: dict[int, _Place] = {}
        self._is_short = False  # of memory
        size = 0
        for image_id, (height, width) in sizes.items():
            place = _Place(len(self._places), size, height, width)
            if place.end <= held_mib * 2**20:
                self._places[image_id] = place
                size = place.end
        if not self._places:
            return
        try:
            memory = mmap.mmap(-1, size + len(self._places))
            self._locks = NumberedLocks()
        except OSError as error:
            log.warning("decoded images are not held (%s): each is decoded every time it is used", error.strerror)
            self._places = {}
            return
        self._pixels = np.frombuffer(memory, np.uint8, size)
        self._is_whole = np.frombuffer(memory, np.bool_, offset=size)  # by number: whether the image is written
        self._sizes = np.array([place.end - place.start for place in self._places.values()])

    def __reduce__(self) -> tuple[type["ImageCache"], tuple[dict]]:
        return ImageCache, ({},)

    def get(self, image_id: int, make: Callable[[], Image.Image]) -> Image.Image:
        """The image, as a copy that may be changed; `make` is called if it is not held.

        Raises:
            ValueError: if `make` returns an image of another size; and what `make` raises.
        """
        place = self._places.get(image_id)
        if place is None:
            return make()
        with self._locks.hold(place.number, PATIENCE) as is_alone:
            pixels = self._pixels[place.start : place.end].reshape(place.height, place.width, 3)
            if is_alone and self._is_whole[place.number]:
                return Image.fromarray(pixels)
            image = make()
            if image.size != (place.width, place.height):
                found = f"{image.width} x {image.height} pixels"
                raise ValueError(f"image {image_id}: is {found}, expected {place.width} x {place.height}")
            if is_alone and self._has_memory(place.number):
                pixels[:] = image
                self._is_whole[place.number] = True
            return image

    @property
    def bytes_to_come(self) -> int:
        """Memory that the images which have a place, but are not held yet, will take."""
        return int(self._sizes[~self._is_whole].sum()) if self._places else 0

    def _has_memory(self, number: int) -> bool:
        """Whether one more image may be held. Once memory is short, this process holds no more."""
        if not self._is_short and (available := available_memory()) is not None:
            held = int(self._sizes[self._is_whole].sum())
            self._is_short = held + int(self._sizes[number]) > MEMORY_SHARE * (available + held)
        return not self._is_short
