"""States and productions: what the grammars are made of (EXI 1.0, clause 8.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.exi.datatypes import QName, Value

TEXT: Final = "value"
"""Key under which the text of an element with attributes is shown."""


class Type:
    """Grammar of one type: a plain value, or states that begin with `start`."""

    __slots__ = ("_make", "_start", "plain")

    def __init__(self, plain: Value | None, make: Callable[[], State]) -> None:
        self.plain = plain
        self._make = make
        self._start: State | None = None

    @property
    def start(self) -> State:
        """The first state, made when it is first entered."""
        if self._start is None:
            self._start = self._make()
        return self._start


@dataclass(slots=True, eq=False)
class Production:
    """One event that a state permits.

    Attributes:
        name: Attribute or element name; `TEXT` for characters.
        qname: The same with its namespace; None for characters, which belong to their element.
        type: Grammar of an element; None for attributes and characters, which have a `value`.
        field_width: Bits of Characters, value and End Element of an element whose value has a
            fixed width; 0 for everything else.
        repeated: The element may occur several times: its values are shown as a list.
        next: The state after this event; None until `enter` was called.
    """

    name: str
    code: int
    qname: QName | None
    value: Value | None
    type: Type | None
    repeated: bool
    _make: Callable[[], State]
    field_width: int = 0
    next: State | None = None

    def __post_init__(self) -> None:
        if self.type is not None and self.value is not None and self.value.width >= 0:
            self.field_width = self.value.width + 2

    def enter(self) -> State:
        """Return the state after this event, made when it is first entered."""
        self.next = self._make()
        return self.next


@dataclass(slots=True, eq=False)
class State:
    """What may follow at one point.

    Attributes:
        width: Bits of an event code.
        productions: By event code; None where a code is reserved (wildcard).
        end: Event code of End Element; -1 where the element is not complete.
    """

    width: int
    productions: tuple[Production | None, ...]
    end: int

    @property
    def expected(self) -> str:
        """Names that may follow, for error messages."""
        names = [production.name for production in self.productions if production]
        return ", ".join(names[:8]) or "the end"
