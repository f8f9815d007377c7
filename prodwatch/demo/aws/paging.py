"""Opaque paging tokens that behave like AWS's: bound to their query, expiring, refused when invalid."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from prodwatch.demo.aws.api_call import ApiCall, Document, ServiceError

T = TypeVar("T")

TOKEN_LIFE_S = 24 * 3600.0


def digest(params: Mapping[str, Any], *, without: frozenset[str]) -> int:
    """Return a checksum of the query a token belongs to."""
    query = {key: value for key, value in params.items() if key not in without}
    return zlib.crc32(json.dumps(query, sort_keys=True, default=str).encode())


def issue(position: Any, query: int, now_s: float) -> str:
    """Return a token for a JSON-able position."""
    return base64.urlsafe_b64encode(json.dumps([position, query, now_s], separators=(",", ":")).encode()).decode()


def redeem(token: str, query: int, now_s: float) -> Any:
    """Return the token's position. Raises ValueError for a token that is invalid, of another query or expired."""
    position, of_query, issued_s = json.loads(base64.urlsafe_b64decode(token.encode()))
    if of_query != query:
        raise ValueError("the token belongs to another query")
    if now_s - issued_s > TOKEN_LIFE_S:
        raise ValueError("the token has expired")
    return position


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Names of one operation's paging members, page sizes, and the error code for a bad token."""

    cursor: str = "NextToken"
    limit: str = "MaxResults"
    default: int = 100
    maximum: int = 100
    request_cursor: str = ""
    """Name of the token in the request, where it differs from the response."""
    refusal: str = "InvalidNextToken"
    """Error code for a bad token."""

    def page(self, call: ApiCall, items: Sequence[T], members: str) -> Document:
        """Return `{members: one page, token?: …}` of `items`, which must be in a stable order."""
        query = digest(call.params, without=frozenset({self.request_cursor or self.cursor, self.limit}))
        start = self.start(call, query)
        size = min(int(call.params.get(self.limit) or self.default), self.maximum)
        if call.effects.empty_page:
            return {members: [], self.cursor: issue(start, query, call.now_s)}
        if call.effects.short_page:
            size = max(1, size // 3)
        output: Document = {members: list(items[start : start + size])}
        if start + size < len(items):
            output[self.cursor] = issue(start + size, query, call.now_s)
        return output

    def start(self, call: ApiCall, query: int) -> int:
        """Return the index in the call's token, 0 without a token."""
        token = call.params.get(self.request_cursor or self.cursor)
        if not token:
            return 0
        try:
            return int(redeem(token, query, call.now_s))
        except (ValueError, TypeError) as error:
            raise ServiceError(self.refusal, f"The specified {self.cursor} is invalid.") from error
