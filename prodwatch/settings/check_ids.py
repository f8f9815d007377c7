"""Ids of checks: slugs of names and files, and suffixes of matrix cases."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import product
from types import NoneType
from typing import Any

from prodwatch.settings.template_filters import as_text

_EXPLICIT = re.compile(r"[\w.-]+(?:/[\w.-]+)*")


def slug(text: str) -> str:
    """Return `text` in lower case; letters, digits and marks of any script are kept, the rest becomes single dashes."""
    folded = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in folded)
    return "-".join(kept.split())


def file_prefix(relative: str) -> str:
    """Return the prefix of the ids of a file's checks: `shop/orders` for `shop/Orders.toml`."""
    parts = (slug(part) for part in relative.removesuffix(".toml").split("/"))
    return "/".join(part for part in parts if part)


def is_id(text: str) -> bool:
    """Return whether an explicit id is valid: letters, digits, `-`, `_` and `.` between slashes."""
    return bool(_EXPLICIT.fullmatch(text))


def matrix_cases(matrix: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return one table of values per combination, the last name varying fastest; one empty table without a matrix."""
    return [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())]


def case_suffix(case: Mapping[str, Any]) -> str:
    """Return the suffix of a case's id, such as `.a-x`; empty without a matrix."""
    slugs = [slug(_shown(value)) for value in case.values()]
    return "." + "-".join(filter(None, slugs)) if any(slugs) else ""


def case_label(case: Mapping[str, Any]) -> str:
    """Return the suffix of a case's name, such as ` [a, /x]`; empty without a matrix."""
    return f" [{', '.join(map(_shown, case.values()))}]" if case else ""


def row_name(row: Mapping[str, Any]) -> Any:
    """Return the value that names the case of a table: its `name`, else its first plain value; None without one."""
    plain = [value for value in (row.get("name"), *row.values()) if not isinstance(value, dict | list | NoneType)]
    return plain[0] if plain else None


def _shown(value: Any) -> str:
    return as_text(row_name(value) if isinstance(value, dict) else value)
