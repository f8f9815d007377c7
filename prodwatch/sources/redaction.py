"""Sanitises and redacts live signals on entry."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from prodwatch.model.signal import ServiceEdge, ServiceNode, Span, Trace, TraceSummary
from prodwatch.text.redact import Redactor
from prodwatch.text.sanitize import sanitize_line, sanitize_value

MAX_CACHED_NODES = 1_000
"""Cached service names: traces repeat the same few."""


class SignalRedactor:
    """Sanitises and redacts texts, values, traces and graph edges; texts become single lines."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._nodes: dict[ServiceNode, ServiceNode] = {}

    def text(self, text: str) -> str:
        """Return `text` as one clean line."""
        return sanitize_line(self._redactor.text(text))

    def optional(self, text: str | None) -> str | None:
        """Return the clean text; None for None or an empty text."""
        return self.text(text) if text else None

    def value(self, value: Any) -> Any:
        """Return a JSON-like value with all its texts clean."""
        try:
            return sanitize_value(self._redactor.value(value))
        except RecursionError:
            return "(nested too deeply to be shown)"

    def table(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a table with all its texts clean."""
        clean = self.value(values)
        return clean if isinstance(clean, dict) else {"value": clean}

    def summary(self, summary: TraceSummary) -> TraceSummary:
        """Return a clean trace summary; a missing version is taken from the annotation `version` or `release`."""
        annotations = self.table(summary.annotations)
        version = annotations.get("version", annotations.get("release"))
        return replace(
            summary,
            method=self.optional(summary.method),
            url=self.optional(summary.url),
            client=self.optional(summary.client),
            service=self.optional(summary.service),
            version=summary.version or (None if version is None else str(version)),
            root_cause=self.optional(summary.root_cause),
            slowest=self.optional(summary.slowest),
            services=tuple(self.node(node) for node in summary.services),
            annotations=annotations,
        )

    def node(self, node: ServiceNode) -> ServiceNode:
        """Return a clean service node; the result is cached."""
        clean = self._nodes.get(node)
        if clean is None:
            clean = ServiceNode(self.text(node.name), self.text(node.kind))
            if len(self._nodes) < MAX_CACHED_NODES:
                self._nodes[node] = clean
        return clean

    def edge(self, edge: ServiceEdge) -> ServiceEdge:
        """Return a clean edge of the service graph."""
        return replace(edge, caller=self.node(edge.caller), callee=self.node(edge.callee))

    def trace(self, trace: Trace) -> Trace:
        """Return a clean trace with all its spans."""
        return replace(trace, spans=tuple(self._span(span) for span in trace.spans))

    def _span(self, span: Span) -> Span:
        return replace(
            span,
            name=self.text(span.name),
            origin=self.optional(span.origin),
            namespace=self.optional(span.namespace),
            resource_arn=self.optional(span.resource_arn),
            http=self.table(span.http),
            aws=self.table(span.aws),
            sql=self.table(span.sql),
            annotations=self.table(span.annotations),
            metadata=self.table(span.metadata),
            exceptions=tuple(self.text(item) for item in span.exceptions),
        )
