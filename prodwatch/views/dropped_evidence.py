"""Evidence that the store dropped or never kept because its capacity was reached, in words."""

from __future__ import annotations

from prodwatch.store.store import Store


def dropped_evidence(store: Store) -> tuple[str, ...]:
    """Return what a verdict cannot rest on because it is not kept, each in a few words; log lines and traces apart.

    Those are kept for as long as there is room, and their panels state since when.
    """
    counts = (
        (store.signatures.dropped, "error", "errors"),
        (store.metrics.left_out, "metric series", "metric series"),
        (store.embedded.dropped, "series of log metrics", "series of log metrics"),
        (store.embedded.refused, "value of log metrics", "values of log metrics"),
    )
    return tuple(f"{count:,} {one if count == 1 else several}" for count, one, several in counts if count)
