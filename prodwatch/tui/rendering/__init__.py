"""Rows of views as styled lines: pure functions of row and width."""
