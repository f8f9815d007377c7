"""Sessions that any front end drives: the engine of a run, the live session, the reader of past windows, reload."""
