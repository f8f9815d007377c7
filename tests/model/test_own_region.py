"""A target has one identity, whether its file names the region that its account has anyway or not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.environment import (
    AlarmTarget,
    AwsTarget,
    Environment,
    FunctionTarget,
    LogTarget,
    StackReference,
    place_of,
)
from prodwatch.testing.definitions import environment

REGIONS = ("eu-west-1", "us-east-1")
places = st.tuples(st.sampled_from((None, "pay")), st.sampled_from((None, *REGIONS)))


def of(kind: type[Any], place: tuple[str | None, str | None]) -> Any:
    name = {"FunctionTarget": "name", "LogTarget": "group", "AlarmTarget": "prefix"}[kind.__name__]
    return kind(account=place[0], region=place[1], **{name: "x"})


@given(st.lists(places, max_size=6), st.sampled_from((None, *REGIONS)), st.sampled_from((None, *REGIONS)))
def test_two_targets_are_one_exactly_when_account_and_region_of_their_calls_are(
    written: list[tuple[str | None, str | None]], home: str | None, pay: str | None
) -> None:
    kinds: dict[str, type[Any]] = {"functions": FunctionTarget, "logs": LogTarget, "alarms": AlarmTarget}
    known: Environment = environment(
        aws=AwsTarget(region=home),
        accounts={"pay": AwsTarget(region=pay)},
        stacks={f"s{number}": StackReference(name="s", account=a, region=r) for number, (a, r) in enumerate(written)},
        **{name: tuple(of(kind, place) for place in written) for name, kind in kinds.items()},
    )
    canonical = known.in_own_regions(known.region_of_account)
    called = list(dict.fromkeys((account, region or (pay if account else home)) for account, region in written))
    for name in kinds:
        targets = getattr(canonical, name)
        assert [(each.account, known.region_of(each)) for each in targets] == called
        assert len({place_of(each) for each in targets}) == len(called)
    assert {alias: known.region_of(stack) for alias, stack in canonical.stacks.items()} == {
        alias: known.region_of(stack) for alias, stack in known.stacks.items()
    }
    assert len({place_of(stack) for stack in canonical.stacks.values()}) == len(called)
    assert canonical.in_own_regions(known.region_of_account) == canonical
