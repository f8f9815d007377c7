"""Identity, clock skew and endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prodwatch.access.doctor.findings import Finding
from prodwatch.access.required_calls import RequiredCall
from prodwatch.aws.aws_calls import Aws
from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment

SKEW_WARNING_S = 2.0
"""Clock skew in seconds above which ages are visibly wrong; log scans tolerate this much."""
SKEW_REFUSED_S = 240.0
"""Clock skew in seconds reported as a problem; AWS refuses signatures that are five minutes off."""


async def identities(aws: Aws, environment: Environment) -> tuple[list[Finding], set[str | None]]:
    """Return findings about every account, and the aliases of the usable ones; None is the environment's own."""
    findings: list[Finding] = []
    usable: set[str | None] = set()
    for alias in (None, *environment.accounts):
        name = f"account {alias}: " if alias else ""
        region = aws.region_name(alias)
        if region is None:
            message = f"{name}no region is configured; set region in [aws] or AWS_REGION, or use --region"
            findings.append(Finding(area="identity", state="problem", message=message, disables=("everything on AWS",)))
            continue
        try:
            who = await aws.identity(alias)
        except (AwsError, CannotVerifyError) as caught:
            disables = (f"everything in account {alias}" if alias else "everything on AWS",)
            findings.append(Finding(area="identity", state="problem", message=f"{name}{caught}", disables=disables))
            continue
        usable.add(alias)
        named = environment.accounts[alias].account if alias else environment.aws.account
        match = "as in the file" if named else "not restricted by the file"
        profile = aws.profile_name(alias)
        through = f", profile {profile}" if profile else ""
        message = f"{name}{who.arn} in account {who.account} ({match}), {region}{through}"
        findings.append(Finding(area="identity", state="ok", message=message))
        if who.clock_skew_s is not None:
            findings.append(_clock(name, who.clock_skew_s))
    findings += [Finding(area="identity", state="warn", message=notice) for notice in aws.notices]
    return sorted(findings, key=lambda each: each.area == "clock"), usable


def _clock(name: str, skew_s: float) -> Finding:
    side = "ahead of" if skew_s > 0 else "behind"
    if abs(skew_s) <= SKEW_WARNING_S:
        return Finding(area="clock", state="ok", message=f"{name}this machine's clock agrees with AWS")
    message = f"{name}this machine's clock is {abs(skew_s):.0f} s {side} AWS; synchronise it with NTP"
    if abs(skew_s) >= SKEW_REFUSED_S:
        return Finding(area="clock", state="problem", message=message, disables=("all signed calls",))
    return Finding(area="clock", state="warn", message=message, disables=("exact ages and freshness",))


async def endpoints(
    aws: Aws, uses: Iterable[RequiredCall], usable: set[str | None], environ: Mapping[str, str]
) -> list[Finding]:
    """Return one finding per endpoint, with the services whose calls go there."""
    places: dict[tuple[str, str], set[str]] = {}
    findings: list[Finding] = []
    targets = sorted({(each.service, each.account or "", each.region or "") for each in uses if each.account in usable})
    for service, account, region in targets or [("sts", "", "")]:
        if (account or None) not in usable:
            continue
        try:
            client = await aws.client(service, account=account or None, region=region or None)
        except AwsError as caught:
            findings.append(Finding(area="endpoints", state="problem", message=f"{service}: {caught.message}"))
            continue
        url = str(client.meta.endpoint_url)
        at_aws = ".amazonaws.com" in url
        place = "AWS in " + client.meta.region_name if at_aws else url
        places.setdefault((account, place), set()).add(service)
    for (account, place), services in sorted(places.items()):
        name = f"account {account}: " if account else ""
        findings.append(Finding(area="endpoints", state="ok", message=f"{name}{', '.join(sorted(services))}: {place}"))
    if any(name.startswith("AWS_ENDPOINT_URL") and value for name, value in environ.items()):
        names = ", ".join(sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL")))
        findings.append(
            Finding(area="endpoints", state="warn", message=f"{names}: calls are redirected, as in the AWS CLI")
        )
    return findings
