"""Reads data sets, control blocks and inputs of a logical node."""

from __future__ import annotations

from lxml import etree

from agent.scl.finding import Severity
from agent.scl.model_control import (
    ClientLn,
    DataSet,
    ExtRef,
    Fcda,
    GseControl,
    LogControl,
    OptFields,
    ReportControl,
    SampledValueControl,
    SettingControl,
    SmvOpts,
    TriggerOptions,
)
from agent.scl.reader import Reader

_MAX_INSTANCES = 999


def read_data_set(reader: Reader, element: etree._Element, ld_inst: str) -> DataSet:
    """A DataSet; an FCDA without ldInst (Edition 1 tools) means the data set's own device."""
    members = tuple(read_fcda(reader, fcda, ld_inst) for fcda in reader.only(element, "FCDA"))
    return DataSet(element.get("name", ""), reader.line(element), members)


def read_fcda(reader: Reader, element: etree._Element, ld_inst: str) -> Fcda:
    """One data set member."""
    get = element.get
    ix = None if get("ix") is None else reader.optional_integer(element, "ix")
    return Fcda(
        get("ldInst") or ld_inst,
        get("prefix", ""),
        get("lnClass", ""),
        get("lnInst", ""),
        get("doName", ""),
        get("daName", ""),
        get("fc", ""),
        reader.line(element),
        ix,
    )


def read_trigger_options(reader: Reader, element: etree._Element) -> TriggerOptions:
    """TrgOps of a control block; the defaults where it is absent."""
    ops = reader.first(element, "TrgOps")
    if ops is None:
        return TriggerOptions()
    return TriggerOptions(
        reader.flag(ops, "dchg", False),
        reader.flag(ops, "qchg", False),
        reader.flag(ops, "dupd", False),
        reader.flag(ops, "period", False),
        reader.flag(ops, "gi", True),
    )


def read_report_control(reader: Reader, element: etree._Element) -> ReportControl:
    """A ReportControl with its optional fields, trigger options, instances and clients."""
    enabled = reader.first(element, "RptEnabled")
    count = 1 if enabled is None else max(1, reader.integer(enabled, "max", 1))
    if count > _MAX_INSTANCES:
        reader.note(element, "report.instances", f"{count} instances; {_MAX_INSTANCES} are read")
    return ReportControl(
        name=element.get("name", ""),
        line=reader.line(element),
        dat_set=element.get("datSet") or None,
        rpt_id=element.get("rptID") or None,
        conf_rev=reader.integer(element, "confRev", 0),
        buffered=reader.flag(element, "buffered", False),
        buf_time_ms=reader.integer(element, "bufTime", 0),
        intg_pd_ms=reader.integer(element, "intgPd", 0),
        indexed=reader.flag(element, "indexed", True),
        max_instances=min(count, _MAX_INSTANCES),
        trg_ops=read_trigger_options(reader, element),
        opt_fields=_opt_fields(reader, reader.first(element, "OptFields")),
        clients=() if enabled is None else _clients(reader, enabled),
    )


def _opt_fields(reader: Reader, element: etree._Element | None) -> OptFields:
    if element is None:
        return OptFields()
    return OptFields(
        seq_num=reader.flag(element, "seqNum", False),
        time_stamp=reader.flag(element, "timeStamp", False),
        data_set=reader.flag(element, "dataSet", False),
        reason_code=reader.flag(element, "reasonCode", False),
        data_ref=reader.flag(element, "dataRef", False),
        entry_id=reader.flag(element, "entryID", False),
        config_ref=reader.flag(element, "configRef", False),
        buf_ovfl=reader.flag(element, "bufOvfl", True),
    )


def _clients(reader: Reader, enabled: etree._Element) -> tuple[ClientLn, ...]:
    return tuple(
        ClientLn(
            client.get("iedName", ""),
            client.get("apRef", ""),
            client.get("ldInst", ""),
            client.get("prefix", ""),
            client.get("lnClass", ""),
            client.get("lnInst", ""),
            reader.line(client),
        )
        for client in reader.only(enabled, "ClientLN")
    )


def _subscribers(reader: Reader, element: etree._Element) -> tuple[str, ...]:
    return tuple(filter(None, map(reader.text, reader.only(element, "IEDName"))))


