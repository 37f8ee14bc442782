"""Run the benchmarks: `python -m tests.benchmarks`, or some of them by name: `python -m tests.benchmarks growth`.

Prints one table and writes it as JSON, with device, versions and threads. Takes a quarter of an hour on a quiet
machine, which it needs: a time beside other work means nothing. Each benchmark has a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.benchmarks.form import Line, as_json, tell

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def in_process_of_its_own(name: str, *, quick: bool) -> list[Line]:
    """The lines of a benchmark.

    Raises:
        RuntimeError: if it fails; it has then said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.json"
        command = [sys.executable, "-m", "tests.benchmarks", "--only", name, "--json", str(path)]
        done = subprocess.run([*command, *(["--quick"] if quick else [])], stdout=2, check=False)
        if done.returncode:
            raise RuntimeError(f"benchmark {name} ended with status {done.returncode}")
        return [Line(**line) for line in json.loads(path.read_text())["lines"]]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="show that all of it runs; the numbers mean nothing")
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="default: %(default)s")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.names if name not in NAMES]:
        parser.error(f"no benchmark {', '.join(unknown)}, expected some of {', '.join(NAMES)}")
    if arguments.only:
        lines = import_module(f"tests.benchmarks.bench_{arguments.only}").measure(quick=arguments.quick)
        arguments.json.write_text(as_json(lines, {}, quick=arguments.quick))
        return 0
    lines, failed = [], []
    for name in arguments.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            lines += in_process_of_its_own(name, quick=arguments.quick)
        except RuntimeError as error:
            failed.append(str(error))
    tell(lines, arguments.json, quick=arguments.quick)
    print("\n".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
