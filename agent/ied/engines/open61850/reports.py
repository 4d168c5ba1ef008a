"""Reports: open61850's engine with the standard's answer to what it leaves open.

Corrected here (IEC 61850-7-2 Ed. 2.1, 17.2.3): SqNum starts at 0 with every enabling; an EntryID
that the buffer does not hold is refused, so that a client learns of its loss instead of missing
entries; a change of DatSet purges the buffer. A change finds its data set members through an
index rather than by comparing names.

Buffers are most of what this process ever allocates, and they fill while it runs. The instances of
one control block keep the same changes, so they share one entry: 1,000 entries of one value cost
about 150 kB, and memory is flat when they are there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from open61850.data import BoolData, IECData, OctetStringData, UIntData, encode_data
from open61850.mms.pdu import ObjectName
from open61850.mms.report import ReasonCode, TrgOps
from open61850.server import protocol
from open61850.server.model import Node
from open61850.server.reporting import ReportControl, ReportEngine
from open61850.server.server import MmsServer

from agent.ied.engines.open61850.entries import Entry
from agent.ied.port import AccessError

if TYPE_CHECKING:
    from open61850.server.reporting import _Entry

_ENTRY_OCTETS: Final = 8
_PURGING: Final = frozenset({"RptID", "DatSet", "BufTm", "TrgOps", "IntgPd"})
"""Attributes whose change empties the buffer (IEC 61850-7-2 Ed. 2.1, 17.2.3.2.2.1)."""


class Reports(ReportEngine):
    """The report control blocks of a server."""

    def __init__(self, server: MmsServer) -> None:
        self._covering: dict[Node, list[tuple[ObjectName, int]]] = {}
        self._by_data_set: dict[ObjectName, list[ReportControl]] = {}
        self._encoded: dict[ObjectName, bytes] = {}
        self._entries: dict[tuple[int, tuple[int, ...], bytes], _Entry] = {}
        self._trg_ops: dict[ReportControl, tuple[IECData | None, TrgOps]] = {}
        self._member_names: dict[ReportControl, tuple[IECData | None, list[ObjectName]]] = {}
        # An EntryID of an earlier life of this process must not name an entry of this one.
        self._last_entry = int(time.time()) << 24
        super().__init__(server)
        self._index_data_sets()
        server.write_hooks.insert(0, self._before_write)
        for block in self.controls.values():
            # Buffering starts with the server, not with the first client (7-2, 17.2.3.2.3.1).
            block.ever_enabled = True
            block.sent = self._last_entry
        self._resync: dict[ReportControl, int] = {}
        self._integrity_due: dict[ReportControl, float] = {}

    def _index_data_sets(self) -> None:
        for name, members in self.model.data_sets.items():
            for index, member in enumerate(members):
                node = self.model.node(member)
                for leaf in node.leaves() if node is not None else ():
                    self._covering.setdefault(leaf, []).append((name, index))

    def _before_write(
        self, _connection: object, name: ObjectName, value: IECData
    ) -> int | bool | None:
        parts = name.item.split("$")
        if len(parts) != 4 or parts[1] not in ("BR", "RP"):
            return None
        block = self.controls.get((name.domain or "", "$".join(parts[:3])))
        if block is None or block.held_by_other(_connection) or block.enabled:
            return None
        with self._lock, self.model.lock:
            return self._prepare(block, parts[3], value)

    def _prepare(self, block: ReportControl, attribute: str, value: IECData) -> int | None:
        """What must happen before the package takes a write to a block that is not enabled."""
        if attribute == "RptEna" and isinstance(value, BoolData) and value.value:
            if not block.members():
                return AccessError.TEMPORARILY_UNAVAILABLE
            block.set_attr("SqNum", UIntData(0))
            self._integrity_due.pop(block, None)
        elif attribute == "EntryID" and block.buffered and isinstance(value, OctetStringData):
            return self._resynchronise(block, value.value)
        elif attribute == "DatSet":
            if not self._is_data_set(value):
                return AccessError.VALUE_INVALID
            self._by_data_set.clear()
        elif attribute == "ConfRev":
            return AccessError.ACCESS_DENIED
        if attribute in _PURGING and block.buffered and block.attr(attribute) != value:
            block.purge()
        return None

    def _is_data_set(self, value: IECData) -> bool:
        domain, _, item = str(getattr(value, "value", "")).partition("/")
        return not domain or ObjectName(item, domain) in self.model.data_sets

    def _resynchronise(self, block: ReportControl, entry_id: bytes) -> int | None:
        if len(entry_id) != _ENTRY_OCTETS:
            return AccessError.TYPE_INCONSISTENT
        number = int.from_bytes(entry_id, "big")
        if number and all(entry.entry_id != number for entry in block.buffer):
            return AccessError.VALUE_INVALID
        self._resync[block] = number
        return None

    def _enabled(self, rcb: ReportControl) -> None:
        """Send what waits: after the client's EntryID, else after what was last sent."""
        start = self._resync.pop(rcb, rcb.sent)
        for entry in [entry for entry in rcb.buffer if entry.entry_id > start]:
            self._send(rcb, entry)
        self._schedule_integrity(rcb)

    def _schedule_integrity(self, rcb: ReportControl) -> None:
        """The next integrity report, a whole number of periods after the first one."""
        period_s = rcb._uint("IntgPd") / 1000
        if not period_s or not rcb.trg_ops().integrity:
            return
        now_s = time.monotonic()
        due_s = self._integrity_due.get(rcb, now_s) + period_s
        if due_s < now_s - 1.0:
            due_s = now_s + period_s
        self._integrity_due[rcb] = rcb.integrity_due = due_s

        def fire() -> None:
            if rcb.enabled and rcb.integrity_due == due_s:
                self._flush(rcb)
                self._report_all(rcb, ReasonCode(integrity=True))
                self._schedule_integrity(rcb)

        self._at(due_s, fire)

    def changed(self, leaves: list[Node]) -> None:
        """Report what changed together."""
        self._on_change(leaves)

    def _on_change(self, changed: list[Node]) -> None:
        with self._lock, self.model.lock:
            touched: dict[ObjectName, list[tuple[Node, int]]] = {}
            for leaf in changed:
                for name, index in self._covering.get(leaf, ()):
                    touched.setdefault(name, []).append((leaf, index))
            self._forget()
            for name, leaves in touched.items():
                for block in self._blocks_of(name):
                    if block.buffered or block.enabled:
                        self._gather(block, leaves)
            self._forget()

    def _forget(self) -> None:
        """Octets and entries are shared within one change only."""
        self._encoded.clear()
        self._entries.clear()

    def _blocks_of(self, name: ObjectName) -> list[ReportControl]:
        """The blocks that report a data set; looked up anew after a client changed DatSet."""
        if not self._by_data_set:
            for block in self.controls.values():
                domain, _, item = str(getattr(block.attr("DatSet"), "value", "")).partition("/")
                self._by_data_set.setdefault(ObjectName(item, domain), []).append(block)
        return self._by_data_set.get(name, [])

    def _gather(self, block: ReportControl, leaves: list[tuple[Node, int]]) -> None:
        wanted = self._wanted(block)
        reasons: dict[int, ReasonCode] = {}
        for leaf, index in leaves:
            data = "dchg" in leaf.triggers and wanted.data_change
            quality = "qchg" in leaf.triggers and wanted.quality_change
            update = "dupd" in leaf.triggers and wanted.data_update
            if data or quality or update:
                before = reasons.get(index)
                reasons[index] = ReasonCode(
                    data_change=data or (before is not None and before.data_change),
                    quality_change=quality or (before is not None and before.quality_change),
                    data_update=update or (before is not None and before.data_update),
                )
        if reasons:
            self._add(block, reasons)

    def _add(self, rcb: ReportControl, reasons: dict[int, ReasonCode]) -> None:
        if rcb.enabled and rcb._uint("BufTm"):
            super()._add(rcb, reasons)
        else:
            self._deliver(rcb, self._new_entry(rcb, reasons))

    def _report_all(self, rcb: ReportControl, reason: ReasonCode) -> None:
        self._forget()
        super()._report_all(rcb, reason)

    def _new_entry(
        self,
        rcb: ReportControl,
        reasons: dict[int, ReasonCode],
        values: dict[int, IECData | int] | None = None,
    ) -> _Entry:
        """An entry; blocks of one data set share that of one change for the same reasons."""
        members = self._members_of(rcb)
        indexes = tuple(sorted(reasons))
        coded = b"".join([_reason_octets(reasons[index]) for index in indexes])
        if values is not None:
            octets = b"".join([protocol.access_results([values[index]]) for index in indexes])
            return self._entry(indexes, octets, coded)
        key = (id(members), indexes, coded)
        entry = self._entries.get(key)
        if entry is None:
            octets = b"".join([self._octets(members[index]) for index in indexes])
            entry = self._entries[key] = self._entry(indexes, octets, coded)
        return entry

    def _entry(self, indexes: tuple[int, ...], values: bytes, reasons: bytes) -> _Entry:
        """The next entry; EntryIDs rise through the whole server, so they are unique in a block."""
        self._last_entry += 1
        return cast("_Entry", Entry.now(self._last_entry, indexes, values, reasons))

    def _octets(self, member: ObjectName) -> bytes:
        octets = self._encoded.get(member)
        if octets is None:
            octets = self._encoded[member] = protocol.access_results([self.model.read(member)])
        return octets

    def _wanted(self, block: ReportControl) -> TrgOps:
        """TrgOps of a block, decoded once for every value it takes."""
        value = block.node.children["TrgOps"].value
        known = self._trg_ops.get(block)
        if known is None or known[0] is not value:
            known = self._trg_ops[block] = (value, block.trg_ops())
        return known[1]

    def _members_of(self, block: ReportControl) -> list[ObjectName]:
        value = block.node.children["DatSet"].value
        known = self._member_names.get(block)
        if known is None or known[0] is not value:
            known = self._member_names[block] = (value, block.members())
        return known[1]

    def run_later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call `action` on the report thread after a delay."""
        with self._lock:
            self._at(time.monotonic() + delay_s, action)


@functools.cache
def _reason_octets(reason: ReasonCode) -> bytes:
    return bytes(encode_data(reason.to_bitstring()))
