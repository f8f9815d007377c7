"""How much a green verdict rests on, in words and exact numbers."""

from __future__ import annotations

from prodwatch.model.signal import ReleaseState
from prodwatch.store.store import Store
from prodwatch.views.release import version_label


def certainty(greens: int) -> str:
    """Say what `greens` green rounds in a row prove of a check: the 95 % bound on its failure rate."""
    bound = 1 - 0.05 ** (1 / greens)
    times = "once" if greens == 1 else f"{greens} times in a row"
    return f"each check green {times}: its own failure rate is below {bound:.1%} with 95 % certainty".replace(
        "%", " %", 1
    )


def requests_on(store: Store, release: ReleaseState | None) -> str | None:
    """Say how many requests the version under release has served since it began, None when nobody counted."""
    if release is None or release.version is None or release.started_at is None:
        return None
    start_s = release.started_at.timestamp()
    counted = [
        point.value * series.period_s
        for series in store.metrics.series.values()
        if (series.key.namespace, series.key.metric) == ("AWS/Lambda", "Invocations")
        and (series.unit, series.key.version) == ("Count/Second", release.version)
        for point in series.points
        if point.timestamp_s >= start_s
    ]
    return f"{round(sum(counted)):,} requests on {version_label(release.version)}" if counted else None


def clock_text(seconds: float) -> str:
    """Return `3:12` or `1:03:12`."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
