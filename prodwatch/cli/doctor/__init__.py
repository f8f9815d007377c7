"""`prodwatch doctor`: findings about this machine, and the output of all findings."""
