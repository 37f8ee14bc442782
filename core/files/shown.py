"""A value from a file as messages quote it."""

import reprlib
from typing import Any

_quote = reprlib.Repr()
_quote.maxlevel, _quote.maxlist, _quote.maxdict = 3, 8, 4
_quote.maxstring = _quote.maxother = 80


def shown(value: Any) -> str:
    """A value on one line, printable, and cut where it is long or nested deeply."""
    return _quote.repr(value)
