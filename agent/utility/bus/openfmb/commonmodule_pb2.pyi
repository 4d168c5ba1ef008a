from google.protobuf import wrappers_pb2 as _wrappers_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TimeAccuracyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TimeAccuracyKind_UNDEFINED: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_T0: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_T1: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_T2: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_T3: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_T4: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_T5: _ClassVar[TimeAccuracyKind]
    TimeAccuracyKind_unspecified: _ClassVar[TimeAccuracyKind]

class SourceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SourceKind_UNDEFINED: _ClassVar[SourceKind]
    SourceKind_process: _ClassVar[SourceKind]
    SourceKind_substituted: _ClassVar[SourceKind]

class ValidityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ValidityKind_UNDEFINED: _ClassVar[ValidityKind]
    ValidityKind_good: _ClassVar[ValidityKind]
    ValidityKind_invalid: _ClassVar[ValidityKind]
    ValidityKind_reserved: _ClassVar[ValidityKind]
    ValidityKind_questionable: _ClassVar[ValidityKind]

class PhaseCodeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PhaseCodeKind_none: _ClassVar[PhaseCodeKind]
    PhaseCodeKind_ABC: _ClassVar[PhaseCodeKind]
    PhaseCodeKind_ABCN: _ClassVar[PhaseCodeKind]

class BehaviourModeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BehaviourModeKind_UNDEFINED: _ClassVar[BehaviourModeKind]
    BehaviourModeKind_on: _ClassVar[BehaviourModeKind]
    BehaviourModeKind_blocked: _ClassVar[BehaviourModeKind]
    BehaviourModeKind_test: _ClassVar[BehaviourModeKind]
    BehaviourModeKind_test_blocked: _ClassVar[BehaviourModeKind]
    BehaviourModeKind_off: _ClassVar[BehaviourModeKind]

class HealthKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HealthKind_UNDEFINED: _ClassVar[HealthKind]
    HealthKind_none: _ClassVar[HealthKind]
    HealthKind_OK: _ClassVar[HealthKind]
    HealthKind_Warning: _ClassVar[HealthKind]
    HealthKind_Alarm: _ClassVar[HealthKind]

class UnitSymbolKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UnitSymbolKind_none: _ClassVar[UnitSymbolKind]
    UnitSymbolKind_Amp: _ClassVar[UnitSymbolKind]
    UnitSymbolKind_V: _ClassVar[UnitSymbolKind]
    UnitSymbolKind_Hz: _ClassVar[UnitSymbolKind]
    UnitSymbolKind_W: _ClassVar[UnitSymbolKind]
    UnitSymbolKind_VAr: _ClassVar[UnitSymbolKind]
    UnitSymbolKind_Wh: _ClassVar[UnitSymbolKind]

class UnitMultiplierKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UnitMultiplierKind_UNDEFINED: _ClassVar[UnitMultiplierKind]
    UnitMultiplierKind_none: _ClassVar[UnitMultiplierKind]

class GridConnectModeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GridConnectModeKind_UNDEFINED: _ClassVar[GridConnectModeKind]
    GridConnectModeKind_CSI: _ClassVar[GridConnectModeKind]
    GridConnectModeKind_VC_VSI: _ClassVar[GridConnectModeKind]
    GridConnectModeKind_CC_VSI: _ClassVar[GridConnectModeKind]
    GridConnectModeKind_none: _ClassVar[GridConnectModeKind]
    GridConnectModeKind_other: _ClassVar[GridConnectModeKind]
