"""What a model asks of an engine, beside its tree."""

from __future__ import annotations

from agent.errors import Finding
from agent.scl.live import IedModel


def shows_owner(model: IedModel) -> bool:
    """Report control blocks have Owner (Services/ReportSettings owner, IEC 61850-6 Ed. 2.1)."""
    return any(
        service.name == "ReportSettings" and service.attributes.get("owner") == "true"
        for service in model.services
    )


def unserved(model: IedModel) -> list[Finding]:
    """What the model has and no engine serves: refused at start, never silently missing."""
    findings: list[Finding] = []
    for device in model.devices:
        for node in device.nodes:
            where = f"{device.name}/{node.name}"
            for log in node.log_controls:
                what = f"LogControl {log.control.name} is not served: no engine has a log"
                findings.append(Finding(where, what, "remove it from the SCL"))
            for block in node.sampled_values:
                what = f"SampledValueControl {block.control.name}: this IED publishes none"
                findings.append(Finding(where, what, "remove it from the SCL"))
            for data_set in node.data_sets:
                findings += [
                    Finding(f"{where}.{data_set.name}", f"member {member.reference} has an index")
                    for member in data_set.members
                    if member.ix is not None
                ]
    return findings
