"""Whether this agent can serve an IED and bind what it subscribes to."""

from __future__ import annotations

from typing import Final

from agent.errors import SclError
from agent.iec61850 import BasicType
from agent.scl.check.context import Context, ln_path
from agent.scl.live import IedModel
from agent.scl.model_ied import Ied
from agent.scl.stream import Stream
from agent.scl.subscribe import subscriptions

_SAMPLE_TYPES: Final = frozenset(
    {
        BasicType.INT32, BasicType.FLOAT32, BasicType.QUALITY, BasicType.TIMESTAMP,
        BasicType.INT32U, BasicType.BOOLEAN, BasicType.INT16, BasicType.INT8, BasicType.ENUM,
    }
)  # fmt: skip


def can_serve(context: Context, ied_name: str) -> None:
    """The IED has a server this agent can run, and streams it can decode."""
    ied = context.scl.ied(ied_name)
    if ied is None:
        what = f"there is no IED {ied_name!r}"
        known = ", ".join(ied.name for ied in context.scl.ieds) or "none"
        context.error("serve.no-ied", 0, "", what, f"known: {known}")
        return
    model = context.model(ied)
    if model is None:
        return
    _server(context, ied, model)
    try:
        found = subscriptions(context.scl, ied_name, limits=context.limits)
    except SclError:
        return
    for subscription in found.streams:
        _stream(context, ied, subscription.stream)


def _server(context: Context, ied: Ied, model: IedModel) -> None:
    path = f"IED[{ied.name}]"
    if not model.devices:
        what = "the IED has no server with logical devices"
        context.error("serve.no-server", ied.line, path, what, "choose another IED")
        return
    if not model.parameters.get("IP"):
        what = "no IP address in Communication; the server listens where its settings say"
        context.info("serve.no-address", ied.line, path, what)
    for device in model.devices:
        for node in device.nodes:
            where = ln_path(ied, device, node)
            if not node.objects:
                what = f"{node.name} has no data object and is left out of the server"
                context.error("serve.empty-node", node.line, where, what, "correct its type")
            if node.log_controls:
                what = "log control blocks are described but not served"
                context.warning("serve.no-log", node.line, where, what)


def _stream(context: Context, ied: Ied, stream: Stream) -> None:
    path = f"IED[{ied.name}]/Inputs"
    if not stream.complete:
        what = f"data set of {stream.cb_reference} is not resolved: its messages have no layout"
        context.error(
            "serve.no-layout", stream.line, path, what, "correct the publisher's data set"
        )
    if stream.address is None:
        what = f"{stream.cb_reference} has no usable address"
        context.error("serve.no-stream-address", stream.line, path, what, "add GSE or SMV")
    if stream.kind != "SMV":
        return
    unknown = {v.b_type for v in stream.values if v.b_type not in _SAMPLE_TYPES or v.count}
    if unknown:
        what = f"{stream.cb_reference} carries {', '.join(sorted(unknown))}, which is not decoded"
        context.error("serve.sample-type", stream.line, path, what)
    if stream.values and all(v.scale_factor is None for v in stream.values):
        what = f"{stream.cb_reference} gives no scale factor; 9-2LE's (1 mA, 10 mV) is taken"
        context.info("serve.no-scale", stream.line, path, what)