def read_gse_control(reader: Reader, element: etree._Element) -> GseControl:
    """A GSEControl; absent type means GOOSE."""
    return GseControl(
        element.get("name", ""),
        reader.line(element),
        element.get("datSet") or None,
        element.get("appID", ""),
        reader.integer(element, "confRev", 0),
        element.get("type", "GOOSE"),
        reader.flag(element, "fixedOffs", False),
        _subscribers(reader, element),
    )


def read_sv_control(reader: Reader, element: etree._Element) -> SampledValueControl:
    """A SampledValueControl with its SmvOpts."""
    return SampledValueControl(
        name=element.get("name", ""),
        line=reader.line(element),
        dat_set=element.get("datSet") or None,
        smv_id=element.get("smvID", ""),
        conf_rev=reader.integer(element, "confRev", 0),
        smp_rate=reader.integer(element, "smpRate", 0),
        smp_mod=element.get("smpMod", "SmpPerPeriod"),
        nof_asdu=reader.integer(element, "nofASDU", 1, least=1),
        multicast=reader.flag(element, "multicast", True),
        opts=_smv_opts(reader, reader.first(element, "SmvOpts")),
        subscribers=_subscribers(reader, element),
    )


def _smv_opts(reader: Reader, element: etree._Element | None) -> SmvOpts:
    if element is None:
        return SmvOpts()
    return SmvOpts(
        refresh_time=reader.flag(element, "refreshTime", False),
        sample_synchronized=reader.flag(element, "sampleSynchronized", True),
        sample_rate=reader.flag(element, "sampleRate", False),
        data_set=reader.flag(element, "dataSet", False),
        security=reader.flag(element, "security", False),
        synch_source_id=reader.flag(element, "synchSourceId", False),
        timestamp=reader.flag(element, "timestamp", False),
    )


def read_log_control(reader: Reader, element: etree._Element) -> LogControl:
    """A LogControl; the log is in the same device's LLN0 where nothing else is said."""
    return LogControl(
        name=element.get("name", ""),
        line=reader.line(element),
        dat_set=element.get("datSet") or None,
        log_name=element.get("logName", ""),
        ld_inst=element.get("ldInst", ""),
        prefix=element.get("prefix", ""),
        ln_class=element.get("lnClass", "LLN0"),
        ln_inst=element.get("lnInst", ""),
        log_ena=reader.flag(element, "logEna", True),
        reason_code=reader.flag(element, "reasonCode", True),
        buf_time_ms=reader.integer(element, "bufTime", 0),
        intg_pd_ms=reader.integer(element, "intgPd", 0),
        trg_ops=read_trigger_options(reader, element),
    )


def read_setting_control(reader: Reader, element: etree._Element) -> SettingControl:
    """A SettingControl; an active group beyond the number of groups is reported."""
    groups = reader.integer(element, "numOfSGs", 1, least=1)
    active = reader.integer(element, "actSG", 1, least=1)
    if active > groups:
        reader.note(element, "setting.active-group", f"actSG {active} of {groups} groups")
        active = 1
    resv_tms = reader.optional_integer(element, "resvTms")
    return SettingControl(groups, reader.line(element), active, resv_tms)


def read_ext_ref(reader: Reader, element: etree._Element) -> ExtRef:
    """An ExtRef of any edition; ``@`` stands for the own IED (Edition 2.1)."""
    get = element.get
    ied_name = get("iedName", "")
    if get("srcCBName") and not ied_name:
        reader.note(
            element,
            "extref.unnamed-source",
            "srcCBName without iedName",
            "name the publishing IED",
            Severity.WARNING,
        )
    return ExtRef(
        reader.line(element),
        ied_name,
        get("ldInst", ""),
        get("prefix", ""),
        get("lnClass", ""),
        get("lnInst", ""),
        get("doName", ""),
        get("daName", ""),
        get("intAddr", ""),
        get("desc", ""),
        get("serviceType", ""),
        get("srcLDInst"),
        get("srcPrefix", ""),
        get("srcLNClass", ""),
        get("srcLNInst", ""),
        get("srcCBName", ""),
        get("pServT", ""),
        get("pLN", ""),
        get("pDO", ""),
        get("pDA", ""),
    )
