"""`agent.ied.port.Engine` on libiec61850.

The library listens on a loopback port of its own; the front connects to it for every client it
admits. A connection that is not the front's has no rights at all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from loguru import logger

from agent.errors import ConfigurationError, UnavailableError
from agent.iec61850 import FC, ObjectReference
from agent.ied.engines.capability import shows_owner
from agent.ied.engines.libiec61850 import library as c
from agent.ied.engines.libiec61850.controls import NativeControls
from agent.ied.engines.libiec61850.groups import NativeGroups
from agent.ied.engines.libiec61850.model import NativeModel, lacks
from agent.ied.engines.libiec61850.values import Handle, Values
from agent.ied.port import (
    AccessError,
    AddCause,
    Decider,
    EngineOptions,
    Native,
    Right,
    Session,
)
from agent.ied.values import check_value, initial_value
from agent.scl.live import IedModel

MAX_ASSOCIATIONS: Final = 5
"""Compiled into the wheel."""
_LOOPBACK: Final = "127.0.0.1"
_ASKED: Final = (FC.SP, FC.CF)
_POLICY_CODES: Final = (2, 3, 4, 5, 7, 10)
"""FunctionalConstraint of the library: SP, SV, CF, DC, SE, BL."""
_STRANGER: Final = Session(0, "unknown", 0, rights=Right.NONE)


class Libiec61850Engine:
    """Serves the model with libiec61850 in its own threads."""

    max_associations = MAX_ASSOCIATIONS

    def __init__(self, model: IedModel, options: EngineOptions) -> None:
        findings = lacks(model)
        if findings:
            raise ConfigurationError(tuple(findings))
        self._lib = c.Library()
        self._values = Values(self._lib)
        self._model = NativeModel(self._lib, model)
        self._options = options
        self._owner = shows_owner(model)
        self._decider: Decider | None = None
        self._server: Handle = 0
        self._port = 0
        self._expected: dict[str, Session] = {}
        self._sessions: dict[Handle, Session] = {}
        self._kept: list[Any] = []
        self._lock = threading.Lock()
        self._controls: NativeControls | None = None
        self._groups: NativeGroups | None = None

    def start(self, decider: Decider) -> None:
        """Create the server and listen on loopback."""
        self._decider = decider
        lib = self._lib
        config = self._configure()
        self._server = lib.IedServer_createWithConfig(self._model.handle, None, config)
        lib.IedServerConfig_destroy(config)
        identity = self._options.identity
        lib.IedServer_setServerIdentity(
            self._server,
            *(text.encode() for text in (identity.vendor, identity.model, identity.revision)),
        )
        self._handle_clients()
        self._handle_writes()
        self._handle_files()
        self._controls = NativeControls(lib, self._server, self._model, decider, self.session)
        self._groups = NativeGroups(self, lib, self._server, self._model, decider, self.session)
        lib.IedServer_setLocalIpAddress(self._server, _LOOPBACK.encode())
        self._port = _free_port()
        lib.IedServer_start(self._server, self._port)
        if not lib.IedServer_isRunning(self._server):
            raise UnavailableError(f"libiec61850 cannot listen on {_LOOPBACK}:{self._port}")

    def stop(self) -> None:
        """End the server; the library frees its connections."""
        if self._server:
            self._lib.IedServer_stop(self._server)
            self._lib.IedServer_destroy(self._server)
            self._lib.IedModel_destroy(self._model.handle)
            self._server = 0

    def connect(self, session: Session) -> socket.socket:
        """A loopback connection whose port the library reports back with every request."""
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.bind((_LOOPBACK, 0))
        with self._lock:
            self._expected[f"{_LOOPBACK}:{stream.getsockname()[1]}"] = session
        stream.settimeout(2.0)
        stream.connect((_LOOPBACK, self._port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def update(self, values: Iterable[tuple[ObjectReference, Native]]) -> None:
        """Change values under the library's lock; its reports follow when it is released."""
        lib = self._lib
        lib.IedServer_lockDataModel(self._server)
        try:
            self.put(values)
        finally:
            lib.IedServer_unlockDataModel(self._server)

    def put(self, values: Iterable[tuple[ObjectReference, Native]]) -> None:
        """Change values where the library holds its lock already."""
        lib = self._lib
        for reference, value in values:
            handle = self._model.attributes[reference]
            made = self._values.make(self._model.leaves[reference].b_type, value)
            lib.IedServer_updateAttributeValue(self._server, handle, made)
            lib.MmsValue_delete(made)

    def read(self, reference: ObjectReference) -> Native:
        """Present value of a leaf; never takes the library's lock, which is not recursive."""
        handle = self._model.attributes[reference]
        if not self._server:
            return initial_value(self._model.leaves[reference])
        value = self._lib.IedServer_getAttributeValue(self._server, handle)
        return self._values.read(self._model.leaves[reference].b_type, value)

    def finish(self, serial: int, cause: AddCause | None) -> None:
        """End an order in execution."""
        if self._controls is not None:
            self._controls.finish(serial, cause)

    def select_group(self, device: str, group: int) -> None:
        """Activate a setting group."""
        if self._groups is not None:
            self._groups.select(device, group)

    def set_group_values(
        self, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> None:
        """Set values of one group."""
        if self._groups is not None:
            self._groups.set(device, group, values)

    def session(self, connection: Handle | None) -> Session:
        """Who a connection of the library is; a stranger has no rights."""
        return self._sessions.get(connection or 0, _STRANGER)

    def _configure(self) -> Handle:
        lib, options = self._lib, self._options
        config = lib.IedServerConfig_create()
        lib.IedServerConfig_setEdition(config, c.EDITION_2)
        lib.IedServerConfig_setReportBufferSize(config, options.report_buffer_bytes)
        lib.IedServerConfig_setMaxMmsConnections(config, MAX_ASSOCIATIONS)
        lib.IedServerConfig_enableDynamicDataSetService(config, options.dynamic_data_sets)
        lib.IedServerConfig_enableFileService(config, options.file_store is not None)
        if options.file_store is not None:
            lib.IedServerConfig_setFileServiceBasePath(config, options.file_store.encode())
        lib.IedServerConfig_enableOwnerForRCB(config, self._owner)
        lib.IedServerConfig_enableLogService(config, False)
        lib.IedServerConfig_useIntegratedGoosePublisher(config, False)
        return int(config)

    def _handle_clients(self) -> None:
        def connected(_server: Handle, connection: Handle, up: bool, _parameter: object) -> None:
            address = (self._lib.ClientConnection_getPeerAddress(connection) or b"").decode()
            if not up:
                self._sessions.pop(connection, None)
                return
            with self._lock:
                session = self._expected.pop(address, None)
            if session is None:
                logger.warning("{} reached the MMS engine past the front: no rights", address)
            self._sessions[connection] = session or _STRANGER

        def read(
            _ld: Handle, _ln: Handle, _do: Handle, _fc: int, connection: Handle, _parameter: object
        ) -> int:
            permitted = self.session(connection).rights & Right.READ
            return c.ACCESS_SUCCESS if permitted else AccessError.ACCESS_DENIED

        handler, reader = c.ConnectionHandler(connected), c.ReadHandler(read)
        self._kept += [handler, reader]
        self._lib.IedServer_setConnectionIndicationHandler(self._server, handler, None)
        self._lib.IedServer_setReadAccessHandler(self._server, reader, None)

    def _handle_files(self) -> None:
        """Files are read, never changed.

        The library does not say whose request it is. So files are shown only while every client
        that is connected may see them.
        """

        def access(
            _parameter: object, _connection: Handle, service: int, _file: bytes, _other: bytes
        ) -> int:
            permitted = all(s.rights & Right.FILES for s in list(self._sessions.values()))
            return 0 if permitted and service in c.FILE_READS else c.FILE_ACCESS_DENIED

        handler = c.FileHandler(access)
        self._kept.append(handler)
        mms = self._lib.IedServer_getMmsServer(self._server)
        self._lib.MmsServer_installFileAccessHandler(mms, handler, None)

    def _handle_writes(self) -> None:
        """Ask the IED for those leaves alone that it ever lets a client write.

        The library denies the others by itself; it looks handlers up in a list, so that one for
        every leaf would take minutes on a large model.
        """
        lib, decider = self._lib, self._decider
        numbered = [
            reference
            for reference in self._model.attributes
            if reference.fc is FC.SE
            or (
                reference.fc in _ASKED and decider is not None and decider.may_be_written(reference)
            )
        ]

        def write(_attribute: Handle, value: Handle, connection: Handle, parameter: int) -> int:
            try:
                return self._write(numbered[parameter - 1], value, connection)
            except Exception:
                logger.exception("a write handler failed")
                return AccessError.HARDWARE_FAULT

        handler = c.WriteHandler(write)
        self._kept.append(handler)
        for code in _POLICY_CODES:
            lib.IedServer_setWriteAccessPolicy(self._server, code, c.POLICY_DENY)
        for number, reference in enumerate(numbered, start=1):
            handle = self._model.attributes[reference]
            lib.IedServer_handleWriteAccess(self._server, handle, handler, number)

    def _write(self, reference: ObjectReference, value: Handle, connection: Handle) -> int:
        session = self.session(connection)
        decider = self._decider
        if decider is None or not session.rights & Right.SETTING:
            return AccessError.ACCESS_DENIED
        leaf = self._model.leaves[reference]
        native = self._values.read(leaf.b_type, value)
        refusal = check_value(leaf, native)
        if refusal is None and reference.fc is not FC.SE:
            refusal = decider.check_write(session, reference, native)
        return c.ACCESS_SUCCESS if refusal is None else refusal


def _free_port() -> int:
    """A port that is free now; the library cannot be asked for the one it was given."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
