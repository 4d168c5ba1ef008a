"""From what the control sees of each EVSE to transactions of a charging station."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec
from loguru import logger

from agent.messages import EvseView
from agent.utility.csms.journal import Journal
from agent.utility.csms.records import Happening, Record, Transaction, meter_of

MOVING_W: Final = 50.0
"""Below this power a vehicle counts as not charging."""
UNPLUGGED_S: Final = 3.0
"""A vehicle that is gone for less has only renegotiated."""
STATE_S: Final = 10.0
"""Changes of the charging state are told at most this often for one EVSE."""


class Transactions:
    """Follows the EVSEs; every start, change and end goes to the journal before anything else.

    Args:
        journal: Where they are kept.
        interval_s: Between two meter values of one EVSE.
    """

    def __init__(self, journal: Journal, interval_s: float) -> None:
        self.interval_s = interval_s
        self.running = journal.transactions()
        self.numbers = journal.numbers()
        self.online = False
        self._journal = journal
        self._states: dict[int, str] = {}
        self._told_s: dict[int, float] = {}
        self._gone_s: dict[int, float] = {}
        self._entries: list[tuple[Record, Transaction | None]] = []

    def number_of(self, evse_id: str) -> int:
        """Return the EVSE's number towards the CSMS."""
        known = self.numbers.get(evse_id)
        if known is None:
            known = self.numbers[evse_id] = self._journal.number_of(evse_id)
        return known

    def follow(self, views: Iterable[EvseView], mono_s: float, utc_s: float) -> bool:
        """Take the fleet as it is; return whether anything was written.

        What the disk did not take stays in memory and is tried again the next time.
        """
        try:
            for view in views:
                self._follow(view, mono_s, utc_s)
            if not self._entries:
                return False
            self._journal.append(self._entries)
        except sqlite3.Error as error:
            logger.error("transaction messages cannot be kept: {}", error)
            return False
        self._entries = []
        return True

    def report(self, view: EvseView, utc_s: float, trigger: str = "Trigger") -> None:
        """Have the next `follow` write a meter value of an EVSE (TriggerMessage)."""
        number = self.number_of(view.evse_id)
        if number in self.running:
            self._add(Happening.UPDATED, number, view, utc_s, trigger)

    def _follow(self, view: EvseView, mono_s: float, utc_s: float) -> None:
        status = view.status
        if not status.online:
            return  # nobody knows; it goes on until the station says otherwise
        number = self.number_of(view.evse_id)
        running = self.running.get(number)
        if running is None:
            if status.plugged:
                self._start(number, view, mono_s, utc_s)
        elif status.plugged:
            self._gone_s.pop(number, None)
            self._update(number, view, mono_s, utc_s)
        elif mono_s - self._gone_s.setdefault(number, mono_s) >= UNPLUGGED_S:
            del self._gone_s[number]
            self._add(Happening.ENDED, number, view, utc_s, "EVDeparted")

    def _start(self, number: int, view: EvseView, mono_s: float, utc_s: float) -> None:
        name = f"{number}-{int(utc_s):x}-{secrets.token_hex(4)}"
        token = view.status.ev_id
        self.running[number] = Transaction(number, name, utc_s, token=token)
        self._told_s[number] = mono_s
        self._add(Happening.STARTED, number, view, utc_s, "CablePluggedIn")

    def _update(self, number: int, view: EvseView, mono_s: float, utc_s: float) -> None:
        # After a restart the meter values are spread, not sent all at once.
        spread_s = self.interval_s * (number % 61) / 61.0
        told_s = self._told_s.setdefault(number, mono_s - spread_s)
        changed = _state_of(view) != self._states.get(number, _state_of(view))
        if mono_s - told_s >= self.interval_s or (changed and mono_s - told_s >= STATE_S):
            self._told_s[number] = mono_s
            trigger = "ChargingStateChanged" if changed else "MeterValuePeriodic"
            self._add(Happening.UPDATED, number, view, utc_s, trigger)

    def _add(
        self, happening: Happening, number: int, view: EvseView, utc_s: float, trigger: str
    ) -> None:
        running = self.running[number]
        ended = happening is Happening.ENDED
        self._states[number] = state = "Idle" if ended else _state_of(view)
        record = Record(
            happening=happening,
            evse=number,
            transaction_id=running.transaction_id,
            seq_no=running.next_seq_no,
            trigger=trigger,
            charging_state=state,
            meter=meter_of(view.status, view.ordered_w, utc_s),
            token=running.token,
            offline=not self.online,
            stopped_reason="EVDisconnected" if ended else "",
        )
        after = msgspec.structs.replace(running, next_seq_no=running.next_seq_no + 1)
        if ended:
            del self.running[number]
            self._told_s.pop(number, None)
            self._states.pop(number, None)
        else:
            self.running[number] = after
        self._entries.append((record, None if ended else after))


def _state_of(view: EvseView) -> str:
    """ChargingStateEnumType; a vehicle that feeds back is `Charging` as well (2.1, Q01)."""
    moving = abs(view.status.p_w or 0.0) >= MOVING_W
    return "Charging" if moving else "SuspendedEVSE"
