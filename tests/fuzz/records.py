"""Mutated records of trials: read alone, and from a store, where every change must be noticed."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pandas as pd

from analysis.page.provenance import versions
from analysis.plots.curves import TERM_OF_COLUMN
from analysis.results import recipe_of
from core.config.dotted import leaves
from core.evaluation.kept_detections import DETECTIONS, write_detections
from core.record import METRICS, Record, read_record, study_csv
from experiments.store import Store
from experiments.tracking.content import epoch_metrics, final_metrics, tags_at_end
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import as_json, flipped_bit, mutated_bytes, mutated_tree
from tests.fuzz.outcome import ContentChanged

REFERENCE = Path(__file__).parents[2] / "reference"
EXAMPLES = [
    sorted((REFERENCE / study / "trials").glob("*.json"))[0]
    for study in ("shapes/loss_terms", "shapes/class_split", "people/mask_ratio")
]
EXAMPLE = EXAMPLES[0]
VARIED = "loss.dice"


@dataclass(frozen=True)
class Read:
    record: Record
    changed: bool  # in a store, although every change there must be noticed


class Records(Kind):
    name = "records"
    count = 2_000

    def __init__(self, folder: Path) -> None:
        self.contents = [json.loads(path.read_text()) for path in EXAMPLES]
        self.stored = [stored_files(Record.model_validate(content), folder / str(i)) for i, content in
                       enumerate(self.contents)]  # fmt: skip
        self.in_store = False

    def write(self, draw: Random, folder: Path) -> Path:
        self.in_store = draw.random() < 0.4
        if self.in_store:
            return self.write_into_store(draw, folder)
        content = draw.choice(self.contents)
        path = folder / "record.json"
        if draw.random() < 0.3:
            path.write_bytes(mutated_bytes(draw, json.dumps(content, indent=1).encode()))
        else:
            path.write_bytes(as_json(mutated_tree(draw, content)))
        return path

    def write_into_store(self, draw: Random, folder: Path) -> Path:
        """A whole trial of a store in which one file was changed; a changed record mostly by one bit."""
        key, files = draw.choice(self.stored)
        root = folder / "store" / key
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        name = draw.choice(("record.json", "record.json", *files))
        changed = draw.choice((flipped_bit, flipped_bit, mutated_bytes))(draw, files[name])
        (root / name).write_bytes(changed)
        return root / "record.json"

    def read(self, path: Path) -> Read | None:
        if not self.in_store:
            return Read(read_record(path), changed=False)
        logging.disable()  # the store warns of what it does not take
        record = Store(path.parents[1]).finished(path.parent.name)
        if record is None:
            raise ValueError(f"{path}: not taken")
        return Read(record, changed=True)

    def use(self, content: Read) -> None:
        if content.changed:
            raise ContentChanged("the store takes a trial of which a file was changed")
        record = content.record
        record.to_json().encode()
        record.identity, record.expected_key  # noqa: B018 (properties that compute)
        again = Record.model_validate(json.loads(record.to_json()))
        if again != record:
            raise ContentChanged("a record differs after writing and reading it")
        study_csv([record], [VARIED] if VARIED in leaves(record.config) else []).encode()
        recipe_of([record])
        json.dumps([final_metrics(record), tags_at_end(record, Path("x")), *map(epoch_metrics, record.curves)]).encode()
        versions({record.key: record})
        curves = pd.DataFrame(record.curves)
        for column in TERM_OF_COLUMN:
            if column in curves:
                curves[column].fillna(0).astype(float).sum()
        pd.DataFrame([{name: record.metrics.get(name) for name in METRICS}]).astype(float).round(4)


def stored_files(record: Record, folder: Path) -> tuple[str, dict[str, bytes]]:
    """Key and files of a finished trial, as a store writes them."""
    store = Store(folder)
    pictures = [f"{i:012d}.png" for i in range(2)]
    curves = [numbers | {"epoch": i, "epochs": len(record.curves)} for i, numbers in enumerate(record.curves, 1)]
    record = record.changed(pictures=pictures, curves=curves)
    record = record.changed(key=record.expected_key)
    root = store.folder(record.key)
    (root / "pictures").mkdir(parents=True)
    for name in pictures:
        (root / "pictures" / name).write_bytes(b"a picture " * 20)
    (root / "found.json").write_text(json.dumps({"0": 0.9, "1": None}))
    write_detections([], [], root / DETECTIONS)
    store.write(record)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    assert store.finished(record.key) is not None
    return record.key, files
