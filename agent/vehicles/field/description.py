"""A device as data: the registers of one type of meter, analyser or inverter, out of a TOML file.

`mappings/devices/*.toml` are such files; docs/field-devices.md explains every key. What is wrong
with a file is told at once and completely, with file and key.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from agent.config.sections import Section, read_section
from agent.config.toml_lines import key_lines, line_of
from agent.errors import ConfigurationError, Finding
from agent.vehicles.field.dialogue import MAX_READ, Table
from agent.vehicles.field.readings import INPUTS, QUANTITIES
from agent.vehicles.field.registers import SIZES, Encoding, Kind, encoding

SUNSPEC: Final = "sunspec"
"""The `type` of a device that describes itself."""
COMMANDS: Final = {"p_set_w": "W", "q_set_var": "var", "enable": "", "heartbeat": ""}
"""What may be written, and its unit."""

Address = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NumberKind = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
TableName = Literal["holding", "input"]


class Value(Section, frozen=True, kw_only=True):
    """`[[value]]`: one number that is read."""

    quantity: str
    address: Address
    """As on the wire, counted from 0."""
    type: NumberKind
    unit: str
    """Of the number after `scale`."""
    scale: float = 1.0
    """Factor to the unit; negative where the device counts import as positive."""
    group: str = "fast"
    table: TableName | None = None
    words: Literal["big", "little"] | None = None
    absent: int | None = None
    """Raw value that means that there is none."""

    def check(self) -> list[tuple[str, str, str]]:
        """The quantity is known and the unit is its unit."""
        if self.quantity not in QUANTITIES:
            return [("quantity", f"{self.quantity!r} is not known", ", ".join(QUANTITIES))]
        if self.unit != QUANTITIES[self.quantity]:
            hint = f"scale it to {QUANTITIES[self.quantity]}"
            return [("unit", f"is {self.unit!r}", hint)]
        return [("scale", "must not be 0", "")] if self.scale == 0 else []


class Input(Section, frozen=True, kw_only=True):
    """`[[input]]`: one bit that is read."""

    quantity: str
    address: Address
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0
    table: Literal["holding", "input", "discrete"] = "discrete"
    active: Literal[0, 1] = 1
    """State of the bit in which the quantity is true; 0 for a normally closed contact."""
    group: str = "fast"

    def check(self) -> list[tuple[str, str, str]]:
        """The quantity is known; a discrete input is one bit."""
        if self.quantity not in INPUTS:
            return [("quantity", f"{self.quantity!r} is not known", ", ".join(INPUTS))]
        if self.table == "discrete" and self.bit:
            return [("bit", "a discrete input has one bit", "use its own address")]
        return []


class Command(Section, frozen=True, kw_only=True):
    """`[[command]]`: one register that is written."""

    quantity: str
    address: Address
    type: NumberKind
    unit: str = ""
    scale: float = 1.0
    words: Literal["big", "little"] | None = None
    low: float = -float("inf")
    """Smallest value that may be written, in `unit`. `high`: the largest."""
    high: float = float("inf")
    read_back: bool = True
    """Read after writing; another value than the one written refuses the order."""

    def check(self) -> list[tuple[str, str, str]]:
        """The quantity is known, its unit fits, the range is one."""
        if self.quantity not in COMMANDS:
            return [("quantity", f"{self.quantity!r} is not known", ", ".join(COMMANDS))]
        if self.unit != COMMANDS[self.quantity]:
            return [("unit", f"is {self.unit!r}", f"{COMMANDS[self.quantity]!r} is meant")]
        if self.scale == 0:
            return [("scale", "must not be 0", "")]
        return [] if self.low < self.high else [("low", "must be below high", "")]


class Description(Section, frozen=True, kw_only=True):
    """One device file."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    source: Annotated[str, msgspec.Meta(min_length=1)]
    """Where these registers are published: document, edition, page."""
    table: TableName = "holding"
    words: Literal["big", "little"] = "big"
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=MAX_READ)] = MAX_READ
    """Most that the device gives in one answer."""
    max_gap: Annotated[int, msgspec.Meta(ge=0, le=MAX_READ)] = 8
    """Registers between two values that are read with them rather than in a request more."""
    pace_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    """Least time between two requests."""
    frequency_uncertainty_hz: Positive = 0.1
    """Standard uncertainty of its frequency: resolution and accuracy class together."""
    reversion_s: Annotated[float, msgspec.Meta(gt=0, le=5)] | None = None
    """It goes to zero by itself when nothing was written for so long; needed for orders."""
    groups: dict[str, Positive] = msgspec.field(default_factory=lambda: {"fast": 0.5})
    """Read groups and how often each is read, in seconds."""
    value: tuple[Value, ...] = ()
    input: tuple[Input, ...] = ()
    command: tuple[Command, ...] = ()

    def check(self) -> list[tuple[str, str, str]]:
        """Nothing is given twice, groups exist, registers do not overlap in part."""
        return [*self._twice(), *self._groups(), *self._overlaps(), *self._control()]

    def encoding_of(self, item: Value | Command) -> Encoding:
        """Return how an item lies in its registers."""
        absent = item.absent if isinstance(item, Value) else None
        return encoding(Kind(item.type), item.words or self.words, absent)

    def table_of(self, item: Value | Input) -> Table:
        """Return the table that an item lies in."""
        return Table(item.table or self.table)

    def command_for(self, quantity: str) -> Command | None:
        """Return the command of a quantity, if the device has it."""
        return next((each for each in self.command if each.quantity == quantity), None)

    def _twice(self) -> Iterator[tuple[str, str, str]]:
        for key, items in (("value", self.value), ("input", self.input), ("command", self.command)):
            names = [item.quantity for item in items]
            for at, name in enumerate(names):
                if name in names[:at]:
                    yield f"{key}[{at}]", f"{name} is given twice", ""

    def _groups(self) -> Iterator[tuple[str, str, str]]:
        known = ", ".join(self.groups)
        placed = [(f"value[{at}]", item.group) for at, item in enumerate(self.value)]
        placed += [(f"input[{at}]", item.group) for at, item in enumerate(self.input)]
        for key, group in placed:
            if group not in self.groups:
                yield f"{key}.group", f"there is no group {group!r}", known

    def _overlaps(self) -> Iterator[tuple[str, str, str]]:
        spans = sorted(
            (self.table_of(v), v.address, v.address + SIZES[Kind(v.type)], v.quantity, at)
            for at, v in enumerate(self.value)
        )
        for one, other in pairwise(spans):
            if one[0] == other[0] and other[1] < one[2] and one[1:3] != other[1:3]:
                what = f"{one[3]} and {other[3]} overlap"
                hint = f"{one[3]} fills the registers {one[1]} to {one[2] - 1}"
                yield f"value[{other[4]}]", what, hint

    def _control(self) -> Iterator[tuple[str, str, str]]:
        if self.command_for("p_set_w") is not None and self.reversion_s is None:
            hint = "a device that goes on without its gateway must not be ordered"
            yield "reversion_s", "is needed for p_set_w", hint
        if not (self.value or self.input):
            yield "value", "nothing is read", ""


