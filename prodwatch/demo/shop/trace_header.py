"""The trace header that links a request's segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHeader:
    """`Root=1-…;Parent=…;Sampled=1`, X-Ray's form."""

    root: str
    parent: str | None = None
    sampled: bool = False

    def __str__(self) -> str:
        parent = f"Parent={self.parent};" if self.parent else ""
        return f"Root={self.root};{parent}Sampled={int(self.sampled)}"

    def child(self, parent: str) -> TraceHeader:
        """Return the header to pass on from segment `parent`."""
        return TraceHeader(root=self.root, parent=parent, sampled=self.sampled)


def read(text: str | None) -> TraceHeader | None:
    """Read a header; None without a header or without a root."""
    parts = dict(part.strip().split("=", 1) for part in (text or "").split(";") if "=" in part)
    if not parts.get("Root"):
        return None
    return TraceHeader(root=parts["Root"], parent=parts.get("Parent"), sampled=parts.get("Sampled") == "1")


def fresh(now_s: float, new_id: Callable[[], str], *, sampled: bool) -> TraceHeader:
    """Return the header of a new trace; `new_id` returns 16 hexadecimal digits."""
    return TraceHeader(root=f"1-{int(now_s):08x}-{(new_id() + new_id())[:24]}", sampled=sampled)
