"""X-Ray: summaries as they appear and grow, whole traces on demand, and who calls whom once a minute."""

from prodwatch.sources.traces.fetch import fetch_trace, fetch_traces
from prodwatch.sources.traces.graph import GraphSource
from prodwatch.sources.traces.source import MAX_WINDOW_S, TraceSource
from prodwatch.text.otel_spans import SPANS_GROUP

__all__ = ["MAX_WINDOW_S", "SPANS_GROUP", "GraphSource", "TraceSource", "fetch_trace", "fetch_traces"]
