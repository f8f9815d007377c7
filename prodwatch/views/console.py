"""Addresses of pages in the AWS console, built from names alone."""

from __future__ import annotations

from urllib.parse import quote

from prodwatch.model.signal import LogRecord


def _escaped(text: str) -> str:
    """Return `text` as the console's own router wants it: percent signs become dollar signs, twice encoded."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")


def _home(region: str, service: str) -> str:
    return f"https://{region}.console.aws.amazon.com/{service}/home?region={region}"


def trace_page(region: str, trace_id: str) -> str:
    """Return the page of one trace."""
    return f"{_home(region, 'cloudwatch')}#xray:traces/{quote(trace_id, safe='')}"


def log_page(region: str, record: LogRecord) -> str:
    """Return the page of a log line's stream, at the line's time."""
    place = f"{_home(region, 'cloudwatch')}#logsV2:log-groups/log-group/{_escaped(record.group)}"
    if not record.stream:
        return place
    window = _escaped(f"?start={record.timestamp_ms - 1000}&end={record.timestamp_ms + 1000}")
    return f"{place}/log-events/{_escaped(record.stream)}{window}"


def alarm_page(region: str, name: str) -> str:
    """Return the page of one alarm."""
    return f"{_home(region, 'cloudwatch')}#alarmsV2:alarm/{quote(name, safe='')}"


def function_page(region: str, name: str) -> str:
    """Return the page of one Lambda function."""
    return f"{_home(region, 'lambda')}#/functions/{quote(name, safe='')}"


def deployment_page(region: str, deployment_id: str) -> str:
    """Return the page of one CodeDeploy deployment."""
    return f"https://{region}.console.aws.amazon.com/codesuite/codedeploy/deployments/{quote(deployment_id, safe='')}"
