"""A SunSpec device that only measures: model 701 without its controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.errors import RefusedError
from agent.vehicles.field.dialogue import DeviceError, Dialogue
from agent.vehicles.field.limits import Limits
from agent.vehicles.field.readings import Readings
from agent.vehicles.field.sunspec.model import Device
from agent.vehicles.field.sunspec.readings import poll


@dataclass(slots=True)
class SunSpecMeter:
    """Reads the AC measurements of a device and orders nothing."""

    device: Device
    poll_s: float = 0.25
    limits: Limits = field(default_factory=lambda: Limits(0.0, 0.0))

    def __post_init__(self) -> None:
        if 701 not in self.device.models:
            raise DeviceError("the device has no SunSpec model 701")

    @property
    def cannot(self) -> tuple[str, ...]:
        """Everything but measuring."""
        return ("orders", "reactive power")

    @property
    def identity(self) -> tuple[str, str]:
        """Vendor and model."""
        return self.device.identity("Mn"), self.device.identity("Md")

    @property
    def periods_s(self) -> tuple[float, ...]:
        """One read group."""
        return (self.poll_s,)

    def prepare(self) -> Dialogue[float | None]:
        """Nothing has to be set up."""
        yield from ()
        return None

    def poll(self, groups: Sequence[int] = (0,)) -> Dialogue[Readings]:  # noqa: ARG002
        """Read what is measured."""
        readings, _ = yield from poll(self.device, {}, ())
        return readings

    def order(self, p_w: float, q_var: float = 0.0) -> Dialogue[None]:  # noqa: ARG002
        """Refuse.

        Raises:
            RefusedError: Always.
        """
        yield from ()
        raise RefusedError("a meter takes no orders")

    def keep_alive(self, p_w: float | None, q_var: float = 0.0) -> Dialogue[None]:  # noqa: ARG002
        """A meter needs no heartbeat."""
        yield from ()

    def stop(self) -> Dialogue[None]:
        """There is nothing to stop."""
        yield from ()
