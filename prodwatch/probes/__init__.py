"""Check types, one folder each: `spec.py` defines keys and document, `probe.py` executes one attempt."""
