"""Where the masks of given boxes come from: a trained network, or GrabCut, which needs no training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from core.annotate.detected import digest
from core.checkpoints.network import load_checkpoint_network
from core.config import Config
from core.datasets.annotation_file import ImageRecord
from core.datasets.filled_box import encode_mask
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.close_views import masks_in_boxes
from core.pseudo_masks.given_boxes import cut_to_box
from core.pseudo_masks.grabcut import grabcut_mask

SHOWN = 5  # class names in a message
NO_FOREGROUND = "no foreground found by GrabCut"

Masks = list[tuple[dict, str | None]]  # run-length encoding, and the reason where it is the filled box


@dataclass(frozen=True)
class NetworkMasks:
    """The masks that a network of a checkpoint predicts for the boxes; classes are matched by name."""

    model: nn.Module
    config: Config
    known: Sequence[str]  # the network's classes by label
    checkpoint: str  # digest
    device: str
    close_views: bool  # as in `masks_in_boxes`

    @classmethod
    def read(cls, checkpoint: Path, *, device: str, close_views: bool = True) -> "NetworkMasks":
        """Raises a ValueError if the checkpoint cannot be read."""
        model, config, categories = load_checkpoint_network(checkpoint, device=device)
        known = [entry["name"].strip() for entry in categories]
        return cls(model, config, known, digest(checkpoint), device, close_views)

    @property
    def task(self) -> dict[str, str | bool]:
        """What identifies these masks, for runs that go on where one stopped."""
        return {"checkpoint": self.checkpoint, "close_views": self.close_views}

    def label_of(self, name: str) -> int | None:
        name = name.strip()
        return self.known.index(name) if name in self.known else None

    def unknown_classes(self, names: Sequence[str]) -> str | None:
        """What becomes of the classes of a file that the network does not know; None if it knows all."""
        unknown = [name for name in names if self.label_of(name) is None]
        if not unknown:
            return None
        found = f"the checkpoint does not know {shortened(unknown)}; it knows {shortened(self.known)}"
        if isinstance(self.model, MaskRcnn):
            return f"{found}: Mask R-CNN predicts a mask per class, and these boxes get that of the likeliest"
        return f"{found}: these boxes still get masks, which in CondInst do not depend on the class"

    def masks(self, record: ImageRecord, photo: Image.Image, names: Sequence[str], chosen: Sequence[int]) -> Masks:
        """The masks of the `chosen` instances of a photo, predicted among all; `names` are the classes by label."""
        labels = [self.label_of(names[label]) for label in record.labels]
        labeled = torch.tensor([label is not None for label in labels], dtype=torch.bool)
        of_network = replace(record, labels=np.array([label or 0 for label in labels], dtype=np.int64))
        return masks_in_boxes(
            self.model,
            of_network,
            photo,
            self.config,
            device=self.device,
            labeled=labeled,
            chosen=chosen,
            close_views=self.close_views,
        )


@dataclass(frozen=True)
class GrabCutMasks:
    """The masks that GrabCut cuts out of the boxes by color, the same in every run."""

    @property
    def task(self) -> dict[str, str]:
        return {"method": "grabcut"}

    def unknown_classes(self, names: Sequence[str]) -> str | None:
        return None

    def masks(self, record: ImageRecord, photo: Image.Image, names: Sequence[str], chosen: Sequence[int]) -> Masks:
        pixels, found = np.asarray(photo), []
        for i in chosen:
            mask = grabcut_mask(pixels, record.boxes[i], seed=record.annotation_ids[i] % 2**31)
            encoded = None if mask is None else encode_mask(mask)
            cut, reason = cut_to_box(encoded, record.boxes[i], record.height, record.width)
            found.append((cut, reason and NO_FOREGROUND))
        return found


BoxMasks = NetworkMasks | GrabCutMasks


def shortened(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
