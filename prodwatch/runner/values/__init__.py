"""Values of a run: those of `${…}`, the release under test, and the redaction of everything that leaves."""
