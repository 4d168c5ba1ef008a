"""A mapping file as typed records.

A file has one `[[device]]` table for every kind of logical device, with its values (message →
IED), controls and settings (IED → `ControlRequest`). Every key is checked; limits stand in the
field types.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from agent.messages import RequestKind

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the records of a mapping file."""


class ValueRow(Row, frozen=True, kw_only=True):
    """One value that messages carry to the IED.

    Attributes:
        object: Data object or attribute below the logical device, ``MMXU1.TotW`` or
            ``DESE1.EVSENam.vendor``; ``*`` in the node name stands for a number.
        field: Field of the messages, ``status.p_w``; see `agent.mapping.fields`.
        scale, offset: The IED shows ``field * scale + offset``.
        deadband: Least change of an analogue magnitude in the IED's unit; 0 reports every
            change. A `db` attribute of the model, in 0.001 % of `range`, takes precedence.
        range: Full scale for `db`, in the IED's unit.
        unit: Unit the IED shows, for the reader and the documentation.
        values: Texts of an enumerated field and the ordinals the IED shows.
    """

    object: Text
    field: Text
    scale: float = 1.0
    offset: float = 0.0
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    range: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    unit: str = ""
    values: dict[str, int] = {}


class ControlRow(Row, frozen=True, kw_only=True):
    """One controllable object and the request that an operate of it becomes.

    Attributes:
        object: The data object below the logical device.
        request: Kind of the `ControlRequest`.
        scale: The request's value is ``ctlVal * scale`` (watts from the IED's unit).
        setting: `setting` of the request; what a mode or setting request names.
        low, high: Limits of ctlVal; `high_field`, `low_field` name a field that limits it too.
        lease: Attribute of the node that holds the lease in seconds (``RvrtTms``), or empty.
        values: Ordinals of an enumerated control that are allowed, and the texts they become.
    """

    object: Text
    request: RequestKind
    scale: float = 1.0
    setting: str = ""
    low: float | None = None
    high: float | None = None
    low_field: str = ""
    high_field: str = ""
    lease: str = ""
    values: dict[str, str] = {}


class Conversion(StrEnum):
    """How a setting of the model becomes one of the control; f_n is the nominal frequency."""

    PLAIN = "plain"
    """The same number, times `scale`."""
    HZ_ABOVE_NOMINAL = "hz-above-nominal"
    """A frequency above nominal as its distance from nominal (DHFW.HzStr → deadband)."""
    HZ_BELOW_NOMINAL = "hz-below-nominal"
    """A frequency below nominal as its distance (DLFW.HzStr)."""
    DROOP_OF_GRADIENT = "droop-of-gradient"
    """A gradient in % of rated power a Hz as droop in per unit: 100 / (gradient · f_n)."""
    MILLISECONDS = "milliseconds"
    """An integer of milliseconds as seconds."""


class SettingRow(Row, frozen=True, kw_only=True):
    """One setting (FC SP or SG) that SCADA may write.

    Attributes:
        object: Data object or attribute below the logical device.
        setting: Name of the control's setting, as `Snapshot.settings` has it.
        conversion: From the model's value to the control's.
        low, high: Limits of the model's value.
    """

    object: Text
    setting: Text
    conversion: Conversion = Conversion.PLAIN
    scale: float = 1.0
    low: float | None = None
    high: float | None = None


class DeviceMap(Row, frozen=True, kw_only=True):
    """The mapping of one kind of logical device.

    Attributes:
        inst: Instance name of the logical device, ``*`` for any number: ``EVSE*``.
        scope: What one such device stands for: the gateway, one EVSE, or a group of them.
    """

    inst: Text
    scope: Literal["gateway", "evse", "group"]
    value: tuple[ValueRow, ...] = ()
    control: tuple[ControlRow, ...] = ()
    setting: tuple[SettingRow, ...] = ()


class Mapping(Row, frozen=True, kw_only=True):
    """One mapping file.

    Attributes:
        name: What it maps, for people.
        file: Path it was read from.
    """

    name: Text
    device: tuple[DeviceMap, ...] = ()
    file: str = ""
