"""Our defaults and the settings of the golden networks are those that AdelaiDet's resolved configs state."""

from functools import reduce
from typing import Any

import pytest
import yaml

from core.config import Config
from tests.core.released_networks import GOLDEN_DIR, NUM_CLASSES, STATE_DICTS, config_of


def settings(config: Config) -> dict[str, Any]:
    """Ours, by AdelaiDet's keys."""
    model, data, training = config.model, config.data, config.training
    steps = training.steps
    return {
        "MODEL.RESNETS.DEPTH": int(model.backbone.name.removeprefix("resnet")),
        "MODEL.RESNETS.STRIDE_IN_1X1": model.backbone.stride_in_1x1,
        "MODEL.RESNETS.NORM": {"frozen": "FrozenBN"}[model.backbone.norm],
        "MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False] + [model.backbone.deformable_interval is not None] * 3,
        "MODEL.BACKBONE.FREEZE_AT": model.backbone.frozen_stages,
        "MODEL.BACKBONE.NAME": f"build_fcos_resnet_{model.pyramid}_backbone",
        "MODEL.PIXEL_MEAN": list(model.backbone.pixel_mean),
        "MODEL.PIXEL_STD": list(model.backbone.pixel_std),
        "INPUT.FORMAT": model.backbone.channel_order,
        "MODEL.BiFPN.NUM_REPEATS": model.bifpn_repeats,
        f"MODEL.{'BiFPN' if model.pyramid == 'bifpn' else 'FPN'}.OUT_CHANNELS": model.pyramid_channels,
        "MODEL.FCOS.FPN_STRIDES": list(model.strides),
        "MODEL.FCOS.NUM_CLASSES": NUM_CLASSES,
        "MODEL.FCOS.NUM_CLS_CONVS": model.head_convs,
        "MODEL.FCOS.NUM_BOX_CONVS": model.head_convs,
        "MODEL.FCOS.PRIOR_PROB": model.class_prior,
        "MODEL.FCOS.SIZES_OF_INTEREST": list(config.assignment.size_boundaries),
        "MODEL.FCOS.POS_RADIUS": config.assignment.center_radius,
        "MODEL.FCOS.LOSS_ALPHA": config.loss.focal_alpha,
        "MODEL.FCOS.LOSS_GAMMA": config.loss.focal_gamma,
        "MODEL.FCOS.INFERENCE_TH_TEST": config.inference.score_threshold,
        "MODEL.FCOS.NMS_TH": config.inference.nms_threshold,
        "MODEL.FCOS.PRE_NMS_TOPK_TEST": config.inference.max_candidates,
        "MODEL.FCOS.POST_NMS_TOPK_TEST": config.inference.max_detections,
        "MODEL.CONDINST.MASK_BRANCH.CHANNELS": model.mask_branch_channels,
        "MODEL.CONDINST.MASK_BRANCH.NUM_CONVS": model.mask_branch_convs,
        "MODEL.CONDINST.MASK_BRANCH.OUT_CHANNELS": model.mask_feature_channels,
        "MODEL.CONDINST.MASK_BRANCH.SEMANTIC_LOSS_ON": model.semantic_head,
        "MODEL.CONDINST.MASK_HEAD.CHANNELS": model.mask_head_channels,
        "MODEL.CONDINST.MASK_HEAD.NUM_LAYERS": model.mask_head_layers,
        "MODEL.CONDINST.MAX_PROPOSALS": config.assignment.max_masks if config.assignment.selection == "random" else -1,
        "MODEL.CONDINST.TOPK_PROPOSALS_PER_IM": -1
        if config.assignment.selection == "random"
        else config.assignment.max_masks,
        "MODEL.BOXINST.ENABLED": config.loss.terms_of_boxes,
        "MODEL.BOXINST.BOTTOM_PIXELS_REMOVED": data.ignored_bottom_rows,
        "MODEL.BOXINST.PAIRWISE.SIZE": config.loss.neighborhood_size,
        "MODEL.BOXINST.PAIRWISE.DILATION": config.loss.neighborhood_dilation,
        "MODEL.BOXINST.PAIRWISE.COLOR_THRESH": config.loss.color_threshold,
        "INPUT.MIN_SIZE_TRAIN": list(data.short_sides),
        "INPUT.MAX_SIZE_TRAIN": data.long_side_max,
        "INPUT.MIN_SIZE_TEST": data.val_short_side,
        "INPUT.MAX_SIZE_TEST": data.long_side_max,
        "SOLVER.IMS_PER_BATCH": training.batch_size,
        "SOLVER.BASE_LR": training.learning_rate,
        "SOLVER.MOMENTUM": training.momentum,
        "SOLVER.WEIGHT_DECAY": training.weight_decay,
        "SOLVER.WARMUP_ITERS": training.warmup_steps,
        "MODEL.BOXINST.PAIRWISE.WARMUP_ITERS": round(config.loss.pairwise_warmup * steps),
    }


@pytest.mark.parametrize("network", STATE_DICTS)
def test_settings_are_those_of_adelaidets_config_golden(network: str) -> None:
    theirs = yaml.safe_load((GOLDEN_DIR / f"config_{network}.yaml").read_text())
    ours = settings(config_of(network))
    assert ours == {key: reduce(lambda section, name: section[name], key.split("."), theirs) for key in ours}


def test_defaults_are_the_schedule_of_boxinst_1x_golden() -> None:
    solver = yaml.safe_load((GOLDEN_DIR / "config_boxinst.yaml").read_text())["SOLVER"]
    training = Config().training
    assert training.steps == solver["MAX_ITER"]
    assert [round(drop * training.steps) for drop in training.drops] == solver["STEPS"]
