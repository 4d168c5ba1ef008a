"""DataTypeTemplates made from the namespaces: only the types that are asked for."""

from __future__ import annotations

from typing import Final

from agent.errors import Finding, SclError
from agent.iec61850 import namespaces
from agent.iec61850.namespaces import AttributeFact, CdcFact
from agent.scl.export.profile import Profile
from agent.scl.model_base import Value
from agent.scl.model_types import (
    DaDef,
    DataTypeTemplates,
    DaType,
    DoDef,
    DoType,
    EnumType,
    LNodeType,
    SdoDef,
)

CONTROL_CDCS: Final = frozenset({"SPC", "DPC", "INC", "ENC", "BSC", "ISC", "APC", "BAC"})
_MANDATORY: Final = frozenset({"M", "MAllOrNonePerGroup"})
_FLOAT_ONLY: Final = frozenset({"AnalogueValue", "AnalogueValueCtl"})
_SBO: Final = frozenset({2, 4})
_ENHANCED: Final = frozenset({3, 4})
_SBO_TIMEOUT_MS: Final = "30000"
_OPER_TIMEOUT_MS: Final = "10000"
_CONFIGURATION_RO: Final = frozenset({"ctlModel", "sboTimeout", "operTimeout"})


class TypeLibrary:
    """Collects types; two requests for the same thing give the same id."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._ln: dict[str, LNodeType] = {}
        self._do: dict[str, DoType] = {}
        self._da: dict[str, DaType] = {}
        self._enum: dict[str, EnumType] = {}

    def templates(self) -> DataTypeTemplates:
        """Every type that was asked for."""
        return DataTypeTemplates(dict(self._ln), dict(self._do), dict(self._da), dict(self._enum))

    def ln_type(
        self,
        type_id: str,
        class_name: str,
        objects: dict[str, int],
        grouped: frozenset[str] = frozenset(),
    ) -> str:
        """Id of a logical node type of a class with the named objects (name → ctlModel).

        Settings named in `grouped` are edited in setting groups (FC SE), the others set (FC SP).
        """
        known = namespaces.ln_class(class_name)
        if known is None:
            raise _unknown(class_name)
        definitions: list[DoDef] = []
        for name, ctl_model in objects.items():
            fact = namespaces.object_fact(class_name, name)
            if fact is None:
                raise _unknown(f"{class_name}.{name}")
            units = self._profile.units
            unit = units.get(name) or units.get(name.rstrip("0123456789"), "")
            own_ns = "" if known.namespace == namespaces.NS_7_4 else "lnNs"
            extra = {"LLN0": "ldNs configRev"}.get(class_name, own_ns) if name == "NamPlt" else ""
            more = tuple(extra.split())
            fc = "SE" if name in grouped else "SP"
            do_type = self._do_type(fact.cdc, fact.type, unit, ctl_model, more, fc)
            definitions.append(DoDef(name, do_type, 0, fact.transient))
        self._ln.setdefault(type_id, LNodeType(type_id, class_name, 0, tuple(definitions)))
        return type_id

    def _do_type(
        self,
        cdc_name: str,
        kind: str,
        unit: str,
        ctl_model: int,
        extra: tuple[str, ...] = (),
        setting_fc: str = "SP",
    ) -> str:
        fact = namespaces.cdc(cdc_name, setting_fc)
        if fact is None:
            raise _unknown(cdc_name)
        wanted = (*self._profile.optional.get(cdc_name, ()), *extra)
        has_unit = "units" in wanted or fact.objects
        parts = [cdc_name, kind, *extra]
        if has_unit and unit:
            parts.append(unit.replace("/", "_per_"))
        if cdc_name in CONTROL_CDCS:
            parts.append(f"ctl{ctl_model}")
        if setting_fc != "SP":
            parts.append(setting_fc)
        type_id = "_".join(filter(None, parts))
        if type_id in self._do:
            return type_id
        self._do[type_id] = DoType(type_id, cdc_name, 0)  # Keeps its place before its parts.
        children: list[SdoDef | DaDef] = [
            SdoDef(name, self._do_type(sub.cdc, "", unit, 0), 0)
            for name, sub in fact.objects.items()
            if name not in ("neut", "net", "res")
        ]
        for name, attribute in fact.attributes.items():
            if self._is_wanted(name, attribute, wanted, unit, ctl_model, cdc_name):
                children.append(self._attribute(name, attribute, kind, unit, ctl_model))
        if cdc_name in CONTROL_CDCS:
            children.extend(self._control(fact, kind, ctl_model))
        self._do[type_id] = DoType(type_id, cdc_name, 0, tuple(children))
        return type_id

    def _is_wanted(
        self,
        name: str,
        attribute: AttributeFact,
        wanted: tuple[str, ...],
        unit: str,
        ctl_model: int,
        cdc_name: str,
    ) -> bool:
        if attribute.presence == "MOsbo":
            return ctl_model in _SBO
        if attribute.presence == "MOenhanced":
            return ctl_model in _ENHANCED
        if name == "units":
            return bool(unit) and name in wanted
        if cdc_name == "BCR":
            return name in ("actVal", "q", "t", "pulsQty", "units")
        return attribute.presence in _MANDATORY or name in wanted

    def _attribute(
        self, name: str, fact: AttributeFact, kind: str, unit: str, ctl_model: int
    ) -> DaDef:
        b_type, type_id = self._type_of(fact.type or kind, fact.kind, unit)
        return DaDef(
            name=name,
            b_type=b_type,
            line=0,
            type=type_id,
            fc=fact.fc,
            dchg="d" in fact.triggers,
            qchg="q" in fact.triggers,
            dupd="u" in fact.triggers,
            val_kind="RO" if name in _CONFIGURATION_RO else "Set",
            val_import=fact.fc in ("SP", "SE", "CF") and name not in _CONFIGURATION_RO,
            values=self._values(
                name, kind if fact.kind == "E" and not fact.type else "", ctl_model
            ),
        )

    def _values(self, name: str, enum: str, ctl_model: int) -> tuple[Value, ...]:
        if name == "ctlModel":
            texts = namespaces.enumeration("CtlModelKind") or {}
            return (Value(texts[ctl_model]),)
        if name == "sboTimeout":
            return (Value(_SBO_TIMEOUT_MS),)
        if name == "operTimeout":
            return (Value(_OPER_TIMEOUT_MS),)
        if name == "pulsQty":
            return (Value("1"),)
        if enum and name in ("stVal", "setVal"):
            first = next(iter((namespaces.enumeration(enum) or {0: ""}).values()))
            return (Value(self._profile.values.get(enum, first)),)
        return ()

    def _type_of(self, type_name: str, kind: str, unit: str) -> tuple[str, str]:
        if kind == "E":
            return "Enum", self._enum_type(type_name)
        if kind == "C":
            return "Struct", self._structure(type_name, unit)
        return type_name, ""

    def _enum_type(self, name: str) -> str:
        values = namespaces.enumeration(name)
        if values is None:
            raise _unknown(name)
        self._enum.setdefault(
            name, EnumType(name, 0, {text: ordinal for ordinal, text in values.items()})
        )
        return name

    def _structure(self, name: str, unit: str) -> str:
        type_id = f"Unit_{unit.replace('/', '_per_')}" if name == "Unit" else name
        if type_id in self._da:
            return type_id
        members: list[DaDef] = []
        for member, fact in (namespaces.constructed(name) or {}).items():
            if name in _FLOAT_ONLY and member == "i":
                continue  # Measured values and settings are FLOAT32 throughout.
            if fact.presence == "O" and name != "Unit" and member != "ang":
                continue
            b_type, member_type = self._type_of(fact.type, fact.kind, unit)
            values = {"SIUnit": (Value(unit),), "multiplier": (Value(""),)}.get(member, ())
            members.append(
                DaDef(
                    member,
                    b_type,
                    0,
                    member_type,
                    val_kind="RO" if name == "Unit" else "Set",
                    values=values,
                )
            )
        self._da[type_id] = DaType(type_id, 0, tuple(members))
        return type_id

    def _control(self, fact: CdcFact, kind: str, ctl_model: int) -> list[DaDef]:
        """The service attributes of a control model (IEC 61850-8-1 Ed. 2.1, 20)."""
        ctl_type, ctl_kind = fact.ctl_val or ("", "B")
        value_type = self._type_of(ctl_type or kind, ctl_kind, "")
        services: list[DaDef] = []
        if ctl_model == 2:
            services.append(DaDef("SBO", "ObjRef", 0, fc="CO"))
        names = {1: ["Oper"], 2: ["Oper", "Cancel"], 3: ["Oper"], 4: ["SBOw", "Oper", "Cancel"]}
        for name in names.get(ctl_model, []):
            type_id = f"{name}_{value_type[1] or value_type[0]}"
            self._da.setdefault(type_id, self._service(type_id, name, value_type))
            services.append(DaDef(name, "Struct", 0, type_id, fc="CO"))
        return services

    def _service(self, type_id: str, name: str, value_type: tuple[str, str]) -> DaType:
        members: list[DaDef] = []
        for member, type_name, presence in namespaces.control_structure(name):
            if presence != "M":
                continue
            if member == "ctlVal":
                members.append(DaDef(member, value_type[0], 0, value_type[1]))
            elif member == "origin":
                members.append(DaDef(member, "Struct", 0, self._structure(type_name, "")))
            else:
                members.append(DaDef(member, type_name, 0))
        return DaType(type_id, 0, tuple(members))


def _unknown(name: str) -> SclError:
    what = f"{name!r} is not in the namespaces that the export knows"
    return SclError((Finding("gateway profile", what),))
