"""What the gateway's IED supports: its Services (IEC 61850-6 Ed. 2.1, 9.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.scl.model_ied import Service

_SETTINGS: Final = {
    "cbName": "Conf", "datSet": "Dyn", "rptID": "Dyn", "optFields": "Dyn", "bufTime": "Dyn",
    "trgOps": "Dyn", "intgPd": "Dyn", "resvTms": "true", "owner": "true",
}  # fmt: skip


def services(
    reports: int, data_sets: int, members: int, *, gooses: int = 1, groups: bool = False
) -> tuple[Service, ...]:
    """The Services element for that many report control blocks, data sets and members.

    Args:
        reports: Report control blocks.
        data_sets: Data sets.
        members: Members that one of them may have.
        gooses: GOOSE control blocks.
        groups: There are setting groups.
    """
    claims: dict[str, Mapping[str, str]] = {
        "Services": {"nameLength": "64"},
        "DynAssociation": {"max": "50"},
        "GetDirectory": {},
        "GetDataObjectDefinition": {},
        "DataObjectDirectory": {},
        "GetDataSetValue": {},
        "DataSetDirectory": {},
        "ConfDataSet": {
            "max": str(data_sets), "maxAttributes": str(members), "modify": "true",
        },
        "ReadWrite": {},
        "ConfReportControl": {
            "max": str(reports), "bufMode": "both", "bufConf": "false",
        },
        "GetCBValues": {},
        "ReportSettings": _SETTINGS,
        "GSESettings": {"cbName": "Conf", "datSet": "Conf", "appID": "Conf"},
        "GOOSE": {"max": str(gooses)},
        "ConfLNs": {"fixPrefix": "true", "fixLnInst": "true"},
        "ClientServices": {"goose": "true", "sv": "true", "maxGOOSE": "8", "maxSMV": "4",
                           "supportsLdName": "true"},
        "ConfLdName": {},
        "SupSubscription": {"maxGo": "1", "maxSv": "1"},
        "ValueHandling": {"setToRO": "true"},
        "TimeSyncProt": {"sntp": "true", "iec61850_9_3": "true"},
        "CommProt": {"ipv6": "true"},
    }  # fmt: skip
    made = [Service(name, attributes, 0) for name, attributes in claims.items()]
    if groups:
        # After DynAssociation, as the schema's older editions want it.
        made[2:2] = [Service("SettingGroups", {}, 0), Service("SettingGroups.SGEdit", {}, 0),
                     Service("SettingGroups.ConfSG", {}, 0)]  # fmt: skip
    return tuple(made)
