"""Two accounts of two regions each, in which functions, alarms, metrics and traces have the same names.

Everything is healthy but in one place, where `orders` fails: its new version writes an error, its alarm fires, its
metric is too high, and its trace has a fault.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.alarms.model import MetricAlarm
from prodwatch.demo.aws.codedeploy.model import Deployment, DeploymentStep
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify
from prodwatch.demo.aws.region import Region
from prodwatch.model.identity import HOME, Place
from tests.support.forged_aws import REGION, World

EAST, PAY, PAY_EAST = Place(region="us-east-1"), Place("pay"), Place("pay", "us-east-1")
PLACES = (HOME, EAST, PAY, PAY_EAST)
FUNCTIONS = ("orders", "mail")
SIGNED_FOR = r"Credential=[^/]+/\d+/([^/]+)/"
"""Region in a signature."""
BOOM = "KeyError: boom"
MINUTES = 30
"""Minutes of metrics before now."""
RELEASED_S = 600
"""Time since the release, in seconds."""
CALLS = 120
"""Calls of a function per minute."""


class RefusingAws(EmbeddedAws):
    """An account without some permissions."""

    def __init__(self, account: str) -> None:
        super().__init__(region=REGION, account=account)
        self.refused: set[tuple[str, str]] = set()
        """(`service:Operation`, region)"""

    async def _serve_aws(self, request: web.Request, incoming: HttpRequest) -> web.StreamResponse:
        identity = identify(incoming)
        name = f"{identity.service}:{identity.operation}"
        if not any((name, region) in self.refused for region in re.findall(SIGNED_FOR, str(incoming.headers))):
            return await super()._serve_aws(request, incoming)
        self._record(identity.service, identity.operation)
        message = f"User: x is not authorized to perform: {name}"
        body, kind = {"__type": "AccessDeniedException", "Message": message, "message": message}, "application/json"
        headers = {"x-amzn-ErrorType": "AccessDeniedException", "Content-Type": kind}
        return web.Response(body=json.dumps(body), status=403, headers=headers)


class TwoAccounts:
    """The environment's own account and a second one, `pay`, served in the loop of `world`."""

    def __init__(self, world: World, bad: Place) -> None:
        self._world = world
        self.bad = bad
        self.now_s = time.time()
        self.home = RefusingAws("123456789012")
        self.pay = RefusingAws("210987654321")
        for number, place in enumerate(PLACES):
            self._lay_out(self.region(place), place, number)

    @property
    def deployments(self) -> dict[Place, str]:
        """Place → id of the deployment of `orders`."""
        return {place: _deployment_id(number) for number, place in enumerate(PLACES)}

    @contextmanager
    def refusing(self, operation: str, place: Place) -> Iterator[None]:
        """Refuse `service:Operation` in one place until the block ends."""
        refused = self.account(place).refused
        refused.add((operation, place.region or REGION))
        try:
            yield
        finally:
            refused.remove((operation, place.region or REGION))

    def account(self, place: Place) -> RefusingAws:
        """Return the AWS of a place's account."""
        return self.pay if place.account else self.home

    def region(self, place: Place) -> Region:
        """Return the stores of a place."""
        return self.account(place)._region_named(place.region or REGION)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve both accounts until the block ends."""
        for account in (self.home, self.pay):
            self._world.wait(account.start())
        try:
            yield
        finally:
            for account in (self.home, self.pay):
                self._world.wait(account.stop())

    @property
    def tables(self) -> str:
        """The tables of an environment that watches all of it."""
        own = "".join(self._tables_of(place) for place in PLACES)
        pay = f'[aws.accounts.pay]\nregion = "{REGION}"\nendpoint_url = "{self.pay.url}"\n'
        return f'{pay}{own}[release]\ncodedeploy = "shop"\n'

    @staticmethod
    def _tables_of(place: Place) -> str:
        where = f'account = "{place.account}"\n' if place.account else ""
        where += f'region = "{place.region}"\n' if place.region else ""
        functions = "".join(f'[[function]]\nname = "{name}"\nalias = "live"\n{where}' for name in FUNCTIONS)
        return (
            f'{functions}[[alarm]]\nnames = ["orders-errors"]\n{where}'
            f'[[metric]]\nname = "depth"\nnamespace = "Shop"\nmetric = "Depth"\nstat = "Maximum"\n'
            f'expect = ["value < 5"]\n{where}'
        )

    def _lay_out(self, region: Region, place: Place, number: int) -> None:
        for name in FUNCTIONS:
            bad = place == self.bad and name == "orders"
            versions = [FunctionVersion(version=each, published_s=self.now_s - 86_400) for each in ("41", "42")]
            region.functions.put(Function(name=name, versions=versions))
            region.functions.put_alias(name, "live", "41", {})
            self._write_lines(region, name, bad=bad)
            self._put_metrics(region, name, bad=bad)
        region.deployments.put(self._deployment(number))
        region.alarms.put(
            MetricAlarm(name="orders-errors", namespace="Shop", metric="Never", missing="ignore"),
            created_s=self.now_s - 3600,
        )
        region.alarms.set_state("orders-errors", "ALARM" if place == self.bad else "OK", "the errors of orders")
        for minute in range(1, MINUTES):
            region.metrics.put("Shop", "Depth", {}, self.now_s - 60 * minute, [9.0 if place == self.bad else 1.0])
        self._put_trace(region, number, bad=place == self.bad)

    def _deployment(self, number: int) -> Deployment:
        return Deployment(
            id=_deployment_id(number),
            application="shop",
            group="orders",
            function="orders",
            alias="live",
            current="41",
            target="42",
            created_s=self.now_s - RELEASED_S,
            events=(DeploymentStep(after_s=1, status="InProgress", weight=0.1),),
        )

    def _write_lines(self, region: Region, name: str, *, bad: bool) -> None:
        group, now_ms = f"/aws/lambda/{name}", int(self.now_s * 1000)
        region.logs.put(group, "2026/11/30/[41]ab", [(now_ms - 60_000, "[INFO] placed")])
        message = f"[ERROR] {BOOM}" if bad else "[INFO] placed"
        region.logs.put(group, "2026/11/30/[42]cd", [(now_ms - 50_000, message)])

    def _put_metrics(self, region: Region, name: str, *, bad: bool) -> None:
        alias = {"FunctionName": name, "Resource": f"{name}:live"}
        shares = {None: 1.0, "41": 0.9, "42": 0.1}
        for minute in range(MINUTES):
            at_s = self.now_s - 60 * minute
            for version, share in shares.items():
                if version and (name == "mail" or 60 * minute > RELEASED_S):
                    continue
                dimensions = alias | ({"ExecutedVersion": version} if version else {})
                failed = CALLS * 0.1 if bad and version != "41" and 60 * minute < RELEASED_S else 0.0
                for metric, value in (("Invocations", CALLS * share), ("Errors", failed), ("Throttles", 0.0)):
                    region.metrics.put("AWS/Lambda", metric, dimensions, at_s, [value])
                region.metrics.put("AWS/Lambda", "Duration", dimensions, at_s, [100.0], unit="Milliseconds")

    def _put_trace(self, region: Region, number: int, *, bad: bool) -> None:
        start_s = self.now_s - 45
        region.traces.put(
            {
                "trace_id": f"1-{int(start_s):08x}-{number:024x}",
                "id": f"{number + 1:016x}",
                "name": "orders",
                "origin": "AWS::Lambda::Function",
                "start_time": start_s,
                "end_time": start_s + 0.3,
                "fault": bad,
            }
        )


def _deployment_id(number: int) -> str:
    return f"d-{number:09d}"
