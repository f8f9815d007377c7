"""A Lambda function as its control plane describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

NO_CODE = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""SHA-256 of no bytes, as Lambda writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One published version."""

    version: str
    published_s: float
    """Wall time, epoch seconds; before it the version does not exist."""
    code_sha256: str = NO_CODE
    description: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables besides those of the function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasState:
    """Target of an alias: a version, and shares (0 to 1) of traffic on others."""

    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function with its published versions; aliases are stored separately, because they change."""

    name: str
    versions: Sequence[FunctionVersion] = ()
    runtime: str = "python3.13"
    handler: str = "app.handler"
    memory_mb: int = 256
    timeout_s: int = 30
    log_format: Literal["Text", "JSON"] = "Text"
    log_group: str | None = None
    """`/aws/lambda/<name>` when None."""
    tracing: Literal["Active", "PassThrough"] = "Active"
    environment: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None
    event_sources: Mapping[str, str] = field(default_factory=dict)
    """ARN of a stream or queue → alias that it invokes."""

    @property
    def logs_to(self) -> str:
        """The log group it writes to."""
        return self.log_group or f"/aws/lambda/{self.name}"
