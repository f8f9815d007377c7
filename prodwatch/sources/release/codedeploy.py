"""Reads the recent Lambda deployments of a CodeDeploy application, once for all that ask and finished ones once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import replace

from prodwatch.aws.call_time_limits import shared_reading
from prodwatch.aws.default_account_and_region import in_place
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.identity import HOME, Place
from prodwatch.model.status import Reason
from prodwatch.sources.release.deployment_documents import Document, deployment_of
from prodwatch.sources.release.release_state import OVER, Deployment, with_rollbacks

RECENT_PER_GROUP = 4
"""Newest deployments read per group: the current one, its rollback, and those before."""
PER_GROUP = 2
"""Deployments read per group where only the state counts: the newest, and the one it may roll back."""
MAX_LISTED = 25
"""Fewest ids listed per group; AWS returns the newest first but does not guarantee it."""
MAX_SINCE = 200
"""Most deployments of a window read per group."""
PER_CALL = 25
"""Most deployments in one BatchGetDeployments request."""
GROUPS_EVERY_S = 60.0
"""Pause between reads of the list of deployment groups."""
SHARED_S = 1.0
"""A result is shared with readers that come up to this many seconds after its reading began."""
LIST_EVERY_S = 30.0
"""Pause between searches for new deployments; a change of the alias triggers one at once."""
CHANGES_FOR = timedelta(minutes=2)
"""Time after its end during which a deployment may still receive its rollback's id."""
TIMEOUT_S = 10.0
"""Time limit of a request, so that a hanging CodeDeploy does not delay the alias weights."""

NO_APPLICATION = "ApplicationDoesNotExistException"
NO_GROUP = "DeploymentGroupDoesNotExistException"
_OF_SERVICE = frozenset((Reason.SERVICE, Reason.TIMEOUT))
_OF_ONE_PART = frozenset((Reason.API_ERROR, Reason.ACCESS_DENIED)) | _OF_SERVICE
"""Causes of errors that may affect one group or deployment and no other."""


_Part = tuple[Document, Document, Document]
"""A deployment's own document, that of one of its targets, and that of its configuration."""


class Reading(NamedTuple):
    """The recent deployments of an application in one account and region."""

    deployments: tuple[Deployment, ...] = ()
    """Newest first."""
    errors: tuple[AwsError, ...] = ()
    """Why groups or deployments could not be read although others could."""
    limits: tuple[str, ...] = ()
    """One sentence per group with more deployments than are read."""
    notes: tuple[str, ...] = ()
    """Missing details that leave no deployment out, and an application that exists elsewhere only."""

    @property
    def unread(self) -> tuple[str, ...]:
        """One sentence per part that was not read."""
        return tuple(dict.fromkeys((*(f"CodeDeploy: {error.message}" for error in self.errors), *self.limits)))


class _Look(msgspec.Struct):
    """One look at all groups, shared by everyone who asked for no more than it read."""

    began_s: float
    """Monotonic seconds."""
    per_group: int
    since: datetime | None
    parts: list[_Part] = []
    errors: list[AwsError] = []
    notes: list[str] = []
    failure: AwsError | None = None
    """Why nothing could be read."""

    def covers(self, per_group: int, since: datetime | None) -> bool:
        """Return whether it read at least this much."""
        return self.per_group >= per_group and (since is None or (self.since is not None and self.since <= since))

    def failed(self, error: AwsError) -> None:
        """Note a part that could not be read; raises the error again when it affects all parts."""
        if error.reason not in _OF_ONE_PART:
            raise error
        self.errors.append(error)


class _Listing:
    """Ids of a group's deployments, as far as listed, newest first."""

    def __init__(self, pages: AsyncIterator[Document]) -> None:
        self.ids: list[str] = []
        self.cut = False
        """Whether it was ended before the start of the window."""
        self._pages = pages
        self._page: list[str] = []
        """Ids of the page in hand that are not listed yet."""

    async def extend(self, count: int) -> None:
        """Read pages until `count` ids are listed, or all; raises AwsError."""
        while len(self.ids) < count:
            if not self._page:
                page = await anext(self._pages, None)
                if page is None:
                    return
                self._page = list(page.get("deployments") or ())
            missing = count - len(self.ids)
            self.ids += self._page[:missing]
            del self._page[:missing]


