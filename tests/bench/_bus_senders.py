"""Gateways in raw NATS protocol, many to a process: `python _bus_senders.py` is not called by hand.

A sender has to cost less than the broker that it measures, so there is no client library here:
plain sockets, one epoll, acknowledgements counted and not parsed.
"""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import struct
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

PAYLOAD = 230
"""Bytes of an ESSReadingProfile with three voltages."""
FILLER = bytes(PAYLOAD - 8)
SLOTS = 50
"""The gateways of a process send in so many groups, spread over the period."""
LATE_ACKNOWLEDGEMENT_S = 20.0
_CONNECT = b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB %b 1\r\n'
_HEADER = (
    b"NATS/1.0\r\nNats-Msg-Id: %b:%d\r\nNats-Expected-Last-Sequence: %d\r\n"
    b"V2G-Sequence: %d\r\nV2G-Previous: %d\r\n\r\n"
)


@dataclass
class Sent:
    """What one process did.

    Attributes:
        messages: Written.
        stored: Acknowledged by JetStream. `refused`: refused by it.
        late: Slots that began more than a period late: the process could not keep up.
        cpu_s: User and system time while it sent.
        took_s: From the first message to the last.
    """

    messages: int = 0
    stored: int = 0
    refused: int = 0
    late: int = 0
    cpu_s: float = 0.0
    took_s: float = 0.0


class Gateway:
    """One connection with a stream of its own."""

    def __init__(self, port: int, mrid: bytes, subject: bytes) -> None:
        self.mrid, self.subject = mrid, subject
        self.inbox = b"_INBOX." + mrid.replace(b"-", b"")
        self.seq = 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_CONNECT % self.inbox)

    def send(self) -> None:
        """Publish one message in the chain that `agent.utility.bus.jetstream` sends."""
        before, self.seq = self.seq, self.seq + 1
        header = _HEADER % (self.mrid, self.seq, before, self.seq, before)
        size = len(header)
        line = b"HPUB %b %b %d %d\r\n" % (self.subject, self.inbox, size, size + PAYLOAD)
        stamp = struct.pack("d", time.monotonic())
        self.socket.sendall(b"".join((line, header, stamp, FILLER, b"\r\n")))


class Senders:
    """The gateways of one process."""

    def __init__(self, port: int, names: list[tuple[bytes, bytes]]) -> None:
        self.gateways = [Gateway(port, mrid, subject) for mrid, subject in names]
        self.by_fd = {each.socket.fileno(): each.socket for each in self.gateways}
        self.poll = select.epoll()
        for fd in self.by_fd:
            self.poll.register(fd, select.EPOLLIN)
        self.sent = Sent()

    def run(self, began_s: float, hertz: float, rounds: int) -> Sent:
        """Send `rounds` messages a gateway from `began_s` on, evenly; return what was done."""
        period_s = 1.0 / hertz
        cpu_s = _cpu_s()
        for number in range(rounds):
            for slot in range(SLOTS):
                due_s = began_s + (number + slot / SLOTS) * period_s
                self.listen(due_s)
                self.sent.late += time.monotonic() > due_s + period_s
                for gateway in self.gateways[slot::SLOTS]:
                    gateway.send()
                    self.sent.messages += 1
        self.sent.took_s = time.monotonic() - began_s
        self.sent.cpu_s = _cpu_s() - cpu_s
        end_s = time.monotonic() + LATE_ACKNOWLEDGEMENT_S
        while self.sent.stored + self.sent.refused < self.sent.messages:
            if time.monotonic() > end_s:
                break
            self.listen(time.monotonic() + 0.05)
        return self.sent

    def listen(self, until_s: float) -> None:
        """Count acknowledgements until the time is over."""
        while True:
            rest_s = until_s - time.monotonic()
            for fd, _ in self.poll.poll(max(0.0, rest_s)):
                data = self.by_fd[fd].recv(65_536)
                self.sent.stored += data.count(b'"seq":')
                self.sent.refused += data.count(b'"error":')
                if b"PING\r\n" in data:
                    self.by_fd[fd].sendall(b"PONG\r\n")
            if rest_s <= 0.0:
                return

    def close(self) -> None:
        """Close every connection."""
        self.poll.close()
        for each in self.by_fd.values():
            with contextlib.suppress(OSError):
                each.close()


def work(
    port: int, names: list[tuple[bytes, bytes]], hertz: float, rounds: int, pipe: Connection
) -> None:
    """Connect, say so, wait for the instant to begin, send, and return a `Sent`."""
    senders = Senders(port, names)
    senders.listen(time.monotonic() + 0.2)  # the broker's greetings
    pipe.send("ready")
    pipe.send(senders.run(pipe.recv(), hertz, rounds))
    senders.close()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
