from agent.utility.bus.openfmb import commonmodule_pb2 as _commonmodule_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChargingStateKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ChargingStateKind_UNDEFINED: _ClassVar[ChargingStateKind]
    ChargingStateKind_Idle: _ClassVar[ChargingStateKind]
    ChargingStateKind_Charging: _ClassVar[ChargingStateKind]
    ChargingStateKind_EVConnected: _ClassVar[ChargingStateKind]
    ChargingStateKind_SuspendedEV: _ClassVar[ChargingStateKind]
    ChargingStateKind_SuspendedEVSE: _ClassVar[ChargingStateKind]

class EVACPlugStateKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVACPlugStateKind_UNDEFINED: _ClassVar[EVACPlugStateKind]
    EVACPlugStateKind_Disconnected: _ClassVar[EVACPlugStateKind]
    EVACPlugStateKind_ConnectedandUnlocked: _ClassVar[EVACPlugStateKind]
    EVACPlugStateKind_ConnectedandLocked: _ClassVar[EVACPlugStateKind]
    EVACPlugStateKind_Connected: _ClassVar[EVACPlugStateKind]
ChargingStateKind_UNDEFINED: ChargingStateKind
ChargingStateKind_Idle: ChargingStateKind
ChargingStateKind_Charging: ChargingStateKind
ChargingStateKind_EVConnected: ChargingStateKind
ChargingStateKind_SuspendedEV: ChargingStateKind
ChargingStateKind_SuspendedEVSE: ChargingStateKind
EVACPlugStateKind_UNDEFINED: EVACPlugStateKind
EVACPlugStateKind_Disconnected: EVACPlugStateKind
EVACPlugStateKind_ConnectedandUnlocked: EVACPlugStateKind
EVACPlugStateKind_ConnectedandLocked: EVACPlugStateKind
EVACPlugStateKind_Connected: EVACPlugStateKind

class EVSE(_message.Message):
    __slots__ = ("conductingEquipment",)
    CONDUCTINGEQUIPMENT_FIELD_NUMBER: _ClassVar[int]
    conductingEquipment: _commonmodule_pb2.ConductingEquipment
    def __init__(self, conductingEquipment: _Optional[_Union[_commonmodule_pb2.ConductingEquipment, _Mapping]] = ...) -> None: ...

class ReadingDEEV(_message.Message):
    __slots__ = ("logicalNode", "Soc")
    LOGICALNODE_FIELD_NUMBER: _ClassVar[int]
    SOC_FIELD_NUMBER: _ClassVar[int]
    logicalNode: _commonmodule_pb2.LogicalNode
    Soc: _commonmodule_pb2.MV
    def __init__(self, logicalNode: _Optional[_Union[_commonmodule_pb2.LogicalNode, _Mapping]] = ..., Soc: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ...) -> None: ...

class ReadingDEAO(_message.Message):
    __slots__ = ("logicalNode", "readingDEEV")
    LOGICALNODE_FIELD_NUMBER: _ClassVar[int]
    READINGDEEV_FIELD_NUMBER: _ClassVar[int]
    logicalNode: _commonmodule_pb2.LogicalNode
    readingDEEV: ReadingDEEV
    def __init__(self, logicalNode: _Optional[_Union[_commonmodule_pb2.LogicalNode, _Mapping]] = ..., readingDEEV: _Optional[_Union[ReadingDEEV, _Mapping]] = ...) -> None: ...

class EVSEReadingDESE(_message.Message):
    __slots__ = ("logicalNode", "readingDEAO", "ChaV", "ChaA", "ChaW", "ChaWh")
    LOGICALNODE_FIELD_NUMBER: _ClassVar[int]
    READINGDEAO_FIELD_NUMBER: _ClassVar[int]
    CHAV_FIELD_NUMBER: _ClassVar[int]
    CHAA_FIELD_NUMBER: _ClassVar[int]
    CHAW_FIELD_NUMBER: _ClassVar[int]
    CHAWH_FIELD_NUMBER: _ClassVar[int]
    logicalNode: _commonmodule_pb2.LogicalNode
    readingDEAO: ReadingDEAO
    ChaV: _commonmodule_pb2.MV
    ChaA: _commonmodule_pb2.MV
    ChaW: _commonmodule_pb2.MV
    ChaWh: _commonmodule_pb2.MV
    def __init__(self, logicalNode: _Optional[_Union[_commonmodule_pb2.LogicalNode, _Mapping]] = ..., readingDEAO: _Optional[_Union[ReadingDEAO, _Mapping]] = ..., ChaV: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., ChaA: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., ChaW: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., ChaWh: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ...) -> None: ...

