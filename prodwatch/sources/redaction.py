"""What every live signal passes on its way in: sanitised, and free of known secrets."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from prodwatch.model.signal import ServiceEdge, ServiceNode, Span, Trace, TraceSummary
from prodwatch.text.redact import Redactor
from prodwatch.text.sanitize import sanitize_line, sanitize_value

KEPT_NODES = 1_000
"""Names of services remembered as cleaned: every trace tells the same few again."""


class Cleaner:
    """Cleans texts, values and traces; texts become one line."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._nodes: dict[ServiceNode, ServiceNode] = {}

    def text(self, text: str) -> str:
        """Return a text fit to be shown in one line."""
        return sanitize_line(self._redactor.text(text))

    def maybe(self, text: str | None) -> str | None:
        """Return the cleaned text, or None for none."""
        return self.text(text) if text else None

    def value(self, value: Any) -> Any:
        """Return a JSON-like value with every text in it clean."""
        try:
            return sanitize_value(self._redactor.value(value))
        except RecursionError:
            return "(nested too deeply to be shown)"

    def table(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a table with every text in it clean."""
        clean = self.value(values)
        return clean if isinstance(clean, dict) else {"value": clean}

    def summary(self, summary: TraceSummary) -> TraceSummary:
        """Return a trace summary fit to be shown; its version comes from an annotation that says so."""
        annotations = self.table(summary.annotations)
        version = annotations.get("version", annotations.get("release"))
        return replace(
            summary,
            method=self.maybe(summary.method),
            url=self.maybe(summary.url),
            service=self.maybe(summary.service),
            version=summary.version or (None if version is None else str(version)),
            root_cause=self.maybe(summary.root_cause),
            slowest=self.maybe(summary.slowest),
            services=tuple(self.node(each) for each in summary.services),
            annotations=annotations,
        )

    def node(self, node: ServiceNode) -> ServiceNode:
        """Return a service's name fit to be shown; the few there are, are kept."""
        clean = self._nodes.get(node)
        if clean is None:
            clean = ServiceNode(self.text(node.name), self.text(node.kind))
            if len(self._nodes) < KEPT_NODES:
                self._nodes[node] = clean
        return clean

    def edge(self, edge: ServiceEdge) -> ServiceEdge:
        """Return an edge of the service graph fit to be shown."""
        return replace(edge, caller=self.node(edge.caller), callee=self.node(edge.callee))

    def trace(self, trace: Trace) -> Trace:
        """Return a whole trace fit to be shown."""
        return replace(trace, spans=tuple(self._span(span) for span in trace.spans))

    def _span(self, span: Span) -> Span:
        return replace(
            span,
            name=self.text(span.name),
            origin=self.maybe(span.origin),
            namespace=self.maybe(span.namespace),
            resource_arn=self.maybe(span.resource_arn),
            http=self.table(span.http),
            aws=self.table(span.aws),
            sql=self.table(span.sql),
            annotations=self.table(span.annotations),
            metadata=self.table(span.metadata),
            exceptions=tuple(self.text(each) for each in span.exceptions),
        )
