"""Text as it may be shown: sanitised, redacted, measured in cells, with units."""
