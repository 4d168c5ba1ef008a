"""External references resolve, and fit what the input expects."""

from __future__ import annotations

from agent.errors import SclError
from agent.scl.check.context import Context
from agent.scl.model_control import ExtRef
from agent.scl.model_ied import TEMPLATE_NAME, Ied
from agent.scl.stream import Stream
from agent.scl.subscribe import Subscriptions, subscriptions


def external_references(context: Context) -> None:
    """Every bound ExtRef leads to data of another IED of the kind that the input expects."""
    for ied, model in context.models():
        if not any(node.ext_refs for device in model.devices for node in device.nodes):
            continue
        try:
            found = subscriptions(context.scl, ied.name, limits=context.limits)
        except SclError:
            continue  # A publisher met a limit; its own findings say so.
        context.findings.extend(found.findings)
        _unbound(context, ied, found)
        for subscription in found.streams:
            for binding in subscription.bindings:
                _expectation(context, ied, binding.ext_ref)
            _address(context, ied, subscription.stream)


def _unbound(context: Context, ied: Ied, found: Subscriptions) -> None:
    if found.unbound and ied.name != TEMPLATE_NAME:
        line = found.unbound[0][1].line
        what = f"{len(found.unbound)} inputs are not bound"
        path = f"IED[{ied.name}]/Inputs"
        context.info("extref.unbound", line, path, what, "bind them in the system configurator")


def _expectation(context: Context, ied: Ied, ext_ref: ExtRef) -> None:
    """Later binding: what was bound is of the kind that the input asked for."""
    path = f"IED[{ied.name}]/Inputs/ExtRef[{ext_ref.int_addr}]"
    for expected, bound, name in (
        (ext_ref.p_serv_t, ext_ref.service_type, "serviceType"),
        (ext_ref.p_ln, ext_ref.ln_class, "lnClass"),
        (ext_ref.p_do, ext_ref.do_name, "doName"),
        (ext_ref.p_da, ext_ref.da_name, "daName"),
    ):
        if expected and bound and expected.rstrip("0123456789") != bound.rstrip("0123456789"):
            what = f"{name} {bound!r} is bound where {expected!r} is expected"
            context.warning("extref.unexpected", ext_ref.line, path, what)


def _address(context: Context, ied: Ied, stream: Stream) -> None:
    if stream.address is None:
        what = f"{stream.cb_reference} has no usable address: it cannot be subscribed to"
        hint = "add GSE or SMV to Communication"
        context.warning("extref.no-address", stream.line, f"IED[{ied.name}]/Inputs", what, hint)
