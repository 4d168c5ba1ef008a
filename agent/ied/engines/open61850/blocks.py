"""Control blocks as MMS structures (IEC 61850-8-1 Ed. 2.1, tables 41, 42, 47 and 53)."""

from __future__ import annotations

from typing import Final

from open61850.data import (
    BitStringData,
    BoolData,
    IECData,
    IntData,
    OctetStringData,
    StructureData,
    UIntData,
    VisibleStringData,
)
from open61850.mms.types import MmsType, PrimitiveType, StructureType

from agent.ied.engines.open61850.types import bit_string
from agent.scl.live import GooseBlock, LiveDataSet, ReportBlock
from agent.scl.model_control import OptFields, SettingControl, TriggerOptions

Layout = list[tuple[str, MmsType]]
Block = tuple[str, Layout, dict[str, IECData]]
"""Name, attributes with their types, and initial values."""

_BOOLEAN: Final = PrimitiveType("boolean")
_REFERENCE: Final = PrimitiveType("visible-string", -129)
_U8: Final = PrimitiveType("unsigned", 8)
_U16: Final = PrimitiveType("unsigned", 16)
_U32: Final = PrimitiveType("unsigned", 32)
_OPT_FLDS: Final = PrimitiveType("bit-string", -10)
_TRG_OPS: Final = PrimitiveType("bit-string", -6)
_OWNER: Final = PrimitiveType("octet-string", -64)

_URCB: Final[Layout] = [
    ("RptID", _REFERENCE),
    ("RptEna", _BOOLEAN),
    ("Resv", _BOOLEAN),
    ("DatSet", _REFERENCE),
    ("ConfRev", _U32),
    ("OptFlds", _OPT_FLDS),
    ("BufTm", _U32),
    ("SqNum", _U8),
    ("TrgOps", _TRG_OPS),
    ("IntgPd", _U32),
    ("GI", _BOOLEAN),
    ("Owner", _OWNER),
]
_BRCB: Final[Layout] = [
    ("RptID", _REFERENCE),
    ("RptEna", _BOOLEAN),
    ("DatSet", _REFERENCE),
    ("ConfRev", _U32),
    ("OptFlds", _OPT_FLDS),
    ("BufTm", _U32),
    ("SqNum", _U16),
    ("TrgOps", _TRG_OPS),
    ("IntgPd", _U32),
    ("GI", _BOOLEAN),
    ("PurgeBuf", _BOOLEAN),
    ("EntryID", PrimitiveType("octet-string", 8)),
    ("TimeOfEntry", PrimitiveType("binary-time")),
    ("ResvTms", PrimitiveType("integer", 16)),
    ("Owner", _OWNER),
]
_DST_ADDRESS: Final = StructureType(
    [("Addr", PrimitiveType("octet-string", 6)), ("PRIORITY", _U8), ("VID", _U16), ("APPID", _U16)]
)
_GOCB: Final[Layout] = [
    ("GoEna", _BOOLEAN),
    ("GoID", _REFERENCE),
    ("DatSet", _REFERENCE),
    ("ConfRev", _U32),
    ("NdsCom", _BOOLEAN),
    ("DstAddress", _DST_ADDRESS),
    ("MinTime", _U32),
    ("MaxTime", _U32),
    ("FixedOffs", _BOOLEAN),
]
_SGCB: Final[Layout] = [
    ("NumOfSG", _U8),
    ("ActSG", _U8),
    ("EditSG", _U8),
    ("CnfEdit", _BOOLEAN),
    ("LActTm", PrimitiveType("utc-time")),
    ("ResvTms", _U16),
]


def report_blocks(domain: str, node: str, block: ReportBlock, owner: bool) -> list[Block]:
    """Every instance of a report control block; `owner`: the IED shows who holds it."""
    control = block.control
    fc = "BR" if control.buffered else "RP"
    layout = [
        entry for entry in (_BRCB if control.buffered else _URCB) if owner or entry[0] != "Owner"
    ]
    return [
        (
            name,
            layout,
            {
                "RptID": VisibleStringData(control.rpt_id or f"{domain}/{node}${fc}${name}"),
                "DatSet": VisibleStringData(data_set_name(block.data_set)),
                "ConfRev": UIntData(control.conf_rev),
                "OptFlds": opt_flds(control.opt_fields),
                "BufTm": UIntData(control.buf_time_ms),
                "TrgOps": trg_ops(control.trg_ops),
                "IntgPd": UIntData(control.intg_pd_ms),
            },
        )
        for name in control.instance_names
    ]


def goose_block(block: GooseBlock, published: bool) -> Block:
    """A GOOSE control block with its address; NdsCom where something is missing."""
    control, address = block.control, block.address
    values: dict[str, IECData] = {
        "GoEna": BoolData(published),
        "GoID": VisibleStringData(control.app_id),
        "DatSet": VisibleStringData(data_set_name(block.data_set)),
        "ConfRev": UIntData(control.conf_rev),
        "NdsCom": BoolData(block.data_set is None or address is None or control.conf_rev == 0),
        "FixedOffs": BoolData(control.fixed_offs),
    }
    if address is not None:
        mac = bytes.fromhex(address.address.get("MAC-Address").replace("-", "") or "00" * 6)
        values["DstAddress"] = StructureData(
            [
                OctetStringData(mac),
                UIntData(int(address.address.get("VLAN-PRIORITY") or "4")),
                UIntData(int(address.address.get("VLAN-ID") or "0", 16)),
                UIntData(int(address.address.get("APPID") or "0", 16)),
            ]
        )
        values["MinTime"] = UIntData(address.min_time_ms or 0)
        values["MaxTime"] = UIntData(address.max_time_ms or 0)
    return control.name, _GOCB, values


def setting_block(control: SettingControl) -> Block:
    """The setting group control block of a logical device."""
    values: dict[str, IECData] = {
        "NumOfSG": UIntData(control.num_of_sgs),
        "ActSG": UIntData(min(max(1, control.act_sg), control.num_of_sgs)),
    }
    return "SGCB", _SGCB, values


def data_set_name(data_set: LiveDataSet | None) -> str:
    """``LD/LN$name``, empty where there is none."""
    if data_set is None:
        return ""
    reference = data_set.reference
    return f"{reference.ld}/{reference.ln}${data_set.name}"


def opt_flds(options: OptFields) -> BitStringData:
    """OptFlds of a report control block; bit 0 is reserved."""
    bits = (
        options.seq_num,
        options.time_stamp,
        options.reason_code,
        options.data_set,
        options.data_ref,
        options.buf_ovfl,
        options.entry_id,
        options.config_ref,
    )
    return bit_string(sum(1 << n for n, bit in enumerate(bits, start=1) if bit), 10)


def trg_ops(options: TriggerOptions) -> BitStringData:
    """TrgOps of a report control block; bit 0 is reserved."""
    bits = (options.dchg, options.qchg, options.dupd, options.period, options.gi)
    return bit_string(sum(1 << n for n, bit in enumerate(bits, start=1) if bit), 6)


NO_RESERVATION: Final = IntData(0)
