"""One step: compiled, filled, journalled, sent, judged, and turned into a result."""
