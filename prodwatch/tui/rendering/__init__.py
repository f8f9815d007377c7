"""Rows of views as lines of pieces; pure functions of row and width."""
