"""One check: prerequisites, flow of steps, cleanup, result."""
