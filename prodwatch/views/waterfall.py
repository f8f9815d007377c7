"""A trace as bars in eighths of a cell: every bar inside the picture and at least one eighth wide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from prodwatch.model.signal import Span, Trace
from prodwatch.text.units import format_ms

EIGHTHS = 8
SKEW_S = 0.001
"""Time by which a child may exceed its parent before it counts as skewed: the precision of X-Ray's clocks."""
CLOCKS_S, CLOCKS_SHARE = 0.005, 0.1
"""Seconds, and share of the parent's time, by which a child may end after its parent and still be on the path."""

BarState = Literal["ok", "fault", "error", "throttle"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a waterfall."""

    key: str
    """Span id, or the phase's name."""
    name: str
    depth: int
    x0: int
    """Left edge in eighths of a cell."""
    x1: int
    """Right edge in eighths of a cell; always above `x0`."""
    duration_s: float
    self_s: float
    """Time not covered by children."""
    state: BarState = "ok"
    open: bool = False
    """Still in progress: drawn to the end of the trace."""
    skewed: bool = False
    """Exceeds its parent, or ends before it starts: clocks differ."""
    orphan: bool = False
    """Its parent is missing from the trace."""
    critical: bool = False
    """On the critical path, which determines the total time."""
    slowest: bool = False
    """The bottleneck: the most self time on the critical path."""
    note: str | None = None
    """First exception, else the called operation."""


class Waterfall(msgspec.Struct, frozen=True, kw_only=True):
    """A trace laid out for a width."""

    bars: tuple[Bar, ...]
    """Parents before children, siblings by start."""
    total_s: float
    complete: bool
    bottleneck: str | None
    """Name of the span with the most self time on the critical path."""
    bottleneck_key: str | None = None
    bottleneck_s: float = 0.0
    """Self time of the bottleneck."""
    cut: bool = False
    """X-Ray omitted spans because the trace is too large."""

    def bottleneck_text(self) -> str:
        """Return `DynamoDB: self time 1.7 s, 68 %`; empty without a bottleneck."""
        if self.bottleneck is None:
            return ""
        share = f", {self.bottleneck_s / self.total_s * 100:.0f} %" if self.total_s > 0 else ""
        return f"{self.bottleneck}: self time {format_ms(self.bottleneck_s * 1000)}{share}"


class _Node(msgspec.Struct):
    span: Span
    end_s: float
    children: list[_Node]
    depth: int = 0


def waterfall(trace: Trace, width: int) -> Waterfall:
    """Lay `trace` out in `width` cells (at least 1)."""
    if not trace.spans:
        return Waterfall(bars=(), total_s=0.0, complete=trace.complete, bottleneck=None, cut=trace.cut)
    begin = min(span.start_s for span in trace.spans)
    end = max(max(span.end_s or span.start_s, span.start_s) for span in trace.spans)
    total = end - begin
    nodes, roots, orphans = _tree(trace.spans, end)
    critical: set[str] = set()
    for root in roots:
        _mark_critical(root, critical)
    by_id = {node.span.id: node for node in nodes}
    bars = tuple(_bar(node, by_id, orphans, critical, begin, total, width) for node in nodes)
    slowest = max((bar for bar in bars if bar.critical), key=lambda bar: bar.self_s)
    return Waterfall(
        bars=tuple(replace(bar, slowest=slowest.self_s > 0 and bar is slowest) for bar in bars),
        total_s=total,
        complete=trace.complete,
        bottleneck=slowest.name if slowest.self_s > 0 else None,
        bottleneck_key=slowest.key if slowest.self_s > 0 else None,
        bottleneck_s=slowest.self_s,
        cut=trace.cut,
    )


def phases_waterfall(phases_ms: Mapping[str, float], width: int) -> tuple[Bar, ...]:
    """Lay the phases of one request out one after the other in `width` cells."""
    total = sum(max(0.0, duration_ms) for duration_ms in phases_ms.values())
    bars = []
    elapsed = 0.0
    for name, raw in phases_ms.items():
        duration = max(0.0, raw)
        x0, x1 = place(elapsed, elapsed + duration, 0.0, total, width)
        seconds = duration / 1000
        bars.append(Bar(key=name, name=name, depth=0, x0=x0, x1=x1, duration_s=seconds, self_s=seconds))
        elapsed += duration
    return tuple(bars)


def place(start: float, end: float, begin: float, total: float, width: int) -> tuple[int, int]:
    """Return the edges of `start` to `end` in eighths: inside `width` cells, at least one eighth apart."""
    most = max(1, width) * EIGHTHS
    if total <= 0:
        return 0, most
    # Divided first: the smallest totals would make the scale infinite.
    low = min(max(0, math.floor((start - begin) / total * most)), most - 1)
    high = min(max(low + 1, math.ceil((end - begin) / total * most)), most)
    return low, high


def _tree(spans: Sequence[Span], end_s: float) -> tuple[list[_Node], list[_Node], set[str]]:
    """Return nodes depth first, the roots, and the ids of spans whose parent is missing."""
    nodes = {
        span.id: _Node(span, max(span.end_s if span.end_s is not None else end_s, span.start_s), []) for span in spans
    }
    roots: list[_Node] = []
    orphans: set[str] = set()
    cycles = _in_cycles(nodes)
    for span_id, node in nodes.items():
        parent_id = node.span.parent_id
        parent = nodes.get(parent_id) if parent_id else None
        if parent is None or span_id in cycles:
            roots.append(node)
            if parent_id:
                orphans.add(span_id)
        else:
            parent.children.append(node)
    ordered: list[_Node] = []
    stack = sorted(roots, key=_start, reverse=True)
    while stack:
        node = stack.pop()
        ordered.append(node)
        for child in sorted(node.children, key=_start, reverse=True):
            child.depth = node.depth + 1
            stack.append(child)
    return ordered, roots, orphans


def _start(node: _Node) -> float:
    return node.span.start_s


def _in_cycles(nodes: Mapping[str, _Node]) -> set[str]:
    """Return the spans that are their own ancestors; each chain of parents is walked once."""
    cycles: set[str] = set()
    settled: set[str] = set()
    for first in nodes:
        chain: dict[str, None] = {}
        at: str | None = first
        while at is not None and at in nodes and at not in settled and at not in chain:
            chain[at] = None
            at = nodes[at].span.parent_id
        if at is not None and at in chain:
            walked = list(chain)
            cycles.update(walked[walked.index(at) :])
        settled.update(chain)
    return cycles


def _mark_critical(root: _Node, critical: set[str]) -> None:
    """Mark the critical path: from the end, always the child that finished last."""
    stack = [root]
    while stack:
        node = stack.pop()
        critical.add(node.span.id)
        # The callee may run on another machine, whose clock differs slightly.
        latest = node.end_s + max(CLOCKS_S, CLOCKS_SHARE * (node.end_s - node.span.start_s))
        for child in sorted(node.children, key=lambda node_: node_.end_s, reverse=True):
            if child.end_s <= latest and child.end_s > child.span.start_s:
                stack.append(child)
                latest = child.span.start_s + SKEW_S


def _bar(
    node: _Node,
    nodes: Mapping[str, _Node],
    orphans: set[str],
    critical: set[str],
    begin: float,
    total: float,
    width: int,
) -> Bar:
    span = node.span
    parent = nodes.get(span.parent_id) if span.parent_id and span.id not in orphans else None
    x0, x1 = place(span.start_s, node.end_s, begin, total, width)
    return Bar(
        key=span.id,
        name=span.name,
        depth=node.depth,
        x0=x0,
        x1=x1,
        duration_s=node.end_s - span.start_s,
        self_s=_self_time(node),
        state=_state(span),
        open=span.end_s is None,
        skewed=_skewed(node, parent),
        orphan=span.id in orphans,
        critical=span.id in critical,
        note=_note(span),
    )


def _skewed(node: _Node, parent: _Node | None) -> bool:
    span = node.span
    if span.end_s is not None and span.end_s < span.start_s - SKEW_S:
        return True
    return parent is not None and (span.start_s < parent.span.start_s - SKEW_S or node.end_s > parent.end_s + SKEW_S)


def _state(span: Span) -> BarState:
    if span.fault:
        return "fault"
    if span.throttle:
        return "throttle"
    return "error" if span.error else "ok"


def _note(span: Span) -> str | None:
    if span.exceptions:
        return span.exceptions[0]
    operation = span.aws.get("operation")
    if operation:
        target = span.aws.get("table_name") or span.aws.get("queue_url") or span.aws.get("bucket_name")
        return f"{operation} {target}" if target else str(operation)
    query = span.sql.get("sanitized_query")
    return str(query) if query else None


def _self_time(node: _Node) -> float:
    own = node.end_s - node.span.start_s
    return max(0.0, own - _covered(((child.span.start_s, child.end_s) for child in node.children), node))


def _covered(windows: Iterable[tuple[float, float]], node: _Node) -> float:
    """Return how much of the node its children cover, overlaps counted once."""
    total = 0.0
    reached = node.span.start_s
    for start, end in sorted(windows):
        low, high = max(start, reached), min(end, node.end_s)
        if high > low:
            total += high - low
            reached = high
    return total
