"""The MMS server without a listener: the front hands it connected streams."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from open61850.mms.transport import TransportError
from open61850.server import protocol
from open61850.server.model import IedModel as ServedModel
from open61850.server.server import MmsServer

from agent.ied.engines.open61850.association import Association
from agent.ied.port import Identity, Session


class Server(MmsServer):
    """Serves every stream that `adopt` gives it, each in a thread of its own."""

    def __init__(
        self,
        model: ServedModel,
        identity: Identity,
        report_buffer_bytes: int,
        refused: Callable[[Session, str], None],
    ) -> None:
        super().__init__(
            model,
            vendor=identity.vendor,
            model_name=identity.model,
            revision=identity.revision,
            report_buffer_bytes=report_buffer_bytes,
        )
        self._refused = refused

    def adopt(self, stream: socket.socket, session: Session) -> None:
        """Serve a client on a connected stream."""
        thread = threading.Thread(
            target=self._serve_session,
            args=(stream, session),
            name=f"mms-{session.number}",
            daemon=True,
        )
        thread.start()

    def _serve_session(self, stream: socket.socket, session: Session) -> None:
        try:
            iso = protocol.accept_cotp(stream)
        except (TransportError, OSError, ValueError, IndexError):
            stream.close()
            return
        association = Association(self, iso, session, self._refused)
        with self._lock:
            self.connections.append(association)
        association.serve()
