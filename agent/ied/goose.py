"""GOOSE publishing of the IED's own data sets (IEC 61850-8-1 Ed. 2.1, 18.1).

`GooseState` is pure: it knows what to send and when. `GoosePublisher` owns the raw socket and the
thread. A change is sent at once, again after MinTime, then with doubling intervals up to MaxTime.
timeAllowedtoLive is twice the interval to the next message.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from loguru import logger
from open61850.data import IECData, StructureData
from open61850.goose import GoosePDU, encode_goose_frame

from agent.errors import ConfigurationError, Finding, UnavailableError
from agent.iec61850 import ObjectReference, Timestamp
from agent.ied.engines.open61850.types import to_data, utc_time
from agent.ied.port import Native
from agent.scl.live import DataAttribute, DataObject, GooseBlock, IedModel, Member
from agent.scl.references import mms_name

DEFAULT_MIN_MS: Final = 4
DEFAULT_MAX_MS: Final = 1000
_ST_NUM_LIMIT: Final = 1 << 32
_TAL_FACTOR: Final = 2

Read = Callable[[ObjectReference], Native]


@dataclass(frozen=True, slots=True)
class GooseHeader:
    """What every message of a control block carries, and where it goes."""

    gocb_ref: str
    dat_set: str
    go_id: str
    conf_rev: int
    dst: str
    appid: int
    vlan_id: int
    vlan_priority: int
    min_ms: int
    max_ms: int


class GooseState:
    """stNum, sqNum and the retransmission of one control block.

    Args:
        header: The control block.
        src: MAC address of the sending interface.
    """

    def __init__(self, header: GooseHeader, src: str) -> None:
        self._header = header
        self._src = src
        self._data: list[IECData] = []
        self._t = Timestamp(0)
        self._st_num = 0
        self._sq_num = 0
        self._interval_ms = header.max_ms
        self._repeated = False
        self.due_s = float("inf")

    def change(self, data: list[IECData], t: Timestamp, now_s: float) -> bool:
        """Take the data set's values; False when nothing has changed."""
        if data == self._data:
            return False
        self._data, self._t = data, t
        self._st_num = self._st_num % (_ST_NUM_LIMIT - 1) + 1
        self._sq_num = 0
        self._interval_ms = self._header.min_ms
        self._repeated = False
        self.due_s = now_s
        return True

    def frame(self, now_s: float) -> bytes | None:
        """The Ethernet frame that is due, and the time of the next; None while none is due."""
        if now_s < self.due_s:
            return None
        frame = self._encode()
        self._sq_num = self._sq_num % (_ST_NUM_LIMIT - 1) + 1
        self.due_s = max(now_s, self.due_s) + self._interval_ms / 1000
        if self._repeated:
            self._interval_ms = min(2 * self._interval_ms, self._header.max_ms)
        self._repeated = True
        return frame

    def _encode(self) -> bytes:
        head = self._header
        stamp = utc_time(self._t)
        pdu = GoosePDU(
            gocb_ref=head.gocb_ref,
            time_allowed_to_live=_TAL_FACTOR * self._interval_ms,
            dat_set=head.dat_set,
            go_id=head.go_id,
            timestamp=stamp.value,
            st_num=self._st_num,
            sq_num=self._sq_num,
            simulation=False,
            conf_rev=head.conf_rev,
            nds_com=False,
            num_dat_set_entries=len(self._data),
            all_data=self._data,
            time_quality=stamp.quality,
        )
        return encode_goose_frame(
            pdu,
            dst_mac=head.dst,
            src_mac=self._src,
            app_id=head.appid,
            vlan_id=head.vlan_id,
            vlan_priority=head.vlan_priority,
        )


