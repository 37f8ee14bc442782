"""The settings in which two records differ: only trials with equal settings can be compared."""

from core.config.dotted import leaves
from core.record import Record


def differing_settings(record: Record, reference: Record) -> list[str]:
    """`field: reference -> ours` for each differing setting that both records have, and for the data digest.

    Settings outside the identity of a training, such as the path of the data, are ignored. So are settings of only one
    record: these are new or removed fields at their defaults.
    """
    ours, theirs = leaves(record.identity["config"]), leaves(reference.identity["config"])
    shared = [field for field in theirs if field in ours]
    changes = [f"{field}: {theirs[field]} -> {ours[field]}" for field in shared if ours[field] != theirs[field]]
    if record.data_digest != reference.data_digest:
        changes.append(f"data digest: {reference.data_digest} -> {record.data_digest}")
    return changes
