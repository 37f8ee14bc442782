"""Change the code in small ways and see whether a test fails: `python -m tests.mutants --count 60 --seed 0`.

Draws mutants (one changed operator, constant or call each) from the files that decide results, and runs for each the
tests of its room in a copy of the tree; where they pass, all fast tests of its package. A mutant that no test notices
survives, and is printed with its change. Exit status 1 if more than `--survivors` do.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
MUTATED = (
    "core/losses",
    "core/targets",
    "core/training",
    "core/evaluation",
    "core/record.py",
    "experiments/store.py",
    "analysis/statistics.py",
    "analysis/verdict.py",
    "analysis/reference",
)
COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "mean", "mean": "sum", "amax": "amin"}
TIMEOUT = 900  # seconds; a mutant that hangs is noticed


@dataclass(frozen=True)
class Mutant:
    path: Path  # relative to the root
    line: int
    before: str
    after: str
    text: str  # of the whole file


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file; what stands in an error message, an annotation or a docstring is left alone."""
    source = (ROOT / path).read_text()
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            parts = [node]
        elif isinstance(node, ast.FunctionDef):
            parts = [*node.decorator_list, node.returns, *(argument.annotation for argument in node.args.args)]
            parts += [argument.annotation for argument in node.args.kwonlyargs]
        elif isinstance(node, ast.ClassDef):
            parts = [*node.decorator_list]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        skipped |= {id(inner) for part in parts if part is not None for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        for changed in changes(node):
            before, after = ast.unparse(node), ast.unparse(changed)
            start, end = (
                offset(source, node.lineno, node.col_offset),
                offset(source, node.end_lineno, node.end_col_offset),
            )
            yield Mutant(path, node.lineno, before, after, f"{source[:start]}({after}){source[end:]}")


def changes(node: ast.AST) -> Iterator[ast.expr]:
    """Changed forms of an expression."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        changed = copy.deepcopy(node)
        changed.ops[0] = COMPARISONS[type(node.ops[0])]()
        yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        changed = copy.deepcopy(node)
        changed.op = ARITHMETIC[type(node.op)]()
        yield changed
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        if name in CALLS:
            changed = copy.deepcopy(node)
            if isinstance(changed.func, ast.Attribute):
                changed.func.attr = CALLS[name]
            else:
                changed.func.id = CALLS[name]
            yield changed


def offset(source: str, line: int, column: int) -> int:
    """Place in the text of a line (from 1) and a column in UTF-8 bytes, as `ast` counts them."""
    lines = source.splitlines(keepends=True)
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def survives(mutant: Mutant, tree: Path) -> bool:
    """Whether no test notices the mutant, which stands in this copy of the tree for the time of the tests."""
    target = tree / mutant.path
    original = target.read_bytes()
    target.write_text(mutant.text)
    room = Path("tests", mutant.path.parent)
    own = room / f"test_{mutant.path.name}"
    rooms = [own] if (tree / own).exists() else []
    try:
        return all(passes(tree, tests) for tests in ([*rooms, room], [Path("tests", mutant.path.parts[0])]))
    finally:
        target.write_bytes(original)


def passes(tree: Path, tests: list[Path]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]
    try:
        return subprocess.run(command, cwd=tree, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="mutants to try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same mutants of the same code")
    parser.add_argument("--survivors", type=int, default=3, help="as many may survive (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="side by side")
    options = parser.parse_args()
    files = [
        path.relative_to(ROOT)
        for place in MUTATED
        for path in sorted([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*.py"))
    ]
    by_file = [found for path in files if (found := list(mutants(path)))]
    draw = random.Random(options.seed)
    chosen: dict[Mutant, None] = {}  # in the order drawn, each once; as many from small files as from large
    while len(chosen) < min(options.count, sum(map(len, by_file))):
        chosen.setdefault(draw.choice(draw.choice(by_file)))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [name for name in listed.split("\0") if name]
    trees: SimpleQueue[Path] = SimpleQueue()
    with TemporaryDirectory() as folder, ThreadPoolExecutor(options.processes) as pool:
        for number in range(options.processes):
            tree = Path(folder, str(number))
            for name in tracked:
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, tree / name)
            trees.put(tree)

        def tried(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                return survives(mutant, tree)
            finally:
                trees.put(tree)

        survivors = 0
        for mutant, survived in zip(chosen, pool.map(tried, chosen), strict=True):
            survivors += survived
            word = "SURVIVED" if survived else "noticed"
            print(f"{word}  {mutant.path}:{mutant.line}  {mutant.before}  ->  {mutant.after}", flush=True)
    print(f"{len(chosen)} mutants, {survivors} survived")
    return 1 if survivors > options.survivors else 0


if __name__ == "__main__":
    sys.exit(main())
