"""Live signals: each source is a supervised asynchronous iterator of batches, independent of the others."""
