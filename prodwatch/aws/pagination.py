"""How an operation's pages follow each other, read from AWS's own paginator models."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.aws.api import AwsError
from prodwatch.aws.error_codes import UNKNOWN_OPERATION
from prodwatch.model.status import Reason

_ENDS_ON_SAME_TOKEN = frozenset(("GetLogEvents",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Where the next page's tokens are found and where they go."""

    service: str
    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[Any, ...]
    """Compiled JMESPath expressions, one per input."""
    more: Any | None

    def following(self, page: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the parameters of the page after `page`, None when it was the last.

        AwsError (reason `service`) when AWS gives the same token again, which would never end.
        """
        if self.more is not None and not self.more.search(page):
            return None
        tokens = {name: output.search(page) for name, output in zip(self.inputs, self.outputs, strict=True)}
        tokens = {name: value for name, value in tokens.items() if value}
        if not tokens:
            return None
        if all(asked.get(name) == value for name, value in tokens.items()):
            if self.operation in _ENDS_ON_SAME_TOKEN:
                return None
            raise AwsError(
                f"{self.service} {self.operation} gave the same page token twice: the answer cannot be read to its end",
                code="RepeatedToken",
                reason=Reason.SERVICE,
                service=self.service,
                operation=self.operation,
            )
        rest = {name: value for name, value in asked.items() if name not in self.inputs}
        return rest | tokens


def rules(loader: Any, service: str, operation: str) -> Rules | None:
    """Return the paging rules of `operation`, None when it has no pages."""
    import jmespath
    from botocore.exceptions import UnknownServiceError

    try:
        known = loader.load_service_model(service, "paginators-1")["pagination"]
    except UnknownServiceError:
        return None
    found = known.get(operation)
    if found is None:
        return None
    inputs, outputs = _listed(found["input_token"]), _listed(found["output_token"])
    return Rules(
        service=service,
        operation=operation,
        inputs=inputs,
        outputs=tuple(jmespath.compile(each) for each in outputs),
        more=jmespath.compile(found["more_results"]) if "more_results" in found else None,
    )


def unknown_operation(client: Any, service: str, operation: str) -> AwsError:
    """Return the error for an operation the service does not have, with the nearest one it has."""
    names = sorted(set(client.meta.method_to_api_mapping.values()))
    near = difflib.get_close_matches(operation, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return AwsError(
        f'{service} has no operation "{operation}"{hint}',
        code=UNKNOWN_OPERATION,
        reason=Reason.API_ERROR,
        service=service,
        operation=operation,
    )


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
