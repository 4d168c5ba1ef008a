"""Writes data sets, control blocks and inputs."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from agent.scl.model_control import (
    DataSet,
    ExtRef,
    GseControl,
    LogControl,
    OptFields,
    ReportControl,
    SampledValueControl,
    SmvOpts,
    TriggerOptions,
)
from agent.scl.xml import add, flag, number


def write_data_set(parent: etree._Element, data_set: DataSet) -> None:
    """A DataSet with its members."""
    element = add(parent, "DataSet", name=data_set.name)
    for fcda in data_set.members:
        add(
            element,
            "FCDA",
            ldInst=fcda.ld_inst,
            prefix=fcda.prefix,
            lnClass=fcda.ln_class,
            lnInst=fcda.ln_inst,
            doName=fcda.do_name,
            daName=fcda.da_name,
            fc=fcda.fc,
            ix=number(fcda.ix),
        )


def write_trigger_options(parent: etree._Element, ops: TriggerOptions) -> None:
    """TrgOps."""
    add(
        parent,
        "TrgOps",
        dchg=flag(ops.dchg, False),
        qchg=flag(ops.qchg, False),
        dupd=flag(ops.dupd, False),
        period=flag(ops.period, False),
        gi=flag(ops.gi, True),
    )


def write_report_control(parent: etree._Element, control: ReportControl) -> None:
    """A ReportControl."""
    element = add(
        parent,
        "ReportControl",
        name=control.name,
        datSet=control.dat_set,
        intgPd=number(control.intg_pd_ms, 0),
        rptID=control.rpt_id,
        confRev=str(control.conf_rev),
        buffered=flag(control.buffered, False),
        bufTime=number(control.buf_time_ms, 0),
        indexed=flag(control.indexed, True),
    )
    write_trigger_options(element, control.trg_ops)
    _opt_fields(element, control.opt_fields)
    enabled = add(element, "RptEnabled", max=number(control.max_instances, 1))
    for client in control.clients:
        add(
            enabled,
            "ClientLN",
            iedName=client.ied_name,
            apRef=client.ap_ref,
            ldInst=client.ld_inst,
            prefix=client.prefix,
            lnClass=client.ln_class,
            lnInst=client.ln_inst,
        )


def _opt_fields(parent: etree._Element, fields: OptFields) -> None:
    add(
        parent,
        "OptFields",
        seqNum=flag(fields.seq_num, False),
        timeStamp=flag(fields.time_stamp, False),
        dataSet=flag(fields.data_set, False),
        reasonCode=flag(fields.reason_code, False),
        dataRef=flag(fields.data_ref, False),
        entryID=flag(fields.entry_id, False),
        configRef=flag(fields.config_ref, False),
        bufOvfl=flag(fields.buf_ovfl, True),
    )


def _subscribers(parent: etree._Element, names: Iterable[str]) -> None:
    for name in names:
        add(parent, "IEDName").text = name


def write_gse_control(parent: etree._Element, control: GseControl) -> None:
    """A GSEControl."""
    element = add(
        parent,
        "GSEControl",
        name=control.name,
        datSet=control.dat_set,
        confRev=str(control.conf_rev),
        type=None if control.type == "GOOSE" else control.type,
        appID=control.app_id,
        fixedOffs=flag(control.fixed_offs, False),
    )
    _subscribers(element, control.subscribers)


def write_sv_control(parent: etree._Element, control: SampledValueControl) -> None:
    """A SampledValueControl."""
    element = add(
        parent,
        "SampledValueControl",
        name=control.name,
        datSet=control.dat_set,
        confRev=str(control.conf_rev),
        smvID=control.smv_id,
        multicast=flag(control.multicast, True),
        smpRate=str(control.smp_rate),
        nofASDU=str(control.nof_asdu),
        smpMod=None if control.smp_mod == "SmpPerPeriod" else control.smp_mod,
    )
    _subscribers(element, control.subscribers)
    _smv_opts(element, control.opts)


def _smv_opts(parent: etree._Element, opts: SmvOpts) -> None:
    add(
        parent,
        "SmvOpts",
        refreshTime=flag(opts.refresh_time, False),
        sampleSynchronized=flag(opts.sample_synchronized, True),
        sampleRate=flag(opts.sample_rate, False),
        dataSet=flag(opts.data_set, False),
        security=flag(opts.security, False),
        timestamp=flag(opts.timestamp, False),
        synchSourceId=flag(opts.synch_source_id, False),
    )


def write_log_control(parent: etree._Element, control: LogControl) -> None:
    """A LogControl."""
    element = add(
        parent,
        "LogControl",
        ("logName",),
        name=control.name,
        datSet=control.dat_set,
        intgPd=number(control.intg_pd_ms, 0),
        ldInst=control.ld_inst,
        prefix=control.prefix,
        lnClass=None if control.ln_class == "LLN0" else control.ln_class,
        lnInst=control.ln_inst,
        logName=control.log_name,
        logEna=flag(control.log_ena, True),
        reasonCode=flag(control.reason_code, True),
        bufTime=number(control.buf_time_ms, 0),
    )
    write_trigger_options(element, control.trg_ops)


def write_inputs(parent: etree._Element, ext_refs: tuple[ExtRef, ...]) -> None:
    """Inputs with their ExtRefs."""
    inputs = add(parent, "Inputs")
    for ext_ref in ext_refs:
        add(
            inputs,
            "ExtRef",
            ("srcLDInst",),
            desc=ext_ref.desc,
            iedName=ext_ref.ied_name,
            ldInst=ext_ref.ld_inst,
            prefix=ext_ref.prefix,
            lnClass=ext_ref.ln_class,
            lnInst=ext_ref.ln_inst,
            doName=ext_ref.do_name,
            daName=ext_ref.da_name,
            intAddr=ext_ref.int_addr,
            serviceType=ext_ref.service_type,
            srcLDInst=ext_ref.src_ld_inst,
            srcPrefix=ext_ref.src_prefix,
            srcLNClass=ext_ref.src_ln_class,
            srcLNInst=ext_ref.src_ln_inst,
            srcCBName=ext_ref.src_cb_name,
            pServT=ext_ref.p_serv_t,
            pLN=ext_ref.p_ln,
            pDO=ext_ref.p_do,
            pDA=ext_ref.p_da,
        )
