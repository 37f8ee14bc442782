"""BoxInst's mask terms of a batch of photos, from images and boxes to gradients: AdelaiDet's (golden d)."""

import pytest
import torch
from torch.nn import functional

from core.config import LossConfig
from core.losses.criterion import Outputs, Targets, criterion
from core.neighborhood import Neighborhood
from core.structures import Annotations, Batch, Selection
from core.targets.color_similarity import similar_edges
from core.targets.mask_targets import build_mask_targets
from tests.core.losses.small_batch import assignment_of, predictions_of


def golden_batch(values: dict) -> Batch:
    """The recorded photos (BGR) and boxes as a batch of box-only annotations."""
    height, width = values["padded_size"].tolist()
    images, sizes, per_image = [], [], []
    for i in range(2):
        photo = torch.from_numpy(values[f"image{i}_bgr_uint8"].copy()).flip(0)
        sizes.append((photo.shape[1], photo.shape[2]))
        images.append(functional.pad(photo, (0, width - photo.shape[2], 0, height - photo.shape[1])))
        boxes = torch.from_numpy(values[f"boxes{i}"])
        count = len(boxes)
        per_image.append(
            Annotations(
                boxes=boxes,
                labels=torch.zeros(count, dtype=torch.int64),
                has_mask=torch.zeros(count, dtype=torch.bool),
                masks=torch.zeros(count, height // 4, width // 4, dtype=torch.bool),
                mask_centroids=(boxes[:, :2] + boxes[:, 2:]) / 2,
            )
        )
    ignored = values["bottom_pixels_removed_resized"].tolist()
    return Batch(torch.stack(images), per_image, sizes, [0, 1], sizes, ignored)


def test_boxinst_mask_terms_equal_golden_at_every_step(golden) -> None:
    values = golden("d_boxinst_mask_loss")
    size, dilation = int(values["kernel_size"]), int(values["dilation"])
    threshold, warmup_steps = float(values["color_thresh"]), int(values["warmup_iters"])
    loss = LossConfig(
        neighborhood_size=size, neighborhood_dilation=dilation, color_threshold=threshold, pairwise_warmup=1.0
    )
    batch = golden_batch(values)
    similar = similar_edges(
        batch.images, batch.image_sizes, batch.ignored_bottom_rows, Neighborhood(size, dilation), 2.0, threshold
    )
    for i in range(2):
        expected = torch.from_numpy(values[f"color_similarity_im{i}"]) >= threshold
        assert torch.equal(similar[i], expected)
    targets = Targets(assignment_of(2, 3), build_mask_targets(batch, loss))
    target_index = torch.from_numpy(values["gt_inds"])
    selection = Selection(torch.zeros_like(target_index), torch.zeros_like(target_index), target_index)
    logits = torch.from_numpy(values["logits"]).squeeze(1).requires_grad_()
    for j, step in enumerate(values["iters_done_before"].tolist()):
        outputs = Outputs(predictions_of(2), selection, logits)
        losses = criterion(outputs, targets, loss, step=step, steps=warmup_steps)
        assert losses.pairwise_warmup == pytest.approx(values["warmup_factor"][j], rel=1e-12)
        assert losses.weighted["projection"].item() == pytest.approx(values["loss_prj"][j], abs=1e-6, rel=1e-6)
        assert losses.weighted["pairwise"].item() == pytest.approx(values["loss_pairwise"][j], abs=1e-6, rel=1e-6)
    (by_projection,) = torch.autograd.grad(losses.unweighted["projection"], logits, retain_graph=True)
    (by_pairwise,) = torch.autograd.grad(losses.unweighted["pairwise"], logits)
    expected = torch.from_numpy(values["grad_prj_logits"]).squeeze(1)
    torch.testing.assert_close(by_projection, expected, atol=1e-7, rtol=0)
    expected = torch.from_numpy(values["grad_pairwise_logits_full_weight"]).squeeze(1)
    torch.testing.assert_close(by_pairwise, expected, atol=1e-7, rtol=0)
