"""Setting groups of the libiec61850 engine: the library keeps the block, we keep the values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from loguru import logger

from agent.iec61850 import FC, ObjectReference
from agent.ied.engines.libiec61850 import library as c
from agent.ied.engines.libiec61850.model import NativeModel
from agent.ied.engines.libiec61850.values import Handle
from agent.ied.port import Decider, Native, Right, Session
from agent.ied.values import initial_value


class Attributes(Protocol):
    """What the groups need of the engine."""

    def put(self, values: Iterable[tuple[ObjectReference, Native]]) -> None:
        """Change values where the library holds its lock already."""

    def update(self, values: Iterable[tuple[ObjectReference, Native]]) -> None:
        """Change values."""

    def read(self, reference: ObjectReference) -> Native:
        """Present value of a leaf."""


class NativeGroups:
    """Values of every group, copied into FC SG and SE as clients select and edit."""

    def __init__(
        self,
        engine: Attributes,
        library: c.Library,
        server: Handle,
        model: NativeModel,
        decider: Decider,
        session: Callable[[Handle | None], Session],
    ) -> None:
        self._engine = engine
        self._lib = library
        self._server = server
        self._model = model
        self._decider = decider
        self._session = session
        self._values: dict[tuple[str, int], dict[ObjectReference, Native]] = {}
        self._editor: dict[str, Session] = {}
        self._kept: list[Any] = []
        for device, block in model.groups.items():
            self._install(device, block)

    def select(self, device: str, group: int) -> None:
        """Activate a group from the IED's side."""
        block = self._model.groups.get(device)
        if block is not None:
            self._lib.IedServer_changeActiveSettingGroup(self._server, block, group)
            self._engine.update(self._of(device, group).items())

    def set(self, device: str, group: int, values: Mapping[ObjectReference, Native]) -> None:
        """Set values of one group."""
        self._values.setdefault((device, group), {}).update(values)

    def _of(self, device: str, group: int) -> dict[ObjectReference, Native]:
        """Values of a group by their SG references; the SCL's where nobody set any."""
        stored = self._values.setdefault((device, group), {})
        for reference, leaf in self._model.leaves.items():
            if reference.ld == device and reference.fc is FC.SG and reference not in stored:
                stored[reference] = initial_value(leaf, group)
        return stored

    def _install(self, device: str, block: Handle) -> None:
        def activate(_parameter: object, _block: Handle, group: int, connection: Handle) -> bool:
            try:
                return self._activate(device, group, self._session(connection))
            except Exception:
                logger.exception("a setting group handler failed")
                return False

        def edit(_parameter: object, _block: Handle, group: int, connection: Handle) -> bool:
            session = self._session(connection)
            if group == 0:
                return True
            if not session.rights & Right.SETTING:
                return False
            self._editor[device] = session
            values = self._of(device, group)
            self._engine.put((ref.with_fc(FC.SE), value) for ref, value in values.items())
            return True

        def confirm(_parameter: object, _block: Handle, group: int) -> None:
            try:
                self._confirm(device, group)
            except Exception:
                logger.exception("a setting group could not be confirmed")

        handlers = (c.GroupHandler(activate), c.GroupHandler(edit), c.ConfirmHandler(confirm))
        self._kept.append(handlers)
        lib, server = self._lib, self._server
        lib.IedServer_setActiveSettingGroupChangedHandler(server, block, handlers[0], None)
        lib.IedServer_setEditSettingGroupChangedHandler(server, block, handlers[1], None)
        lib.IedServer_setEditSettingGroupConfirmationHandler(server, block, handlers[2], None)

    def _activate(self, device: str, group: int, session: Session) -> bool:
        if not session.rights & Right.SETTING:
            return False
        if self._decider.group_selected(session, device, group) is not None:
            return False
        self._engine.put(self._of(device, group).items())
        return True

    def _confirm(self, device: str, group: int) -> None:
        session = self._editor.pop(device)
        edited = {
            reference: self._engine.read(reference)
            for reference in self._model.attributes
            if reference.ld == device and reference.fc is FC.SE
        }
        refusal = self._decider.group_confirmed(session, device, group, edited)
        if refusal is not None:
            return
        values = {reference.with_fc(FC.SG): value for reference, value in edited.items()}
        self.set(device, group, values)
        block = self._model.groups[device]
        if self._lib.IedServer_getActiveSettingGroup(self._server, block) == group:
            self._engine.put(values.items())
