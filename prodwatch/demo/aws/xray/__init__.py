"""X-Ray: segments as they arrive, and the traces, summaries and graphs computed from them."""
