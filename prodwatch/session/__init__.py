"""Sessions that any front end drives: engine of a run, live session, past windows, log groups, time windows, reload."""
