"""`prodwatch doctor`: findings about this machine, and their output."""
