"""JSON Schema files that `satisfies` names: read once, from inside the project only."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from prodwatch.probes.failures import UnusableError
from prodwatch.probes.project_files import inside


class JsonSchemas:
    """Parsed schema files of one project."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._loaded: dict[str, Any] = {}

    def load(self, name: str) -> Any:
        """Return the parsed file `name`, which starts at the project root; OSError or ValueError otherwise."""
        if name not in self._loaded:
            try:
                path = inside(self._root, name)
            except UnusableError as error:
                raise ValueError(str(error)) from error
            self._loaded[name] = json.loads(path.read_bytes(), parse_float=Decimal)
        return self._loaded[name]
