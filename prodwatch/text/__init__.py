"""Text for display: sanitised, redacted, measured in cells, with units and times."""
