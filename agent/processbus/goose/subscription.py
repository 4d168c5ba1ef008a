"""One GOOSE subscription: what is expected, what came, and how far it may be trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from agent.messages import SubscriptionHealth, Validity
from agent.processbus.ethernet import Header
from agent.processbus.frames import UNTAGGED, VLAN_ID
from agent.processbus.goose.pdu import GooseMessage
from agent.processbus.goose.sequence import Sequence, Verdict
from agent.processbus.goose.values import DataTag, Leaf

LONGEST_LIFE_S: Final = 60.0
"""A message lives no longer than this, whatever it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GooseExpectation:
    """What the SCL says about a control block; what it does not say is not checked.

    Attributes:
        control_block: gocbRef. `dat_set`, `go_id`: as messages carry them, empty for any.
        appid, vlan_id: -1 for any; a frame without a tag passes any `vlan_id`.
        destination: Multicast address, empty for any.
        conf_rev: -1 for any.
        types: Type of each basic value, None where the SCL leaves a choice; empty for any.
        members: Number of data set members, 0 for any.
        longest_life_s: Longest time to live that is believed.
    """

    control_block: str
    dat_set: str = ""
    go_id: str = ""
    appid: int = -1
    vlan_id: int = -1
    destination: bytes = b""
    conf_rev: int = -1
    types: tuple[frozenset[DataTag] | None, ...] = ()
    members: int = 0
    longest_life_s: float = LONGEST_LIFE_S


@dataclass(slots=True)
class GooseCounters:
    """What became of the messages of one control block."""

    messages: int = 0
    taken: int = 0
    lost: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class GooseSubscription:
    """Follows one control block. Time is an argument: monotonic seconds.

    Args:
        expected: From the SCL.
        simulation: LPHD.Sim at the start: simulated messages count, and hide the real ones once
            they come.
    """

    def __init__(self, expected: GooseExpectation, simulation: bool = False) -> None:
        self.expected = expected
        self.counters = GooseCounters()
        self._simulation = simulation
        self._sequence = Sequence()
        self._simulated: Sequence | None = None
        self._sources: dict[bool, tuple[bytes, float]] = {}
        """Address and end of life of the real and of the simulated publisher: a test set has
        its own."""
        self._nds_com = False
        self._conf_rev = 0
        self._reason = "no message yet"

    def simulate(self, accept: bool) -> None:
        """Take simulated messages from now on, or only real ones."""
        self._simulation = accept
        if not accept:
            self._simulated = None

    def take(
        self, header: Header, message: GooseMessage, now_s: float, utc_ns: int | None
    ) -> Verdict | None:
        """Take one message.

        Args:
            header: Of its frame.
            message: Whose gocbRef is this subscription's.
            now_s: Monotonic time of its arrival.
            utc_ns: UTC now, None while this machine's clock is not to be trusted.

        Returns:
            What it is; None if it was refused before its counters were looked at.
        """
        self.counters.messages += 1
        self._conf_rev = message.conf_rev
        reason = self._objection(header, message, now_s)
        if reason:
            self._reject(reason)
            return None
        sequence = self._sequence_for(message)
        before = sequence.message
        live_s = min(message.time_allowed_to_live_s, self.expected.longest_life_s)
        verdict = sequence.judge(message, now_s, live_s, utc_ns)
        if not verdict.taken:
            self.counters.rejected[str(verdict)] += 1
            self._reason = str(verdict)
            return verdict
        self.counters.taken += 1
        self._reason = ""
        self._sources[message.simulation] = (header.source, now_s + live_s)
        if before is not None and before.st_num == message.st_num:
            self.counters.lost += message.sq_num - before.sq_num - 1
        return verdict

    def _objection(self, header: Header, message: GooseMessage, now_s: float) -> str:
        """Why a message is refused; empty if it is not."""
        expected = self.expected
        vlan_id = UNTAGGED if header.vlan == UNTAGGED else header.vlan & VLAN_ID
        self._nds_com = message.nds_com
        checks = (
            (expected.appid in (-1, header.appid), "APPID"),
            (expected.destination in (b"", header.destination), "destination address"),
            (expected.vlan_id == -1 or vlan_id in (UNTAGGED, 0, expected.vlan_id), "VLAN"),
            (expected.dat_set in ("", message.dat_set), "datSet"),
            (expected.go_id in ("", message.go_id), "goID"),
            (expected.conf_rev in (-1, message.conf_rev), "confRev"),
            (not message.nds_com, "ndsCom"),
            (message.st_num > 0, "stNum 0"),
            (message.time_allowed_to_live_s > 0, "timeAllowedtoLive 0"),
            (self._fits(message), "data set"),
            (self._simulation or not message.simulation, "simulation"),
            (not self._other_source(header, message.simulation, now_s), "source address"),
        )
        return next((reason for good, reason in checks if not good), "")

    def _fits(self, message: GooseMessage) -> bool:
        expected = self.expected
        if expected.members not in (0, message.members):
            return False
        if not expected.types:
            return True
        return len(message.values) == len(expected.types) and all(
            types is None or leaf.tag in types
            for leaf, types in zip(message.values, expected.types, strict=True)
        )

    def _other_source(self, header: Header, simulated: bool, now_s: float) -> bool:
        """A second address is refused while the first is alive, and as long again."""
        source, until_s = self._sources.get(simulated, (header.source, 0.0))
        return source != header.source and now_s < until_s + self.expected.longest_life_s

    def _sequence_for(self, message: GooseMessage) -> Sequence:
        if not message.simulation:
            return self._sequence
        if self._simulated is None:
            self._simulated = Sequence()
        return self._simulated

    def _reject(self, reason: str) -> None:
        self.counters.rejected[reason] += 1
        self._reason = reason

    @property
    def _active(self) -> Sequence:
        """Simulated messages hide the real ones once there are any (IEC 61850-7-1, 7.8)."""
        return self._simulated or self._sequence

    def values(self) -> tuple[Leaf, ...]:
        """Return the newest values taken, none before the first."""
        message = self._active.message
        return message.values if message else ()

    def t_utc_s(self) -> float:
        """Return when the state began, UTC."""
        message = self._active.message
        return message.t.t_utc_s if message else 0.0

    def validity(self, now_s: float) -> Validity:
        """Return how far the newest values may be trusted now."""
        sequence = self._active
        if sequence.message is None:
            return Validity.INVALID
        if now_s < sequence.conflict_until_s:
            return Validity.INVALID
        if not sequence.alive(now_s) or not sequence.confirmed:
            return Validity.QUESTIONABLE
        if sequence.message.t.quality.clock_failure:
            return Validity.QUESTIONABLE
        return Validity.GOOD

    def expiry_s(self) -> float:
        """Return when the newest message stops being valid; infinity without one."""
        return self._active.end_s

    def health(self, now_s: float) -> SubscriptionHealth:
        """Return the state that LGOS shows."""
        sequence = self._active
        message = sequence.message
        alive = sequence.alive(now_s)
        reason = self._reason
        if message is not None and not alive:
            reason = "time to live expired"
        if now_s < sequence.conflict_until_s:
            reason = "two publishers"
        return SubscriptionHealth(
            control_block=self.expected.control_block,
            kind="goose",
            alive=alive,
            nds_com=self._nds_com,
            simulated=self._simulated is not None,
            conf_rev=max(self.expected.conf_rev, 0),
            rx_conf_rev=self._conf_rev,
            last_st_num=message.st_num if message else 0,
            frames=self.counters.messages,
            lost=self.counters.lost,
            rejected=self.counters.rejected.total(),
            reason=reason,
        )
