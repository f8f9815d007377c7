"""Tables of the history, as the steps from an empty file to the present schema."""

from __future__ import annotations

APPLICATION_ID = 0x50574849
"""Marks the file as a history of prodwatch (`PWHI`)."""

_RUN = """
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    environment TEXT NOT NULL,
    ended_at_ms INTEGER NOT NULL,
    summary TEXT NOT NULL -- a PastRun as JSON; the other columns are copies to select and sort by
)
"""
_ITEM = """
CREATE TABLE item (
    number INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL, -- of the latest run
    UNIQUE (environment, kind, id)
)
"""
_OUTCOME = """
CREATE TABLE outcome (
    item INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    position INTEGER NOT NULL, -- in the run's report
    status TEXT NOT NULL,
    flags TEXT NOT NULL,
    reason_code TEXT,
    message TEXT,
    duration_ms INTEGER,
    rounds TEXT, -- a RoundSummary as JSON
    PRIMARY KEY (item, run)
) WITHOUT ROWID
"""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        _RUN,
        "CREATE INDEX run_by_time ON run (environment, ended_at_ms)",
        _ITEM,
        _OUTCOME,
        "CREATE INDEX outcome_by_run ON outcome (run, position)",
    ),
)
"""Statements of each step; the number of steps applied is the file's `user_version`. Steps are only ever added."""
