"""Certainty of a green verdict, in words and exact numbers."""

from __future__ import annotations

from prodwatch.model.signal import ReleaseState
from prodwatch.store.store import Store
from prodwatch.views.release import version_label

ENOUGH_LOOKS = 20
"""Green looks in a row below which the bound on a check's failure rate says too little to be quoted."""
UNCOMPARED = "versions are not compared"


def certainty(looks: int) -> str:
    """Return what `looks` green looks in a row prove of each check: the 95 % bound on its failure rate."""
    counted = "1 look each" if looks == 1 else f"{looks} looks each"
    if looks < ENOUGH_LOOKS:
        return f"{counted}: too early to be sure ({ENOUGH_LOOKS} looks: fails less than {_one_in(ENOUGH_LOOKS)})"
    return f"{counted}: fails less than {_one_in(looks)} (95 % sure)"


def _one_in(looks: int) -> str:
    return f"1 in {int(1 / (1 - 0.05 ** (1 / looks)))}"


def requests_on(store: Store, release: ReleaseState | None) -> str | None:
    """Return how many requests the version under release has served since it began; None when none were counted."""
    if release is None or release.version is None or release.started_at is None:
        return None
    start_s = release.started_at.timestamp()
    own = {("FunctionName", release.function)}
    if release.alias is not None:
        own.add(("Resource", f"{release.function}:{release.alias}"))
    counted = [
        point.value * series.period_s
        for series in store.metrics.series.values()
        if (series.key.namespace, series.key.metric) == ("AWS/Lambda", "Invocations")
        and (series.unit, series.key.version) == ("Count/Second", release.version)
        and series.key.place == release.place
        and own.issubset(series.key.dimensions)
        for point in series.points
        if point.timestamp_s >= start_s
    ]
    if not counted:
        return None
    own_reports = sum(
        tally.own
        for (group, version), tally in store.logs.invocations.items()
        if group in release.writers and version == release.version
    )
    text = f"{round(sum(counted)):,} requests on {version_label(release.version)}"
    return f"{text}, at least {own_reports:,} of them prodwatch's own" if own_reports else text


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


def clock_text(seconds: float) -> str:
    """Return `3:12` or `1:03:12`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
