import pytest

from analysis.labels import arm_label


@pytest.mark.parametrize(
    ("arm", "label"),
    [
        ("color_threshold=0.1", "τ = 0.1"),
        ("neighborhood_size=3,neighborhood_dilation=2", "3\N{MULTIPLICATION SIGN}3, dilation 2"),
        ("masks_10", "10 % of masks"),
        ("two_phases_10", "10 % of masks, in two phases"),
        ("masks_4_boxes_54", "4 % of masks, 54 % of boxes"),
        ("masks_only_10", "10 % of masks, no boxes"),
        ("boxes_25", "25 % of boxes"),
        ("pairwise_warmup=0.3", "warm-up 30 %"),
        ("grabcut", "GrabCut masks"),
        ("mask_rcnn", "Mask R-CNN (torchvision)"),
        ("redesigned", "projection + pairwise from true masks (Eq. 5)"),
        ("both,color_threshold=0.1", "projection + pairwise, τ = 0.1"),
        ("mask_head_channels=16", "mask head channels = 16"),
        ("my_own_arm", "my own arm"),
    ],
)
def test_arms_read_well(arm, label):
    assert arm_label(arm) == label
