"""The base of all messages, and what every link begins and lives with."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from agent.messages.words import Role

PROTOCOL_VERSION: Final = 2


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Base of all messages; `key` says which older message a newer one replaces."""

    _key_fields: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Identity for latest-value-wins: the type and its identifying fields."""
        return (type(self), *(getattr(self, name) for name in self._key_fields))


class Hello(Message, frozen=True):
    """First message on every link."""

    role: Role
    pid: int
    name: str = ""
    version: int = PROTOCOL_VERSION


class Heartbeat(Message, frozen=True):
    """A worker is alive; sent at least every second, with its counters."""

    name: str
    mono_s: float
    counters: dict[str, float] = msgspec.field(default_factory=dict)
