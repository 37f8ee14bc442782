"""Every command says with `--help` what it is for: the first sentence of its module, or its own description."""

from importlib import import_module

import pytest

COMMANDS = [
    "analysis.headline",
    "analysis.page.html",
    "analysis.publish",
    "analysis.published_tables",
    "analysis.reference.checksums",
    "analysis.reference.gate",
    "analysis.report",
    "analysis.studies.edge_purity",
    "core.annotate.__main__",
    "core.appearance.__main__",
    "core.checkpoints.backbone",
    "core.datasets.check.__main__",
    "core.datasets.convert.__main__",
    "core.datasets.download",
    "core.datasets.sources.scenes",
    "core.datasets.sources.shapes",
    "core.evaluation.__main__",
    "core.evaluation.mask_iou",
    "core.train",
    "core.training.cost",
    "experiments.check",
    "experiments.collect",
    "experiments.cost",
    "experiments.edge_purity",
    "experiments.from_detections",
    "experiments.rescore",
    "experiments.run",
    "experiments.search.__main__",
    "experiments.tracking.attach",
    "tests.gpu_check",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_is_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(name).main(["--help"])
    assert ended.value.code == 0
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    described = rest.partition("\n\n")[0]
    assert usage.startswith("usage: python -m ")
    assert not described.startswith(("options:", "positional arguments:"))
    assert len(described.split()) >= 4
