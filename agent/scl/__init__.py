"""SCL (IEC 61850-6): files of every edition into typed records, live models and subscriptions.

Pure: no clock, no network; the only I/O is reading the file that is named. The API other rooms
build on::

    from agent.scl import expand, initial, read_scl, subscriptions

    scl = read_scl("station.scd", ieds={"V2G1"})   # Scl: what is written, immutable, with lines
    model = expand(scl, "V2G1")                    # IedModel: what clients will see
    for reference, leaf in model.leaves():         # V2G1LD0/MMXU1.Hz.mag.f[MX], DataAttribute
        leaf.b_type, leaf.enum, leaf.count, leaf.dchg, initial(leaf)
    for subscription in subscriptions(scl, "V2G1").streams:
        subscription.stream                        # address, confRev, svID or goID, values
        subscription.bindings                      # ExtRef, owner, positions in stream.values

**Reading** (:func:`read_scl`; path or bytes). Raises :class:`agent.errors.SclError` for a file
that cannot be read; everything else that is wrong is in ``Scl.findings``. With ``ieds=`` the
other IEDs are outlines (``Ied.complete`` is false): enough to subscribe to them, not to expand.

**Live model** (:func:`expand`). ``IedModel.devices`` → :class:`LogicalDevice` (``name`` is the
MMS domain) → ``nodes`` → :class:`LogicalNode` (``name`` as ``MMXU1``) → ``objects`` →
:class:`DataObject` (``cdc``, ``count``) → ``children`` in the order of the type: data objects
(SDO) and :class:`DataAttribute` (``fc``, ``b_type``, ``type_id``, ``enum``, ``count``, ``dchg``,
``qchg``, ``dupd``, ``values`` with ``s_group``, ``s_addr``, ``val_kind``, ``children``).
Nodes are shared between instances and know no parent. ``model.find(reference)`` looks one up;
``node.leaves(fc)`` walks. An SE attribute implies its SG twin in MMS; the model holds it as the
file writes it. Control blocks are at their node: ``reports`` (``control.instance_names`` are the
MMS names of the instances), ``gooses``, ``sampled_values`` (with ``address``), ``log_controls``,
``setting_control``; ``data_sets`` hold :class:`Member` with ``leaves`` resolved and
``node is None`` where an FCDA dangles. What could not be resolved is in ``model.findings``.

**Initial values**: :func:`initial` gives bool, int, float, str, bytes, Quality, Timestamp, or
None where the file sets nothing usable; enumerations, Dbpos and Tcmd as their ordinal.

**Subscriptions** (:func:`subscriptions`). One :class:`Subscription` for each control block:
``stream.kind`` (GOOSE, SMV), ``stream.address`` (``mac``, ``app_id``, ``vlan_id``,
``vlan_priority``, ``min_time_ms``, ``max_time_ms``), ``stream.id`` (goID or svID),
``stream.cb_reference`` and ``stream.data_set`` as messages carry them, ``stream.conf_rev``,
``stream.smp_rate``, ``stream.nof_asdu``, and ``stream.values`` in wire order, each with its data
set member, type, ``scale_factor``, ``offset`` and unit.

"""

from agent.scl.expand import expand
from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import DEFAULT_LIMITS, Limits
from agent.scl.live import (
    DataAttribute,
    DataObject,
    GooseBlock,
    IedModel,
    LiveDataSet,
    LogicalDevice,
    LogicalNode,
    Member,
    ReportBlock,
    SvBlock,
)
from agent.scl.model import Scl
from agent.scl.read import read_scl
from agent.scl.stream import Stream, StreamAddress, StreamValue
from agent.scl.subscribe import Binding, Subscription, Subscriptions, subscriptions
from agent.scl.values import TypedValue, initial, parse_value

__all__ = [
    "DEFAULT_LIMITS",
    "Binding",
    "DataAttribute",
    "DataObject",
    "GooseBlock",
    "IedModel",
    "Limits",
    "LiveDataSet",
    "LogicalDevice",
    "LogicalNode",
    "Member",
    "ReportBlock",
    "Scl",
    "SclFinding",
    "Severity",
    "Stream",
    "StreamAddress",
    "StreamValue",
    "Subscription",
    "Subscriptions",
    "SvBlock",
    "TypedValue",
    "expand",
    "initial",
    "parse_value",
    "read_scl",
    "subscriptions",
]
