"""What members of a data set mean to the control: frequency, breaker, islanding, interlock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.iec61850 import Quality, Timestamp
from agent.messages import DigitalInput, Measurement, Message, Validity
from agent.processbus.goose.subscription import GooseSubscription
from agent.processbus.goose.values import BitString, Leaf, Scalar

GOOSE_HZ_UNCERTAINTY: Final = 0.01
"""Hz; a class P or M device over GOOSE says nothing about its own."""
_DBPOS_OFF: Final = 0b01
_DBPOS_ON: Final = 0b10
_ORDER: Final = (Validity.GOOD, Validity.HELD, Validity.QUESTIONABLE, Validity.INVALID)


class SignalKind(StrEnum):
    """The signals that are used."""

    HZ = "hz"
    BREAKER_CLOSED = "breaker_closed"
    ISLANDED = "islanded"
    INTERLOCK = "interlock"


@dataclass(frozen=True, slots=True)
class Signal:
    """Where a signal is among the basic values of a message; -1 where it has none.

    Attributes:
        value, quality, time: Positions of the value, its q and its t.
        inverted: A binary signal that means the opposite.
    """

    kind: SignalKind
    value: int
    quality: int = -1
    time: int = -1
    inverted: bool = False


class SignalReader:
    """Turns one subscription's messages into the control's inputs.

    Args:
        subscription: Where the values come from.
        signals: What to read.
        source: Name of the source in the messages.
        nominal_v: Stands for the voltage, which GOOSE frequency comes without.
    """

    def __init__(
        self,
        subscription: GooseSubscription,
        signals: tuple[Signal, ...],
        source: str,
        nominal_v: float,
    ) -> None:
        self.subscription = subscription
        self._signals = signals
        self._source = source
        self._nominal_v = nominal_v
        self._validity = Validity.INVALID
        self._before: dict[Signal, tuple[float, float]] = {}

    @property
    def trusted(self) -> bool:
        """Whether the message was good when it was last read."""
        return self._validity is Validity.GOOD

    def changed(self, now_s: float) -> bool:
        """Whether the message is trusted less or more than when it was last read."""
        return self.subscription.validity(now_s) is not self._validity

    def read(self, arrival_s: float, now_s: float) -> Iterator[Message]:
        """Yield every signal as it is now.

        Args:
            arrival_s: Monotonic arrival of the message that changed something, or now.
            now_s: Monotonic time.
        """
        values = self.subscription.values()
        trusted = self._validity = self.subscription.validity(now_s)
        for signal in self._signals:
            validity = _worst(trusted, _quality(values, signal.quality))
            t_utc_s = self._time(values, signal)
            value = values[signal.value].value if signal.value < len(values) else None
            if signal.kind is SignalKind.HZ:
                yield from self._frequency(signal, value, validity, t_utc_s, arrival_s, now_s)
            else:
                yield self._binary(signal, value, validity, t_utc_s, now_s)

    def _time(self, values: tuple[Leaf, ...], signal: Signal) -> float:
        if 0 <= signal.time < len(values):
            stamp = values[signal.time].value
            if isinstance(stamp, Timestamp):
                return stamp.t_utc_s
        return self.subscription.t_utc_s()

    def _frequency(
        self,
        signal: Signal,
        value: Scalar | None,
        validity: Validity,
        t_utc_s: float,
        arrival_s: float,
        now_s: float,
    ) -> Iterator[Measurement]:
        if not isinstance(value, float) or not math.isfinite(value) or not 0 < value < 100:
            return
        yield Measurement(
            source=self._source,
            t_utc_s=t_utc_s,
            f_hz=value,
            rocof_hz_s=self._rocof(signal, value, t_utc_s),
            v1_v=self._nominal_v,
            quality=validity,
            wire_s=arrival_s,
            published_s=now_s,
            uncertainty_hz=GOOSE_HZ_UNCERTAINTY,
        )

    def _rocof(self, signal: Signal, f_hz: float, t_utc_s: float) -> float:
        """Slope from the value before; 0 where there is none."""
        before_hz, before_s = self._before.get(signal, (f_hz, t_utc_s))
        if t_utc_s > before_s or signal not in self._before:
            self._before[signal] = (f_hz, t_utc_s)
        return (f_hz - before_hz) / (t_utc_s - before_s) if t_utc_s > before_s else 0.0

    def _binary(
        self,
        signal: Signal,
        value: Scalar | None,
        validity: Validity,
        t_utc_s: float,
        now_s: float,
    ) -> DigitalInput:
        state, known = _state(value)
        return DigitalInput(
            source=self._source,
            name=str(signal.kind),
            value=state is not signal.inverted,
            quality=validity if known else Validity.INVALID,
            t_utc_s=t_utc_s,
            published_s=now_s,
        )


def _state(value: Scalar | None) -> tuple[bool, bool]:
    """A boolean or a double point; the second says whether it is a definite state."""
    if isinstance(value, bool):
        return value, True
    if isinstance(value, BitString) and value.bits == 2 and value.octets:
        position = value.octets[0] >> 6
        return position == _DBPOS_ON, position in (_DBPOS_OFF, _DBPOS_ON)
    return False, False


def _quality(values: tuple[Leaf, ...], at: int) -> Validity:
    if not 0 <= at < len(values):
        return Validity.GOOD
    word = values[at].value
    if not isinstance(word, BitString) or len(word.octets) != 2:
        return Validity.INVALID
    quality = Quality.from_bit_string(word.octets)
    if quality.test:
        return Validity.INVALID
    name = quality.validity.name.lower()
    return Validity(name) if name in ("good", "questionable") else Validity.INVALID


def _worst(one: Validity, other: Validity) -> Validity:
    return max(one, other, key=_ORDER.index)
