from agent.utility.bus.openfmb import commonmodule_pb2 as _commonmodule_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ESSReading(_message.Message):
    __slots__ = ("conductingEquipmentTerminalReading", "readingMMTR", "readingMMXU")
    CONDUCTINGEQUIPMENTTERMINALREADING_FIELD_NUMBER: _ClassVar[int]
    READINGMMTR_FIELD_NUMBER: _ClassVar[int]
    READINGMMXU_FIELD_NUMBER: _ClassVar[int]
    conductingEquipmentTerminalReading: _commonmodule_pb2.ConductingEquipmentTerminalReading
    readingMMTR: _commonmodule_pb2.ReadingMMTR
    readingMMXU: _commonmodule_pb2.ReadingMMXU
    def __init__(self, conductingEquipmentTerminalReading: _Optional[_Union[_commonmodule_pb2.ConductingEquipmentTerminalReading, _Mapping]] = ..., readingMMTR: _Optional[_Union[_commonmodule_pb2.ReadingMMTR, _Mapping]] = ..., readingMMXU: _Optional[_Union[_commonmodule_pb2.ReadingMMXU, _Mapping]] = ...) -> None: ...

class ESSReadingProfile(_message.Message):
    __slots__ = ("readingMessageInfo", "ess", "essReading")
    READINGMESSAGEINFO_FIELD_NUMBER: _ClassVar[int]
    ESS_FIELD_NUMBER: _ClassVar[int]
    ESSREADING_FIELD_NUMBER: _ClassVar[int]
    readingMessageInfo: _commonmodule_pb2.ReadingMessageInfo
    ess: _commonmodule_pb2.ESS
    essReading: ESSReading
    def __init__(self, readingMessageInfo: _Optional[_Union[_commonmodule_pb2.ReadingMessageInfo, _Mapping]] = ..., ess: _Optional[_Union[_commonmodule_pb2.ESS, _Mapping]] = ..., essReading: _Optional[_Union[ESSReading, _Mapping]] = ...) -> None: ...

class EssStatusZBAT(_message.Message):
    __slots__ = ("logicalNodeForEventAndStatus", "BatSt", "GriMod", "Soc", "Stdby", "SoH", "WHAvail")
    LOGICALNODEFOREVENTANDSTATUS_FIELD_NUMBER: _ClassVar[int]
    BATST_FIELD_NUMBER: _ClassVar[int]
    GRIMOD_FIELD_NUMBER: _ClassVar[int]
    SOC_FIELD_NUMBER: _ClassVar[int]
    STDBY_FIELD_NUMBER: _ClassVar[int]
    SOH_FIELD_NUMBER: _ClassVar[int]
    WHAVAIL_FIELD_NUMBER: _ClassVar[int]
    logicalNodeForEventAndStatus: _commonmodule_pb2.LogicalNodeForEventAndStatus
    BatSt: _commonmodule_pb2.StatusSPS
    GriMod: _commonmodule_pb2.ENG_GridConnectModeKind
    Soc: _commonmodule_pb2.MV
    Stdby: _commonmodule_pb2.StatusSPS
    SoH: _commonmodule_pb2.MV
    WHAvail: _commonmodule_pb2.MV
    def __init__(self, logicalNodeForEventAndStatus: _Optional[_Union[_commonmodule_pb2.LogicalNodeForEventAndStatus, _Mapping]] = ..., BatSt: _Optional[_Union[_commonmodule_pb2.StatusSPS, _Mapping]] = ..., GriMod: _Optional[_Union[_commonmodule_pb2.ENG_GridConnectModeKind, _Mapping]] = ..., Soc: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., Stdby: _Optional[_Union[_commonmodule_pb2.StatusSPS, _Mapping]] = ..., SoH: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ..., WHAvail: _Optional[_Union[_commonmodule_pb2.MV, _Mapping]] = ...) -> None: ...

class ESSStatus(_message.Message):
    __slots__ = ("statusValue", "essStatusZBAT")
    STATUSVALUE_FIELD_NUMBER: _ClassVar[int]
    ESSSTATUSZBAT_FIELD_NUMBER: _ClassVar[int]
    statusValue: _commonmodule_pb2.StatusValue
    essStatusZBAT: EssStatusZBAT
    def __init__(self, statusValue: _Optional[_Union[_commonmodule_pb2.StatusValue, _Mapping]] = ..., essStatusZBAT: _Optional[_Union[EssStatusZBAT, _Mapping]] = ...) -> None: ...

class ESSStatusProfile(_message.Message):
    __slots__ = ("statusMessageInfo", "ess", "essStatus")
    STATUSMESSAGEINFO_FIELD_NUMBER: _ClassVar[int]
    ESS_FIELD_NUMBER: _ClassVar[int]
    ESSSTATUS_FIELD_NUMBER: _ClassVar[int]
    statusMessageInfo: _commonmodule_pb2.StatusMessageInfo
    ess: _commonmodule_pb2.ESS
    essStatus: ESSStatus
    def __init__(self, statusMessageInfo: _Optional[_Union[_commonmodule_pb2.StatusMessageInfo, _Mapping]] = ..., ess: _Optional[_Union[_commonmodule_pb2.ESS, _Mapping]] = ..., essStatus: _Optional[_Union[ESSStatus, _Mapping]] = ...) -> None: ...
