"""The control model of one controllable object (IEC 61850-7-2 Ed. 2.1, 20.2): pure.

States: unselected, ready (selected), waiting (time-activated) and executing. The IED's own checks
(`Decider.check_control`) are the caller's; this class knows who may do what when.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from agent.ied.port import AddCause, ControlOrder

DEFAULT_SBO_TIMEOUT_S: Final = 30.0


class CtlModel(IntEnum):
    """CtlModelKind (IEC 61850-7-3 Ed. 2.1, 6.17)."""

    STATUS_ONLY = 0
    DIRECT_NORMAL = 1
    SBO_NORMAL = 2
    DIRECT_ENHANCED = 3
    SBO_ENHANCED = 4

    @property
    def selects(self) -> bool:
        """The object must be selected before it is operated."""
        return self in (CtlModel.SBO_NORMAL, CtlModel.SBO_ENHANCED)

    @property
    def enhanced(self) -> bool:
        """A CommandTermination says how the command ended."""
        return self in (CtlModel.DIRECT_ENHANCED, CtlModel.SBO_ENHANCED)


@dataclass(frozen=True, slots=True)
class Selection:
    """Who selected the object, until when, and with which parameters (SBOw)."""

    order: ControlOrder
    until_s: float


class ControlPoint:
    """State of one controllable object; every time is CLOCK_MONOTONIC seconds."""

    def __init__(self) -> None:
        self._selection: Selection | None = None
        self._execution: ControlOrder | None = None
        self._waiting = False

    @property
    def executing(self) -> ControlOrder | None:
        """The order in execution or waiting for its time."""
        return self._execution

    def selected(self, now_s: float) -> bool:
        """The object is selected by anyone."""
        return self._live(now_s) is not None

    def select(
        self, order: ControlOrder, model: CtlModel, now_s: float, timeout_s: float
    ) -> AddCause | None:
        """SBO or SBOw; None selects."""
        cause = self.may_select(model, now_s)
        if cause is None:
            self._selection = Selection(order, now_s + timeout_s)
        return cause

    def may_select(self, model: CtlModel, now_s: float) -> AddCause | None:
        """Why a select is refused, or None."""
        if not model.selects:
            return AddCause.NOT_SUPPORTED
        if self._execution is not None:
            return AddCause.COMMAND_ALREADY_IN_EXECUTION
        if self._live(now_s) is not None:
            return AddCause.OBJECT_ALREADY_SELECTED
        return None

    def may_operate(self, order: ControlOrder, model: CtlModel, now_s: float) -> AddCause | None:
        """Why an operate is refused, or None.

        An operate whose parameters are not those of its SBOw ends the selection.
        """
        if model is CtlModel.STATUS_ONLY:
            return AddCause.NOT_SUPPORTED
        if self._execution is not None:
            return AddCause.COMMAND_ALREADY_IN_EXECUTION
        if not model.selects:
            return None
        selection = self._live(now_s)
        if selection is None:
            return AddCause.OBJECT_NOT_SELECTED
        if selection.order.session.number != order.session.number:
            return AddCause.LOCKED_BY_OTHER_CLIENT
        if model is CtlModel.SBO_ENHANCED and _differs(selection.order, order):
            self._selection = None
            return AddCause.INCONSISTENT_PARAMETERS
        return None

    def operate(self, order: ControlOrder, *, many: bool = False, waiting: bool = False) -> None:
        """Take an operate into execution; `many`: the selection stays (sboClass operate-many)."""
        self._execution = order
        self._waiting = waiting
        if not many:
            self._selection = None

    def start(self) -> None:
        """The time of a time-activated operate has come."""
        self._waiting = False

    def release(self) -> None:
        """End the selection: a check of the IED refused the operate."""
        self._selection = None

    def cancel(self, order: ControlOrder, model: CtlModel, now_s: float) -> AddCause | None:
        """Cancel a selection or a waiting operate; what executes cannot be cancelled."""
        running = self._execution
        if running is not None:
            if running.session.number != order.session.number:
                return AddCause.LOCKED_BY_OTHER_CLIENT
            return None if self._waiting else AddCause.COMMAND_ALREADY_IN_EXECUTION
        selection = self._live(now_s)
        if selection is None:
            return AddCause.OBJECT_NOT_SELECTED if model.selects else AddCause.NOT_SUPPORTED
        if selection.order.session.number != order.session.number:
            return AddCause.LOCKED_BY_OTHER_CLIENT
        self._selection = None
        return None

    def finish(self, serial: int) -> ControlOrder | None:
        """End the execution of an order; None when it is not in execution."""
        order = self._execution
        if order is None or order.serial != serial:
            return None
        self._execution = None
        self._waiting = False
        return order

    def dropped(self, session_number: int) -> bool:
        """The client is gone: its selection ends, its execution goes on. True if it had one."""
        selection = self._selection
        if selection is None or selection.order.session.number != session_number:
            return False
        self._selection = None
        return True

    def _live(self, now_s: float) -> Selection | None:
        if self._selection is not None and now_s >= self._selection.until_s:
            self._selection = None
        return self._selection


def _differs(selected: ControlOrder, operated: ControlOrder) -> bool:
    """SBOw and Oper must agree in value, origin, ctlNum and Test (7-2 Ed. 2.1, 20.3.2)."""
    return (
        selected.value != operated.value
        or selected.origin_category != operated.origin_category
        or selected.origin_ident != operated.origin_ident
        or selected.ctl_num != operated.ctl_num
        or selected.test != operated.test
    )
