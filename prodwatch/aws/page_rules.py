"""Pagination rules of operations, read from AWS's own paginator models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.interface import AwsError
from prodwatch.model.status import Reason

_TOKEN = re.compile(
    r"(?i)(?!nextsequencetoken)next(.*token|marker|.*code|dnsname|.*id|sharditerator)"
    r"|paginationtoken|lastevaluated(key|.*name)|unprocessed.+"
)
"""Members that hold the place, or the keys, of what a response leaves out."""
_MORE = re.compile(r"(?i)(is)?truncated|(has)?more(results|items|data|.*)?")
_OMITS_EMPTY_LISTS = frozenset(("s3", "s3control", "sqs"))
"""Services whose responses leave empty lists out."""
_ENDS_ON_SAME_TOKEN = frozenset(("GetLogEvents",))


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRules:
    """Fields of a page with the tokens of the next page, and the parameters that take them."""

    service: str
    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[Any, ...]
    """Compiled JMESPath expressions, one per input parameter."""
    more: Any | None
    results: tuple[Any, ...] = ()
    """Compiled JMESPath expressions of the lists that the pages hold."""

    def next_params(self, page: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the parameters of the page after `page`; None when it was the last.

        AwsError (reason `service`) when AWS repeats a token, which would never end.
        """
        if self.more is not None and not self.more.search(page):
            return None
        tokens = {name: output.search(page) for name, output in zip(self.inputs, self.outputs, strict=True)}
        tokens = {name: value for name, value in tokens.items() if value}
        if not tokens:
            return None
        if all(params.get(name) == value for name, value in tokens.items()):
            if self.operation in _ENDS_ON_SAME_TOKEN:
                return None
            raise AwsError(
                f"{self.service} {self.operation} returned the same page token twice; no further page can be read",
                code="RepeatedToken",
                reason=Reason.SERVICE,
                service=self.service,
                operation=self.operation,
            )
        rest = {name: value for name, value in params.items() if name not in self.inputs}
        return rest | tokens


def page_rules(loader: Any, service: str, operation: str) -> PageRules | None:
    """Return the pagination rules of `operation`; None when it is not paginated."""
    import jmespath
    from botocore.exceptions import UnknownServiceError

    try:
        paginators = loader.load_service_model(service, "paginators-1")["pagination"]
    except UnknownServiceError:
        return None
    model = paginators.get(operation)
    if model is None:
        return None
    inputs, outputs = _as_tuple(model["input_token"]), _as_tuple(model["output_token"])
    return PageRules(
        service=service,
        operation=operation,
        inputs=inputs,
        outputs=tuple(jmespath.compile(expression) for expression in outputs),
        more=jmespath.compile(model["more_results"]) if "more_results" in model else None,
        results=tuple(jmespath.compile(expression) for expression in _as_tuple(model.get("result_key", ()))),
    )


def _as_tuple(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _without_results(rules: PageRules, page: Mapping[str, Any]) -> str | None:
    """Return the message for a page without any of its lists, which is not an empty list; None when it has one."""
    if not rules.results or rules.service in _OMITS_EMPTY_LISTS:
        return None
    if any(result.search(page) is not None for result in rules.results):
        return None
    names = " or ".join(f"`{result.expression}`" for result in rules.results)
    return f"the response to {rules.service} {rules.operation} has no {names}, which an empty result has, too"


def unread_rest(
    service: str, operation: str, page: Mapping[str, Any], params: Mapping[str, Any], *, paginated: bool
) -> str | None:
    """Return what follows `page` and was not read, as a sentence; None when it is the last.

    `paginated` means that all pages were asked for, so that only what has no pagination model can be left.
    """
    rules = page_rules(shared_loader(), service, operation)
    if rules is not None:
        try:
            more = not paginated and rules.next_params(page, params) is not None
        except AwsError:
            more = True
        if more:
            return f"{service} {operation} returned one page and has more: `paginate = true` reads all"
        return _without_results(rules, page)
    for name, value in page.items():
        if name == "ResponseMetadata" or not value:
            continue
        # Operations without a pagination model, and the keys that a batch operation left out, have no common name.
        if _TOKEN.fullmatch(name) or (_MORE.fullmatch(name) and value is True):
            return f"{service} {operation} left a part out: its response has `{name}`"
    return None
