"""Many checks: selection, order, dependencies and rounds."""
