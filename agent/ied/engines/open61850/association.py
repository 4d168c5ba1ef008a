"""One client's association: open61850's, made safe and aware of who the client is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from loguru import logger
from open61850 import ber
from open61850.mms import pdu
from open61850.mms.errors import MmsProtocolError
from open61850.mms.transport import IsoConnection
from open61850.server import protocol
from open61850.server.server import MmsServer, ServerConnection

from agent.ied.port import Right, Session

if TYPE_CHECKING:
    from collections.abc import Callable

_INVALID_ARGUMENT: Final = 5
_SERVICE_STATUS: Final = 0
_CLASS_RESOURCE: Final = 3
_CLASS_ACCESS: Final = 7
_OTHER: Final = 0
_ACCESS_DENIED: Final = 3
_SERVICE_OF: Final = {
    pdu.SERVICE_READ: Right.READ,
    pdu.SERVICE_GET_NAME_LIST: Right.VIEW,
    pdu.SERVICE_GET_VARIABLE_ACCESS_ATTRIBUTES: Right.VIEW,
    pdu.SERVICE_GET_NAMED_VARIABLE_LIST_ATTRIBUTES: Right.VIEW,
}


class Association(ServerConnection):
    """A client that the front admitted.

    The package lets some exceptions of malformed requests end the connection, and sends answers
    longer than the negotiated PDU; here the first become a Reject and the second an error.
    """

    def __init__(
        self,
        server: MmsServer,
        iso: IsoConnection,
        session: Session,
        refused: Callable[[Session, str], None],
    ) -> None:
        super().__init__(server, iso, (session.address, session.port))
        self.session = session
        self._refused = refused
        self.thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """IP address of the client, as RCBs show it in Owner."""
        return self.session.address

    def send(self, mms_pdu: bytes) -> None:
        """Send one PDU; an answer that the client could not take becomes an error."""
        if len(mms_pdu) > self.pdu_size:
            mms_pdu = _too_long(mms_pdu)
        super().send(mms_pdu)

    def _handle(self, mms_pdu: bytes) -> bool:
        try:
            return super()._handle(mms_pdu)
        except (OSError, MmsProtocolError):
            raise
        except Exception as error:  # the peer's input, whatever it does inside the package
            logger.debug("{}: request refused: {!r}", self.session, error)
            self.after_response.clear()
            self.send(protocol.reject(_invoke_id(mms_pdu), reason=1, code=_INVALID_ARGUMENT))
            return True

    def _service(self, request: protocol.ConfirmedRequest) -> bytes:
        needed = _SERVICE_OF.get(request.service, Right.NONE)
        if needed and not self.session.rights & needed:
            self._refused(self.session, f"service {request.service} needs {needed.name}")
            return protocol.confirmed_error(request.invoke_id, _CLASS_ACCESS, _ACCESS_DENIED)
        if request.service == _SERVICE_STATUS:
            return protocol.confirmed_response(request.invoke_id, _SERVICE_STATUS, _STATUS)
        return super()._service(request)


_STATUS: Final = ber.encode_tlv(0x80, b"\x00") + ber.encode_tlv(0x81, b"\x00")
"""vmdLogicalStatus state-changes-allowed, vmdPhysicalStatus operational (ISO 9506-2)."""


def _too_long(mms_pdu: bytes) -> bytes:
    outer = ber.decode_tlv(mms_pdu)
    if outer.tag != pdu.TAG_CONFIRMED_RESPONSE:
        return mms_pdu
    invoke = ber.decode_tlv(outer.value)
    return protocol.confirmed_error(ber.decode_unsigned(invoke.value), _CLASS_RESOURCE, _OTHER)


def _invoke_id(mms_pdu: bytes) -> int | None:
    try:
        return ber.decode_unsigned(ber.decode_tlv(ber.decode_tlv(mms_pdu).value).value)
    except (ber.BerError, ValueError):
        return None
