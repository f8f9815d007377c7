"""Addresses of pages in the AWS console, built from names alone, in every partition that has a console."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from prodwatch.model.signal import LogRecord, MetricKey

_HOSTS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
"""Start of a region's name → host of its partition's console."""
_HOST = "console.aws.amazon.com"


def _base(region: str) -> str:
    host = next((host for start, host in _HOSTS.items() if region.startswith(start)), _HOST)
    return f"https://{region}.{host}"


def _home(region: str, service: str) -> str:
    return f"{_base(region)}/{service}/home?region={region}"


def _dollars(text: str) -> str:
    """Return `text` as the console's log pages want it: percent signs become dollar signs, twice encoded."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")


def _word(text: str) -> str:
    """Return a text as the console's graphs write it: what is not a plain character as `*` and its code."""
    return "~'" + re.sub(r"[^A-Za-z0-9_.-]", _code, text)


def _code(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "$":
        return "!"
    if code < 0x100:
        return f"*{code:02x}"
    units = match[0].encode("utf-16-be")
    return "".join(f"**{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def trace_page(region: str, trace_id: str) -> str:
    """Return the page of one trace."""
    return f"{_home(region, 'cloudwatch')}#xray:traces/{quote(trace_id, safe='')}"


def service_map_page(region: str) -> str:
    """Return the page of the account's trace map."""
    return f"{_home(region, 'cloudwatch')}#xray:service-map/map"


def log_page(region: str, record: LogRecord) -> str:
    """Return the page of a log line's stream, at the line's time; of its group when the stream is not known."""
    region = record.place.region or region
    place = f"{_home(region, 'cloudwatch')}#logsV2:log-groups/log-group/{_dollars(record.group)}"
    if not record.stream:
        return place
    window = _dollars(f"?start={record.timestamp_ms - 1000}&end={record.timestamp_ms + 1000}")
    return f"{place}/log-events/{_dollars(record.stream)}{window}"


def metric_page(region: str, keys: Sequence[MetricKey]) -> str:
    """Return the page that graphs these series together."""
    series = "".join(
        "~("
        + "".join(map(_word, (key.namespace, key.metric, *(part for pair in key.dimensions for part in pair))))
        # A metric's own settings close its list.
        + f"~(stat{_word(key.stat)}))"
        for key in keys
    )
    graph = f"~(metrics~({series})~view{_word('timeSeries')}~stacked~false~region{_word(region)}~period~60)"
    return f"{_home(region, 'cloudwatch')}#metricsV2:graph={graph}"


def alarm_page(region: str, name: str) -> str:
    """Return the page of one alarm."""
    return f"{_home(region, 'cloudwatch')}#alarmsV2:alarm/{quote(name, safe='')}"


def function_page(region: str, name: str) -> str:
    """Return the page of one Lambda function."""
    return f"{_home(region, 'lambda')}#/functions/{quote(name, safe='')}"


def deployment_page(region: str, deployment_id: str) -> str:
    """Return the page of one CodeDeploy deployment."""
    return f"{_base(region)}/codesuite/codedeploy/deployments/{quote(deployment_id, safe='')}?region={region}"


def configuration_page(region: str) -> str:
    """Return the page of AppConfig's applications."""
    return f"{_base(region)}/systems-manager/appconfig/applications?region={region}"


def stack_page(region: str, name: str) -> str:
    """Return the page of CloudFormation's stacks, narrowed to one."""
    return f"{_home(region, 'cloudformation')}#/stacks?filteringText={quote(name, safe='')}"
