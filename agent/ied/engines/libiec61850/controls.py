"""Control services of the libiec61850 engine: the library's state machine, our decisions."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable
from typing import Any

from loguru import logger

from agent.iec61850 import FC, BasicType, ObjectReference
from agent.ied.control_model import CtlModel
from agent.ied.engines.libiec61850 import library as c
from agent.ied.engines.libiec61850.model import NativeModel
from agent.ied.engines.libiec61850.values import Handle, Values
from agent.ied.port import AddCause, ControlOrder, Decider, Right, Session, Stage, whole

_PENDING = object()


class NativeControls:
    """Check and control handlers of every controllable object.

    The library calls the control handler again and again until it no longer says that it waits;
    the outcome of the order is left for it in `_results`.
    """

    def __init__(
        self,
        library: c.Library,
        server: Handle,
        model: NativeModel,
        decider: Decider,
        session: Callable[[Handle | None], Session],
    ) -> None:
        self._lib = library
        self._server = server
        self._model = model
        self._decider = decider
        self._session = session
        self._values = Values(library)
        self._serials = itertools.count(1)
        self._running: dict[ObjectReference, int] = {}
        self._results: dict[int, object] = {}
        self._lock = threading.Lock()
        self._kept: list[Any] = []
        for target, (handle, kind) in model.objects.items():
            self._install(target, handle, kind)

    def finish(self, serial: int, cause: AddCause | None) -> None:
        """Leave the outcome for the library's next call."""
        with self._lock:
            if serial in self._results:
                self._results[serial] = cause

    def _install(self, target: ObjectReference, handle: Handle, kind: BasicType) -> None:
        def check(action: Handle, _parameter: object, value: Handle, test: bool, _il: bool) -> int:
            try:
                return self._check(target, kind, action, value, test)
            except Exception:
                logger.exception("a check handler failed")
                return c.CONTROL_DENIED

        def control(action: Handle, _parameter: object, value: Handle, test: bool) -> int:
            try:
                return self._control(target, kind, action, value, test)
            except Exception:
                logger.exception("a control handler failed")
                return c.RESULT_FAILED

        handlers = (c.CheckHandler(check), c.ControlHandler(control))
        self._kept.append(handlers)
        self._lib.IedServer_setPerformCheckHandler(self._server, handle, handlers[0], None)
        self._lib.IedServer_setControlHandler(self._server, handle, handlers[1], None)

    def _order(
        self, target: ObjectReference, kind: BasicType, action: Handle, value: Handle, test: bool
    ) -> ControlOrder:
        lib = self._lib
        size = ctypes.c_int(0)
        octets = lib.ControlAction_getOrIdent(action, ctypes.byref(size))
        stage = Stage.SELECT if lib.ControlAction_isSelect(action) else Stage.OPERATE
        return ControlOrder(
            target,
            self._values.control_value(kind, value),
            self._session(lib.ControlAction_getClientConnection(action)),
            stage,
            next(self._serials),
            lib.ControlAction_getOrCat(action),
            ctypes.string_at(octets, size.value) if octets else b"",
            lib.ControlAction_getCtlNum(action),
            test,
            lib.ControlAction_getInterlockCheck(action),
            lib.ControlAction_getSynchroCheck(action),
        )

    def _check(
        self, target: ObjectReference, kind: BasicType, action: Handle, value: Handle, test: bool
    ) -> int:
        order = self._order(target, kind, action, value, test)
        cause: AddCause | None = AddCause.NO_ACCESS_AUTHORITY
        if order.session.rights & Right.CONTROL:
            cause = self._decider.check_control(order)
        if cause is None:
            return c.CONTROL_ACCEPTED
        self._decider.audit(order.session, "refused", f"{order.stage} {target}: {cause.name}")
        self._lib.ControlAction_setAddCause(action, int(cause))
        return c.CONTROL_DENIED

    def _control(
        self, target: ObjectReference, kind: BasicType, action: Handle, value: Handle, test: bool
    ) -> int:
        serial = self._running.get(target)
        if serial is None:
            order = self._order(target, kind, action, value, test)
            with self._lock:
                self._results[order.serial] = _PENDING
            cause = self._decider.execute(order)
            if cause is not None:
                return self._end(order.serial, action, cause)
            if not self._is_enhanced(target):
                return self._end(order.serial, action, None)
            self._running[target] = order.serial
            return c.RESULT_WAITING
        with self._lock:
            result = self._results[serial]
        if result is _PENDING:
            return c.RESULT_WAITING
        del self._running[target]
        return self._end(serial, action, result if isinstance(result, AddCause) else None)

    def _end(self, serial: int, action: Handle, cause: AddCause | None) -> int:
        with self._lock:
            self._results.pop(serial, None)
        if cause is None:
            return c.RESULT_OK
        self._lib.ControlAction_setAddCause(action, int(cause))
        return c.RESULT_FAILED

    def _is_enhanced(self, target: ObjectReference) -> bool:
        handle = self._model.attributes.get(target.child("ctlModel").with_fc(FC.CF))
        if handle is None:
            return False
        value = self._lib.IedServer_getAttributeValue(self._server, handle)
        return CtlModel(whole(self._values.read(BasicType.ENUM, value))).enhanced
