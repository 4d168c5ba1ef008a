"""Presence conditions of the namespaces (IEC 61850-7-7, presence condition kinds)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Protocol


class Conditional(Protocol):
    """Something that the namespace puts a presence condition on."""

    @property
    def presence(self) -> str:
        """Kind of the condition."""
        ...

    @property
    def argument(self) -> str:
        """What the condition refers to: a sibling's name or a group number."""
        ...


def problems(members: Mapping[str, Conditional], present: AbstractSet[str]) -> Iterator[str]:
    """What is wrong with a set of members, one sentence each.

    Conditions that depend on text of the standard or on services (MOcond, MFsubst, MOsbo and the
    like) cannot be decided from names and are not judged here.

    Args:
        members: Every member that the class knows, with its condition.
        present: Names that exist; for a multiple member the name without its number.
    """
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, member in members.items():
        if member.presence in _GROUPED:
            for group in (member.argument or "1").replace(" ", "").split(","):
                groups[member.presence][group].append(name)
        else:
            sentence = _single(name, member, present)
            if sentence:
                yield sentence
    for presence, grouped in groups.items():
        yield from _GROUPED[presence](grouped, present)


def _single(name: str, member: Conditional, present: AbstractSet[str]) -> str:
    """M, F and conditions on one other member: mandatory or forbidden with or without it."""
    here, other = name in present, member.argument
    kind = member.presence.replace("multi", "")
    with_other = other in present
    mandatory = kind == "M" or (kind in ("MF", "MO") and other and with_other)
    forbidden = kind == "F" or (kind in ("MF", "OF") and other and not with_other)
    if kind == "MOrootLD":
        mandatory = "GrRef" not in present
    if mandatory and not here:
        reason = f" beside {other}" if other else ""
        return f"{name} is mandatory{reason} and missing"
    if forbidden and here:
        reason = f" without {other}" if other else ""
        return f"{name} is not allowed{reason}"
    return ""


Groups = Mapping[str, list[str]]


def _at_least_one(groups: Groups, present: AbstractSet[str]) -> Iterator[str]:
    for names in groups.values():
        if not any(name in present for name in names):
            yield f"one of {', '.join(names)} is mandatory and all are missing"


def _at_most_one(groups: Groups, present: AbstractSet[str]) -> Iterator[str]:
    for names in groups.values():
        found = [name for name in names if name in present]
        if len(found) > 1:
            yield f"only one of {', '.join(found)} is allowed"


def _all_or_none(groups: Groups, present: AbstractSet[str]) -> Iterator[str]:
    for names in groups.values():
        missing = [name for name in names if name not in present]
        if missing and len(missing) < len(names):
            yield f"{', '.join(missing)} is missing; {', '.join(names)} belong together"


def _one_complete(groups: Groups, present: AbstractSet[str]) -> Iterator[str]:
    if not any(all(name in present for name in names) for names in groups.values()):
        choices = " or ".join(", ".join(names) for names in groups.values())
        yield f"{choices} is mandatory and missing"


def _only_one_group(groups: Groups, present: AbstractSet[str]) -> Iterator[str]:
    used = [group for group, names in groups.items() if any(name in present for name in names)]
    if len(used) > 1:
        names = [name for group in used for name in groups[group] if name in present]
        yield f"{', '.join(names)} exclude each other"
    else:
        yield from _one_complete(groups, present)


_GROUPED: Final[dict[str, Callable[[Groups, AbstractSet[str]], Iterator[str]]]] = {
    "AtLeastOne": _at_least_one,
    "AtMostOne": _at_most_one,
    "AllOrNonePerGroup": _all_or_none,
    "MAllOrNonePerGroup": _all_or_none,
    "AllAtLeastOneGroup": _one_complete,
    "AllOnlyOneGroup": _only_one_group,
}
