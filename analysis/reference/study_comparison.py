"""The comparison of one study with the committed reference of its recipe, as text."""

from dataclasses import dataclass
from pathlib import Path

from analysis.plain_text import markdown_text
from analysis.reference.compare import FAILURES, NOT_JUDGED, ArmComparison, Comparison, compare
from analysis.reference.cpu_noise import CpuNoise, measure_noise
from analysis.reference.trials import StudyReference, read_reference, reference_folder
from analysis.results import recipe_of
from analysis.scale import machine
from analysis.study import Study
from analysis.study_data import StudyData
from analysis.tables.study_table import markdown_table, number
from core.record import Record


@dataclass(frozen=True)
class StudyComparison:
    """`comparison` and `noise` are None if there is no reference; `line` is the result in one line."""

    name: str
    comparison: Comparison | None
    noise: CpuNoise | None
    line: str
    text: str  # Markdown

    @property
    def holds(self) -> bool:
        return self.comparison is None or self.comparison.holds


def compare_study(data: StudyData, folder: Path | None) -> StudyComparison:
    """Compare with the reference in `folder`, by default `reference/<recipe of the trials>`.

    Raises:
        ValueError: if a file of the reference is malformed.
    """
    name = data.study.name
    folder = reference_folder(data.records.values(), folder)
    reference = read_reference(folder, name) if folder is not None else None
    if folder is None or reference is None:
        missing = "no trial records" if folder is None else f"{folder / name}.csv: no such file"
        recipe = recipe_of(data.records.values()) or "unknown"
        line = f"no reference for recipe `{recipe}` ({missing}); nothing was compared"
        return StudyComparison(name, None, None, line, f"{_title(name)}{line[0].upper()}{line[1:]}.\n")
    noise = measure_noise(folder)
    comparison = compare(data.results, data.records, data.study, reference, noise)
    text = _title(name) + render_comparison(comparison, data.study, reference, noise, data.records)
    return StudyComparison(name, comparison, noise, summary_line(comparison, data.study), text)


def left_out(name: str) -> StudyComparison:
    """The comparison of a study that was not run because it is not part of the set."""
    line = "not part of the set; nothing was compared"
    return StudyComparison(name, None, None, line, f"{_title(name)}N{line[1:]}.\n")


def summary_line(comparison: Comparison, study: Study) -> str:
    """The result in one line: number of arms by verdict, and the orders."""
    verdicts = [arm.verdict for arm in comparison.arms]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    orders = f"{comparison.judged_pairs} pairwise orders judged"
    orders += ", all as in the reference" if comparison.judged_pairs else ""
    failed = [
        f"{study.label(arm.arm)} {arm.verdict} ({arm.detail})" for arm in comparison.arms if arm.verdict in FAILURES
    ]
    failed += [f"order reversed: {change}" for change in comparison.order_changes]
    if failed:
        return f"DOES NOT AGREE: {'; '.join(failed)}"
    if not comparison.judged:
        return f"nothing could be judged: {counts}"
    return f"agrees: {counts}; {orders}"


def render_comparison(
    comparison: Comparison, study: Study, reference: StudyReference, noise: CpuNoise, records: dict[str, Record]
) -> str:
    header = ["arm", "mask AP here", "in the reference", "difference", "largest per seed", "tolerance", "seed ids"]
    lines = [f"Compared with `{reference.folder}`, seed by seed.", ""]
    lines += [
        markdown_table([*header, "verdict"], [_cells(arm, study) for arm in comparison.arms]),
        "",
        noise.sentence,
        "",
    ]
    found = [f"{study.label(arm.arm)}: {arm.verdict}: {arm.detail}" for arm in comparison.arms if arm.detail]
    found += [f"ORDER REVERSED: {change}" for change in comparison.order_changes]
    found += [f"order not judged: {pair}" for pair in comparison.close_pairs]
    lines += [f"- {markdown_text(line)}" for line in found]
    lines += [""] if lines[-1] else []
    failed = [study.label(arm.arm) for arm in comparison.arms if arm.verdict in FAILURES]
    unjudged = [study.label(arm.arm) for arm in comparison.arms if arm.verdict in NOT_JUDGED]
    judged = comparison.judged_pairs
    orders = f"{judged} pairwise orders could be judged; all match" if judged else "No pairwise order could be judged"
    if not comparison.holds:
        problem = f" Arms: {markdown_text(', '.join(failed))}." if failed else ""
        lines += [f"The results DO NOT AGREE with the reference.{problem}"]
    elif not comparison.judged:
        lines += ["Nothing could be judged: settings, data or seeds differ from the reference."]
    elif unjudged:
        lines += [f"Not judged: {markdown_text(', '.join(unjudged))}. What could be judged agrees with the reference."]
    else:
        lines += [f"The results agree with the reference. {orders}."]
    lines += ["", markdown_text(f"Here: {_machines(records)}. Reference: {_machines(reference.records)}.")]
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    return f"## {name.replace('_', ' ')}\n\n"


def _cells(arm: ArmComparison, study: Study) -> list[str]:
    ours, theirs = arm.means
    return [
        study.label(arm.arm),
        number(ours),
        number(theirs),
        number(ours - theirs, 2, sign="+"),
        number(arm.largest_gap, 2),
        number(arm.tolerance),
        " ".join(map(str, arm.seeds)),
        arm.verdict,
    ]


def _machines(records: dict[str, Record]) -> str:
    """The distinct devices and versions of the records, which equality to the bit depends on."""
    described = []
    for record in records.values():
        versions = (f"{name} {version}" for name, version in sorted(record.versions.items()))
        described.append(", ".join([machine(record), *versions]))
    return "; ".join(dict.fromkeys(described)) or "no records"
