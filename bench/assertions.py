"""Assertions over a large document, next to plain jmespath on the same paths.

`python bench/assertions.py` prints one line per measurement; ratios below 1 mean faster than jmespath.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jmespath
import msgspec

from prodwatch.assertions import evaluate, parse

COUNT = 5_000
TARGET_BYTES = 1_000_000


def document() -> bytes:
    """Return a JSON body of about a megabyte: orders with nested customers and lines."""
    orders: list[dict[str, Any]] = []
    size = 0
    while size < TARGET_BYTES:
        n = len(orders)
        order = {
            "id": n,
            "state": "open" if n % 3 else "done",
            "price": n + 0.25,
            "customer": {"name": f"customer {n}", "tags": ["a", "b", str(n)]},
            "lines": [{"sku": f"sku-{n}-{k}", "count": k} for k in range(4)],
        }
        orders.append(order)
        size += len(json.dumps(order)) + 2
    return json.dumps({"orders": orders, "total": len(orders), "status": "ok"}).encode()


def best_s(run: Callable[[], object], rounds: int = 3) -> float:
    """Return the fastest of a few runs, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def line(name: str, ours_s: float, theirs_s: float | None, each: int) -> None:
    ratio = f"{ours_s / theirs_s:6.2f} × jmespath ({theirs_s * 1000:8.1f} ms)" if theirs_s else ""
    print(f"{name:<58} {ours_s * 1000:9.1f} ms  {ours_s / each * 1e6:9.2f} µs each  {ratio}")


def compare(name: str, sources: list[str], plain: Any, exact: Any) -> None:
    """Time parsed assertions against compiled jmespath paths, over the same body."""
    parsed = [parse(source) for source in sources]
    paths = [jmespath.compile(str(each.path)) for each in parsed]
    shape = {"status": 200, "json": exact}
    wrong = [each for each in parsed if evaluate(each, shape).ok is not True]
    if wrong:
        sys.exit(f"not true: {wrong[0]}")
    ours = best_s(lambda: [evaluate(each, shape) for each in parsed])
    theirs_shape = {"status": 200, "json": plain}
    theirs = best_s(lambda: [path.search(theirs_shape) for path in paths])
    line(name, ours, theirs, len(sources))


def main() -> None:
    body = document()
    plain = json.loads(body)
    exact = msgspec.json.Decoder(float_hook=Decimal).decode(body)
    last = len(plain["orders"]) - 1
    print(f"{COUNT:,} assertions over a JSON body of {len(body) / 1e6:.2f} MB, {last + 1:,} orders\n")
    line(
        "decode the body with exact decimals (once per answer)",
        best_s(lambda: msgspec.json.Decoder(float_hook=Decimal).decode(body)),
        None,
        1,
    )
    chains = [f"json.orders[{n % last}].customer.name == 'customer {n % last}'" for n in range(COUNT)]
    paths = [each.split(" == ")[0] for each in chains]
    line(
        "parse (jmespath: the path alone)",
        best_s(lambda: (parse.cache_clear(), [parse(each) for each in chains])),
        best_s(lambda: (jmespath.parser.Parser.purge(), [jmespath.compile(each) for each in paths])),
        COUNT,
    )
    compare("plain chain, ==", chains, plain, exact)
    compare("exact number, <", [f"json.orders[{n % last}].price < {n % last + 1}" for n in range(COUNT)], plain, exact)
    compare(
        "list of one order, includes",
        [f"json.orders[{n % last}].lines includes [{{'count': 2}}]" for n in range(COUNT)],
        plain,
        exact,
    )
    few = 50
    compare("projection over every order, contains", ["json.orders[*].id contains 7"] * few, plain, exact)
    compare("all over every order", ["all json.orders[*].price > 0"] * few, plain, exact)
    compare("filter over every order, length", ["length(json.orders[?state == 'done']) > 10"] * few, plain, exact)
    compare("sort_by over every order", ["sort_by(json.orders, &price)[0].id == 0"] * few, plain, exact)


if __name__ == "__main__":
    main()
