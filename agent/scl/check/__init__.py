"""Checks an SCL file: every rule, every finding, nothing raised.

Rules are functions from a :class:`~agent.scl.check.context.Context` to notes in it, one module
for each subject; :data:`RULES` is the order in which they run. To add one, write it in the
module of its subject and list it here and in ``docs/scl.md``.
"""

from __future__ import annotations

from agent.scl.check import (
    bindings,
    communication,
    controls,
    datasets,
    limits,
    names,
    namespace_attributes,
    namespace_objects,
    serving,
    types,
    values,
)
from agent.scl.check.context import Context, Rule
from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import DEFAULT_LIMITS, Limits
from agent.scl.model import Scl

RULES: tuple[Rule, ...] = (
    names.unique_names,
    names.logical_device_parts,
    names.plant_references,
    types.all_types,
    datasets.members,
    datasets.control_blocks,
    communication.connections,
    communication.control_block_addresses,
    communication.unique_addresses,
    values.initial_values,
    values.setting_groups,
    controls.control_models,
    bindings.external_references,
    limits.services,
    namespace_objects.logical_node_types,
    namespace_attributes.data_object_types,
)

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def check(
    scl: Scl, *, ied_name: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[SclFinding, ...]:
    """Every finding of every rule, those of reading first, in the order of lines.

    Args:
        scl: The file; IEDs that were read in outline are not expanded.
        ied_name: Keep the findings of this IED and of the whole file, and add whether this
            agent can serve and bind it.
        limits: Limits of expanding.
    """
    context = Context(scl, limits)
    context.findings.extend(scl.findings)
    for rule in RULES:
        rule(context)
    if ied_name is not None:
        serving.can_serve(context, ied_name)
    findings = dict.fromkeys(context.findings)
    kept = (f for f in findings if ied_name is None or _concerns(f, ied_name, scl))
    return tuple(sorted(kept, key=lambda f: (f.line, _ORDER[f.severity], f.rule, f.path, f.what)))


def _concerns(finding: SclFinding, ied_name: str, scl: Scl) -> bool:
    others = (ied.name for ied in scl.ieds if ied.name != ied_name)
    return not any(f"[{name}]" in finding.path or f"[{name}." in finding.path for name in others)


__all__ = ["RULES", "check"]
