"""Which settings two records of a trial do not share: only trials with equal ones can be compared."""

from typing import Any


def differing_settings(record: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """`field: reference -> ours` for each setting that both records have and that differs, and for the data digest.

    A setting that only one of them knows is a new or a removed field at its default and no difference; where the data
    lies (`data.root`) does not matter, what it is does.
    """
    ours, theirs = flatten(record["config"]), flatten(reference["config"])
    shared = [field for field in theirs if field in ours and field != "data.root"]
    changes = [f"{field}: {theirs[field]} -> {ours[field]}" for field in shared if ours[field] != theirs[field]]
    digests = reference.get("data_digest"), record.get("data_digest")
    if None not in digests and digests[0] != digests[1]:
        changes.append(f"data digest: {digests[0]} -> {digests[1]}")
    return changes


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; a list is one value."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
