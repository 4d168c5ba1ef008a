"""Carries OCPP calls between the stations' workers and the utility worker, both ways.

The control reads none of it: what orders power never passes here (the stations' worker refuses
it), it comes as a `ControlRequest`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from agent.link import Hub, Peer
from agent.messages import Role, StationAnswer, StationCall

REMEMBERED: Final = 20_000
"""Calls that may wait for their answer; the oldest are forgotten."""

Passing = tuple[Peer, StationCall | StationAnswer]


class Passage:
    """Routes calls to whom they are for, and each answer to whoever asked.

    Args:
        hub: The links.
        reaches: Returns the process that reaches a station, by the station's identity.
    """

    def __init__(self, hub: Hub, reaches: Callable[[str], Peer | None]) -> None:
        self._hub = hub
        self._reaches = reaches
        self._asking: OrderedDict[str, Peer] = OrderedDict()

    def carry(self, passing: Iterable[Passing]) -> None:
        """Send each message on; a call that reaches nobody is answered with an error."""
        for peer, message in passing:
            if isinstance(message, StationAnswer):
                self._answer(message)
            elif self._is_allowed(peer, message) and not self._call(peer, message):
                where = "no CSMS" if message.from_station else "the station is not connected"
                answer = StationAnswer(message.request_id, message.station, error=where)
                self._hub.send(peer, answer)

    def _is_allowed(self, peer: Peer, call: StationCall) -> bool:
        role = Role.STATIONS if call.from_station else Role.UTILITY
        return peer.hello is not None and peer.hello.role is role

    def _call(self, peer: Peer, call: StationCall) -> bool:
        self._remember(call.request_id, peer)
        if call.from_station:
            return self._hub.send_role(Role.UTILITY, call) > 0
        owner = self._reaches(call.station)
        return owner is not None and self._hub.send(owner, call)

    def _answer(self, answer: StationAnswer) -> None:
        asking = self._asking.pop(answer.request_id, None)
        if asking is not None:
            self._hub.send(asking, answer)

    def _remember(self, request_id: str, peer: Peer) -> None:
        self._asking[request_id] = peer
        if len(self._asking) > REMEMBERED:
            self._asking.popitem(last=False)
