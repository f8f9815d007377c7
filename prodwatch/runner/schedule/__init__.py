"""Many checks: selection, order, dependencies, rounds, and the network self-check."""
