"""X-Ray: trace summaries as they appear and grow, whole traces on demand, and the service graph once a minute."""

from prodwatch.formats.otel_spans import SPANS_GROUP
from prodwatch.sources.traces.fetch import fetch_trace, fetch_traces
from prodwatch.sources.traces.service_graph import ServiceGraphSource
from prodwatch.sources.traces.source import MAX_WINDOW_S, TraceSource

__all__ = ["MAX_WINDOW_S", "SPANS_GROUP", "ServiceGraphSource", "TraceSource", "fetch_trace", "fetch_traces"]
