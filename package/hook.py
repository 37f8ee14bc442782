"""hatchling's hook: what a wheel contains, and what an editable installation does (pyproject.toml names this file)."""

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RENAMING = "renaming.py"
EDITABLE = "_boxinst_editable"  # module and .pth file in site-packages


class PackageHook(BuildHookInterface):
    """Puts `core` into the wheel as `boxinst.core`, with its imports renamed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        renaming = Path(self.root, "package", RENAMING)
        self.written = TemporaryDirectory()
        folder = Path(self.written.name)
        if version == "editable":
            (folder / f"{EDITABLE}.pth").write_text(f"import {EDITABLE}; {EDITABLE}.install({self.root!r})\n")
            files = {renaming: f"{EDITABLE}.py", folder / f"{EDITABLE}.pth": f"{EDITABLE}.pth"}
            build_data["force_include_editable"].update({str(path): place for path, place in files.items()})
        else:
            runpy.run_path(str(renaming))["write_package"](Path(self.root), folder / "boxinst")
            build_data["force_include"][str(folder / "boxinst")] = "boxinst"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.written.cleanup()
