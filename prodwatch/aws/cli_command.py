"""Formats a call as an equivalent `aws …` command: one line, safe to paste into a POSIX shell."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_COMMANDS = {"codedeploy": "deploy", "config": "configservice", "s3": "s3api"}
"""botocore's service name → the AWS CLI's name, where they differ."""
_TO_STDOUT = {"lambda:Invoke": "/dev/stdout", "s3:GetObject": "/dev/stdout"}
"""Calls for which the AWS CLI requires an output file."""


def aws_command(
    service: str,
    operation: str,
    params: Mapping[str, Any],
    *,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
) -> str:
    """Return the command. Parameters that the CLI would take for a file name are passed as one JSON document."""
    from botocore import xform_name

    name = f"{service}:{operation}"
    words = ["aws", _COMMANDS.get(service, service), xform_name(operation, "-")]
    if name == "s3:PutObject":
        return _put_object(params, region, profile, endpoint_url)
    if any(_looks_like_file(value) for value in params.values()):
        words += ["--cli-input-json", json.dumps(_plain(params), ensure_ascii=False)]
    else:
        for key, value in params.items():
            words += _option(xform_name(key, "-"), value)
    if name == "lambda:Invoke":
        words += ["--cli-binary-format", "raw-in-base64-out"]
    if name in _TO_STDOUT:
        words.append(_TO_STDOUT[name])
    return " ".join(_quote(word) for word in [*words, *_where(region, profile, endpoint_url)])


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    # The CLI would take a value that begins with a dash for another option.
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]


def _put_object(params: Mapping[str, Any], region: str | None, profile: str | None, endpoint_url: str | None) -> str:
    body = _plain(params.get("Body", b""))
    target = f"s3://{params.get('Bucket')}/{params.get('Key')}"
    words = ["aws", "s3", "cp", "-", target, *_where(region, profile, endpoint_url)]
    return f"printf %s {_quote(str(body))} | {' '.join(_quote(word) for word in words)}"


def _where(region: str | None, profile: str | None, endpoint_url: str | None) -> list[str]:
    options = (("--region", region), ("--profile", profile), ("--endpoint-url", endpoint_url))
    return [word for name, value in options if value for word in (name, value)]


def _looks_like_file(value: Any) -> bool:
    return isinstance(value, str | bytes) and str(_plain(value)).startswith(("file://", "fileb://"))


def _plain(value: Any) -> Any:
    """Convert `value` to JSON types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return base64.b64encode(bytes(value)).decode()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _quote(word: str) -> str:
    """Quote for a POSIX shell; control and bidi characters become escapes that bash and zsh read back."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(item if item.isprintable() else _escape(item) for item in escaped) + "'"


def _escape(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
