"""Reports of a run's result in every output format, all with the same verdict."""
