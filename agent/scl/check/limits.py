"""What an IED has stays within what its Services claim (IEC 61850-6 Ed. 2.1, table 11)."""

from __future__ import annotations

from agent.scl.check.context import Context, limit_of, service
from agent.scl.live import IedModel
from agent.scl.model_ied import Ied


def services(context: Context) -> None:
    """Numbers of data sets, members and control blocks do not exceed the claims."""
    for ied, model in context.models():
        if model.services:
            _ied(context, ied, model)


def _ied(context: Context, ied: Ied, model: IedModel) -> None:
    nodes = [node for device in model.devices for node in device.nodes]
    counts = {
        "ConfDataSet": sum(len(node.data_sets) for node in nodes),
        "ConfReportControl": sum(len(node.reports) for node in nodes),
        "GOOSE": sum(len(node.gooses) for node in nodes),
        "SMVsc": sum(len(node.sampled_values) for node in nodes),
        "ConfLogControl": sum(len(node.log_controls) for node in nodes),
    }
    path = f"IED[{ied.name}]/Services"
    for name, count in counts.items():
        claim = service(model.services, name)
        limit = limit_of(claim, "max")
        if claim is not None and limit is not None and count > limit:
            what = f"{name} claims at most {limit}, the IED has {count}"
            hint = "remove some or correct the claim"
            context.error("services.exceeded", claim.line, path, what, hint)
    _members(context, model, path)


def _members(context: Context, model: IedModel, path: str) -> None:
    claim = service(model.services, "ConfDataSet")
    limit = limit_of(claim, "maxAttributes")
    if claim is None or limit is None:
        return
    for device in model.devices:
        for node in device.nodes:
            for data_set in node.data_sets:
                if len(data_set.members) > limit:
                    what = (
                        f"data set {node.name}.{data_set.name} has {len(data_set.members)} "
                        f"members, ConfDataSet claims at most {limit} attributes"
                    )
                    context.error("services.exceeded", data_set.line, path, what)
