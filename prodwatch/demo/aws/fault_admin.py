"""`/_prodwatch/faults`: read, add to and clear the fault plan of a running server."""

from __future__ import annotations

import msgspec

from prodwatch.demo.aws.faults import Fault, FaultPlan, Plan
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.aws.protocols.identify import HttpRequest

PREFIX = "/_prodwatch/"
_JSON = {"Content-Type": "application/json"}


def respond(plan: FaultPlan, request: HttpRequest) -> HttpResponse:
    """Return the response to a request below `/_prodwatch/`.

    GET lists faults with their hits; POST adds one fault or a list, or replaces the whole plan (with `seed`); DELETE
    clears it.
    """
    if request.path == PREFIX + "health":
        return _json(200, {"status": "ok"})
    if request.path != PREFIX + "faults":
        return _json(404, {"message": f"unknown path {request.path}"})
    if request.method == "DELETE":
        plan.clear()
    elif request.method == "POST":
        try:
            _change(plan, request.body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            return _json(400, {"message": f"not a fault, a list of faults or a plan: {error}"})
    elif request.method != "GET":
        return _json(405, {"message": "use GET, POST or DELETE"})
    return _json(200, {"faults": plan.describe()})


def _change(plan: FaultPlan, body: bytes) -> None:
    raw = msgspec.json.decode(body)
    if isinstance(raw, list):
        plan.add(*msgspec.convert(raw, list[Fault]))
    elif isinstance(raw, dict) and "operation" in raw:
        plan.add(msgspec.convert(raw, Fault))
    else:
        whole = msgspec.convert(raw, Plan)
        plan.replace(whole.faults, seed=whole.seed)


def _json(status: int, document: object) -> HttpResponse:
    return HttpResponse(status=status, headers=dict(_JSON), body=msgspec.json.encode(document))