class DeploymentReader:
    """Reads the recent deployments of one application for all parts of a session; what is final is read once.

    Readers that come while another one reads wait for it and share its result. A group or deployment that cannot be
    read hides nothing of the others.
    """

    def __init__(self, aws: AwsApi, application: str, clock: Clock, place: Place = HOME) -> None:
        self._aws = in_place(aws, place)
        self._application = application
        self._clock = clock
        self._place = place
        self._lock = asyncio.Lock()
        self._groups: list[str] = []
        self._groups_read_s = float("-inf")
        self._listed_s = float("-inf")
        self._listed_since: datetime | None = None
        """Earliest start of a window that was asked for."""
        self._recent_ids: dict[str, list[str]] = {}
        """Group → ids of its deployments, newest first."""
        self._cut: list[str] = []
        """Groups with more deployments since the start of the window than are read."""
        self._infos: dict[str, Document] = {}
        self._targets: dict[str, list[Document]] = {}
        """Deployment id → its targets, one per function."""
        self._target_ids: dict[str, list[str]] = {}
        self._configs: dict[str, Document] = {}
        self._listing_errors: list[AwsError] = []
        """Errors of the latest listing: what they left out is missing until the next one."""
        self._last = _Look(float("-inf"), 0, None)

    def request_listing(self) -> None:
        """Search for new deployments in the next read, because the alias has changed."""
        self._listed_s = float("-inf")

    async def read(
        self,
        *,
        clean: Callable[[str], str],
        per_group: int = RECENT_PER_GROUP,
        since: datetime | None = None,
        listed_within_s: float = LIST_EVERY_S,
    ) -> Reading:
        """Return the recent deployments of all groups; raises AwsError when nothing could be read.

        Of each group the newest `per_group` are read, and all that were created at or after `since`. New deployments
        are searched for when the last search is older than `listed_within_s`.
        """
        arrived_s = self._clock.monotonic_s()
        with shared_reading():
            look = await self._shared(arrived_s, per_group, since, listed_within_s)
        if look.failure is not None:
            raise look.failure
        deployments = with_rollbacks([replace(deployment_of(*part, clean), place=self._place) for part in look.parts])
        limits = [
            f"CodeDeploy group {clean(group)} has more than {MAX_SINCE} deployments; older ones were not read"
            for group in self._cut
        ]
        return Reading(tuple(deployments), tuple(look.errors), tuple(limits), tuple(look.notes))

    async def _shared(self, arrived_s: float, per_group: int, since: datetime | None, listed_within_s: float) -> _Look:
        """Return a look that began recently enough and covers what is asked for, in progress or made now."""
        async with self._lock:
            listed_since_s = arrived_s - max(listed_within_s, SHARED_S)
            last = self._last
            fresh = last.began_s >= arrived_s - SHARED_S and (
                last.failure is not None or self._listed_s >= listed_since_s
            )
            if fresh and last.covers(per_group, since):
                return last
            look = _Look(self._clock.monotonic_s(), per_group, since)
            try:
                await self._look(look, listed_since_s)
            except AwsError as error:
                look.failure = error
            self._last = look  # an interrupted look has no result to share
            return look

    async def _look(self, look: _Look, listed_since_s: float) -> None:
        now_s = look.began_s
        if now_s - self._groups_read_s >= GROUPS_EVERY_S:
            await self._read_groups(look)
        since = look.since
        deeper = since is not None and (self._listed_since is None or since < self._listed_since)
        if deeper:
            self._listed_since = since
        if self._listed_s < listed_since_s or deeper:
            await self._list(look)
        look.errors += self._listing_errors
        chosen = [id_ for ids in self._recent_ids.values() for id_ in self._chosen(ids, look)]
        now = self._clock.now()
        changing = [id_ for id_ in chosen if id_ in self._targets and _may_change(self._infos[id_], now)]
        await self._describe(changing, look)
        for id_ in chosen:
            info = self._infos[id_]
            if id_ in changing or id_ not in self._targets:
                try:
                    self._targets[id_] = await self._read_targets(id_)
                except AwsError as error:
                    look.failed(error)
            config = await self._config(info.get("deploymentConfigName"), look)
            look.parts += [(info, target, config) for target in self._targets.get(id_, ())]
        if look.errors and not look.parts:
            raise look.errors[0]

    def _chosen(self, ids: Sequence[str], look: _Look) -> list[str]:
        since = look.since
        return [
            id_
            for number, id_ in enumerate(ids)
            if number < look.per_group or (since is not None and self._infos[id_]["createTime"] >= since)
        ]

    async def _read_groups(self, look: _Look) -> None:
        try:
            self._groups = await self._pages("ListDeploymentGroups", "deploymentGroups")
        except AwsError as error:
            if not self._groups or error.code == NO_APPLICATION:
                raise
            look.failed(error)
        else:
            self._groups_read_s = look.began_s

    async def _list(self, look: _Look) -> None:
        """List the deployments of all groups; of a group that cannot be listed, those known before remain."""
        errors_before, look.errors = look.errors, []
        listings: dict[str, _Listing] = {}
        gone = await self._list_groups(self._groups, listings, look)
        if gone:
            # A stack may replace a group in the middle of a release.
            self._groups = await self._pages("ListDeploymentGroups", "deploymentGroups")
            self._groups_read_s = look.began_s
            new = [group for group in self._groups if group not in listings]
            for group in await self._list_groups(new, listings, look):
                self._groups.remove(group)
                self._groups_read_s = float("-inf")
        await self._describe_new(listings.values(), look)
        if self._listed_since is not None:
            for listing in listings.values():
                await self._list_back(listing, self._listed_since, look)
        ids = {id_ for listing in listings.values() for id_ in listing.ids}
        self._infos = {id_: info for id_, info in self._infos.items() if id_ in ids}
        self._targets = {id_: targets for id_, targets in self._targets.items() if id_ in ids}
        self._target_ids = {id_: target_ids for id_, target_ids in self._target_ids.items() if id_ in ids}
        self._recent_ids = {
            group: sorted(
                (id_ for id_ in listing.ids if id_ in self._infos),
                key=lambda id_: self._infos[id_]["createTime"],
                reverse=True,
            )
            for group, listing in listings.items()
        }
        self._cut = [group for group, listing in listings.items() if listing.cut]
        self._listed_s = look.began_s
        self._listing_errors, look.errors = look.errors, errors_before

    async def _list_groups(self, groups: Sequence[str], listings: dict[str, _Listing], look: _Look) -> list[str]:
        """Add the newest deployments of each group to `listings`; return the groups that do not exist any more."""
        gone: list[str] = []
        for group in groups:
            params = {"applicationName": self._application, "deploymentGroupName": group}
            listing = _Listing(self._aws.pages("codedeploy", "ListDeployments", params, timeout_s=TIMEOUT_S))
            try:
                await listing.extend(MAX_LISTED)
            except AwsError as error:
                if error.code == NO_GROUP:
                    gone.append(group)
                    continue
                if not listings and error.reason in _OF_SERVICE:
                    raise
                look.failed(error)
                listing.ids = [*listing.ids, *self._recent_ids.get(group, ())]
            listings[group] = listing
        return gone

    async def _list_back(self, listing: _Listing, since: datetime, look: _Look) -> None:
        """Extend a listing until it has the deployments created since then."""
        listing.cut = False
        newest = listing.ids[-PER_CALL:]
        while any(id_ in self._infos and self._infos[id_]["createTime"] >= since for id_ in newest):
            known = len(listing.ids)
            try:
                await listing.extend(known + PER_CALL)
            except AwsError as error:
                look.failed(error)
                return
            newest = listing.ids[known:]
            if newest and known >= MAX_SINCE:
                listing.cut = True
                del listing.ids[known:]
                return
            await self._describe_new((listing,), look)

    async def _describe_new(self, listings: Iterable[_Listing], look: _Look) -> None:
        await self._describe((id_ for each in listings for id_ in each.ids if id_ not in self._infos), look)

    async def _describe(self, ids: Iterable[str], look: _Look) -> None:
        wanted_ids = sorted(ids)
        for start in range(0, len(wanted_ids), PER_CALL):
            params = {"deploymentIds": wanted_ids[start : start + PER_CALL]}
            try:
                response = await self._call("BatchGetDeployments", params)
            except AwsError as error:
                look.failed(error)
                continue
            described = {
                info["deploymentId"]: info for info in response.get("deploymentsInfo") or () if "deploymentId" in info
            }
            # A deployment without a time counts as the newest: it may be the one under way.
            self._infos |= {id_: {"createTime": self._clock.now()} | info for id_, info in described.items()}
            if missing := set(params["deploymentIds"]) - set(described):
                look.failed(_not_described(missing))

    async def _read_targets(self, id_: str) -> list[Document]:
        if not self._target_ids.get(id_):
            # A new deployment has no targets yet.
            self._target_ids[id_] = await self._pages("ListDeploymentTargets", "targetIds", deploymentId=id_)
        targets = []
        for target_id in self._target_ids[id_]:
            response = await self._call("GetDeploymentTarget", {"deploymentId": id_, "targetId": target_id})
            target = (response.get("deploymentTarget") or {}).get("lambdaTarget")
            if target:
                targets.append(target)
        return targets

    async def _config(self, name: str | None, look: _Look) -> Document:
        if not name:
            return {}
        if name not in self._configs:
            try:
                response = await self._call("GetDeploymentConfig", {"deploymentConfigName": name})
            except AwsError as error_:
                if error_.reason not in _OF_ONE_PART:
                    raise
                # Only the time of the next shift is lost.
                look.notes.append(f"time of the next traffic shift unknown: {error_.message}")
                return {}
            self._configs[name] = response.get("deploymentConfigInfo") or {}
        return self._configs[name]

    async def _pages(self, operation: str, member: str, **params: str) -> list[str]:
        params = params or {"applicationName": self._application}
        names: list[str] = []
        async for page in self._aws.pages("codedeploy", operation, params, timeout_s=TIMEOUT_S):
            names += page.get(member) or ()
        return names

    async def _call(self, operation: str, params: Document) -> Document:
        return await self._aws.call("codedeploy", operation, params, timeout_s=TIMEOUT_S)


