"""Rows for any front end, computed from the store; pure."""
