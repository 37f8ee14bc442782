"""Which settings two records of a trial do not share: only trials with equal ones can be compared."""

from core.config.dotted import leaves
from core.record import Record


def differing_settings(record: Record, reference: Record) -> list[str]:
    """`field: reference -> ours` for each setting that both records have and that differs, and for the data digest.

    What does not count for the identity of a training, such as where the data lies, is no difference. Nor is a setting
    that only one of them knows: it is a new or a removed field at its default.
    """
    ours, theirs = leaves(record.identity["config"]), leaves(reference.identity["config"])
    shared = [field for field in theirs if field in ours]
    changes = [f"{field}: {theirs[field]} -> {ours[field]}" for field in shared if ours[field] != theirs[field]]
    if record.data_digest != reference.data_digest:
        changes.append(f"data digest: {reference.data_digest} -> {record.data_digest}")
    return changes
