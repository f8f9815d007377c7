"""Sends the request of an `http` check and turns the answer, or its absence, into an observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import ClientError
from aiohttp.http_exceptions import HttpProcessingError

from prodwatch.aws.api import AwsError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.connect import Timings
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import UnusableError, timed_out, unusable
from prodwatch.probes.http.conversation import Conversation, RedirectError
from prodwatch.probes.http.failure import transport_failure
from prodwatch.probes.http.observation import observe
from prodwatch.probes.http.request import DEFAULT_MAX_BODY, build, max_body_bytes
from prodwatch.probes.http_pool import tls_context


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the request; the document is that of the type's reference page."""
    now = context.clock.monotonic_s
    try:
        request = await build(params, context)
        max_body = max_body_bytes(params.get("max_body", DEFAULT_MAX_BODY))
    except UnusableError as error:
        return unusable(error)
    if request.url.tls:
        tls_context(verify=params.get("verify_tls", True))  # made now, so that it is not measured
    conversation = Conversation(params, context, request, max_body, Timings(now))
    started_s = now()
    failure = None
    try:
        with Deadline(context.timeout_s) as deadline:
            await conversation.run()
    except UnusableError as error:
        return unusable(error)
    except AwsError as error:
        failure = Failure(status=Status.ERROR, reason=error.reason, message=error.message, transient=error.transient)
    except RedirectError as error:
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=str(error))
    except (OSError, ClientError, HttpProcessingError) as error:
        target = conversation.request.url.endpoint
        if deadline.expired:
            failure = timed_out(target, conversation.undone(), context.timeout_s)
        else:
            failure = transport_failure(error, target, conversation)
    return observe(conversation, request, failure, started_s=started_s + conversation.signing_s, ended_s=now())
