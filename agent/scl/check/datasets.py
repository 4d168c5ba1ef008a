"""Data sets resolve, and control blocks have one, a revision and what else they need."""

from __future__ import annotations

from collections import Counter

from agent.scl.check.context import Context, ln_path
from agent.scl.live import LiveDataSet, Member, ReportBlock, SvBlock


def members(context: Context) -> None:
    """Every data set has members, and every member names something that exists."""
    for ied, device, node in context.nodes():
        for data_set in node.data_sets:
            path = f"{ln_path(ied, device, node)}/DataSet[{data_set.name}]"
            if not data_set.members:
                context.error("dataset.empty", data_set.line, path, "the data set has no member")
            repeated: Counter[str] = Counter()
            for member in data_set.members:
                _member(context, member, path)
                repeated[f"{member.reference}{member.ix}"] += 1
                if repeated[f"{member.reference}{member.ix}"] == 2:
                    what = f"{member.reference} is a member twice"
                    context.warning("dataset.duplicate-member", member.line, path, what)


def _member(context: Context, member: Member, path: str) -> None:
    if member.node is None:
        what = f"{member.reference} does not exist in the model of the IED"
        hint = "correct the FCDA or the type"
        context.error("dataset.member-unresolved", member.line, path, what, hint)
    elif member.reference.fc is None:
        what = f"{member.reference} has no functional constraint"
        context.error("dataset.no-fc", member.line, path, what, "give the FCDA an fc")
    elif not member.leaves:
        what = f"{member.reference} has no attribute with that constraint"
        context.error("dataset.member-empty", member.line, path, what, "correct the fc")


def control_blocks(context: Context) -> None:
    """Control blocks name a data set of their node, with a configuration revision."""
    for ied, device, node in context.nodes():
        path = ln_path(ied, device, node)
        for report in node.reports:
            _report(context, report, f"{path}/ReportControl[{report.control.name}]")
        for goose in node.gooses:
            where = f"{path}/GSEControl[{goose.control.name}]"
            control = goose.control
            _data_set(context, control.dat_set, goose.data_set, control.line, where, True)
            _conf_rev(context, control.conf_rev, goose.data_set, control.line, where)
        for sv in node.sampled_values:
            _sv(context, sv, f"{path}/SampledValueControl[{sv.control.name}]")
        for log in node.log_controls:
            where = f"{path}/LogControl[{log.control.name}]"
            _data_set(context, log.control.dat_set, log.data_set, log.control.line, where, False)


def _report(context: Context, report: ReportBlock, path: str) -> None:
    control = report.control
    _data_set(context, control.dat_set, report.data_set, control.line, path, False)
    _conf_rev(context, control.conf_rev, report.data_set, control.line, path)
    if len(control.clients) > control.max_instances:
        what = f"{len(control.clients)} clients for {control.max_instances} instances"
        context.error("report.clients", control.line, path, what, "raise RptEnabled max")
    if control.trg_ops.period and not control.intg_pd_ms:
        what = "TrgOps asks for integrity reports, but intgPd is 0"
        context.info("report.no-period", control.line, path, what, "set intgPd")
    ops = control.trg_ops
    if not (ops.dchg or ops.qchg or ops.dupd or ops.period or ops.gi):
        what = "no trigger option is set: it never reports"
        context.warning("report.no-trigger", control.line, path, what, "set TrgOps")


def _sv(context: Context, sv: SvBlock, path: str) -> None:
    control = sv.control
    _data_set(context, control.dat_set, sv.data_set, control.line, path, True)
    _conf_rev(context, control.conf_rev, sv.data_set, control.line, path)
    if not control.smv_id:
        what = "smvID is empty: subscribers cannot tell its messages apart"
        context.error("sv.no-id", control.line, path, what, "give it a smvID")
    if not control.smp_rate:
        context.error("sv.no-rate", control.line, path, "smpRate is 0", "set smpRate")
    if control.smp_mod not in ("SmpPerPeriod", "SmpPerSec", "SecPerSmp"):
        what = f"smpMod {control.smp_mod!r} is unknown"
        context.error("sv.bad-mode", control.line, path, what)


def _data_set(
    context: Context,
    name: str | None,
    data_set: LiveDataSet | None,
    line: int,
    path: str,
    needed: bool,
) -> None:
    if name is None:
        note = context.warning if needed else context.info
        hint = "set datSet" if needed else "clients may set one"
        note("control.no-dataset", line, path, "the control block has no data set", hint)
    elif data_set is None:
        what = f"data set {name!r} does not exist in its logical node"
        context.error("control.dataset-unknown", line, path, what, "correct datSet")


def _conf_rev(
    context: Context, conf_rev: int, data_set: LiveDataSet | None, line: int, path: str
) -> None:
    if conf_rev == 0 and data_set is not None:
        what = "confRev is 0, which means that nothing was ever configured"
        context.warning("control.conf-rev", line, path, what, "set confRev to 1 or more")
