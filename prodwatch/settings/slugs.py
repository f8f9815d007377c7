"""Names people write become ids machines keep: stable slugs, unfolded matrices."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from prodwatch.settings.template_filters import as_text

_EXPLICIT = re.compile(r"[\w.-]+(?:/[\w.-]+)*")


def slug(text: str) -> str:
    """Return `text` in lower case with everything but letters, digits and marks of any script as single dashes."""
    folded = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(each if unicodedata.category(each)[0] in "LNM" else " " for each in folded)
    return "-".join(kept.split())


def file_prefix(relative: str) -> str:
    """Return what ids of a file's checks begin with: `shop/orders` of `shop/Orders.toml`."""
    parts = (slug(part) for part in relative.removesuffix(".toml").split("/"))
    return "/".join(part for part in parts if part)


def is_id(text: str) -> bool:
    """Return whether an id written by hand can be used: letters, digits, `-`, `_` and `.` between slashes."""
    return bool(_EXPLICIT.fullmatch(text))


def cases(matrix: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return one table of values per combination, the last name varying fastest; one empty table without matrix."""
    return [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())]


def case_suffix(case: Mapping[str, Any]) -> str:
    """Return what a case adds to its check's id: `.a-x`; nothing without matrix."""
    slugs = [slug(as_text(value)) for value in case.values()]
    return "." + "-".join(filter(None, slugs)) if any(slugs) else ""


def case_label(case: Mapping[str, Any]) -> str:
    """Return what a case adds to its check's name: ` [a, /x]`; nothing without matrix."""
    return f" [{', '.join(as_text(value) for value in case.values())}]" if case else ""