class EVSEReading(_message.Message):
    __slots__ = ("conductingEquipmentTerminalReading", "evseReadingDESE")
    CONDUCTINGEQUIPMENTTERMINALREADING_FIELD_NUMBER: _ClassVar[int]
    EVSEREADINGDESE_FIELD_NUMBER: _ClassVar[int]
    conductingEquipmentTerminalReading: _commonmodule_pb2.ConductingEquipmentTerminalReading
    evseReadingDESE: _containers.RepeatedCompositeFieldContainer[EVSEReadingDESE]
    def __init__(self, conductingEquipmentTerminalReading: _Optional[_Union[_commonmodule_pb2.ConductingEquipmentTerminalReading, _Mapping]] = ..., evseReadingDESE: _Optional[_Iterable[_Union[EVSEReadingDESE, _Mapping]]] = ...) -> None: ...

class EVSEReadingProfile(_message.Message):
    __slots__ = ("readingMessageInfo", "evse", "evseReading")
    READINGMESSAGEINFO_FIELD_NUMBER: _ClassVar[int]
    EVSE_FIELD_NUMBER: _ClassVar[int]
    EVSEREADING_FIELD_NUMBER: _ClassVar[int]
    readingMessageInfo: _commonmodule_pb2.ReadingMessageInfo
    evse: EVSE
    evseReading: EVSEReading
    def __init__(self, readingMessageInfo: _Optional[_Union[_commonmodule_pb2.ReadingMessageInfo, _Mapping]] = ..., evse: _Optional[_Union[EVSE, _Mapping]] = ..., evseReading: _Optional[_Union[EVSEReading, _Mapping]] = ...) -> None: ...

