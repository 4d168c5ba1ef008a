"""Reading the configuration again while the gateway runs: what changes, and who must start anew.

A worker reads its settings once, at its start, so it is started again when a section that it may
read differs. The control takes its own between two ticks and keeps its state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.config import Settings
from agent.messages import Role

FIXED: Final = frozenset({"gateway", "grid"})
"""Sections that name what the process stands on: folders, sockets, the nominal values."""
READERS: Final[Mapping[str, frozenset[Role]]] = {
    "control": frozenset(),
    "firewall": frozenset(),
    "process_bus": frozenset({Role.PROCESS_BUS}),
    "stations": frozenset({Role.STATIONS}),
    "field": frozenset({Role.FIELD}),
    "ied": frozenset({Role.IED}),
    "secc": frozenset({Role.SECC}),
    "utility": frozenset({Role.UTILITY}),
    "dispatch": frozenset({Role.UTILITY}),
    "ocpi": frozenset({Role.UTILITY}),
    "bus": frozenset({Role.BUS}),
    "fleet": frozenset({Role.BUS}),
    "hmi": frozenset({Role.HMI}),
    "history": frozenset({Role.HMI}),
    "metrics": frozenset({Role.HMI}),
}
"""Workers that read a section; every worker reads one that is not named here."""
_WORKERS: Final = frozenset(Role) - {Role.OPERATOR}


@dataclass(frozen=True, slots=True)
class Difference:
    """How new settings differ from those in force.

    Attributes:
        values: `section.key: old → new`, for the audit.
        fixed: Those of them that only a restart of the gateway changes.
        roles: Workers that must start anew.
    """

    values: tuple[str, ...]
    fixed: tuple[str, ...]
    roles: frozenset[Role]


def compare(old: Settings, new: Settings) -> Difference:
    """Return what is different in `new`."""
    changed = [name for name in _sections(old) if getattr(old, name) != getattr(new, name)]
    roles = [READERS.get(name, _WORKERS) for name in changed]
    return Difference(
        tuple(text for name in changed for text in _values(old, new, name)),
        tuple(text for name in changed if name in FIXED for text in _values(old, new, name)),
        frozenset().union(*roles),
    )


def _sections(settings: Settings) -> Iterator[str]:
    return (name for name in settings.__struct_fields__ if name != "path")


def _values(old: Settings, new: Settings, name: str) -> Iterator[str]:
    before, after = _plain(getattr(old, name)), _plain(getattr(new, name))
    for key, value in after.items():
        if before[key] != value:
            yield f"{name}.{key}: {before[key]} → {value}"


def _plain(section: object) -> dict[str, object]:
    """The keys of a section; the power profile is a dataclass."""
    if isinstance(section, msgspec.Struct):
        return msgspec.structs.asdict(section)
    names: tuple[str, ...] = getattr(type(section), "__slots__", ()) or tuple(vars(section))
    return {name: getattr(section, name) for name in names}
