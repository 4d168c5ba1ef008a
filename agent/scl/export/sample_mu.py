"""The sample station's merging unit: 9-2LE, 80 samples a period, four currents, four voltages."""

from __future__ import annotations

from typing import Final

from agent.iec61850 import namespaces
from agent.scl.export.types import TypeLibrary
from agent.scl.model_base import Value
from agent.scl.model_control import DataSet, Fcda, SampledValueControl, SmvOpts
from agent.scl.model_ied import AccessPoint, Ied, Instance, LDevice, Ln, Service
from agent.scl.model_types import DaDef, DataTypeTemplates, DaType, DoDef, DoType, LNodeType

MU: Final = "MU1"
_CHANNELS: Final = (("TCTR", "I01", "AmpSv"), ("TVTR", "U01", "VolSv"))
# 9-2LE: one digit is 1 mA or 10 mV (UCAIug implementation guideline R2-1, table 9).
_SCALE: Final = {"TCTR": ("A", "0.001"), "TVTR": ("V", "0.01")}
_FIXED: Final = {"cbName": "Fix", "datSet": "Fix", "svID": "Fix", "optFields": "Fix"}


def merging_unit_ied(types: TypeLibrary, subscribers: tuple[str, ...]) -> Ied:
    """MU1 with logical device MU01 and sampled value control block MSVCB01."""
    plate = {"NamPlt": 0, "Beh": 0, "Health": 0, "Mod": 0}
    ln0_type = types.ln_type("LLN0_MU", "LLN0", plate)
    lphd_type = types.ln_type("LPHD_Sample", "LPHD", {"PhyNam": 0, "PhyHealth": 0, "Proxy": 0})
    members = tuple(
        Fcda("MU01", f"{prefix}{phase}", ln_class, str(number), do_name, attribute, "MX", 0)
        for ln_class, prefix, do_name in _CHANNELS
        for number, phase in enumerate("ABCN", 1)
        for attribute in ("instMag.i", "q")
    )
    control = SampledValueControl(
        "MSVCB01",
        0,
        "PhsMeas1",
        smv_id="MU01",
        conf_rev=1,
        smp_rate=80,
        opts=SmvOpts(sample_synchronized=True),
        subscribers=subscribers,
    )
    ln0 = Ln(
        "LLN0",
        0,
        ln_type=ln0_type,
        instances=name_plate("Merging unit"),
        data_sets=(DataSet("PhsMeas1", 0, members),),
        sv_controls=(control,),
    )
    transformers = tuple(
        Ln(ln_class, 0, prefix=f"{prefix}{phase}", inst=str(number), ln_type=f"{ln_class}_MU")
        for ln_class, prefix, _ in _CHANNELS
        for number, phase in enumerate("ABCN", 1)
    )
    lphd = Ln("LPHD", 0, inst="1", ln_type=lphd_type, instances=physical_name())
    device = LDevice("MU01", 0, nodes=(ln0, lphd, *transformers))
    return Ied(
        MU,
        0,
        type="Merging unit",
        manufacturer="sample",
        original_scl_version="2007",
        original_scl_revision="B",
        original_scl_release="4",
        services=(
            Service("Services", {"nameLength": "64"}, 0),
            Service("ConfDataSet", {"max": "1", "maxAttributes": "16", "modify": "false"}, 0),
            Service("SMVSettings", _FIXED, 0),
            Service("SMVSettings.SmpRate", {}, 0, "80"),
            Service("SMVsc", {"max": "1"}, 0),
        ),
        access_points=(AccessPoint("P1", 0, has_server=True, devices=(device,)),),
    )


def name_plate(description: str) -> tuple[Instance, ...]:
    """Values of an LLN0.NamPlt."""
    return (
        _plate(
            "NamPlt",
            {
                "vendor": "sample",
                "swRev": "1",
                "d": description,
                "configRev": "1",
                "ldNs": namespaces.NS_7_4,
            },
        ),
    )


def physical_name() -> tuple[Instance, ...]:
    """Values of an LPHD.PhyNam."""
    return (_plate("PhyNam", {"vendor": "sample"}),)


def _plate(name: str, values: dict[str, str]) -> Instance:
    leaves = tuple(Instance("DAI", da, 0, values=(Value(text),)) for da, text in values.items())
    return Instance("DOI", name, 0, children=leaves)


def merging_unit_types() -> DataTypeTemplates:
    """Types of the instrument transformers, whose class the namespace data does not have."""
    ln_types: dict[str, LNodeType] = {}
    do_types: dict[str, DoType] = {}
    da_types = {
        "AnalogueValue_i": DaType("AnalogueValue_i", 0, (DaDef("i", "INT32", 0),)),
    }
    for ln_class, _, do_name in _CHANNELS:
        unit, scale = _SCALE[ln_class]
        da_types[f"Scale_{unit}"] = DaType(
            f"Scale_{unit}",
            0,
            (
                DaDef("scaleFactor", "FLOAT32", 0, val_kind="RO", values=(Value(scale),)),
                DaDef("offset", "FLOAT32", 0, val_kind="RO", values=(Value("0"),)),
            ),
        )
        do_types[f"SAV_{unit}"] = DoType(
            f"SAV_{unit}",
            "SAV",
            0,
            (
                DaDef("instMag", "Struct", 0, "AnalogueValue_i", "MX"),
                DaDef("q", "Quality", 0, fc="MX", qchg=True),
                DaDef("units", "Struct", 0, f"Unit_{unit}", "CF", dchg=True),
                DaDef("sVC", "Struct", 0, f"Scale_{unit}", "CF", dchg=True),
            ),
        )
        objects = (DoDef("Beh", "ENS_BehaviourModeKind", 0), DoDef(do_name, f"SAV_{unit}", 0))
        ln_types[f"{ln_class}_MU"] = LNodeType(f"{ln_class}_MU", ln_class, 0, objects)
    return DataTypeTemplates(ln_types, do_types, da_types, {})
