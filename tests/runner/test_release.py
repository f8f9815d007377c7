"""Which version is under test, and which one answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import FunctionTarget, ReleaseTarget
from prodwatch.model.identity import HOME, Place
from prodwatch.model.quantity import Headers
from prodwatch.model.signal import ReleasePhase, ReleaseState
from prodwatch.model.status import Reason
from prodwatch.probes.base import Observation
from prodwatch.runner import ReleaseOverride
from prodwatch.runner.step.attestation import Attestation, attest, attest_function
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import environment, flow, plain, step
from prodwatch.testing.probes import refused

STATES = (ReleaseState(function="orders", alias="live", version="42", previous="41"),)


PROVEN, OTHER, UNPROVEN, NOT_COMPARED = (
    (True, None),
    (False, Reason.VERSION_MISMATCH),
    (False, Reason.UNATTESTED),
    (False, None),
)


def proof(attestation: Attestation) -> tuple[bool, Reason | None]:
    """Whether the version is proven, and why the response is not evidence."""
    assert (attestation.reason is None) is (attestation.message is None)
    return attestation.proven, attestation.reason


@pytest.mark.parametrize(
    ("text", "match", "expected", "version"),
    [
        ("v42", "v{version}", PROVEN, "42"),
        ("v41", "v{version}", OTHER, "41"),
        ("42", "v{version}", OTHER, "42"),
        ("v42-build7", "v{version}-build7", PROVEN, "42"),
        ("v421", "v{version}", OTHER, "421"),
        (None, "v{version}", UNPROVEN, None),
        ("", "{version}", OTHER, ""),
    ],
)
def test_the_response_names_its_version(text: Any, match: Any, expected: Any, version: Any) -> None:
    attestation = attest(text, "header('x-version')", match, STATES)
    assert (proof(attestation), attestation.version) == (expected, version)


@pytest.mark.parametrize(
    ("text", "share", "expected"),
    [("42", 0.9, PROVEN), ("41", 0.9, UNPROVEN), ("41", 0.0, PROVEN), ("40", 0.9, OTHER)],
    ids=["new", "old of one, present of another", "old, without traffic", "neither"],
)
def test_a_number_that_is_old_in_one_function_proves_nothing_of_another(text: str, share: float, expected: Any) -> None:
    weights = {"41": share, "42": 1 - share}
    orders = ReleaseState(function="orders", alias="live", version="42", previous="41", weights=weights)
    prices = ReleaseState(function="prices", alias="live", version="41")
    for states in ((orders, prices), (prices, orders)):
        attestation = attest(text, "header('x-version')", "{version}", states)
        assert proof(attestation) == expected
        assert ("old version of orders" in (attestation.message or "")) is (expected is UNPROVEN)


def test_without_a_release_there_is_nothing_to_compare() -> None:
    assert proof(attest("v42", "x", "v{version}", ())) == NOT_COMPARED


def test_a_release_that_could_not_be_read_proves_no_version() -> None:
    attestation = attest("v42", "x", "v{version}", (), problem="no permission")
    assert (proof(attestation), attestation.version) == (UNPROVEN, "42")
    assert attestation.message == 'x is "v42", but the version under test could not be determined: no permission'


async def test_a_cleanup_needs_no_proof_of_its_version(shop: Any) -> None:
    shop.script("http", answer("v42"), answer("v41"))
    steps = [step(name, "http", url="https://x/", expect=["status == 200"]) for name in ("create", "remove")]
    check = await shop.one(flow("f", steps[0], cleanup=(steps[1],)))
    assert (check.status, [result.status for result in check.cleanup]) == ("pass", ["pass"])


async def test_a_check_that_asks_for_no_proof_needs_no_release(shop: Any) -> None:
    shop.aws.fail("lambda:GetAlias", Reason.ACCESS_DENIED)
    shop.script("http", answer("v42"))
    check = await shop.one(plain(type="http", url="https://x/", expect=["status == 200"], attest=""))
    assert (check.status, check.flags) == ("pass", ("unattested",))


@pytest.mark.parametrize(
    ("version", "function", "qualifier", "expected"),
    [
        ("42", "orders", "live", PROVEN),
        ("41", "orders", "live", OTHER),
        ("41", "orders", "41", NOT_COMPARED),
        ("$LATEST", "orders", None, NOT_COMPARED),
        ("41", "arn:aws:lambda:eu-west-1:123456789012:function:orders", "live", OTHER),
        ("7", "cart", "live", NOT_COMPARED),
    ],
)
def test_a_function_names_its_own(version: Any, function: Any, qualifier: Any, expected: Any) -> None:
    assert proof(attest_function(version, function, qualifier, STATES, place=HOME)) == expected


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.environment = environment(
        functions=(FunctionTarget(name="orders", alias="live"),),
        release=ReleaseTarget(attest="header('x-version')", match="v{version}"),
    )
    bench.aws.answers["lambda:GetAlias"] = lambda _params: {
        "FunctionVersion": "41",
        "RoutingConfig": {"AdditionalVersionWeights": {"42": 0.25}},
    }
    bench.aws.answers["lambda:GetFunctionConfiguration"] = lambda _params: {
        "LastModified": "2026-01-15T11:50:00.000+0000"
    }
    return bench


def answer(version: str | None, status: int = 200) -> Observation:
    headers = Headers((("X-Version", version),)) if version else Headers()
    return Observation(document={"status": status, "headers": headers})


@pytest.mark.parametrize(
    ("seen", "status", "reason", "flags"),
    [
        (answer("v42"), "pass", None, ()),
        (answer("v42", 503), "fail", "assertion", ()),
        (answer("v41"), "inconclusive", "version_mismatch", ("unattested",)),
        (answer("v41", 503), "inconclusive", "version_mismatch", ("unattested",)),
        (answer(None), "inconclusive", "unattested", ("unattested",)),
        (answer(None, 503), "inconclusive", "unattested", ("unattested",)),
        (refused(), "fail", "connect", ("unattested",)),
    ],
    ids=["right, good", "right, bad", "other, good", "other, bad", "no proof, good", "no proof, bad", "no answer"],
)
async def test_only_answers_of_the_version_under_test_are_evidence(
    shop: Any, seen: Any, status: Any, reason: Any, flags: Any
) -> None:
    shop.script("http", seen)
    check = await shop.one(plain(type="http", url="https://x/", expect=["status == 200"]))
    assert (check.status, check.reason_code, check.flags) == (status, reason, flags)


async def test_the_document_holds_the_version(shop: Any) -> None:
    shop.script("http", answer("v42"))
    check = await shop.one(plain(type="http", url="https://x/", expect=["version == '42'"]))
    assert (check.status, check.version) == ("pass", "42")


async def test_a_step_may_switch_attestation_off_or_name_another_place(shop: Any) -> None:
    shop.script("http", Observation(document={"status": 200, "json": {"build": "v42"}}))
    off = await shop.one(plain(type="http", url="https://x/", expect=["status == 200"], attest=""))
    assert (off.status, off.flags) == ("pass", ("unattested",))
    elsewhere = await shop.one(plain(type="http", url="https://x/", expect=["status == 200"], attest="json.build"))
    assert (elsewhere.status, elsewhere.flags) == ("pass", ())


async def test_where_no_attestation_is_possible_the_result_is_flagged(shop: Any) -> None:
    shop.script("scripted", {"ok": True})
    assert (await shop.one(plain(expect=["ok == true"]))).flags == ("unattested",)


async def test_one_proven_step_speaks_for_its_flow(shop: Any) -> None:
    shop.script("http", answer("v42"))
    shop.script("scripted", {"ok": True})
    check = await shop.one(flow("f", step("a", "http", url="https://x/"), step("b", expect=["ok == true"])))
    assert (check.status, check.flags) == ("pass", ())


async def test_the_result_tells_the_release(shop: Any) -> None:
    shop.script("http", answer("v42"))
    result = await shop.run(plain(type="http", url="https://x/", expect=["status == 200"]))
    assert result.release is not None
    assert (result.release.version, result.release.previous, result.release.attested) == ("42", "41", True)
    assert result.release.weights == {"41": 0.75, "42": 0.25}
    assert result.release.started_at == datetime(2026, 1, 15, 11, 50, tzinfo=UTC)
    assert result.release.state == "shifting"


def deployed(function: str, current: str, target: str) -> dict[str, Any]:
    info = {"functionName": function, "functionAlias": "live", "currentVersion": current, "targetVersion": target}
    began = {"lifecycleEventName": "AllowTraffic", "status": "InProgress", "startTime": BEGAN}
    return {"deploymentTarget": {"lambdaTarget": {"lambdaFunctionInfo": info, "lifecycleEvents": [began]}}}


BEGAN = datetime(2026, 1, 15, 11, 55, tzinfo=UTC)
OTHERS = {"deploymentId": "d-3", "createTime": datetime(2026, 1, 15, 11, 58, tzinfo=UTC), "status": "Failed"}
SHIPPED = {"deploymentId": "d-2", "createTime": BEGAN, "status": "InProgress"}
STOPPED = SHIPPED | {"status": "Stopped", "errorInformation": {"code": "ALARM_ACTIVE", "message": "shop"}}
UNDO = {
    "deploymentId": "d-4",
    "createTime": datetime(2026, 1, 15, 11, 59, tzinfo=UTC),
    "status": "Succeeded",
    "rollbackInfo": {"rollbackTriggeringDeploymentId": "d-2"},
}


@pytest.mark.parametrize(
    ("story", "state"),
    [
        ([SHIPPED], ReleasePhase.SHIFTING),
        ([SHIPPED, OTHERS], ReleasePhase.SHIFTING),
        ([STOPPED, OTHERS], ReleasePhase.STOPPED),
        ([STOPPED, UNDO], ReleasePhase.ROLLED_BACK),
    ],
    ids=["shifting", "another function's failed", "stopped", "rolled back"],
)
async def test_codedeploy_tells_when_it_began_and_how_it_stands(shop: Any, story: Any, state: ReleasePhase) -> None:
    shop.environment = environment(
        functions=(FunctionTarget(name="orders", alias="live"),), release=ReleaseTarget(codedeploy=("shop",))
    )
    targets = {
        "d-2": deployed("orders", "41", "42"),
        "d-3": deployed("prices", "7", "8"),
        "d-4": deployed("orders", "42", "41"),
    }
    shop.aws.answers |= {
        "codedeploy:ListDeploymentGroups": lambda _params: {"deploymentGroups": ["live"]},
        "codedeploy:ListDeployments": lambda _params: {"deployments": [each["deploymentId"] for each in story]},
        "codedeploy:BatchGetDeployments": lambda _params: {"deploymentsInfo": story},
        "codedeploy:ListDeploymentTargets": lambda _params: {"targetIds": ["t"]},
        "codedeploy:GetDeploymentTarget": lambda params: targets[params["deploymentId"]],
    }
    if state is ReleasePhase.ROLLED_BACK:
        shop.aws.answers["lambda:GetAlias"] = lambda _params: {"FunctionVersion": "41"}
    shop.script("scripted", {"ok": True})
    result = await shop.run(plain(expect=["ok == true"], since="${release.started_at}"))
    assert result.release is not None
    assert (result.release.started_at, result.release.state) == (BEGAN, state)


async def test_the_caller_may_name_the_release_and_aws_is_not_asked(shop: Any) -> None:
    shop.script("http", answer("v7"))
    override = ReleaseOverride(version="7", previous="6")
    result = await shop.run(plain(type="http", url="https://x/", expect=["status == 200"]), release=override)
    assert result.checks[0].status == "pass"
    assert result.release is not None
    assert (result.release.version, result.release.previous) == ("7", "6")
    assert shop.aws.calls == []


async def test_a_release_nobody_can_read_is_a_notice_and_no_answer_proves_its_version(shop: Any) -> None:
    shop.aws.fail("lambda:GetAlias", Reason.ACCESS_DENIED)
    shop.script("http", answer("v42"))
    result = await shop.run(plain(type="http", url="https://x/", expect=["status == 200"]))
    (check,) = result.checks
    assert (check.status, check.reason_code, check.flags) == ("inconclusive", "unattested", ("unattested",))
    assert "the version under test could not be determined" in (check.message or "")
    assert [each.code for each in result.notices] == ["release"]
    assert result.release is None


@pytest.mark.parametrize("unread", ["orders", "prices"])
async def test_a_function_whose_release_cannot_be_read_silences_no_other(shop: Any, unread: str) -> None:
    """`lambda` checks of the other function are judged; all that needs every function is open and names the unread."""
    names = ("orders", "prices")
    shop.environment = environment(
        functions=tuple(FunctionTarget(name=name, alias="live") for name in names),
        release=ReleaseTarget(attest="header('x-version')", match="v{version}"),
    )
    serving = shop.aws.answers["lambda:GetAlias"]

    def alias(params: Any) -> Any:
        if params["FunctionName"] == unread:
            why = Reason.ACCESS_DENIED
            raise AwsError("no permission", code="AccessDenied", reason=why, service="lambda", operation="GetAlias")
        return serving(params)

    shop.aws.answers["lambda:GetAlias"] = alias
    shop.script("lambda", Observation(document={"status_code": 200}, version="42"))
    shop.script("http", answer("v42"))
    shop.script("scripted", {"ok": True})
    common: dict[str, Any] = {"type": "lambda", "qualifier": "live", "mutates": False, "expect": ["status_code == 200"]}
    result = await shop.run(
        *(plain(name, function=name, **common) for name in names),
        plain("http", type="http", url="https://x/", expect=["status == 200"]),
        plain("filled", expect=["ok == true"], version="${release.version}"),
    )
    seen = {check.id: (check.status, check.reason_code, check.flags) for check in result.checks}
    assert seen == {
        **{name: ("pass", None, ("unattested",) if name == unread else ()) for name in names},
        "http": ("inconclusive", "unattested", ("unattested",)),
        "filled": ("error", "access_denied", ()),
    }
    assert result.release is None
    (notice,) = result.notices
    assert f"the release of {unread}:live could not be read: no permission" in notice.message


def test_a_version_is_compared_with_the_function_of_its_own_region() -> None:
    there = Place("", "us-east-1")
    states = (*STATES, ReleaseState(function="orders", alias="live", version="7", place=there))
    for place, version in ((HOME, "42"), (there, "7")):
        assert proof(attest_function(version, "orders", "live", states, place=place)) == PROVEN
        assert proof(attest_function(version, "orders", "live", states[::-1], place=place)) == PROVEN
    assert proof(attest_function("7", "orders", "live", states, place=Place("pay", ""))) == NOT_COMPARED
