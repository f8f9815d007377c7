"""Widgets that draw lines: no child widgets per row, no messages per record, no markup."""
