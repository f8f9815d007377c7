"""What is known now, in bounded rings with a revision per topic."""