_READERS: WeakKeyDictionary[AwsApi, dict[tuple[str, Place], DeploymentReader]] = WeakKeyDictionary()
"""Session → its readers by application and place: the checks, the panels and the gate share each."""


def deployment_reader(aws: AwsApi, application: str, clock: Clock, place: Place = HOME) -> DeploymentReader:
    """Return the session's reader of an application in an account and region."""
    readers, key = _READERS.setdefault(aws, {}), (application, place)
    if key not in readers:
        readers[key] = DeploymentReader(aws, application, clock, place)
    return readers[key]


async def read_places(
    readers: Mapping[tuple[Place, str], DeploymentReader], read: Callable[[DeploymentReader], Awaitable[Reading]]
) -> dict[tuple[Place, str], Reading | AwsError]:
    """Return the deployments or the error of each place and application.

    An application that exists in one of the places has no deployments where it does not exist.
    """
    outcomes = dict(
        zip(readers, await asyncio.gather(*map(read, readers.values()), return_exceptions=True), strict=True)
    )
    results: dict[tuple[Place, str], Reading | AwsError] = {}
    exist = {application for (_, application), outcome in outcomes.items() if isinstance(outcome, Reading)}
    for key, outcome in outcomes.items():
        if isinstance(outcome, AwsError) and outcome.code == NO_APPLICATION and key[1] in exist:
            results[key] = Reading(notes=(f"CodeDeploy: {outcome.message}",))
        elif isinstance(outcome, BaseException) and not isinstance(outcome, AwsError):
            raise outcome
        else:
            results[key] = outcome
    return results


def _not_described(ids: Iterable[str]) -> AwsError:
    return AwsError(
        f"codedeploy BatchGetDeployments left out {', '.join(sorted(ids))}",
        code="MissingDeployments",
        reason=Reason.SERVICE,
        service="codedeploy",
        operation="BatchGetDeployments",
    )


def _may_change(info: Document, now: datetime) -> bool:
    if info.get("status") not in OVER:
        return True
    ended = info.get("completeTime") or info["createTime"]
    return bool(now - ended < CHANGES_FOR)
