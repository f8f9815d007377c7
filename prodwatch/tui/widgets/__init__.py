"""Widgets that draw lines, without child widgets per row, messages per record or markup."""
