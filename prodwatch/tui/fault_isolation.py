"""What breaks in one place is logged, said and left behind: the app lives, and no traceback meets the user."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual.events import Compose, Mount
from textual.message import Message
from textual.message_pump import MessagePump

RETRY_FRAMES = 50
"""Frames a widget that broke is left alone: five seconds at the usual pace."""


@runtime_checkable
class Keeper(Protocol):
    """The app, as far as broken parts are concerned."""

    def keep_alive(self, error: Exception, where: MessagePump) -> None:
        """Log and say what broke; the app goes on."""
        ...


class Survivor(MessagePump):
    """Goes on with its next message when one could not be handled; Textual would end the app."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            keeper = self.app
            if isinstance(message, Compose | Mount) or not isinstance(keeper, Keeper):
                raise  # half a widget is worse than none: the app decides
            keeper.keep_alive(error, self)


def in_one_sentence(error: Exception, log_file: str | None) -> str:
    """Return what broke and where to read more, for somebody who has never seen the code."""
    where = f"; the log file says where: {log_file}" if log_file else ""
    return f"{type(error).__name__}: {error}{where}"
