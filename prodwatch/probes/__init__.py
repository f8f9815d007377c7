"""One folder per check type: `spec.py` says what it is, `probe.py` does it once and reports what it saw."""
