"""Groups of signatures that differ in a name."""

from __future__ import annotations

import random

from prodwatch.judge.signatures.merge import merged
from prodwatch.judge.signatures.tokens import tokens_of


def groups_of(*lines: str) -> dict[str, str]:
    tokens = {line: tokens_of(line) for line in lines}
    group = merged(tokens.values())
    return {line: " ".join(group[tokens[line]]) for line in lines}


def test_four_users_are_one_group_and_three_are_not_yet() -> None:
    names = ["alice", "bob", "carol", "dave"]
    assert len(set(groups_of(*(f"login refused for user {name}" for name in names)).values())) == 1
    assert len(set(groups_of(*(f"login refused for user {name}" for name in names[:3])).values())) == 3


def test_two_qualified_names_are_one_group() -> None:
    groups = groups_of("cannot load handler com.shop.Cart today", "cannot load handler com.shop.Order today")
    assert set(groups.values()) == {"cannot load handler <*> today"}


def test_kinds_of_errors_are_never_merged() -> None:
    lines = [
        f"charge failed with {name}Error again" for name in ("Key", "Type", "Value", "Index", "Name", "OS", "Lookup")
    ]
    assert len(set(groups_of(*lines).values())) == len(lines)


def test_the_first_word_is_never_merged() -> None:
    lines = [
        f"{name} service has started up"
        for name in ("alpha", "beta", "gamma", "delta", "eta", "zeta", "mu", "nu", "xi")
    ]
    assert len(set(groups_of(*lines).values())) == len(lines)


def test_the_absence_of_a_value_is_no_name_among_few() -> None:
    groups = groups_of("no stock for item null today", "no stock for item 4711 today")
    assert len(set(groups.values())) == 2


def test_short_signatures_are_never_merged() -> None:
    lines = [
        f"removing {name}" for name in ("echo", "ftp", "time", "chargen", "daytime", "finger", "talk", "ntalk", "shell")
    ]
    assert len(set(groups_of(*lines).values())) == len(lines)


def test_groups_do_not_depend_on_the_order_of_the_lines() -> None:
    lines = [f"user {name} paid order with {card}" for name in ("a", "b", "c", "d", "e") for card in ("visa", "amex")]
    first = groups_of(*lines)
    for seed in range(5):
        random.Random(seed).shuffle(lines)
        assert groups_of(*lines) == first
