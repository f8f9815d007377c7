"""Reads an environment file into an `Environment`, and reports every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from prodwatch.judge.signals import METRIC_FIELDS
from prodwatch.model.environment import (
    FUNCTION_FIGURES,
    AlarmTarget,
    AwsTarget,
    Compare,
    DemoTarget,
    Environment,
    ErrorComparison,
    FunctionTarget,
    HistoryTarget,
    KnownSignature,
    LatencyComparison,
    Limits,
    LogTarget,
    MetricTarget,
    ReleaseTarget,
    Rounds,
    SecretReference,
    SignatureLimits,
    StackReference,
    in_own_region,
)
from prodwatch.model.spec import Key, KeyKind
from prodwatch.settings.environment_keys import (
    ACCOUNT,
    EXCLUDED,
    KNOWN_SIGNATURE,
    SECRET,
    SECRET_SOURCES,
    SECTIONS,
    STACK,
    TOP,
    Section,
)
from prodwatch.settings.expressions import Fields, read_assertions, read_path
from prodwatch.settings.load_time_values import Statics, settle_table
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.table_reader import read_table
from prodwatch.settings.template import literal
from prodwatch.settings.text_conversion import fit
from prodwatch.settings.value_types import describe, parse_date, plain, problem_with, seconds, share, texts
from prodwatch.text.units import parse_size

_SECTION = {section.name: section for section in SECTIONS}
_ACCOUNT_ID = re.compile(r"\d{12}")
_MOMENT = re.compile(r"before|during|after|\+\d+(\.\d+)?(ms|s|m|h)")
_TEXT = {"text", "texts", "table"}
_EARLY = {"metric": frozenset(("name", "account")), "release": frozenset(("match",))}
"""Section → keys of it that other parts of the file or the screen need before a run; elsewhere only `account` is."""
_Built = TypeVar("_Built", bound=msgspec.Struct)


def read_environment(
    top: TomlCursor, name: str, environ: Mapping[str, str], overrides: Mapping[str, str]
) -> Environment:
    """Return the environment; `overrides` (`--var`) replace entries of `[vars]`."""
    return _Reader(top, name, environ, overrides).environment()


class _Reader:
    def __init__(self, top: TomlCursor, name: str, environ: Mapping[str, str], overrides: Mapping[str, str]) -> None:
        self.top = top
        self.name = name
        self.data = top.document.data
        self.vars = self._vars(overrides)
        self.late = Statics(environ, self.vars, scopes=("env", "vars"))
        self.early = self.late.only("env")
        self.aws, self.accounts = self._aws()

    def environment(self) -> Environment:
        """Return the environment; invalid parts of a section are left out."""
        self._report_unknown_keys()
        right = read_table(self.top, settle_table(self.top, self._top_keys(), self.early, ()), TOP)
        traces = self._table("traces")
        return Environment(
            name=self.name,
            title=right.get("title", self.name),
            source=self.top.position,
            protected=right.get("protected", True),
            aws=self.aws,
            accounts=self.accounts,
            stacks=self._stacks(),
            vars=self.vars,
            secrets=self._secrets(),
            functions=self._tables("function", FunctionTarget),
            logs=self._tables("logs", LogTarget),
            traces_filter=traces.get("filter"),
            traces_enabled=traces.get("enabled", True),
            metrics=self._tables("metric", MetricTarget),
            alarms=self._tables("alarm", AlarmTarget),
            release=self._release(),
            compare=self._compare(),
            rounds=build_values(Rounds, self._table("rounds")),
            history=self._history(),
            limits=build_values(Limits, self._limits()),
            demo=self._demo(),
        )

    def _top_keys(self) -> dict[str, Any]:
        return {key: value for key, value in self.data.items() if key in {known.name for known in TOP}}

    def _report_unknown_keys(self) -> None:
        known = (*_SECTION, *(key.name for key in TOP))
        for name in self.data:
            if name not in known:
                home = [section.name for section in SECTIONS if name in {key.name for key in section.keys}]
                hint = did_you_mean(name, known) or (f"; it belongs in [{home[0]}]" if home else "")
                self.top.at(name).report(f'unknown table or key "{name}"{hint}')

    def _vars(self, overrides: Mapping[str, str]) -> dict[str, Any]:
        written = self.data.get("vars", {})
        if not isinstance(written, dict):
            self.top.at("vars").report(f"[vars] must be a table of name = value, not {describe(written)}")
            written = {}
        return override_variables(self.top.at("vars"), plain(written), overrides)

    def _read(self, cursor: TomlCursor, data: Any, section: Section, keys: tuple[Key, ...]) -> dict[str, Any]:
        """Return the valid entries of one table; references are filled unless the section fills text late."""
        if isinstance(data, dict):
            statics = self.early if section.filled == "env" else self.late
            late = _late_keys(section, keys)
            data = settle_table(cursor, data, statics, late)
        right = read_table(cursor, data, keys, references=section.filled == "late")
        if section.name == "function" and str(right.get("name", "")).startswith("arn:"):
            cursor.at("name").report(
                "the name of a function must be its name, not an ARN: metrics, log groups and deployments are found by "
                "the name; `account` and `region` say where it is"
            )
        account = right.get("account")
        if section.name != "aws" and account is not None and "${" not in account and account not in self.accounts:
            cursor.at("account").report(
                f'account "{account}" is not in [aws.accounts]{did_you_mean(account, self.accounts)}'
            )
        return right

    def _table(self, name: str) -> dict[str, Any]:
        section = _SECTION[name]
        cursor = self.top.at(name).named(f"[{name}]")
        return self._read(cursor, self.data[name], section, section.keys) if name in self.data else {}

    def _tables(self, name: str, target: type[_Built]) -> tuple[_Built, ...]:
        section = _SECTION[name]
        tables = self.data.get(name, [])
        if not isinstance(tables, list):
            self.top.at(name).report(f"write [[{name}]] with double brackets: a file may contain several")
            return ()
        built: list[_Built] = []
        for number, table in enumerate(tables):
            label = table.get("name") if isinstance(table, dict) else None
            cursor = self.top.at(name, number).named(
                f'[[{name}]] "{label}"' if isinstance(label, str) else f"[[{name}]]"
            )
            right = self._read(cursor, table, section, section.keys)
            if name == "alarm" and isinstance(table, dict) and not {"prefix", "names"} & table.keys():
                cursor.report('"prefix" or "names" is missing')
            for key in ("expect", "warn"):
                if key in right:
                    if key == "expect" and not right[key]:
                        cursor.at(key).report('"expect" is empty; leave it out for a metric that is only watched')
                    right[key] = read_assertions(cursor.at(key), right[key], Fields(METRIC_FIELDS))
            if all(key.name in right for key in section.keys if key.required):
                built.append(build_values(target, right))
                placed = [in_own_region(each, self._region_of) for each in built]
                if _repeats(placed):
                    cursor.at("group").report(
                        f'log group "{right["group"]}" is in another [[logs]] too; merge both into one [[logs]]'
                    )
                if (reason := _taken_name(placed)) is not None:
                    cursor.at("name").report(reason)
        return tuple(built)

    def _region_of(self, account: str | None) -> str | None:
        return self.accounts.get(account or "", self.aws).region

    def _aws(self) -> tuple[AwsTarget, dict[str, AwsTarget]]:
        written = self.data.get("aws", {})
        accounts = written.get("accounts", {}) if isinstance(written, dict) else {}
        if isinstance(written, dict):
            written = {key: value for key, value in written.items() if key != "accounts"}
        section = _SECTION["aws"]
        targets = {}
        top = self.top.at("aws").named("[aws]")
        main = self._target(top, written, section)
        if not isinstance(accounts, dict):
            top.at("accounts").report("write each account as a table: [aws.accounts.name]")
            accounts = {}
        for name, table in accounts.items():
            targets[name] = self._target(top.at("accounts", name).named(f"[aws.accounts.{name}]"), table, section)
        return main, targets

    def _target(self, cursor: TomlCursor, table: Any, section: Section) -> AwsTarget:
        right = self._read(cursor, table, section, ACCOUNT)
        account = right.get("account")
        if account is not None and not _ACCOUNT_ID.fullmatch(account):
            cursor.at("account").report(f'"account" must be an account id of 12 digits, not "{account}"')
        endpoint = right.get("endpoint_url")
        if endpoint and not endpoint.startswith(("http://", "https://")):
            cursor.at("endpoint_url").report(f'"endpoint_url" must begin with http:// or https://, not "{endpoint}"')
        return AwsTarget(**right)

    def _names(self, name: str) -> tuple[TomlCursor, dict[str, Any]]:
        written = self.data.get(name, {})
        cursor = self.top.at(name).named(f"[{name}]")
        if isinstance(written, dict):
            return cursor, written
        cursor.report(f"[{name}] must be a table of name = value, not {describe(written)}")
        return cursor, {}

    def _stacks(self) -> dict[str, StackReference]:
        cursor, written = self._names("stacks")
        stacks = {}
        for alias, value in written.items():
            here = cursor.at(alias)
            table = value
            if isinstance(value, str):
                # A text is short for a table with only the stack's name.
                settled = settle_table(cursor, {alias: value}, self.late, ())
                table = {"name": settled[alias]} if alias in settled else None
            if table is None:
                continue
            if not isinstance(table, dict):
                here.report(f'stack "{alias}" must be a name in quotes or a table, not {describe(value)}')
                continue
            right = self._read(here.named(f'[stacks] "{alias}"'), table, _SECTION["stacks"], STACK)
            if right.get("name"):
                stacks[alias] = StackReference(**right)
            elif "name" in right:
                here.report(f'stack "{alias}" has an empty name')
        return stacks

    def _secrets(self) -> dict[str, SecretReference]:
        cursor, written = self._names("secrets")
        secrets = {}
        for name, value in written.items():
            here = cursor.at(name).named(f'secret "{name}"')
            if not isinstance(value, dict):
                here.report(
                    'a secret must not be written into the file; name its source: { env = "NAME" }, '
                    '{ ssm = "/path" } or { secretsmanager = "name" }'
                )
                continue
            right = self._read(here, value, _SECTION["secrets"], SECRET)
            sources = [source for source in SECRET_SOURCES if source in value]
            if len(sources) != 1:
                here.report(f'needs exactly one of "env", "ssm" and "secretsmanager", not {len(sources)}')
            secrets[name] = SecretReference(**right)
        return secrets

    def _release(self) -> ReleaseTarget:
        right = self._table("release")
        cursor = self.top.at("release").named("[release]")
        if right.get("attest"):
            read_path(cursor.at("attest"), right["attest"])
        if "{version}" not in right.get("match", "{version}"):
            cursor.at("match").report('"match" must contain {version}, for example "v{version}"')
        right.pop("signatures", None)
        applications = {name: texts(right.get(name, ())) for name in ("codedeploy", "appconfig")}
        return ReleaseTarget(**{**right, **applications})

    def _compare(self) -> Compare:
        right = self._table("compare")
        cursor = self.top.at("compare").named("[compare]")
        kinds: dict[str, type[msgspec.Struct]] = {
            "errors": ErrorComparison,
            "latency": LatencyComparison,
            "signatures": SignatureLimits,
        }
        for name, target in kinds.items():
            if name in right:
                right[name] = None if right[name] is False else build_values(target, right[name])
        release = self.data.get("release")
        old = release.get("signatures") if isinstance(release, dict) else None
        if old is not None:
            moved = self.top.at("release", "signatures").named("[release]")
            if "signatures" in right:
                moved.report('"signatures" is also in [compare]; keep only that one')
            elif isinstance(old, dict) and isinstance(old.get("gate"), bool):
                right["signatures"] = SignatureLimits(gate=old["gate"])
        _check_requests(cursor, right)
        if "known" in right:
            right["known"] = self._known(cursor.at("known"), right["known"])
        return build_values(Compare, right)

    def _known(self, cursor: TomlCursor, written: Sequence[Any]) -> tuple[KnownSignature, ...]:
        known: list[KnownSignature] = []
        for index, table in enumerate(written):
            here = cursor.at(index).named(f"[compare] known, {index + 1}")
            right = read_table(here, table, KNOWN_SIGNATURE)
            try:
                if right.keys() >= {key.name for key in KNOWN_SIGNATURE}:
                    known.append(KnownSignature(**right | {"until": parse_date("until", right["until"])}))
            except ValueError as error:
                here.at("until").report(str(error))
        return tuple(known)

    def _history(self) -> HistoryTarget:
        right = self._table("history")
        if "size" in right:
            right["size_bytes"] = parse_size(right.pop("size"))
        return build_values(HistoryTarget, right)

    def _limits(self) -> dict[str, Any]:
        right = self._table("limits")
        cursor = self.top.at("limits").named("[limits]")
        price = Key(name="price", kind="number", minimum=0, doc="")
        for operation, value in right.get("prices", {}).items():
            problem = problem_with(price, value, references=False)
            if problem is not None or ":" not in operation:
                cursor.at("prices", operation).report(
                    f'"{operation}" must be a price per call in US dollars, such as "logs:FilterLogEvents" = 0.0001'
                )
        return right

    def _demo(self) -> DemoTarget | None:
        if "demo" not in self.data:
            return None
        right = self._table("demo")
        moment = right.get("at")
        if moment is not None and not _MOMENT.fullmatch(moment):
            self.top.at("demo", "at").named("[demo]").report(
                f'"at" must be before, during, after or an offset such as +90s, not "{moment}"'
            )
        return build_values(DemoTarget, right)


def _late_keys(section: Section, keys: tuple[Key, ...]) -> set[str]:
    """Return the keys that a run fills; those of all others have to be known when the file is read."""
    if section.filled != "late":
        return set()
    return {key.name for key in keys if key.kind in _TEXT and not key.choices} - _EARLY.get(
        section.name, frozenset(("account",))
    )


def build_values(target: type[_Built], right: Mapping[str, Any]) -> _Built:
    """Build a target from validated values: durations become seconds, shares numbers, texts tuples."""
    fields = set(target.__struct_fields__)
    values: dict[str, Any] = {}
    for name, value in right.items():
        if name not in fields:
            values[f"{name}_s"] = seconds(value)
        elif name in {"expect", "warn", "names", "exclude", "coverage_by"}:
            values[name] = texts(value)
        elif name in {"difference", "always", "false_alarms", "coverage"}:
            values[name] = share(value)
        else:
            values[name] = value
    return target(**values)


def _check_requests(cursor: TomlCursor, right: Mapping[str, Any]) -> None:
    """Report texts of `exclude` and `coverage_by` that name no requests."""
    for index, each in enumerate(texts(right.get("exclude", ()))):
        if each.partition(":")[0] not in EXCLUDED or not each.partition(":")[2]:
            cursor.at("exclude", index).report(
                f'"exclude" must name requests by {listing(EXCLUDED)}, such as "route:GET /health", not "{each}"'
            )
        elif each.startswith("client:") and not _is_network(each.partition(":")[2]):
            cursor.at("exclude", index).report(
                f'"exclude" must name clients by address, such as "client:10.0.0.0/8", not "{each}"'
            )
    for index, each in enumerate(texts(right.get("coverage_by", ()))):
        if not each.startswith("json.") or "" in each.split("."):
            cursor.at("coverage_by", index).report(
                f'"coverage_by" must name fields of JSON lines, such as "json.tenant", not "{each}"'
            )


def _is_network(text: str) -> bool:
    from ipaddress import ip_network

    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _repeats(targets: Sequence[object]) -> bool:
    """Return whether the last target names the same log group as an earlier one."""
    groups = [(each.group, each.account, each.region) for each in targets if isinstance(each, LogTarget)]
    return bool(groups) and groups[-1] in groups[:-1]


def _taken_name(targets: Sequence[object]) -> str | None:
    """Return why the name of the last target, a metric, is not its own on the screen; None when it is."""
    metrics = [each for each in targets if isinstance(each, MetricTarget)]
    if not metrics:
        return None
    *others, last = metrics
    if last.name in FUNCTION_FIGURES:
        return f'"{last.name}" is the name of a metric that every watched function has; choose another name'
    if any((each.name, each.account, each.region) == (last.name, last.account, last.region) for each in others):
        return f'"{last.name}" is the name of another [[metric]] too; give each its own name'
    return None


def override_variables(cursor: TomlCursor, written: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """Return the variables with `--var name=value` overrides, converted to the types of the values they replace.

    An override is plain text: `${…}` in it is not a reference.
    """
    replaced = dict(written)
    for name, text in overrides.items():
        kind = _override_kind(written.get(name))
        try:
            value = fit(Key(name=name, kind=kind, doc=""), text)
        except ValueError as error:
            cursor.problems.add(None, f"--var {name}={text}: {error}")
            continue
        replaced[name] = literal(value) if isinstance(value, str) else value
    return replaced


def _override_kind(value: Any) -> KeyKind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "text"
