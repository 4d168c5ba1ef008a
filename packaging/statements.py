# ruff: noqa: E501 - the rows are a table
"""PICS and MICS of the IED, made from its ICD.

    python packaging/statements.py docs

docs/pics.md follows the tables of IEC 61850-7-2, annex A (ACSI conformance statement); docs/mics.md
lists every logical node and data object with its class and presence condition. Both come from
scl/v2g-gateway.icd, so that neither can say other than what the gateway serves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.scl import Scl, read_scl
from agent.scl.model_ied import LDevice, Ln

ROOT = Path(__file__).resolve().parent.parent
ICD = ROOT / "scl" / "v2g-gateway.icd"
CLASSES = json.loads((ROOT / "agent/iec61850/data/ln.json").read_text(encoding="utf-8"))["classes"]
PRESENCE = {"M": "mandatory", "MONamPlt": "mandatory", "O": "optional", "Omulti": "optional"}

# (item of annex A, model or service, element of SCL Services that claims it or a fixed answer, remark)
ROWS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("Basic conformance (A.2)", (
        ("B11", "Server side (of two-party application association)", "yes", ""),
        ("B12", "Client side (of two-party application association)", "no", "`v2g-client mms` is a tool, not part of the IED"),
        ("B21", "SCSM: IEC 61850-8-1 used", "yes", ""),
        ("B24", "SCSM: other", "no", ""),
        ("B31", "GSE: publisher side", "GOOSE", "where the SCL gives our IED GSEControls and `ied.goose_interface` is set"),
        ("B32", "GSE: subscriber side", "ClientServices.goose", ""),
        ("B41", "SV: publisher side", "no", ""),
        ("B42", "SV: subscriber side", "ClientServices.sv", ""),
    )),
    ("Models (A.3)", (
        ("M1", "Logical device", "yes", ""),
        ("M2", "Logical node", "yes", ""),
        ("M3", "Data", "yes", ""),
        ("M4", "Data set", "ConfDataSet", "static"),
        ("M5", "Substitution", "no", ""),
        ("M6", "Setting group control", "SettingGroups", "served where the SCL has a SettingControl; the shipped ICD has none"),
        ("M7", "Buffered report control", "ConfReportControl", ""),
        ("M8", "Unbuffered report control", "ConfReportControl", ""),
        ("M9, M10", "Log control, log", "ConfLogControl", "refused at start"),
        ("M12", "GOOSE", "GOOSE", "as B31"),
        ("M14, M15", "Multicast and unicast SVC", "no", ""),
        ("M16", "Time", "TimeSyncProt", "by the operating system"),
        ("M17", "File transfer", "FileHandling", "libiec61850 engine with `ied.files`"),
    )),
    ("Services (A.4)", (
        ("S1", "GetServerDirectory", "GetDirectory", ""),
        ("S2, S3, S4", "Associate, Abort, Release", "DynAssociation", ""),
        ("S5", "GetLogicalDeviceDirectory", "GetDirectory", ""),
        ("S6, S7", "GetLogicalNodeDirectory, GetAllDataValues", "ReadWrite", ""),
        ("S8, S9", "GetDataValues, SetDataValues", "ReadWrite", ""),
        ("S10, S11", "GetDataDirectory, GetDataDefinition", "GetDataObjectDefinition", ""),
        ("S12", "GetDataSetValues", "GetDataSetValue", ""),
        ("S13", "SetDataSetValues", "SetDataSetValue", ""),
        ("S14, S15", "CreateDataSet, DeleteDataSet", "DynDataSet", ""),
        ("S16", "GetDataSetDirectory", "DataSetDirectory", ""),
        ("S18 to S23", "Setting group services", "SettingGroups", "as M6"),
        ("S24", "Report (buffered): data-change, quality-change, data-update", "ConfReportControl", ""),
        ("S25, S26", "GetBRCBValues, SetBRCBValues", "GetCBValues", ""),
        ("S27", "Report (unbuffered)", "ConfReportControl", ""),
        ("S28, S29", "GetURCBValues, SetURCBValues", "GetCBValues", ""),
        ("S30 to S34", "Log services", "ConfLogControl", ""),
        ("S35", "SendGOOSEMessage", "GOOSE", "as B31"),
        ("S36, S37", "GetGoReference, GetGOOSEElementNumber", "no", ""),
        ("S38", "GetGoCBValues", "GetCBValues", "as B31"),
        ("S39", "SetGoCBValues", "no", ""),
        ("S51 to S54", "Select, SelectWithValue, Cancel, Operate", "yes", ""),
        ("S55", "CommandTermination", "yes", "enhanced security"),
        ("S56", "TimeActivatedOperate", "no", "refused: AddCause not-supported"),
        ("S57 to S60", "GetFile, SetFile, DeleteFile, GetFileAttributeValues", "FileHandling", "as M17; reading only"),
        ("T1", "Time resolution of the internal clock", "yes", "that of the operating system, 1 ns"),
        ("T2", "Time accuracy of the internal clock", "yes", "10 bits (1 ms) while synchronised, else unspecified"),
        ("T3", "Supported TimeStamp resolution", "yes", "2⁻²⁴ s"),
    )),
)  # fmt: skip


def pics(scl: Scl) -> str:
    """Return docs/pics.md."""
    claims = {service.name: service.attributes for service in scl.ieds[0].services}
    lines = [
        "# PICS: protocol implementation conformance statement",
        "",
        "Made by `python packaging/statements.py docs` from `scl/v2g-gateway.icd`; do not edit.",
        "The items are those of IEC 61850-7-2 Ed. 2.1, annex A. A *no* is refused with the service",
        "error that the standard gives it. [pixit.md](pixit.md) has the details, [conformance.md]"
        "(conformance.md) the tests.",
    ]
    for title, rows in ROWS:
        lines += ["", f"## {title}", "", "| item | model or service | supported | remark |"]
        lines.append("|---|---|---|---|")
        lines += [
            f"| {item} | {text} | {_answer(claim, claims)} | {_remark(claim, claims, remark)} |"
            for item, text, claim, remark in rows
        ]
    return "\n".join(lines) + "\n"


def _answer(claim: str, claims: dict[str, dict[str, str]]) -> str:
    if claim in ("yes", "no"):
        return claim
    name, _, attribute = claim.partition(".")
    if attribute:
        return "yes" if claims.get(name, {}).get(attribute) == "true" else "no"
    return "yes" if claims.get(name, {}).get("max") != "0" and name in claims else "no"


def _remark(claim: str, claims: dict[str, dict[str, str]], remark: str) -> str:
    limits = {k: v for k, v in claims.get(claim, {}).items() if k.startswith("max") and v != "0"}
    text = ", ".join(f"{name} {value}" for name, value in limits.items())
    return "; ".join(part for part in (text, remark) if part)


def mics(scl: Scl) -> str:
    """Return docs/mics.md."""
    devices = [d for point in scl.ieds[0].access_points for d in point.devices]
    shown = _distinct(devices)
    lines = [
        "# MICS: model implementation conformance statement",
        "",
        "Made by `python packaging/statements.py docs` from `scl/v2g-gateway.icd`; do not edit.",
        "The gateway serves the logical nodes of the SCL that it is given; these are those of its",
        "own ICD. Data objects of EVSEs repeat in every logical device of the same kind.",
        "",
        "| logical device | logical nodes |",
        "|---|---|",
        *(f"| {d.inst} | {', '.join(_name(ln) for ln in d.nodes)} |" for d in devices),
    ]
    for device in shown:
        for node in device.nodes:
            lines += ["", *_node(scl, device, node)]
    return "\n".join(lines) + "\n"


def _distinct(devices: list[LDevice]) -> list[LDevice]:
    """The first device of each kind: LD0, an AC and a DC EVSE."""
    kinds: dict[tuple[str, ...], LDevice] = {}
    for device in devices:
        kinds.setdefault(tuple(_name(node) for node in device.nodes), device)
    return list(kinds.values())


def _name(node: Ln) -> str:
    return f"{node.prefix}{node.ln_class}{node.inst}"


def _node(scl: Scl, device: LDevice, node: Ln) -> Iterator[str]:
    known = CLASSES.get(node.ln_class, {"namespace": "", "objects": {}})
    yield f"## {device.inst}/{_name(node)}"
    yield ""
    yield f"Class {node.ln_class}, {known['namespace'] or 'no facts about this class'}."
    yield ""
    yield "| data object | CDC | presence in the class |"
    yield "|---|---|---|"
    for data_object in scl.types.ln_types[node.ln_type].objects:
        cdc = scl.types.do_types[data_object.type].cdc
        row = known["objects"].get(data_object.name) or known["objects"].get(
            data_object.name.rstrip("0123456789")
        )
        presence = PRESENCE.get(row[2], f"conditional ({row[2]})") if row else "own"
        yield f"| {data_object.name} | {cdc} | {presence} |"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    station = read_scl(ICD)
    for file, text in (("pics.md", pics(station)), ("mics.md", mics(station))):
        (folder / file).write_text(text, encoding="utf-8")
