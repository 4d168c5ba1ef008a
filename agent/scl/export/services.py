"""What the gateway's IED supports: its Services (IEC 61850-6 Ed. 2.1, 9.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.scl.model_ied import Service

_SETTINGS: Final = {
    "cbName": "Conf", "datSet": "Dyn", "rptID": "Dyn", "optFields": "Dyn", "bufTime": "Dyn",
    "trgOps": "Dyn", "intgPd": "Dyn", "resvTms": "true", "owner": "true",
}  # fmt: skip


def services(reports: int, data_sets: int, members: int) -> tuple[Service, ...]:
    """The Services element for that many report control blocks, data sets and members."""
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
        "GSESettings": {"cbName": "Fix", "datSet": "Fix", "appID": "Fix"},
        "GOOSE": {"max": "0"},
        "ConfLNs": {"fixPrefix": "true", "fixLnInst": "true"},
        "ClientServices": {"goose": "true", "sv": "true", "maxGOOSE": "8", "maxSMV": "4",
                           "supportsLdName": "true"},
        "ConfLdName": {},
        "SupSubscription": {"maxGo": "1", "maxSv": "1"},
        "ValueHandling": {"setToRO": "true"},
        "TimeSyncProt": {"sntp": "true", "iec61850_9_3": "true"},
        "CommProt": {"ipv6": "true"},
    }  # fmt: skip
    return tuple(Service(name, attributes, 0) for name, attributes in claims.items())