class Optional_ChargingStateKind(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: ChargingStateKind
    def __init__(self, value: _Optional[_Union[ChargingStateKind, str]] = ...) -> None: ...

class EVSEPointStatus(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: Optional_ChargingStateKind
    def __init__(self, state: _Optional[_Union[Optional_ChargingStateKind, _Mapping]] = ...) -> None: ...

class ENS_EVACPlugStateKind(_message.Message):
    __slots__ = ("q", "stVal", "t")
    Q_FIELD_NUMBER: _ClassVar[int]
    STVAL_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    q: _commonmodule_pb2.Quality
    stVal: EVACPlugStateKind
    t: _commonmodule_pb2.Timestamp
    def __init__(self, q: _Optional[_Union[_commonmodule_pb2.Quality, _Mapping]] = ..., stVal: _Optional[_Union[EVACPlugStateKind, str]] = ..., t: _Optional[_Union[_commonmodule_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EventAndStatusDEEV(_message.Message):
    __slots__ = ("logicalNodeForEventAndStatus", "DptTm", "WHReq", "WHAvail", "Soc")
    LOGICALNODEFOREVENTANDSTATUS_FIELD_NUMBER: _ClassVar[int]
    DPTTM_FIELD_NUMBER: _ClassVar[int]
    WHREQ_FIELD_NUMBER: _ClassVar[int]
    WHAVAIL_FIELD_NUMBER: _ClassVar[int]
    SOC_FIELD_NUMBER: _ClassVar[int]
    logicalNodeForEventAndStatus: _commonmodule_pb2.LogicalNodeForEventAndStatus
    DptTm: _commonmodule_pb2.ClearingTime
    WHReq: _commonmodule_pb2.MV
    WHAvail: _commonmodule_pb2.MV
    Soc: _commonmodule_pb2.MV
    def __init__(self, logicalNodeForEventAndStatus: _Optional[_Union[_commonmodule_pb2.LogicalNodeForEventAndStatus, _Mapping]] = ..., DptTm: _Optional[_Union[_commonmodule_pb2.ClearingTime, _Mapping]] = ..., WHReq: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., WHAvail: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., Soc: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ...) -> None: ...

class EventAndStatusDEAO(_message.Message):
    __slots__ = ("logicalNodeForEventAndStatus", "eventAndStatusDEEV", "PlgStAC")
    LOGICALNODEFOREVENTANDSTATUS_FIELD_NUMBER: _ClassVar[int]
    EVENTANDSTATUSDEEV_FIELD_NUMBER: _ClassVar[int]
    PLGSTAC_FIELD_NUMBER: _ClassVar[int]
    logicalNodeForEventAndStatus: _commonmodule_pb2.LogicalNodeForEventAndStatus
    eventAndStatusDEEV: EventAndStatusDEEV
    PlgStAC: ENS_EVACPlugStateKind
    def __init__(self, logicalNodeForEventAndStatus: _Optional[_Union[_commonmodule_pb2.LogicalNodeForEventAndStatus, _Mapping]] = ..., eventAndStatusDEEV: _Optional[_Union[EventAndStatusDEEV, _Mapping]] = ..., PlgStAC: _Optional[_Union[ENS_EVACPlugStateKind, _Mapping]] = ...) -> None: ...

class EventAndStatusDESE(_message.Message):
    __slots__ = ("logicalNodeForEventAndStatus", "eventAndStatusDEAO", "PointStatus")
    LOGICALNODEFOREVENTANDSTATUS_FIELD_NUMBER: _ClassVar[int]
    EVENTANDSTATUSDEAO_FIELD_NUMBER: _ClassVar[int]
    POINTSTATUS_FIELD_NUMBER: _ClassVar[int]
    logicalNodeForEventAndStatus: _commonmodule_pb2.LogicalNodeForEventAndStatus
    eventAndStatusDEAO: EventAndStatusDEAO
    PointStatus: EVSEPointStatus
    def __init__(self, logicalNodeForEventAndStatus: _Optional[_Union[_commonmodule_pb2.LogicalNodeForEventAndStatus, _Mapping]] = ..., eventAndStatusDEAO: _Optional[_Union[EventAndStatusDEAO, _Mapping]] = ..., PointStatus: _Optional[_Union[EVSEPointStatus, _Mapping]] = ...) -> None: ...

class EVSEStatus(_message.Message):
    __slots__ = ("statusValue", "eventAndStatusDESE")
    STATUSVALUE_FIELD_NUMBER: _ClassVar[int]
    EVENTANDSTATUSDESE_FIELD_NUMBER: _ClassVar[int]
    statusValue: _commonmodule_pb2.StatusValue
    eventAndStatusDESE: _containers.RepeatedCompositeFieldContainer[EventAndStatusDESE]
    def __init__(self, statusValue: _Optional[_Union[_commonmodule_pb2.StatusValue, _Mapping]] = ..., eventAndStatusDESE: _Optional[_Iterable[_Union[EventAndStatusDESE, _Mapping]]] = ...) -> None: ...

class EVSEStatusProfile(_message.Message):
    __slots__ = ("statusMessageInfo", "evse", "evseStatus")
    STATUSMESSAGEINFO_FIELD_NUMBER: _ClassVar[int]
    EVSE_FIELD_NUMBER: _ClassVar[int]
    EVSESTATUS_FIELD_NUMBER: _ClassVar[int]
    statusMessageInfo: _commonmodule_pb2.StatusMessageInfo
    evse: EVSE
    evseStatus: EVSEStatus
    def __init__(self, statusMessageInfo: _Optional[_Union[_commonmodule_pb2.StatusMessageInfo, _Mapping]] = ..., evse: _Optional[_Union[EVSE, _Mapping]] = ..., evseStatus: _Optional[_Union[EVSEStatus, _Mapping]] = ...) -> None: ...