TimeAccuracyKind_UNDEFINED: TimeAccuracyKind
TimeAccuracyKind_T0: TimeAccuracyKind
TimeAccuracyKind_T1: TimeAccuracyKind
TimeAccuracyKind_T2: TimeAccuracyKind
TimeAccuracyKind_T3: TimeAccuracyKind
TimeAccuracyKind_T4: TimeAccuracyKind
TimeAccuracyKind_T5: TimeAccuracyKind
TimeAccuracyKind_unspecified: TimeAccuracyKind
SourceKind_UNDEFINED: SourceKind
SourceKind_process: SourceKind
SourceKind_substituted: SourceKind
ValidityKind_UNDEFINED: ValidityKind
ValidityKind_good: ValidityKind
ValidityKind_invalid: ValidityKind
ValidityKind_reserved: ValidityKind
ValidityKind_questionable: ValidityKind
PhaseCodeKind_none: PhaseCodeKind
PhaseCodeKind_ABC: PhaseCodeKind
PhaseCodeKind_ABCN: PhaseCodeKind
BehaviourModeKind_UNDEFINED: BehaviourModeKind
BehaviourModeKind_on: BehaviourModeKind
BehaviourModeKind_blocked: BehaviourModeKind
BehaviourModeKind_test: BehaviourModeKind
BehaviourModeKind_test_blocked: BehaviourModeKind
BehaviourModeKind_off: BehaviourModeKind
HealthKind_UNDEFINED: HealthKind
HealthKind_none: HealthKind
HealthKind_OK: HealthKind
HealthKind_Warning: HealthKind
HealthKind_Alarm: HealthKind
UnitSymbolKind_none: UnitSymbolKind
UnitSymbolKind_Amp: UnitSymbolKind
UnitSymbolKind_V: UnitSymbolKind
UnitSymbolKind_Hz: UnitSymbolKind
UnitSymbolKind_W: UnitSymbolKind
UnitSymbolKind_VAr: UnitSymbolKind
UnitSymbolKind_Wh: UnitSymbolKind
UnitMultiplierKind_UNDEFINED: UnitMultiplierKind
UnitMultiplierKind_none: UnitMultiplierKind
GridConnectModeKind_UNDEFINED: GridConnectModeKind
GridConnectModeKind_CSI: GridConnectModeKind
GridConnectModeKind_VC_VSI: GridConnectModeKind
GridConnectModeKind_CC_VSI: GridConnectModeKind
GridConnectModeKind_none: GridConnectModeKind
GridConnectModeKind_other: GridConnectModeKind

class TimeQuality(_message.Message):
    __slots__ = ("clockFailure", "clockNotSynchronized", "leapSecondsKnown", "timeAccuracy")
    CLOCKFAILURE_FIELD_NUMBER: _ClassVar[int]
    CLOCKNOTSYNCHRONIZED_FIELD_NUMBER: _ClassVar[int]
    LEAPSECONDSKNOWN_FIELD_NUMBER: _ClassVar[int]
    TIMEACCURACY_FIELD_NUMBER: _ClassVar[int]
    clockFailure: bool
    clockNotSynchronized: bool
    leapSecondsKnown: bool
    timeAccuracy: TimeAccuracyKind
    def __init__(self, clockFailure: _Optional[bool] = ..., clockNotSynchronized: _Optional[bool] = ..., leapSecondsKnown: _Optional[bool] = ..., timeAccuracy: _Optional[_Union[TimeAccuracyKind, str]] = ...) -> None: ...

class Timestamp(_message.Message):
    __slots__ = ("seconds", "tq", "nanoseconds")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    TQ_FIELD_NUMBER: _ClassVar[int]
    NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    tq: TimeQuality
    nanoseconds: int
    def __init__(self, seconds: _Optional[int] = ..., tq: _Optional[_Union[TimeQuality, _Mapping]] = ..., nanoseconds: _Optional[int] = ...) -> None: ...

class ClearingTime(_message.Message):
    __slots__ = ("seconds", "nanoseconds")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanoseconds: int
    def __init__(self, seconds: _Optional[int] = ..., nanoseconds: _Optional[int] = ...) -> None: ...