class GoosePublisher:
    """Sends the GOOSE of every control block of a model.

    Args:
        model: The expanded IED.
        interface: Network interface.
        read: Present value of a leaf.

    Raises:
        ConfigurationError: A GSEControl has no data set or no address.
        UnavailableError: The interface does not exist or may not be used.
    """

    def __init__(self, model: IedModel, interface: str, read: Read) -> None:
        blocks = [
            block for device in model.devices for node in device.nodes for block in node.gooses
        ]
        headers = [goose_header(block) for block in blocks]
        findings = [finding for finding in headers if isinstance(finding, Finding)]
        if not blocks:
            findings.append(Finding("ied.goose_interface", "the SCL has no GSEControl of this IED"))
        if findings:
            raise ConfigurationError(tuple(findings))
        self._socket = _raw_socket(interface)
        src = self._socket.getsockname()[4].hex(":")
        self._read = read
        self._members = [block.data_set.members for block in blocks if block.data_set is not None]
        self._states = [
            GooseState(header, src) for header in headers if isinstance(header, GooseHeader)
        ]
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="goose", daemon=True)
        self.sent = 0

    def start(self) -> None:
        """Publish the present values."""
        self.refresh(Timestamp.from_utc_ns(time.time_ns()))
        self._thread.start()

    def stop(self) -> None:
        """Stop sending."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join(timeout=2)
        self._socket.close()

    def refresh(self, t: Timestamp) -> None:
        """Values may have changed: compare every data set, send what did."""
        values = [data_of(members, self._read) for members in self._members]
        with self._wake:
            now_s = time.monotonic()
            pairs = zip(self._states, values, strict=True)
            changed = sum(state.change(data, t, now_s) for state, data in pairs)
            if changed:
                self._wake.notify()

    def _run(self) -> None:
        with self._wake:
            while not self._stopped:
                now_s = time.monotonic()
                for state in self._states:
                    frame = state.frame(now_s)
                    if frame is not None:
                        self._send(frame)
                due_s = min((state.due_s for state in self._states), default=now_s + 1.0)
                self._wake.wait(max(0.0, due_s - time.monotonic()))

    def _send(self, frame: bytes) -> None:
        try:
            self._socket.send(frame)
            self.sent += 1
        except OSError as error:
            logger.warning("GOOSE cannot be sent: {}", error.strerror)


def goose_header(block: GooseBlock) -> GooseHeader | Finding:
    """The header of a control block, or what it lacks."""
    where = f"GSEControl {block.reference.acsi}"
    if block.data_set is None:
        return Finding(where, "has no data set")
    address = block.address
    if address is None or not address.address.get("MAC-Address"):
        return Finding(where, "has no address", "add GSE to the ConnectedAP")
    get = address.address.get
    data_set = block.data_set
    return GooseHeader(
        gocb_ref=mms_name(block.reference),
        dat_set=f"{data_set.reference.ld}/{data_set.reference.ln}${data_set.name}",
        go_id=block.control.app_id,
        conf_rev=block.control.conf_rev,
        dst=get("MAC-Address").replace("-", ":").lower(),
        appid=int(get("APPID") or "0", 16),
        vlan_id=int(get("VLAN-ID") or "0", 16),
        vlan_priority=int(get("VLAN-PRIORITY") or "4"),
        min_ms=address.min_time_ms or DEFAULT_MIN_MS,
        max_ms=address.max_time_ms or DEFAULT_MAX_MS,
    )


def data_of(members: Iterable[Member], read: Read) -> list[IECData]:
    """The values of a data set in the order and structure that GOOSE carries them."""
    return [_member_data(member.node, member.reference, read) for member in members if member.node]


def _member_data(
    node: DataObject | DataAttribute, reference: ObjectReference, read: Read
) -> IECData:
    if isinstance(node, DataAttribute) and not node.children:
        leaf = reference.with_fc(reference.fc or node.fc)
        return to_data(node.b_type, read(leaf))
    fc = reference.fc
    parts = [
        _member_data(child, reference.child(child.name), read)
        for child in node.children
        if isinstance(node, DataAttribute)
        or (isinstance(child, DataAttribute) and child.fc is fc)
        or (isinstance(child, DataObject) and next(child.leaves(fc), None) is not None)
    ]
    return StructureData(parts)


def _raw_socket(interface: str) -> socket.socket:
    try:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind((interface, 0))
    except OSError as error:
        hint = "needs CAP_NET_RAW" if isinstance(error, PermissionError) else "ip link"
        what = f"GOOSE cannot be sent on {interface}: {error.strerror} ({hint})"
        raise UnavailableError(what) from error
    return raw