def load_description(path: Path) -> Description:
    """Return the checked description of a device type.

    Raises:
        ConfigurationError: With every finding: file, line, key and register.
    """
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        raise ConfigurationError((Finding(where, f"cannot be read: {error}"),)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error
    description, findings = read_section(Description, document, "")
    if description is None:
        lines = key_lines(text)
        raise ConfigurationError(
            tuple(_placed(finding, str(path), lines, document) for finding in findings)
        )
    return description


def parse_description(document: Mapping[str, Any], where: str) -> Description:
    """Return the checked description in a TOML document.

    Raises:
        ConfigurationError: With every finding.
    """
    description, findings = read_section(Description, document, where)
    if description is None:
        raise ConfigurationError(tuple(findings))
    return description


def _placed(
    finding: Finding, file: str, lines: dict[str, int], document: Mapping[str, Any]
) -> Finding:
    """Return a finding with its line in the file, and the register that it is about."""
    key = finding.where.removeprefix(".")
    line = line_of(lines, key)
    where = f"{file}:{line}" if line else file
    return Finding(f"{where}: {key}{_register(document, key)}", finding.what, finding.hint)


def _register(document: Mapping[str, Any], key: str) -> str:
    found = re.match(r"(value|input|command)\[(\d+)\]", key)
    if found is None:
        return ""
    item = document[found[1]][int(found[2])]
    if not isinstance(item, Mapping) or not isinstance(item.get("address"), int):
        return ""
    return f" (register {item['address']})"


def shipped_folder() -> Path:
    """Return the shipped device files: beside the package, or under the prefix's share."""
    beside = Path(__file__).resolve().parents[3] / "mappings" / "devices"
    share = Path(sys.prefix) / "share" / "v2g-agent" / "mappings" / "devices"
    return beside if beside.is_dir() else share


def find_description(kind: str, folders: tuple[Path, ...]) -> Description:
    """Return the description called `kind`: a file's path, or its name in one of the folders.

    Raises:
        ConfigurationError: There is none, or it cannot be used.
    """
    return load_description(description_path(kind, folders))


def description_path(kind: str, folders: tuple[Path, ...]) -> Path:
    """Return the file of the description called `kind`.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if kind.endswith(".toml"):
        return Path(kind)
    for folder in folders:
        if (path := folder / f"{kind}.toml").is_file():
            return path
    known = sorted(path.stem for folder in folders for path in folder.glob("*.toml"))
    hint = f"there are: {', '.join([SUNSPEC, *known])}"
    raise ConfigurationError((Finding(str(folders[0]), f"no device type {kind!r}", hint),))
