"""Who we are to AWS, by whose clock, and where the calls go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prodwatch.access.doctor.findings import Finding
from prodwatch.access.required_calls import RequiredCall
from prodwatch.aws.api import AwsError
from prodwatch.aws.session import Aws
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment

SKEW_WARNING_S = 2.0
"""Above it times of log lines and of this machine visibly disagree; the log scans allow for as much."""
SKEW_REFUSED_S = 240.0
"""AWS refuses signatures that are off by five minutes."""


async def identities(aws: Aws, environment: Environment) -> tuple[list[Finding], set[str | None]]:
    """Return what was found about every account, and the accounts that may be spoken to."""
    found: list[Finding] = []
    usable: set[str | None] = set()
    for alias in (None, *environment.accounts):
        name = f"account {alias}: " if alias else ""
        region = aws.region_name(alias)
        if region is None:
            message = f"{name}no region is configured; set region in [aws], AWS_REGION, or say --region"
            found.append(Finding(area="identity", state="problem", message=message, disables=("everything on AWS",)))
            continue
        try:
            who = await aws.identity(alias)
        except (AwsError, CannotVerifyError) as caught:
            disables = (f"everything in account {alias}" if alias else "everything on AWS",)
            found.append(Finding(area="identity", state="problem", message=f"{name}{caught}", disables=disables))
            continue
        usable.add(alias)
        named = environment.accounts[alias].account if alias else environment.aws.account
        match = "the one the file names" if named else "the file names none: any would do"
        profile = aws.profile_name(alias)
        through = f" by profile {profile}" if profile else ""
        message = f"{name}{who.arn} in account {who.account} ({match}), {region}{through}"
        found.append(Finding(area="identity", state="ok", message=message))
        if who.clock_skew_s is not None:
            found.append(_clock(name, who.clock_skew_s))
    found += [Finding(area="identity", state="warn", message=notice) for notice in aws.notices]
    return sorted(found, key=lambda each: each.area == "clock"), usable


def _clock(name: str, skew_s: float) -> Finding:
    side = "ahead of" if skew_s > 0 else "behind"
    if abs(skew_s) <= SKEW_WARNING_S:
        return Finding(area="clock", state="ok", message=f"{name}this machine's clock agrees with AWS's")
    message = f"{name}this machine's clock is {abs(skew_s):.0f} s {side} AWS's; set it by NTP"
    if abs(skew_s) >= SKEW_REFUSED_S:
        return Finding(area="clock", state="problem", message=message, disables=("signed calls: AWS refuses them",))
    return Finding(area="clock", state="warn", message=message, disables=("exact ages and freshness",))


async def endpoints(
    aws: Aws, uses: Iterable[RequiredCall], usable: set[str | None], environ: Mapping[str, str]
) -> list[Finding]:
    """Return where the calls of each service go, one finding per endpoint outside of AWS and one for AWS itself."""
    places: dict[tuple[str, bool], set[str]] = {}
    found: list[Finding] = []
    wanted = sorted({(each.service, each.account or "", each.region or "") for each in uses if each.account in usable})
    for service, account, region in wanted or [("sts", "", "")]:
        if (account or None) not in usable:
            continue
        try:
            client = await aws.client(service, account=account or None, region=region or None)
        except AwsError as caught:
            found.append(Finding(area="endpoints", state="problem", message=f"{service}: {caught.message}"))
            continue
        url = str(client.meta.endpoint_url)
        at_aws = ".amazonaws.com" in url
        places.setdefault(("AWS in " + client.meta.region_name if at_aws else url, at_aws), set()).add(service)
    for (place, _), services in sorted(places.items()):
        found.append(Finding(area="endpoints", state="ok", message=f"{', '.join(sorted(services))}: {place}"))
    if any(name.startswith("AWS_ENDPOINT_URL") and value for name, value in environ.items()):
        names = ", ".join(sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL")))
        found.append(Finding(area="endpoints", state="warn", message=f"{names} redirects calls, as in the AWS CLI"))
    return found
