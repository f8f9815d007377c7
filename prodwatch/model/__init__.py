"""Immutable values shared by all other packages; imports no other module of prodwatch."""
