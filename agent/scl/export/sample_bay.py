"""The sample station's bay controller: publishes frequency and breaker position by GOOSE."""

from __future__ import annotations

from typing import Final

from agent.scl.export.sample_mu import name_plate, physical_name
from agent.scl.export.types import TypeLibrary
from agent.scl.model_control import DataSet, Fcda, GseControl
from agent.scl.model_ied import AccessPoint, Ied, LDevice, Ln, Service

BAY: Final = "BAY1"
_MEMBERS: Final = (
    ("MMXU", "Hz", "mag.f", "MX"),
    ("MMXU", "Hz", "q", "MX"),
    ("MMXU", "Hz", "t", "MX"),
    ("XCBR", "Pos", "stVal", "ST"),
    ("XCBR", "Pos", "q", "ST"),
    ("XCBR", "Pos", "t", "ST"),
)
_GSE_SETTINGS: Final = {"cbName": "Conf", "datSet": "Conf", "appID": "Conf"}


def bay_ied(types: TypeLibrary, subscribers: tuple[str, ...]) -> Ied:
    """BAY1 with logical device LD0 and GOOSE control block gcbMeasurements."""
    plate = {"NamPlt": 0, "Beh": 0, "Health": 0, "Mod": 0}
    members = tuple(
        Fcda("LD0", "", ln_class, "1", do_name, attribute, fc, 0)
        for ln_class, do_name, attribute, fc in _MEMBERS
    )
    control = GseControl(
        "gcbMeasurements",
        0,
        "Measurements",
        app_id=f"{BAY}/gcbMeasurements",
        conf_rev=1,
        subscribers=subscribers,
    )
    breaker = {"Beh": 0, "LocKey": 0, "Loc": 0, "OpCnt": 0, "Pos": 0, "BlkOpn": 0, "BlkCls": 0}
    nodes = (
        Ln(
            "LLN0",
            0,
            ln_type=types.ln_type("LLN0_Bay", "LLN0", plate),
            instances=name_plate("Transformer bay"),
            data_sets=(DataSet("Measurements", 0, members),),
            gse_controls=(control,),
        ),
        Ln(
            "LPHD",
            0,
            inst="1",
            ln_type=types.ln_type("LPHD_Sample", "LPHD", {"PhyNam": 0, "PhyHealth": 0, "Proxy": 0}),
            instances=physical_name(),
        ),
        Ln("MMXU", 0, inst="1", ln_type=types.ln_type("MMXU_Bay", "MMXU", {"Beh": 0, "Hz": 0})),
        Ln("XCBR", 0, inst="1", ln_type=types.ln_type("XCBR_Bay", "XCBR", breaker)),
    )
    server = AccessPoint("S1", 0, has_server=True, devices=(LDevice("LD0", 0, nodes=nodes),))
    return Ied(
        BAY,
        0,
        type="Bay controller",
        manufacturer="sample",
        original_scl_version="2007",
        original_scl_revision="B",
        original_scl_release="4",
        services=(
            Service("Services", {"nameLength": "64"}, 0),
            Service("DynAssociation", {"max": "8"}, 0),
            Service("GetDirectory", {}, 0),
            Service("GetDataObjectDefinition", {}, 0),
            Service("ConfDataSet", {"max": "4", "maxAttributes": "64"}, 0),
            Service("ReadWrite", {}, 0),
            Service("GSESettings", _GSE_SETTINGS, 0),
            Service("GOOSE", {"max": "4"}, 0),
        ),
        access_points=(server, AccessPoint("P1", 0, server_at="S1")),
    )
