"""Control services of the open61850 engine (IEC 61850-8-1 Ed. 2.1, clause 20).

The package's own control engine compares neither Oper with SBOw nor refuses a Cancel during an
execution; this one puts `agent.ied.control_model` behind the package's read and write hooks.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from open61850.data import (
    IECData,
    IntData,
    OctetStringData,
    StructureData,
    UIntData,
    VisibleStringData,
)
from open61850.mms.pdu import ObjectName
from open61850.server import protocol
from open61850.server.model import Node

from agent.errors import DecodeError
from agent.iec61850 import FC, BasicType, ObjectReference, Timestamp
from agent.ied.control_model import DEFAULT_SBO_TIMEOUT_S, ControlPoint, CtlModel
from agent.ied.engines.open61850.model import Tree
from agent.ied.engines.open61850.reports import Reports
from agent.ied.engines.open61850.server import Server
from agent.ied.engines.open61850.types import to_data, to_native
from agent.ied.port import (
    AccessError,
    AddCause,
    ControlOrder,
    Decider,
    Native,
    Right,
    Stage,
    shown,
    whole,
)
from agent.ied.values import check_value

if TYPE_CHECKING:
    from agent.ied.engines.open61850.association import Association

_LAST_APPL_ERROR: Final = ObjectName("LastApplError")
_ERROR_UNKNOWN: Final = 1
_MAX_OR_IDENT: Final = 64


@dataclass(frozen=True, slots=True)
class _Request:
    """One SBOw, Oper or Cancel as it came."""

    association: Association
    name: ObjectName
    value: StructureData
    node: Node
    order: ControlOrder
    model: CtlModel
    activation: Timestamp | None


class Controls:
    """Every controllable object of a server."""

    def __init__(self, server: Server, tree: Tree, decider: Decider, reports: Reports) -> None:
        self._server = server
        self._tree = tree
        self._decider = decider
        self._reports = reports
        self._points: dict[tuple[str, str], ControlPoint] = {}
        self._running: dict[int, _Request] = {}
        self._serials = itertools.count(1)
        self._lock = threading.RLock()
        server.write_hooks.insert(0, self._on_write)
        server.read_hooks.append(self._on_read)
        server.close_hooks.append(self._on_close)

    def finish(self, serial: int, cause: AddCause | None) -> None:
        """End an order in execution and tell the client that gave it."""
        with self._lock:
            request = self._running.pop(serial, None)
            if request is None or self._point(request.order.target).finish(serial) is None:
                return
        if request.model.enhanced:
            self._terminate(request, cause)

    def _on_read(self, connection: object, name: ObjectName) -> IECData | int | None:
        """A read of SBO selects an object with normal security."""
        parts = name.item.split("$")
        if len(parts) != 4 or parts[1] != "CO" or parts[3] != "SBO":
            return None
        association: Association = connection  # type: ignore[assignment]
        node = self._tree.served.node(name)
        if node is None:
            return AccessError.NON_EXISTENT
        target = ObjectReference(name.domain or "", parts[0], (parts[2],))
        order = ControlOrder(target, None, association.session, Stage.SELECT, next(self._serials))
        with self._lock:
            model = self._model(target)
            allowed = model is CtlModel.SBO_NORMAL and association.session.rights & Right.CONTROL
            cause: AddCause | None = AddCause.NO_ACCESS_AUTHORITY
            if allowed:
                cause = self._select(order, model)
        if cause is not None:
            self._decider.audit(order.session, "refused", f"select {target}: {cause.name}")
            return VisibleStringData("")
        return VisibleStringData(f"{name.domain}/{'$'.join(parts[:3])}")

    def _on_write(self, connection: object, name: ObjectName, value: IECData) -> int | bool | None:
        parts = name.item.split("$")
        if len(parts) < 2 or parts[1] != "CO":
            return None
        if len(parts) != 4 or parts[3] not in ("SBOw", "Oper", "Cancel"):
            return AccessError.ACCESS_DENIED
        node = self._tree.served.node(name)
        if node is None:
            return AccessError.NON_EXISTENT
        try:
            request = self._request(connection, name, node, value)  # type: ignore[arg-type]
        except (DecodeError, ValueError, KeyError):
            return AccessError.TYPE_INCONSISTENT
        with self._lock:
            cause = self._serve(parts[3], request)
        if cause is None:
            return True
        self._refuse(request, cause)
        return AccessError.ACCESS_DENIED

    def _serve(self, service: str, request: _Request) -> AddCause | None:
        if not request.order.session.rights & Right.CONTROL:
            return AddCause.NO_ACCESS_AUTHORITY
        if service == "SBOw":
            if request.model is not CtlModel.SBO_ENHANCED:
                return AddCause.NOT_SUPPORTED
            return self._select(request.order, request.model)
        return self._operate(request) if service == "Oper" else self._cancel(request)

    def _select(self, order: ControlOrder, model: CtlModel) -> AddCause | None:
        point, now_s = self._point(order.target), time.monotonic()
        cause = point.may_select(model, now_s) or self._decider.check_control(order)
        if cause is not None:
            return cause
        timeout_s = self._sbo_timeout_s(order.target)
        point.select(order, model, now_s, timeout_s)
        self._show_selected(order.target)
        self._reports.run_later(timeout_s, lambda: self._show_selected(order.target))
        return None

    def _operate(self, request: _Request) -> AddCause | None:
        order, point = request.order, self._point(request.order.target)
        cause = point.may_operate(order, request.model, time.monotonic())
        if cause is None:
            cause = self._decider.check_control(order)
            if cause is not None:
                point.release()
        if cause is not None:
            self._show_selected(order.target)
            return cause
        delay_s = _delay_s(request.activation)
        many = self._config(order.target, "sboClass", 0) == 1
        point.operate(order, many=many, waiting=delay_s > 0)
        self._running[order.serial] = request
        self._show_operated(order)
        start = self._start_of(request)
        if delay_s > 0:
            self._reports.run_later(delay_s, start)
        else:
            request.association.after_response.append(start)
        return None

    def _start_of(self, request: _Request) -> Callable[[], None]:
        """What starts the execution once the positive response has gone."""

        def start() -> None:
            serial = request.order.serial
            with self._lock:
                if serial not in self._running:
                    return
                self._point(request.order.target).start()
            cause = self._decider.execute(request.order)
            if cause is not None:
                self.finish(serial, cause)
            elif not request.model.enhanced:
                self.finish(serial, None)

        return start

    def _cancel(self, request: _Request) -> AddCause | None:
        point = self._point(request.order.target)
        cause = point.cancel(request.order, request.model, time.monotonic())
        waiting = point.executing
        if cause is None and waiting is not None:
            request.association.after_response.append(
                lambda: self.finish(waiting.serial, AddCause.ABORTION_BY_CANCEL)
            )
        self._show_selected(request.order.target)
        return cause

    def _request(
        self, association: Association, name: ObjectName, node: Node, value: IECData
    ) -> _Request:
        """The request with every member of its type.

        Raises:
            DecodeError: A member is missing or of another type.
        """
        if not isinstance(value, StructureData) or len(value.members) != len(node.children):
            raise DecodeError(f"{name}: not the structure of {node.name}")
        fields: dict[str, Native] = {}
        for child, data in zip(node.children.values(), value.members, strict=True):
            self._collect(child, data, child.name, fields)
        ln, _, do, _service = name.item.split("$")
        ident = fields.get("origin.orIdent", b"")
        check = whole(fields.get("Check", 0))
        target = ObjectReference(name.domain or "", ln, (do,))
        activation = fields.get("operTm")
        order = ControlOrder(
            target,
            _control_value(fields),
            association.session,
            Stage.SELECT if node.name == "SBOw" else Stage.OPERATE,
            next(self._serials),
            whole(fields.get("origin.orCat", 0)),
            ident[:_MAX_OR_IDENT] if isinstance(ident, bytes) else b"",
            whole(fields.get("ctlNum", 0)),
            bool(fields.get("Test", False)),
            interlock_check=bool(check & 2),
            synchro_check=bool(check & 1),
        )
        return _Request(
            association,
            name,
            value,
            node,
            order,
            self._model(target),
            activation if isinstance(activation, Timestamp) else None,
        )

    def _collect(self, node: Node, data: IECData, path: str, fields: dict[str, Native]) -> None:
        if node.children:
            members = data.members if isinstance(data, StructureData) else []
            if len(members) != len(node.children):
                raise DecodeError(f"{path} is no structure of {len(node.children)} members")
            for child, member in zip(node.children.values(), members, strict=True):
                self._collect(child, member, f"{path}.{child.name}", fields)
            return
        leaf = self._tree.leaves[node]
        native = to_native(leaf.b_type, data)
        if check_value(leaf, native) is AccessError.TYPE_INCONSISTENT:
            raise DecodeError(f"{path}: {native!r} is no {leaf.b_type}")
        fields[path] = native

    def _point(self, target: ObjectReference) -> ControlPoint:
        return self._points.setdefault((target.ld, target.acsi), ControlPoint())

    def _model(self, target: ObjectReference) -> CtlModel:
        return CtlModel(self._config(target, "ctlModel", CtlModel.STATUS_ONLY))

    def _sbo_timeout_s(self, target: ObjectReference) -> float:
        return self._config(target, "sboTimeout", 0) / 1000 or DEFAULT_SBO_TIMEOUT_S

    def _config(self, target: ObjectReference, name: str, default: int) -> int:
        try:
            node = self._tree.node(target.child(name).with_fc(FC.CF))
        except KeyError:
            return default
        value = getattr(node.data(), "value", default)
        return int(value)

    def _show_selected(self, target: ObjectReference) -> None:
        selected = self._point(target).selected(time.monotonic())
        self._show(target, {"stSeld": selected})

    def _show_operated(self, order: ControlOrder) -> None:
        self._show_selected(order.target)
        self._show(
            order.target,
            {
                "ctlNum": order.ctl_num,
                "origin.orCat": order.origin_category,
                "origin.orIdent": order.origin_ident,
            },
        )

    def _show(self, target: ObjectReference, values: dict[str, Native]) -> None:
        """Set the status attributes of a control that its type has."""
        changed: list[Node] = []
        with self._tree.served.lock:
            for path, value in values.items():
                for fc in (FC.ST, FC.MX):
                    names = (*target.path, *path.split("."))
                    try:
                        node = self._tree.node(ObjectReference(target.ld, target.ln, names, fc))
                    except KeyError:
                        continue
                    kind: BasicType = self._tree.leaves[node].b_type
                    changed += node.assign(to_data(kind, value))
        if changed:
            self._reports.changed(changed)

    def _terminate(self, request: _Request, cause: AddCause | None) -> None:
        variables = [request.name]
        values: list[IECData | int] = [request.value]
        if cause is not None:
            variables.insert(0, _LAST_APPL_ERROR)
            values.insert(0, _application_error(request, cause))
        report = protocol.information_report(values, variables=variables)
        if not request.association.closed.is_set():
            self._server.broadcast(report, to=request.association)

    def _refuse(self, request: _Request, cause: AddCause) -> None:
        order = request.order
        what = f"{request.node.name} {order.target} = {shown(order.value)}: {cause.name}"
        self._decider.audit(order.session, "refused", what)
        report = protocol.information_report(
            [_application_error(request, cause)], variables=[_LAST_APPL_ERROR]
        )
        self._server.broadcast(report, to=request.association)

    def _on_close(self, connection: object) -> None:
        number = connection.session.number  # type: ignore[attr-defined]
        with self._lock:
            released = [key for key, point in self._points.items() if point.dropped(number)]
        for _, acsi in released:
            self._show_selected(ObjectReference.parse(acsi))


def _application_error(request: _Request, cause: AddCause) -> StructureData:
    """LastApplError: CntrlObj, Error, Origin, ctlNum, AddCause (8-1 Ed. 2.1, table 86)."""
    order = request.order
    return StructureData(
        [
            VisibleStringData(str(request.name)),
            IntData(_ERROR_UNKNOWN),
            StructureData([IntData(order.origin_category), OctetStringData(order.origin_ident)]),
            UIntData(order.ctl_num),
            IntData(int(cause)),
        ]
    )


def _control_value(fields: dict[str, Native]) -> Native | None:
    """ctlVal: a leaf, or the one number of an AnalogueValue."""
    for name in ("ctlVal", "ctlVal.f", "ctlVal.i"):
        if name in fields:
            return fields[name]
    return None


def _delay_s(activation: Timestamp | None) -> float:
    """Seconds until operTm; 0 where there is none or it has passed."""
    if activation is None or activation.seconds == 0:
        return 0.0
    return max(0.0, activation.t_utc_s - time.time())
