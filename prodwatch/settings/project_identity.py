"""The identity of a project, by which what is kept of it is found again after a move, in any of its checkouts.

In this order: the name in `[history] project`; the id in `.prodwatch/project-id` of the project's folder; the git
remote `origin` with the folder's path in the repository; a new id, written to that file; and where that is not
possible, the folder's path.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import msgspec

from prodwatch.settings.project_lookup import demo_root

ID_FILE = Path(".prodwatch") / "project-id"
# Not compiled here: nearly every run needs one of them or none.
_ID = r"[0-9a-f]{32}"
_SECTION = r'\s*\[remote "origin"\]\s*(?:[#;].*)?'
_URL = r"\s*(?i:url)\s*=\s*(.*)"
_SCP = r"(?:[^@/\s]+@)?([^:/\s]+):(?!//)(.+)"
_WITH_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^@/]*@)?([^/:]*)(?::\d+)?/*(.*)"
_NOT_IN_A_NAME = r"[^a-z0-9]+"


class ProjectIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One project, wherever it is checked out."""

    key: str
    """Name for a file."""
    name: str
    """The project for people: a name, `github.com/acme/shop`, or the name of its folder, which may change."""


def project_identity(root: Path, name: str | None, *, create: bool) -> ProjectIdentity:
    """Return the identity of the project in `root`; `name` is that of its file, None or empty without one.

    With `create`, a project that nothing else identifies gets an id in its folder. Never raises OSError.
    """
    root = root.resolve()
    if name:
        return _identity(f"name:{name}", name)
    if root == demo_root().resolve():
        return ProjectIdentity(key="demo", name="demo")
    own_id = _own_id(root)
    if own_id is not None:
        return _of_id(own_id, root)
    remote = _remote(root)
    if remote is not None:
        return _identity(f"remote:{remote}", remote)
    if create and (new_id := _create_id(root)) is not None:
        return _of_id(new_id, root)
    return _identity(f"path:{root}", root.name)


def _of_id(own_id: str, root: Path) -> ProjectIdentity:
    # The folder's name is not in the key: a move changes it.
    return ProjectIdentity(key=f"project-{own_id[:16]}", name=_shown(root.name))


def _identity(whole: str, name: str) -> ProjectIdentity:
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    words = re.sub(_NOT_IN_A_NAME, "-", name.rpartition("/")[2].lower()).strip("-")[:32].strip("-")
    return ProjectIdentity(key=f"{words}-{digest}" if words else digest, name=_shown(name))


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _own_id(root: Path) -> str | None:
    text = _read(root / ID_FILE).strip()
    return text if re.fullmatch(_ID, text) else None


def _create_id(root: Path) -> str | None:
    """Write a new id into the project's folder and return the one that is there; None when that is not possible."""
    path = root / ID_FILE
    own_id = os.urandom(16).hex()
    temporary = path.with_name(f"{path.name}.{own_id}")
    try:
        path.parent.mkdir(exist_ok=True)
        ignore = path.with_name(".gitignore")
        if not ignore.exists():
            ignore.write_text("# written by prodwatch\n*\n", encoding="utf-8")
        temporary.write_text(f"{own_id}\n", encoding="utf-8")
        try:
            # A link, so that of two first runs at once both use the same id.
            os.link(temporary, path)
        except FileExistsError:
            return _own_id(root)
        finally:
            temporary.unlink()
    except OSError:
        return None
    return own_id


def _remote(root: Path) -> str | None:
    """Return `host/path` of the git remote `origin` with the folder's path in the repository; None without one."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        if git.exists():
            url = _origin(_config(git))
            if url is None:
                return None
            inside = root.relative_to(folder).as_posix()
            return _normal(url) if inside == "." else f"{_normal(url)}/{inside}"
    return None


def _config(git: Path) -> str:
    """Return the text of a repository's configuration, also of a worktree or submodule; empty when unreadable."""
    if git.is_file():
        target = _read(git).partition("gitdir:")[2].strip()
        if not target:
            return ""
        git = git.parent / target
        common = _read(git / "commondir").strip()
        git = git / common if common else git
    return _read(git / "config")


def _origin(config: str) -> str | None:
    inside = False
    for line in config.splitlines():
        if line.lstrip().startswith("["):
            inside = re.fullmatch(_SECTION, line) is not None
        elif inside and (match := re.fullmatch(_URL, line)) and match[1].strip():
            return match[1].strip().strip('"')
    return None


def _normal(url: str) -> str:
    """Return a URL as `host/path`, the same for every protocol, without credentials."""
    match = re.fullmatch(_WITH_SCHEME, url) or re.fullmatch(_SCP, url)
    where = f"{match[1].lower()}/{match[2].lstrip('/')}" if match else url
    return where.rstrip("/").removesuffix(".git")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
