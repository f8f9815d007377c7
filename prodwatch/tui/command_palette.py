"""Command palette: all active key bindings, named `area: verb` after their ids, and the themes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

_EXCLUDED = frozenset(("app.palette", "list.up", "list.down", "list.page-up", "list.page-down"))
"""Bindings left out: moving the cursor needs no palette."""
NAME_CELLS = 34


class Command(NamedTuple):
    """One entry of the palette."""

    name: str
    keys: str
    run: IgnoreReturnCallbackType


class Commands(Provider):
    """Offers the bindings that are active on the screen below."""

    def _entries(self) -> Iterator[Command]:
        seen: set[str] = set()
        for active in self.screen.active_bindings.values():
            binding_id = active.binding.id
            if not binding_id or binding_id in seen or not active.enabled or binding_id in _EXCLUDED:
                continue
            seen.add(binding_id)
            yield Command(command_name(active), self.app.get_key_display(active.binding), partial(self._run, active))
        for name in sorted(self.app.available_themes):
            yield Command(f"theme: {name}", "", partial(self._set_theme, name))

    async def _run(self, active: ActiveBinding) -> None:
        await self.app.run_action(active.binding.action, active.node)

    def _set_theme(self, name: str) -> None:
        self.app.theme = name

    async def discover(self) -> Hits:
        """Yield all entries, by name."""
        for entry in sorted(self._entries()):
            yield DiscoveryHit(_shown(Content(entry.name), entry.keys), entry.run, text=entry.name)

    async def search(self, query: str) -> Hits:
        """Yield matching entries with their scores."""
        matcher = self.matcher(query)
        for entry in self._entries():
            score = matcher.match(entry.name)
            if score > 0:
                shown = _shown(matcher.highlight(entry.name), entry.keys)
                yield Hit(score, shown, entry.run, text=entry.name)


def _shown(name: Content, keys: str) -> Content:
    return Content.assemble(name, " " * max(2, NAME_CELLS - name.cell_length), (keys, "dim"))


def command_name(active: ActiveBinding) -> str:
    """Return `area: verb` of a binding with an id."""
    area = (active.binding.id or "").partition(".")[0]
    return f"{area}: {active.binding.description}"
