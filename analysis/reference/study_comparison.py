"""One study beside the committed reference of its recipe: which reference that is, what agrees, and the text on it."""

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
    """`comparison` and `noise` are None where there is no reference; `line` says in one line what was found."""

    name: str
    comparison: Comparison | None
    noise: CpuNoise | None
    line: str
    text: str  # Markdown

    @property
    def holds(self) -> bool:
        return self.comparison is None or self.comparison.holds


def compare_study(data: StudyData, folder: Path | None) -> StudyComparison:
    """Compare with the reference in `folder`, for None in `reference/<recipe of the trials>`.

    Raises:
        ValueError: if a file of the reference is malformed.
    """
    name = data.study.name
    folder = reference_folder(data.records.values(), folder)
    reference = read_reference(folder, name) if folder is not None else None
    if folder is None or reference is None:
        missing = "no trial record names the recipe" if folder is None else f"{folder / name}.csv: no such file"
        recipe = recipe_of(data.records.values()) or "unknown"
        line = f"no reference for recipe `{recipe}` ({missing}); nothing was compared"
        return StudyComparison(name, None, None, line, f"{_title(name)}{line[0].upper()}{line[1:]}.\n")
    noise = measure_noise(folder)
    comparison = compare(data.results, data.records, data.study, reference, noise)
    text = _title(name) + render_comparison(comparison, data.study, reference, noise, data.records)
    return StudyComparison(name, comparison, noise, summary_line(comparison, data.study), text)


def left_out(name: str) -> StudyComparison:
    """Of a study that was not run, as it is not part of the set."""
    line = "not part of the set; nothing was compared"
    return StudyComparison(name, None, None, line, f"{_title(name)}N{line[1:]}.\n")


def summary_line(comparison: Comparison, study: Study) -> str:
    """What was found, in one line: arms by verdict, and the orders."""
    verdicts = [arm.verdict for arm in comparison.arms]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    orders = f"{comparison.judged_pairs} orders of two arms judged"
    orders += ", all as in the reference" if comparison.judged_pairs else ""
    failed = [
        f"{study.label(arm.arm)} {arm.verdict} ({arm.detail})" for arm in comparison.arms if arm.verdict in FAILURES
    ]
    failed += [f"order turned over: {change}" for change in comparison.order_changes]
    if failed:
        return f"DOES NOT AGREE: {'; '.join(failed)}"
    if not comparison.judged:
        return f"nothing could be judged: {counts}"
    return f"agrees: {counts}; {orders}"


def render_comparison(
    comparison: Comparison, study: Study, reference: StudyReference, noise: CpuNoise, records: dict[str, Record]
) -> str:
    header = ["arm", "mask AP here", "in the reference", "difference", "largest of a seed", "tolerance", "seed ids"]
    lines = [f"Compared with `{reference.folder}`, seed by seed.", ""]
    lines += [
        markdown_table([*header, "verdict"], [_cells(arm, study) for arm in comparison.arms]),
        "",
        noise.sentence,
        "",
    ]
    found = [f"{study.label(arm.arm)}: {arm.verdict}: {arm.detail}" for arm in comparison.arms if arm.detail]
    found += [f"ORDER TURNED OVER: {change}" for change in comparison.order_changes]
    found += [f"order not judged: {pair}" for pair in comparison.close_pairs]
    lines += [f"- {markdown_text(line)}" for line in found]
    lines += [""] if lines[-1] else []
    failed = [study.label(arm.arm) for arm in comparison.arms if arm.verdict in FAILURES]
    unjudged = [study.label(arm.arm) for arm in comparison.arms if arm.verdict in NOT_JUDGED]
    judged = comparison.judged_pairs
    orders = f"{judged} orders of two arms could be judged" if judged else "No order of two arms could be judged"
    if not comparison.holds:
        problem = f" Arms: {markdown_text(', '.join(failed))}." if failed else ""
        lines += [f"The results DO NOT AGREE with the reference.{problem}"]
    elif not comparison.judged:
        lines += ["Nothing could be judged: settings, data or seeds are not those of the reference."]
    elif unjudged:
        lines += [f"Not judged: {markdown_text(', '.join(unjudged))}. What could be judged agrees with the reference."]
    else:
        lines += [f"The results agree with the reference. {orders}{', all are as there' if judged else ''}."]
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
    """Devices and versions that the records name, each once; what equality to the bit depends on."""
    described = []
    for record in records.values():
        versions = (f"{name} {version}" for name, version in sorted(record.versions.items()))
        described.append(", ".join([machine(record), *versions]))
    return "; ".join(dict.fromkeys(described)) or "no records"
