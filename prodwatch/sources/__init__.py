"""Live signals: one asynchronous iterator of batches per source, supervised, none disturbing another."""
