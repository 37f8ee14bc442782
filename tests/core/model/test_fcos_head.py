import torch

from core.model.fcos_head import FcosHead


def make(**changes):
    torch.manual_seed(0)
    settings = {
        "channels": 16, "num_classes": 3, "num_levels": 2, "num_convs": 2, "num_groups": 4, "class_prior": 0.01,
    }  # fmt: skip
    return FcosHead(**(settings | changes))


def levels():
    return [torch.randn(2, 16, 4, 5), torch.randn(2, 16, 2, 3)]


def test_outputs_stand_level_first_then_row_major():
    head, maps = make(), levels()
    class_logits, ltrb, centerness, box_tower = head(maps)
    assert (class_logits.shape, ltrb.shape, centerness.shape) == ((2, 26, 3), (2, 26, 4), (2, 26))
    second = head.class_logits(head.class_tower(maps[1]))
    torch.testing.assert_close(class_logits[1, 20 + 1 * 3 + 2], second[1, :, 1, 2])
    torch.testing.assert_close(centerness[0, 7], head.centerness(box_tower[0])[0, 0, 1, 2])


def test_every_class_starts_at_the_prior():
    class_logits, _, _, _ = make(class_prior=0.02)([torch.zeros(2, 16, 4, 5), torch.zeros(2, 16, 2, 3)])
    torch.testing.assert_close(class_logits.sigmoid(), torch.full((2, 26, 3), 0.02))


def test_each_level_scales_its_own_distances_and_none_is_negative():
    head, maps = make(), levels()
    torch.nn.init.constant_(head.ltrb.bias, 1.0)
    _, before, _, _ = head(maps)
    head.scales[1].data.fill_(3.0)
    _, after, _, _ = head(maps)
    torch.testing.assert_close(after[:, :20], before[:, :20])
    torch.testing.assert_close(after[:, 20:], 3 * before[:, 20:])
    torch.nn.init.constant_(head.ltrb.bias, -9.0)
    assert not head(maps)[1].any()


def test_outputs_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        *outputs, box_tower = make()(levels())
    assert {output.dtype for output in outputs} == {torch.float32}
    assert box_tower[0].dtype == torch.bfloat16
