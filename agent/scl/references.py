"""Names of control blocks and data sets as messages carry them (IEC 61850-8-1 Ed. 2.1, 8.1)."""

from __future__ import annotations

from agent.iec61850 import FC, ObjectReference


def control_reference(device: str, node: str, fc: str, name: str) -> ObjectReference:
    """Reference of a control block: ``V2G1LD0/LLN0.gcb01[GO]``."""
    return ObjectReference(device, node, (name,), FC(fc))


def mms_name(reference: ObjectReference) -> str:
    """The reference as GOOSE carries gocbRef and datSet: ``V2G1LD0/LLN0$GO$gcb01``."""
    return f"{reference.ld}/{reference.mms_item}"


def data_set_name(reference: ObjectReference) -> str:
    """The data set as messages and RCBs carry it: ``V2G1LD0/LLN0$Measurements``."""
    return f"{reference.ld}/{reference.ln}${reference.path[0]}"
