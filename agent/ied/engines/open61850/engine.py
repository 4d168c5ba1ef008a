"""`agent.ied.port.Engine` on the open61850 package."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from open61850.data import IECData
from open61850.mms.pdu import ObjectName
from open61850.server.model import Node
from open61850.server.settings import SettingGroupEngine

from agent.errors import DecodeError
from agent.iec61850 import FC, ObjectReference
from agent.ied.engines.open61850.controls import Controls
from agent.ied.engines.open61850.model import Tree
from agent.ied.engines.open61850.reports import Reports
from agent.ied.engines.open61850.server import Server
from agent.ied.engines.open61850.types import to_data, to_native
from agent.ied.port import (
    AccessError,
    AddCause,
    Decider,
    EngineOptions,
    Native,
    Right,
    Session,
)
from agent.ied.values import check_value
from agent.scl.live import IedModel

if TYPE_CHECKING:
    from agent.ied.engines.open61850.association import Association


class Open61850Engine:
    """Serves the model with open61850; a thread an association, one for the reports."""

    max_associations = 1000

    def __init__(self, model: IedModel, options: EngineOptions) -> None:
        self._tree = Tree(model, publishes_goose=options.publishes_goose)
        self._server = Server(
            self._tree.served, options.identity, options.report_buffer_bytes, self._refused
        )
        self._decider: Decider | None = None
        self._reports: Reports | None = None
        self._controls: Controls | None = None
        self._groups: SettingGroupEngine | None = None

    def start(self, decider: Decider) -> None:
        """Begin to serve what `connect` brings."""
        self._decider = decider
        server = self._server
        server.reports = self._reports = Reports(server)
        self._controls = Controls(server, self._tree, decider, self._reports)
        if self._tree.served.setting_groups:
            server.setting_groups = self._groups = SettingGroupEngine(server)
            self._groups.on_active = self._group_selected
            self._groups.on_confirm = self._group_confirmed
            server.read_hooks.append(self._read_edited)
        server.write_hooks.insert(0, self._rights)
        server.write_hooks.append(self._write)

    def stop(self) -> None:
        """End every association and the report thread."""
        for connection in list(self._server.connections):
            connection.close()
        if self._reports is not None:
            self._reports.stop()

    def connect(self, session: Session) -> socket.socket:
        """A new association; the returned end is the client's."""
        ours, theirs = socket.socketpair()
        self._server.adopt(theirs, session)
        return ours

    def update(self, values: Iterable[tuple[ObjectReference, Native]]) -> None:
        """Change values under one lock and report them together."""
        served = self._tree.served
        changed: list[Node] = []
        with served.lock:
            for reference, value in values:
                node = self._tree.node(reference)
                changed += node.assign(to_data(self._tree.leaves[node].b_type, value))
        if changed and self._reports is not None:
            self._reports.changed(changed)

    def read(self, reference: ObjectReference) -> Native:
        """Present value of a leaf."""
        node = self._tree.node(reference)
        with self._tree.served.lock:
            return to_native(self._tree.leaves[node].b_type, node.data())

    def finish(self, serial: int, cause: AddCause | None) -> None:
        """End an order in execution."""
        if self._controls is not None:
            self._controls.finish(serial, cause)

    def select_group(self, device: str, group: int) -> None:
        """Activate a setting group."""
        if self._groups is not None:
            self._groups.select_active(device, group)

    def set_group_values(
        self, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> None:
        """Set values of one group; FC SG follows where it is the active one."""
        if self._groups is None:
            return
        self._groups.set_values(
            device,
            group,
            {_group_key(ref): self._data(ref, value) for ref, value in values.items()},
        )

    def _data(self, reference: ObjectReference, value: Native) -> IECData:
        return to_data(self._tree.leaves[self._tree.node(reference)].b_type, value)

    def _refused(self, session: Session, what: str) -> None:
        if self._decider is not None:
            self._decider.audit(session, "refused", what)

    def _rights(self, connection: object, name: ObjectName, _value: IECData) -> int | None:
        """Refuse, before anything else sees the write, what the client's role may not do."""
        session = _session(connection)
        parts = name.item.split("$")
        constraint = parts[1] if len(parts) > 1 else ""
        needed = {"CO": Right.CONTROL, "RP": Right.REPORT, "BR": Right.REPORT}.get(
            constraint, Right.SETTING
        )
        if session.rights & needed:
            return None
        self._refused(session, f"write of {name} needs {needed.name}")
        return AccessError.ACCESS_DENIED

    def _write(self, connection: object, name: ObjectName, value: IECData) -> int | bool | None:
        """A write that is neither control, report nor group selection: ask for every leaf."""
        decider, served = self._decider, self._tree.served
        node = served.node(name)
        if node is None or decider is None:
            return AccessError.NON_EXISTENT
        if node.fc not in ("SP", "CF", "DC", "SV", "SE", "BL"):
            return AccessError.ACCESS_DENIED
        try:
            writes = list(self._flatten(name.domain or "", node, value))
        except (DecodeError, ValueError, TypeError):
            return AccessError.TYPE_INCONSISTENT
        session = _session(connection)
        for reference, leaf, native in writes:
            refusal = check_value(self._tree.leaves[leaf], native)
            if refusal is None and reference.fc is not FC.SE:
                refusal = decider.check_write(session, reference, native)
            if refusal is not None:
                return refusal
        self.update((reference, native) for reference, _leaf, native in writes)
        return True

    def _flatten(
        self, domain: str, node: Node, value: IECData
    ) -> Iterable[tuple[ObjectReference, Node, Native]]:
        if not node.children:
            leaf = self._tree.leaves.get(node)
            if leaf is None:
                raise DecodeError(f"{node.item} is part of a control block")
            yield self._tree.reference(domain, node), node, to_native(leaf.b_type, value)
            return
        members = getattr(value, "members", None) or getattr(value, "elements", None) or ()
        if len(members) != len(node.children):
            raise DecodeError(f"{node.item} has {len(node.children)} members, not {len(members)}")
        for child, member in zip(node.children.values(), members, strict=True):
            yield from self._flatten(domain, child, member)

    def _read_edited(self, _connection: object, name: ObjectName) -> int | None:
        """FC SE has values only while a group is edited (7-2 Ed. 2.1, 16.3.2.7)."""
        parts = name.item.split("$")
        if len(parts) < 2 or parts[1] != "SE" or self._groups is None:
            return None
        block = self._groups.blocks.get(name.domain or "")
        idle = block is not None and block.editor is None
        return AccessError.TEMPORARILY_UNAVAILABLE if idle else None

    def _group_selected(self, connection: object, device: str, group: int) -> int | None:
        if self._decider is None:
            return AccessError.TEMPORARILY_UNAVAILABLE
        return self._decider.group_selected(_session(connection), device, group)

    def _group_confirmed(self, connection: object, device: str, group: int) -> int | None:
        if self._decider is None or self._groups is None:
            return AccessError.TEMPORARILY_UNAVAILABLE
        values: dict[ObjectReference, Native] = {}
        for node in self._groups.blocks[device].se.values():
            reference = self._tree.reference(device, node)
            values[reference] = to_native(self._tree.leaves[node].b_type, node.data())
        return self._decider.group_confirmed(_session(connection), device, group, values)


def _group_key(reference: ObjectReference) -> str:
    return ".".join((reference.ln, *reference.path))


def _session(connection: object) -> Session:
    association: Association = connection  # type: ignore[assignment]
    return association.session
