"""One file, ten different mistakes: ten lines a newcomer can act on, all at once, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TEN = """\
#:schema ../check.schema.json
[defaults]
tags = ["shop"]

[[check]]
name = "orders api answers"
type = "http"
url = "${vars.apu | join('health')}"
tiemout = "5s"
expect = ["status = 200"]
diagnose = ["orders db reachabel"]

[[check]]
name = "orders db reachable"
kind = "diagnostic"
type = "tpc"
host = "db.shop.internal"
port = 5432
expect = ["connect < 200ms"]

[[check]]
name = "checkout answers"
type = "http"
url = "https://shop.example/checkout"
timeout = 5

[[check]]
name = "an order travels"
type = "flow"

[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "${stack.shop.ApiUrl | join('inbox')}"
expect = ["json.id exists", "headrs.x absent"]
tags = ["slow"]
"""
CONFIG = """\
[stacks]
shop = "shop-prod"
[vars]
api = "${stack.shop.ApiUrl}"
"""


def test_ten_mistakes(shop: Any, golden: Callable[[str, bytes], None]) -> None:
    lines = shop.mistakes(TEN, CONFIG)
    golden("ten_mistakes.txt", "".join(f"{line}\n" for line in lines).encode())
    assert len(lines) == 10
    places = [tuple(map(int, line.split(":")[1:3])) for line in lines]
    assert places == sorted(places)
