"""The orders of arms that a study expects, read from the words of its study file."""

import difflib
import re
from collections.abc import Collection, Sequence

from core.config.file import nearest
from core.files.shown import shown

OPERAND = r"[\w=.,+-]+"  # what may stand beside a `<`: the characters of an arm's name
NUMBER = r"[+-]?[\d.,]+"
CLOSE = 0.75  # similarity from which on a word beside `<` is taken for a misspelled arm


def read_expectation(
    expectation: str, arms: Collection[str], suggested: Sequence[str] | None = None
) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """Find every chain `a < b < c` of arms in an expectation, and whether it says anything beside them.

    Prose may stand around a chain. A `<` beside a number, or between words of which none looks like an arm, states no
    order. `suggested` are the arms that an error may name, all for None.

    Raises:
        ValueError: for a word in a chain that is no arm; names the nearest.
    """
    plain = expectation.replace("`", "")
    orders = []
    words = plain
    # Only from the start of a word, once: trying every letter of a long text would take time in its square.
    for found in re.finditer(rf"(?<![\w=.,+-]){OPERAND}(?:\s*<\s*{OPERAND})+", plain):
        chain = tuple(operand.strip().rstrip(".,") for operand in found.group().split("<"))
        if set(chain) <= set(arms):
            orders.append(chain)
            words = words.replace(found.group(), "", 1)
            continue
        if not arms or any(re.fullmatch(NUMBER, operand) for operand in chain):
            continue
        like_arms = [bool(difflib.get_close_matches(operand, arms, n=1, cutoff=CLOSE)) for operand in chain]
        if any(like_arms):
            wrong = next(operand for operand in chain if operand not in arms)
            known = list(arms) if suggested is None else suggested
            raise ValueError(f"expectation: no arm {shown(wrong)}{nearest(wrong, known)}")
    return tuple(orders), bool(re.search(r"\w", words))
