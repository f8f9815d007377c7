"""Values of a run: what templates are filled with, what is captured, and how values are redacted before they leave."""
