"""The numbers of README.md, held against the tables of the references: part of `make verify`.

`reference/readme_numbers.md` repeats the sections of README.md whose numbers are measured, phrase by phrase, with
places in braces instead of numbers. A phrase must be in its section of README.md with the numbers that the tables give,
and no number with decimals, and no percentage, may stand outside the phrases. `python -m analysis.reference.readme`
corrects the numbers in README.md.

A place is `{set/study/arm}`, the mean mask AP with its standard deviation, or `{set/study/arm/column}`, a column of
`reference/<set>/tables/<study>.csv`, with `:.0f` or `:+.1f` for other digits than one. `{set/study/arm % other}` is the
mask AP of an arm as a percentage of another's. A phrase without places has numbers of other sources.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.results import read_table
from core.compute.command import run_command
from core.files.atomic import write_text
from core.files.json_file import read_utf8

CLAIMS = "readme_numbers.md"
PLACE = re.compile(r"\{([^{}]+)\}")
NUMBER = r"[+-]?\d+(?:\.\d+)?(?: ± \d+(?:\.\d+)?)?"  # what may stand in a place
MEASURED = re.compile(r"[+-]?\d+\.\d+(?: ± \d+\.\d+)?|\d+ %")  # what must not stand outside of phrases
DIGITS = re.compile(r"(.*?)(?::(\+?\.\df))?")  # of a place: where the number is, and how many digits it has
DEFAULT = ".1f"


@dataclass(frozen=True)
class Claim:
    section: str
    text: str  # with places in braces

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the phrase whatever its numbers are, each as a group; spaces may be line breaks."""
        parts = (re.sub(r"(?:\\ )+", r"\\s+", re.escape(part)) for part in PLACE.split(self.text))
        return re.compile("".join(f"({NUMBER})" if index % 2 else part for index, part in enumerate(parts)))

    @property
    def places(self) -> list[str]:
        return PLACE.findall(self.text)


class Tables:
    """The tables of the references, read once, each when it is asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read: dict[Path, pd.DataFrame] = {}

    def value(self, place: str) -> str:
        """The number of a place as text.

        Raises:
            ValueError: if there is no such table, row or column; names it.
        """
        path, digits = DIGITS.fullmatch(place).groups(default="")
        names = [name.strip() for name in path.split("/")]
        if len(names) not in (3, 4):
            raise ValueError(f"{{{place}}}: expected {{set/study/arm}} or {{set/study/arm/column}}")
        table = self._table(names[0], names[1])
        arm, _, whole = (part.strip() for part in names[2].partition(" % "))
        for row in (arm, whole):
            if row and row not in table.index:
                raise ValueError(f"{{{place}}}: no row '{row}', expected one of {', '.join(table.index)}")
        column = names[3] if len(names) == 4 else "mask_AP"
        if column not in table:
            raise ValueError(f"{{{place}}}: no column '{column}', expected one of {', '.join(table)}")
        found = table[column][arm]
        if whole:
            return f"{100 * found / table[column][whole]:{digits or '.0f'}}"
        text = f"{found:{digits or DEFAULT}}"
        if len(names) == 3 and not digits and not pd.isna(table["mask_AP_sd"][arm]):
            text += f" ± {table['mask_AP_sd'][arm]:.1f}"
        return text

    def _table(self, name: str, study: str) -> pd.DataFrame:
        path = self.root / name / "tables" / f"{study}.csv"
        if path not in self.read:
            if not path.exists():
                raise ValueError(f"{path}: no such file")
            table = read_table(path, ())
            rows = table[table.columns[0]].astype(str)
            if study == "edge_purity":
                rows += ", τ = " + table["color_threshold"].map("{:g}".format)
            self.read[path] = table.set_index(rows)
        return self.read[path]


def read_claims(path: Path) -> list[Claim]:
    """The phrases of the file, one a line, below the headings of their sections; `<!--` starts a remark.

    Raises:
        ValueError: for a phrase above the first heading; names the line.
    """
    claims, section = [], ""
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        text = line.strip()
        if text.startswith("## "):
            section = text.removeprefix("## ")
        elif text and not text.startswith(("# ", "<!--")):
            if not section:
                raise ValueError(f"{path}, line {number}: expected `## <section of README.md>` above the first phrase")
            claims.append(Claim(section, text))
    return claims


def section_of(readme: str, name: str) -> tuple[int, int] | None:
    """Where a section of the text starts and ends; None if it has no such heading."""
    start = re.search(rf"^## {re.escape(name)}$", readme, re.MULTILINE)
    if start is None:
        return None
    end = re.search(r"^## ", readme[start.end() :], re.MULTILINE)
    return start.end(), start.end() + end.start() if end else len(readme)


def readme_differences(readme: Path, root: Path) -> Iterator[str]:
    """One line for each number of README.md that is not what the tables give, or that no phrase covers.

    Raises:
        ValueError: if a file is malformed, or a place is in no table.
    """
    text, tables = read_utf8(readme), Tables(root)
    claims = read_claims(root / CLAIMS)
    for section in dict.fromkeys(claim.section for claim in claims):
        where = f"{readme}, section '{section}'"
        span = section_of(text, section)
        if span is None:
            yield f"{where}: no such section, but {root / CLAIMS} has it"
            continue
        own, rest = text[slice(*span)], text[slice(*span)]
        for claim in (claim for claim in claims if claim.section == section):
            found = claim.pattern.search(own)
            if found is None:
                yield f"{where}: does not say '{claim.text}'"
                continue
            for place, stated in zip(claim.places, found.groups(), strict=True):
                if stated != (given := tables.value(place)):
                    phrase = " ".join(found.group().split())
                    yield f"{where}: says {stated} in '{phrase}', the records give {given} ({place})"
            rest = claim.pattern.sub(lambda match: re.sub(r"\d", "·", match.group()), rest)
        for line in rest.splitlines():
            for number in MEASURED.findall(line):
                yield f"{where}: {number} in '{line.strip()[:80]}': no phrase in {root / CLAIMS} verifies it"


def corrected(readme: str, root: Path) -> str:
    """The text with the numbers that the tables give, in every phrase that is there."""
    tables = Tables(root)
    for claim in read_claims(root / CLAIMS):
        span = section_of(readme, claim.section)
        if span is None:
            continue
        values = [tables.value(place) for place in claim.places]
        own = claim.pattern.sub(lambda match, values=values: _with(match, values), readme[slice(*span)])
        readme = readme[: span[0]] + own + readme[span[1] :]
    return readme


def _with(match: re.Match[str], values: list[str]) -> str:
    """The matched text with its groups replaced."""
    parts, end = [], match.start()
    for index, value in enumerate(values, start=1):
        parts += [match.string[end : match.start(index)], value]
        end = match.end(index)
    return "".join([*parts, match.string[end : match.end()]])


def main(arguments: list[str] | None = None) -> int:
    """Correct the numbers; exit status 0, 1 if differences remain, 2 for invalid input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.reference.readme", description=__doc__.splitlines()[0])
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--reference", type=Path, default=Path("reference"), help="folder of the references by recipe")
    options = parser.parse_args(arguments)

    def work() -> int:
        write_text(options.readme, corrected(read_utf8(options.readme), options.reference))
        left = list(readme_differences(options.readme, options.reference))
        print("\n".join([*left, f"{options.readme}: {len(left)} differences left"]))
        return 1 if left else 0

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
