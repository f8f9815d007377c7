"""X-Ray: summaries as they appear and grow, whole traces on demand, and who calls whom once a minute."""

from prodwatch.formats.otel_spans import SPANS_GROUP
from prodwatch.sources.traces.fetch import fetch_trace, fetch_traces
from prodwatch.sources.traces.service_graph import GraphSource
from prodwatch.sources.traces.source import MAX_WINDOW_S, TraceSource

__all__ = ["MAX_WINDOW_S", "SPANS_GROUP", "GraphSource", "TraceSource", "fetch_trace", "fetch_traces"]
