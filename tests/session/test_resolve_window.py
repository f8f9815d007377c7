"""The release as a moment and as a selection of lines, where one of several functions cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.identity import HOME, GroupId, Place
from prodwatch.model.status import Reason
from prodwatch.session.resolve_window import release_of, selects_version_under_release
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.text.redact import Redactor
from tests.support.placed_aws import PlacedAws

EAST = Place("", "us-east-1")
PLACES = (HOME, EAST)


class Engine:
    """The parts of an engine that finding the release uses."""

    def __init__(self, aws: PlacedAws, known: Environment) -> None:
        self.aws, self.environment, self.clock, self.redactor = aws, known, FakeClock(), Redactor()


def engine_of(*broken: Place) -> Any:
    """`pay:live` shifts from 41 to 42 at home and from 6 to 7 in the east."""
    aws = PlacedAws()

    def alias(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del params
        old, new = ("6", "7") if place else ("41", "42")
        return {"FunctionVersion": old, "RoutingConfig": {"AdditionalVersionWeights": {new: 0.5}}}

    aws.placed["lambda:GetAlias"] = alias
    aws.placed["lambda:GetFunctionConfiguration"] = lambda *_: {"LastModified": "2026-01-01T00:00:00Z"}
    for place in broken:
        aws.fail_in(place, "lambda:GetAlias")
    functions = tuple(FunctionTarget(name="pay", alias="live", region=place.region or None) for place in PLACES)
    return Engine(aws, environment(functions=functions))


@pytest.mark.parametrize("broken", [(), (HOME,), (EAST,)], ids=str)
async def test_lines_of_an_unread_function_are_not_hidden_by_their_version(broken: tuple[Place, ...]) -> None:
    warnings: list[str] = []
    selects = await selects_version_under_release(engine_of(*broken), warnings.append)
    shown = {
        (place, version)
        for place in PLACES
        for version in ("6", "7", "41", "42", None)
        if selects(GroupId("/aws/lambda/pay", place), version)
    }
    new = {HOME: "42", EAST: "7"}
    every = {(place, version) for place in broken for version in ("6", "7", "41", "42", None)}
    assert shown == every | {(place, new[place]) for place in PLACES if place not in broken}
    assert ["lines of all its versions are shown" in each for each in warnings] == [True] * len(broken)
    assert selects(GroupId("/shop/other"), "42") is bool(broken), "a group of no function may hold lines of any"


@pytest.mark.parametrize("broken", PLACES)
async def test_a_moment_of_the_release_needs_every_function(broken: Place) -> None:
    with pytest.raises(CannotVerifyError) as caught:
        await release_of(engine_of(broken))
    assert caught.value.reason is Reason.ACCESS_DENIED
    assert "the release of pay:live" in str(caught.value)
    assert "use a time instead of release" in str(caught.value)


async def test_a_release_that_no_function_provides_cannot_be_verified() -> None:
    warnings: list[str] = []
    with pytest.raises(CannotVerifyError):
        await selects_version_under_release(engine_of(*PLACES), warnings.append)
    assert warnings == []
