"""Check type: S3 objects."""