class DetailQual(_message.Message):
    __slots__ = ("badReference", "failure", "inaccurate", "inconsistent", "oldData", "oscillatory", "outOfRange", "overflow")
    BADREFERENCE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    INACCURATE_FIELD_NUMBER: _ClassVar[int]
    INCONSISTENT_FIELD_NUMBER: _ClassVar[int]
    OLDDATA_FIELD_NUMBER: _ClassVar[int]
    OSCILLATORY_FIELD_NUMBER: _ClassVar[int]
    OUTOFRANGE_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    badReference: bool
    failure: bool
    inaccurate: bool
    inconsistent: bool
    oldData: bool
    oscillatory: bool
    outOfRange: bool
    overflow: bool
    def __init__(self, badReference: _Optional[bool] = ..., failure: _Optional[bool] = ..., inaccurate: _Optional[bool] = ..., inconsistent: _Optional[bool] = ..., oldData: _Optional[bool] = ..., oscillatory: _Optional[bool] = ..., outOfRange: _Optional[bool] = ..., overflow: _Optional[bool] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("detailQual", "operatorBlocked", "source", "test", "validity")
    DETAILQUAL_FIELD_NUMBER: _ClassVar[int]
    OPERATORBLOCKED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    VALIDITY_FIELD_NUMBER: _ClassVar[int]
    detailQual: DetailQual
    operatorBlocked: bool
    source: SourceKind
    test: bool
    validity: ValidityKind
    def __init__(self, detailQual: _Optional[_Union[DetailQual, _Mapping]] = ..., operatorBlocked: _Optional[bool] = ..., source: _Optional[_Union[SourceKind, str]] = ..., test: _Optional[bool] = ..., validity: _Optional[_Union[ValidityKind, str]] = ...) -> None: ...

class IdentifiedObject(_message.Message):
    __slots__ = ("description", "mRID", "name")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MRID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    description: _wrappers_pb2.StringValue
    mRID: _wrappers_pb2.StringValue
    name: _wrappers_pb2.StringValue
    def __init__(self, description: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., mRID: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., name: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class NamedObject(_message.Message):
    __slots__ = ("description", "name")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    description: _wrappers_pb2.StringValue
    name: _wrappers_pb2.StringValue
    def __init__(self, description: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., name: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...

class MessageInfo(_message.Message):
    __slots__ = ("identifiedObject", "messageTimeStamp")
    IDENTIFIEDOBJECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    identifiedObject: IdentifiedObject
    messageTimeStamp: Timestamp
    def __init__(self, identifiedObject: _Optional[_Union[IdentifiedObject, _Mapping]] = ..., messageTimeStamp: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class ReadingMessageInfo(_message.Message):
    __slots__ = ("messageInfo",)
    MESSAGEINFO_FIELD_NUMBER: _ClassVar[int]
    messageInfo: MessageInfo
    def __init__(self, messageInfo: _Optional[_Union[MessageInfo, _Mapping]] = ...) -> None: ...

class StatusMessageInfo(_message.Message):
    __slots__ = ("messageInfo",)
    MESSAGEINFO_FIELD_NUMBER: _ClassVar[int]
    messageInfo: MessageInfo
    def __init__(self, messageInfo: _Optional[_Union[MessageInfo, _Mapping]] = ...) -> None: ...

class ConductingEquipment(_message.Message):
    __slots__ = ("namedObject", "mRID")
    NAMEDOBJECT_FIELD_NUMBER: _ClassVar[int]
    MRID_FIELD_NUMBER: _ClassVar[int]
    namedObject: NamedObject
    mRID: str
    def __init__(self, namedObject: _Optional[_Union[NamedObject, _Mapping]] = ..., mRID: _Optional[str] = ...) -> None: ...

class ESS(_message.Message):
    __slots__ = ("conductingEquipment",)
    CONDUCTINGEQUIPMENT_FIELD_NUMBER: _ClassVar[int]
    conductingEquipment: ConductingEquipment
    def __init__(self, conductingEquipment: _Optional[_Union[ConductingEquipment, _Mapping]] = ...) -> None: ...

class ACDCTerminal(_message.Message):
    __slots__ = ("identifiedObject", "connected", "sequenceNumber")
    IDENTIFIEDOBJECT_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    SEQUENCENUMBER_FIELD_NUMBER: _ClassVar[int]
    identifiedObject: IdentifiedObject
    connected: _wrappers_pb2.BoolValue
    sequenceNumber: _wrappers_pb2.Int32Value
    def __init__(self, identifiedObject: _Optional[_Union[IdentifiedObject, _Mapping]] = ..., connected: _Optional[_Union[_wrappers_pb2.BoolValue, _Mapping]] = ..., sequenceNumber: _Optional[_Union[_wrappers_pb2.Int32Value, _Mapping]] = ...) -> None: ...

class Optional_PhaseCodeKind(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: PhaseCodeKind
    def __init__(self, value: _Optional[_Union[PhaseCodeKind, str]] = ...) -> None: ...

class Terminal(_message.Message):
    __slots__ = ("aCDCTerminal", "phases")
    ACDCTERMINAL_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    aCDCTerminal: ACDCTerminal
    phases: Optional_PhaseCodeKind
    def __init__(self, aCDCTerminal: _Optional[_Union[ACDCTerminal, _Mapping]] = ..., phases: _Optional[_Union[Optional_PhaseCodeKind, _Mapping]] = ...) -> None: ...

class ConductingEquipmentTerminalReading(_message.Message):
    __slots__ = ("terminal",)
    TERMINAL_FIELD_NUMBER: _ClassVar[int]
    terminal: Terminal
    def __init__(self, terminal: _Optional[_Union[Terminal, _Mapping]] = ...) -> None: ...

class LogicalNode(_message.Message):
    __slots__ = ("identifiedObject",)
    IDENTIFIEDOBJECT_FIELD_NUMBER: _ClassVar[int]
    identifiedObject: IdentifiedObject
    def __init__(self, identifiedObject: _Optional[_Union[IdentifiedObject, _Mapping]] = ...) -> None: ...

class ENS_BehaviourModeKind(_message.Message):
    __slots__ = ("q", "stVal", "t")
    Q_FIELD_NUMBER: _ClassVar[int]
    STVAL_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    q: Quality
    stVal: BehaviourModeKind
    t: Timestamp
    def __init__(self, q: _Optional[_Union[Quality, _Mapping]] = ..., stVal: _Optional[_Union[BehaviourModeKind, str]] = ..., t: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class ENS_HealthKind(_message.Message):
    __slots__ = ("d", "stVal")
    D_FIELD_NUMBER: _ClassVar[int]
    STVAL_FIELD_NUMBER: _ClassVar[int]
    d: _wrappers_pb2.StringValue
    stVal: HealthKind
    def __init__(self, d: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., stVal: _Optional[_Union[HealthKind, str]] = ...) -> None: ...

class LogicalNodeForEventAndStatus(_message.Message):
    __slots__ = ("logicalNode", "Beh", "EEHealth")
    LOGICALNODE_FIELD_NUMBER: _ClassVar[int]
    BEH_FIELD_NUMBER: _ClassVar[int]
    EEHEALTH_FIELD_NUMBER: _ClassVar[int]
    logicalNode: LogicalNode
    Beh: ENS_BehaviourModeKind
    EEHealth: ENS_HealthKind
    def __init__(self, logicalNode: _Optional[_Union[LogicalNode, _Mapping]] = ..., Beh: _Optional[_Union[ENS_BehaviourModeKind, _Mapping]] = ..., EEHealth: _Optional[_Union[ENS_HealthKind, _Mapping]] = ...) -> None: ...

class StatusValue(_message.Message):
    __slots__ = ("identifiedObject", "modBlk")
    IDENTIFIEDOBJECT_FIELD_NUMBER: _ClassVar[int]
    MODBLK_FIELD_NUMBER: _ClassVar[int]
    identifiedObject: IdentifiedObject
    modBlk: _wrappers_pb2.BoolValue
    def __init__(self, identifiedObject: _Optional[_Union[IdentifiedObject, _Mapping]] = ..., modBlk: _Optional[_Union[_wrappers_pb2.BoolValue, _Mapping]] = ...) -> None: ...

class StatusSPS(_message.Message):
    __slots__ = ("q", "stVal", "t")
    Q_FIELD_NUMBER: _ClassVar[int]
    STVAL_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    q: Quality
    stVal: bool
    t: Timestamp
    def __init__(self, q: _Optional[_Union[Quality, _Mapping]] = ..., stVal: _Optional[bool] = ..., t: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class Optional_UnitMultiplierKind(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: UnitMultiplierKind
    def __init__(self, value: _Optional[_Union[UnitMultiplierKind, str]] = ...) -> None: ...

class Unit(_message.Message):
    __slots__ = ("multiplier", "SIUnit")
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    SIUNIT_FIELD_NUMBER: _ClassVar[int]
    multiplier: Optional_UnitMultiplierKind
    SIUnit: UnitSymbolKind
    def __init__(self, multiplier: _Optional[_Union[Optional_UnitMultiplierKind, _Mapping]] = ..., SIUnit: _Optional[_Union[UnitSymbolKind, str]] = ...) -> None: ...

class MV(_message.Message):
    __slots__ = ("mag", "q", "t", "units")
    MAG_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    mag: float
    q: Quality
    t: Timestamp
    units: Unit
    def __init__(self, mag: _Optional[float] = ..., q: _Optional[_Union[Quality, _Mapping]] = ..., t: _Optional[_Union[Timestamp, _Mapping]] = ..., units: _Optional[_Union[Unit, _Mapping]] = ...) -> None: ...

class Vector(_message.Message):
    __slots__ = ("ang", "mag")
    ANG_FIELD_NUMBER: _ClassVar[int]
    MAG_FIELD_NUMBER: _ClassVar[int]
    ang: _wrappers_pb2.DoubleValue
    mag: float
    def __init__(self, ang: _Optional[_Union[_wrappers_pb2.DoubleValue, _Mapping]] = ..., mag: _Optional[float] = ...) -> None: ...

class CMV(_message.Message):
    __slots__ = ("cVal", "q", "t")
    CVAL_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    cVal: Vector
    q: Quality
    t: Timestamp
    def __init__(self, cVal: _Optional[_Union[Vector, _Mapping]] = ..., q: _Optional[_Union[Quality, _Mapping]] = ..., t: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class WYE(_message.Message):
    __slots__ = ("net", "neut", "phsA", "phsB", "phsC", "res")
    NET_FIELD_NUMBER: _ClassVar[int]
    NEUT_FIELD_NUMBER: _ClassVar[int]
    PHSA_FIELD_NUMBER: _ClassVar[int]
    PHSB_FIELD_NUMBER: _ClassVar[int]
    PHSC_FIELD_NUMBER: _ClassVar[int]
    RES_FIELD_NUMBER: _ClassVar[int]
    net: CMV
    neut: CMV
    phsA: CMV
    phsB: CMV
    phsC: CMV
    res: CMV
    def __init__(self, net: _Optional[_Union[CMV, _Mapping]] = ..., neut: _Optional[_Union[CMV, _Mapping]] = ..., phsA: _Optional[_Union[CMV, _Mapping]] = ..., phsB: _Optional[_Union[CMV, _Mapping]] = ..., phsC: _Optional[_Union[CMV, _Mapping]] = ..., res: _Optional[_Union[CMV, _Mapping]] = ...) -> None: ...

class BCR(_message.Message):
    __slots__ = ("actVal", "q", "t")
    ACTVAL_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    actVal: int
    q: Quality
    t: Timestamp
    def __init__(self, actVal: _Optional[int] = ..., q: _Optional[_Union[Quality, _Mapping]] = ..., t: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class ReadingMMXU(_message.Message):
    __slots__ = ("logicalNode", "A", "Hz", "PhV", "VAr", "W")
    LOGICALNODE_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    HZ_FIELD_NUMBER: _ClassVar[int]
    PHV_FIELD_NUMBER: _ClassVar[int]
    VAR_FIELD_NUMBER: _ClassVar[int]
    W_FIELD_NUMBER: _ClassVar[int]
    logicalNode: LogicalNode
    A: WYE
    Hz: MV
    PhV: WYE
    VAr: WYE
    W: WYE
    def __init__(self, logicalNode: _Optional[_Union[LogicalNode, _Mapping]] = ..., A: _Optional[_Union[WYE, _Mapping]] = ..., Hz: _Optional[_Union[MV, _Mapping]] = ..., PhV: _Optional[_Union[WYE, _Mapping]] = ..., VAr: _Optional[_Union[WYE, _Mapping]] = ..., W: _Optional[_Union[WYE, _Mapping]] = ...) -> None: ...

class ReadingMMTR(_message.Message):
    __slots__ = ("logicalNode", "DmdWh", "SupWh")
    LOGICALNODE_FIELD_NUMBER: _ClassVar[int]
    DMDWH_FIELD_NUMBER: _ClassVar[int]
    SUPWH_FIELD_NUMBER: _ClassVar[int]
    logicalNode: LogicalNode
    DmdWh: BCR
    SupWh: BCR
    def __init__(self, logicalNode: _Optional[_Union[LogicalNode, _Mapping]] = ..., DmdWh: _Optional[_Union[BCR, _Mapping]] = ..., SupWh: _Optional[_Union[BCR, _Mapping]] = ...) -> None: ...

class ENG_GridConnectModeKind(_message.Message):
    __slots__ = ("setVal", "setValExtension")
    SETVAL_FIELD_NUMBER: _ClassVar[int]
    SETVALEXTENSION_FIELD_NUMBER: _ClassVar[int]
    setVal: GridConnectModeKind
    setValExtension: _wrappers_pb2.StringValue
    def __init__(self, setVal: _Optional[_Union[GridConnectModeKind, str]] = ..., setValExtension: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ...) -> None: ...
