"""Loads a project: one environment and the checks that belong to it, validated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from prodwatch.errors import Problem
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import AwsTarget, Environment
from prodwatch.settings.check_discovery import CheckFile, check_files, display_name
from prodwatch.settings.check_file import Draft, read_check_file
from prodwatch.settings.check_references import reachable, resolve_references, unresolved
from prodwatch.settings.environment_file import read_environment
from prodwatch.settings.environment_references import follow_environment, names_of, report_circle
from prodwatch.settings.key_notices import check_notices, key_notices
from prodwatch.settings.load_time_values import Statics
from prodwatch.settings.problems import Problems, TomlCursor
from prodwatch.settings.project_lookup import environments
from prodwatch.settings.read_shared_keys import CheckContext
from prodwatch.settings.ready_diagnostics import with_ready_diagnostics
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.toml_document import Document, read_document
from prodwatch.settings.variable_references import follow_check


class Project(msgspec.Struct, frozen=True):
    """A loaded project; checks are in the order of files and lines."""

    root: Path
    environment: Environment
    checks: tuple[CheckDefinition, ...]
    notices: tuple[str, ...] = ()
    """Decisions that the user should know about, one sentence each."""
    referenced: tuple[CheckDefinition, ...] = ()
    """Checks in other files that those in `checks` refer to by `needs`, `diagnose` or `of`."""


def load_project(
    *,
    root: Path,
    env: str,
    checks: Sequence[Path] = (),
    overrides: Mapping[str, str] | None = None,
    region: str | None = None,
    profile: str | None = None,
    environ: Mapping[str, str],
    selected: Callable[[CheckDefinition], bool] = lambda _check: True,
    other_checks: Mapping[str, str] | None = None,
) -> Project:
    """Read `config/<env>.toml` and the check files under `root`. Raises ConfigurationError with every problem.

    `checks` restricts loading to files and folders; `region`, `profile` and `overrides` replace the file's `[aws]` and
    `[vars]`. `selected` returns whether a check will run: an undefined environment variable is a mistake only then.
    `other_checks` are checks written in Python, id → name, so that TOML files can refer to them.
    """
    return _Loader(root, env, environ, selected, other_checks or {}).project(checks, overrides or {}, region, profile)


class _Loader:
    """State of one load: documents, problems and notices."""

    def __init__(
        self,
        root: Path,
        env: str,
        environ: Mapping[str, str],
        selected: Callable[[CheckDefinition], bool],
        other_checks: Mapping[str, str],
    ) -> None:
        self.root = root
        self.env = env
        self.environ = environ
        self.selected = selected
        self.other_checks = other_checks
        self.problems = Problems()
        self.notices: list[str] = []
        self.documents: list[Document] = []
        self.complete = True
        """False when a file could not be read; a check that seems missing may be defined there."""

    def project(
        self, narrowed: Sequence[Path], overrides: Mapping[str, str], region: str | None, profile: str | None
    ) -> Project:
        """Return the project. Raises ConfigurationError with all problems."""
        document = self._document(self.root / "config" / f"{self.env}.toml", self.problems)
        top = TomlCursor(document or Document(f"config/{self.env}.toml", "", {}), (), "", self.problems)
        environment = read_environment(top, self.env, self.environ, overrides)
        self.notices += key_notices(top)
        environment = replace(environment, aws=self._aws(environment, region, profile))
        environment = environment.in_own_regions(environment.region_of_account)
        context = CheckContext(
            environments=tuple(environments(self.root)),
            accounts=frozenset(environment.accounts) if document else None,
            statics=Statics(self.environ, environment.vars),
        )
        read = self._drafts(narrowed, context)
        known = [*read[0], *read[1]]
        drafts, others = (
            with_ready_diagnostics(each, known, self.other_checks, context, environment.aws.region) for each in read
        )
        resolved = resolve_references([*drafts, *others], self.other_checks, complete=self.complete)
        mine, reached = resolved[: len(drafts)], reachable(resolved[: len(drafts)], resolved)
        self._adopt_problems(reached, others)
        if document is not None:
            self._follow(top, environment, [*drafts, *others], resolved, {check.id for check in (*mine, *reached)})
            self._check_overrides(overrides)
        self.problems.raise_any()
        elsewhere = {check.id for check in resolved if not self._is_for(check)}
        kept = tuple(self._without(elsewhere, check) for check in mine if check.id not in elsewhere)
        also = tuple(self._without(elsewhere, check) for check in reached if check.id not in elsewhere)
        self.notices += check_notices(kept)
        return Project(self.root, environment, kept, tuple(self.notices), also)

    def _document(self, path: Path, problems: Problems) -> Document | None:
        document = read_document(path, display_name(path, self.root))
        if isinstance(document, Problem):
            problems.add(document.position, document.message)
            self.complete = False
            return None
        self.documents.append(document)
        return document

    def _aws(self, environment: Environment, region: str | None, profile: str | None) -> AwsTarget:
        target = environment.aws
        if region is not None:
            target = replace(target, region=region)
        if profile is not None:
            return replace(target, profile=profile)
        if target.profile and self.environ.get("AWS_ACCESS_KEY_ID"):
            self.notices.append(
                f'profile "{target.profile}" of {environment.source.file} is ignored: AWS_ACCESS_KEY_ID is set, '
                f"so the credentials in the environment are used"
            )
            return replace(target, profile="")
        return target

    def _drafts(self, narrowed: Sequence[Path], context: CheckContext) -> tuple[list[Draft], list[Draft]]:
        """Return the checks of the requested files, and those of all other files when a check refers to them."""
        files = check_files(self.root, narrowed)
        for file in check_files(self.root, narrowed, suffix=".py"):
            # Ignored silently, they would look as if they had passed.
            name = display_name(file.path, self.root)
            self.problems.add(None, f"{name}: this version does not run checks written in Python; move the file away")
        drafts = self._read(files, context, self.problems)
        if not narrowed or not unresolved(drafts, self.other_checks):
            return drafts, []
        known = {file.path.absolute() for file in files}
        rest = [file for file in check_files(self.root) if file.path.absolute() not in known]
        return drafts, self._read(rest, context, Problems())

    def _read(self, files: Iterable[CheckFile], context: CheckContext, problems: Problems) -> list[Draft]:
        drafts: list[Draft] = []
        for file in files:
            document = self._document(file.path, problems)
            if document is not None:
                drafts += read_check_file(TomlCursor(document, (), "", problems), file.prefix, context)
        return drafts

    def _adopt_problems(self, reached: Iterable[CheckDefinition], others: Sequence[Draft]) -> None:
        """Report the mistakes of files that were only read for a reference, if a check in them will run."""
        files = {check.source.file for check in reached}
        if files and others:
            self.problems.adopt(others[0].cursor.problems, files)

    def _follow(
        self,
        top: TomlCursor,
        environment: Environment,
        drafts: Sequence[Draft],
        checks: Sequence[CheckDefinition],
        run: set[str],
    ) -> None:
        """Report undefined references in the checks that will run and in the variables they need."""
        names = names_of(top.document, environment, self.environ)
        needed: set[str] = set()
        for draft, check in zip(drafts, checks, strict=True):
            will_run = check.id in run and self._is_for(check) and self.selected(check)
            if will_run:
                self.problems.adopt(draft.unset)
            needed |= follow_check(draft.cursor, draft.table, replace(names, selected=will_run))
            for name in check.vars:
                report_circle(draft.cursor.at("vars", name), name, {**environment.vars, **check.vars})
        follow_environment(top, environment, names, needed)

    def _check_overrides(self, overrides: Mapping[str, str]) -> None:
        table = self.documents[0].data.get("vars")
        written = set(table) if isinstance(table, dict) else set()
        for name in overrides:
            pattern = re.compile(rf"\bvars\.{re.escape(name)}\b")
            if name not in written and not any(pattern.search(document.text) for document in self.documents):
                self.problems.add(
                    None, f"--var {name}: no file uses a variable of this name{did_you_mean(name, written)}"
                )

    def _is_for(self, check: CheckDefinition) -> bool:
        return not check.environments or self.env in check.environments

    def _without(self, elsewhere: set[str], check: CheckDefinition) -> CheckDefinition:
        """Return the check without references to checks of other environments; a notice names them."""
        kept = {}
        for key in ("needs", "diagnose", "of"):
            ids: tuple[str, ...] = getattr(check, key)
            dropped = [id_ for id_ in ids if id_ in elsewhere]
            if dropped:
                kept[key] = tuple(id_ for id_ in ids if id_ not in elsewhere)
                self.notices.append(
                    f'check "{check.id}": {key} ignores {listing(dropped)}, which is not in environment "{self.env}"'
                )
        return replace(check, **kept) if kept else check
