"""Rows and records of made-up trials, as the pipeline would write them."""

from typing import Any

from core.record import METRICS, Record, trial_key

STUDIES = {  # arms with what they vary, as the study files name them
    "color_threshold": {f"color_threshold={tau}": {"loss.color_threshold": tau} for tau in (0, 0.1, 0.2, 0.3, 0.4)},
    "neighborhood": {
        f"neighborhood_size={size},neighborhood_dilation={dilation}": {
            "loss.neighborhood_size": size,
            "loss.neighborhood_dilation": dilation,
        }
        for size in (3, 5)
        for dilation in (1, 2, 3)
    },
    "redesigned_loss": {
        "dice": {"loss.dice": 1.0, "loss.mask_pairwise": 0.0},
        "redesigned": {"loss.dice": 0.0, "loss.mask_pairwise": 1.0},
    },
    "mask_ratio": {
        **{
            f"masks_{percent}": {
                "supervision.mask_ratio": percent / 100,
                "supervision.boxes_first": 0.0,
                "loss.dice": 1.0,
            }
            for percent in (0, 1, 5, 10, 25, 50, 100)
        },
        "two_phases_10": {"supervision.mask_ratio": 0.1, "supervision.boxes_first": 0.75, "loss.dice": 1.0},
        "dice_times_10": {"supervision.mask_ratio": 0.1, "supervision.boxes_first": 0.0, "loss.dice": 10.0},
    },
    "annotation_budget": {
        "boxes_25": {"supervision.mask_ratio": 0.0, "supervision.image_ratio": 0.25},
        "boxes_100": {"supervision.mask_ratio": 0.0, "supervision.image_ratio": 1.0},
        "masks_9": {"supervision.mask_ratio": 0.0884, "supervision.image_ratio": 0.0884},
        "masks_4_boxes_54": {"supervision.mask_ratio": 0.0442, "supervision.image_ratio": 0.5442},
        "masks_100": {"supervision.mask_ratio": 1.0, "supervision.image_ratio": 1.0},
    },
    "class_split": {
        "boxes": {"supervision.mask_ratio": 0.0, "supervision.mask_categories": None},
        "masks_for_two": {"supervision.mask_ratio": 1.0, "supervision.mask_categories": ["ellipse", "star"]},
        "full": {"supervision.mask_ratio": 1.0, "supervision.mask_categories": None},
    },
    "warmup": {f"pairwise_warmup={share}": {"loss.pairwise_warmup": share} for share in (0, 0.1, 0.3, 1.0)},
    "baselines": {
        arm: {"supervision.mask_ratio": ratio}
        for arm, ratio in {
            "both": 0.0,
            "boxinst_released": 0.0,
            "grabcut": 0.0,
            "self_training": 0.0,
            "full": 1.0,
            "condinst_released": 1.0,
            "mask_rcnn": 1.0,
        }.items()
    },
}


def trial_row(arm: str, seed: int, mask_ap: float | None, reason: str = "") -> dict[str, Any]:
    values = dict.fromkeys(METRICS, mask_ap) | {"box_AP": None if mask_ap is None else 61.0, "mask_to_box_area": 0.5}
    status = "failed" if mask_ap is None else "finished"
    key = f"{arm}{seed}"
    return {
        "study": "loss_terms",
        "arm": arm,
        "seed": seed,
        "trial_key": key,
        **values,
        "status": status,
        "reason": reason,
    }


def record_of(config: dict[str, Any], **fields: Any) -> Record:
    """A record of a finished trial with this config; what `fields` do not say is empty."""
    empty = {"key": "k", "status": "ok", "reason": "", "seed": 0, "data_digest": "d1", "code": "c"}
    return Record(**empty | {"config": config, "metrics": {}, "curves": [], "pictures": []} | fields)


def traced_record(arm: str, seed: int, ap: float | None, projection: float) -> Record:
    """A record whose key, metrics, curves and classes fit each other."""
    metrics = {} if ap is None else dict.fromkeys(METRICS, ap) | {"box_AP": 61.0, "mask_to_box_area": 0.5}
    config = {
        "name": "shapes",
        "data": {"root": "data/shapes", "val_short_side": 160, "long_side_max": 160},
        "model": {"backbone": {"name": "resnet18", "weights": None}},
        "loss": {"projection": projection, "pairwise": 1.0},
        "training": {"epochs": 1, "steps": None},
    }
    made_from = {"data_digest": "5f3242c47d6249b6", "code": "b1f63da881e76a34"}
    return record_of(
        config,
        study="loss_terms",
        arm=arm,
        key=trial_key(config, seed, **made_from),
        status="failed" if ap is None else "ok",
        reason="" if ap is not None else "MemoryError: <no> memory",
        seed=seed,
        **made_from,
        git_revision="b9135fae1b79f32262cd01b3e577e2d8171dc7c0",
        git_dirty=True,
        versions={"torch": "2.11.0"},
        device="cpu x86_64",
        metrics=metrics,
        per_class={} if ap is None else {"star": ap + 1, "cross": ap - 1},
        curves=[{"epoch": 1, "epochs": 1, "loss/total": 2.125} | metrics],
        seconds=12.625,
        mlflow_run_id="0123456789abcdef0123456789abcdef",
    )


def made_up_record(recipe: str, seed: int, ap: float | None, varied: dict[str, Any]) -> Record:
    """A record of three epochs whose settings are the recipe's with these dotted ones changed."""
    config: dict[str, Any] = {
        "name": recipe,
        "data": {"root": f"data/{recipe}", "val_short_side": 160, "long_side_max": 160},
        "model": {"backbone": {"name": "resnet18", "weights": None}},
        "training": {"epochs": 3, "steps": None},
    }
    for field, value in varied.items():
        section, name = field.split(".")
        config.setdefault(section, {})[name] = value
    curves = [
        {"epoch": epoch, "loss/pairwise": 0.2 / epoch, "loss/projection": 0.5 / epoch, "pairwise_warmup": epoch / 3}
        | ({"mask_AP": ap} if epoch == 3 else {})
        for epoch in (1, 2, 3)
    ]
    return record_of(config, seed=seed, curves=curves, device="cpu")
