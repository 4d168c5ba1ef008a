"""Data sets, control blocks and inputs as written (IEC 61850-6 Ed. 2.1, 9.3.7 to 9.3.13)."""

from __future__ import annotations

import msgspec


class Fcda(msgspec.Struct, frozen=True, gc=False):
    """A data set member: functionally constrained data or data attribute."""

    ld_inst: str
    prefix: str
    ln_class: str
    ln_inst: str
    do_name: str
    da_name: str
    fc: str
    line: int
    ix: int | None = None

    @property
    def ln_name(self) -> str:
        """Name of the logical node as clients see it."""
        return self.prefix + self.ln_class + self.ln_inst


class DataSet(msgspec.Struct, frozen=True, gc=False):
    """A data set and its members in the order of the file."""

    name: str
    line: int
    members: tuple[Fcda, ...] = ()


class TriggerOptions(msgspec.Struct, frozen=True, gc=False):
    """When a report or log entry is made."""

    dchg: bool = False
    qchg: bool = False
    dupd: bool = False
    period: bool = False
    gi: bool = True


class OptFields(msgspec.Struct, frozen=True, gc=False):
    """What a report carries beside its values."""

    seq_num: bool = False
    time_stamp: bool = False
    data_set: bool = False
    reason_code: bool = False
    data_ref: bool = False
    entry_id: bool = False
    config_ref: bool = False
    buf_ovfl: bool = True


class ClientLn(msgspec.Struct, frozen=True, gc=False):
    """A client that a report control block instance is reserved for."""

    ied_name: str
    ap_ref: str
    ld_inst: str
    prefix: str
    ln_class: str
    ln_inst: str
    line: int


class ReportControl(msgspec.Struct, frozen=True, gc=False):
    """A report control block and its instances.

    Attributes:
        max_instances: RptEnabled max, at least 1.
        indexed: Whether the instance number is part of the name (``brcb01``).
        buf_time_ms: Milliseconds that changes are gathered.
        intg_pd_ms: Integrity period in milliseconds, 0 for none.
    """

    name: str
    line: int
    dat_set: str | None = None
    rpt_id: str | None = None
    conf_rev: int = 0
    buffered: bool = False
    buf_time_ms: int = 0
    intg_pd_ms: int = 0
    indexed: bool = True
    max_instances: int = 1
    trg_ops: TriggerOptions = TriggerOptions()
    opt_fields: OptFields = OptFields()
    clients: tuple[ClientLn, ...] = ()

    @property
    def instance_names(self) -> tuple[str, ...]:
        """Names of the instances clients see: ``name01``, ``name02``, … when indexed."""
        if not self.indexed:
            return (self.name,)
        return tuple(f"{self.name}{number:02d}" for number in range(1, self.max_instances + 1))


class GseControl(msgspec.Struct, frozen=True, gc=False):
    """A GOOSE control block; ``app_id`` is what messages carry as goID."""

    name: str
    line: int
    dat_set: str | None = None
    app_id: str = ""
    conf_rev: int = 0
    type: str = "GOOSE"
    fixed_offs: bool = False
    subscribers: tuple[str, ...] = ()


class SmvOpts(msgspec.Struct, frozen=True, gc=False):
    """Optional fields of a sampled value ASDU."""

    refresh_time: bool = False
    sample_synchronized: bool = True
    sample_rate: bool = False
    data_set: bool = False
    security: bool = False
    synch_source_id: bool = False
    timestamp: bool = False


class SampledValueControl(msgspec.Struct, frozen=True, gc=False):
    """A sampled value control block.

    Attributes:
        smp_rate: Samples per period, samples per second, or seconds per sample, as smp_mod says.
        nof_asdu: ASDUs in one message.
    """

    name: str
    line: int
    dat_set: str | None = None
    smv_id: str = ""
    conf_rev: int = 0
    smp_rate: int = 0
    smp_mod: str = "SmpPerPeriod"
    nof_asdu: int = 1
    multicast: bool = True
    opts: SmvOpts = SmvOpts()
    subscribers: tuple[str, ...] = ()


class LogControl(msgspec.Struct, frozen=True, gc=False):
    """A log control block."""

    name: str
    line: int
    dat_set: str | None = None
    log_name: str = ""
    ld_inst: str = ""
    prefix: str = ""
    ln_class: str = "LLN0"
    ln_inst: str = ""
    log_ena: bool = True
    reason_code: bool = True
    buf_time_ms: int = 0
    intg_pd_ms: int = 0
    trg_ops: TriggerOptions = TriggerOptions()


class SettingControl(msgspec.Struct, frozen=True, gc=False):
    """The setting group control block of a logical device."""

    num_of_sgs: int
    line: int
    act_sg: int = 1
    resv_tms: int | None = None


class ExtRef(msgspec.Struct, frozen=True, gc=False):
    """An external reference: what an IED wants or takes from another.

    Edition 1 gives the data only; Edition 2 adds the control block (``service_type``, ``src_*``);
    later binding (Edition 2.1) gives what the input expects (``p_*``) before it is bound.
    """

    line: int
    ied_name: str = ""
    ld_inst: str = ""
    prefix: str = ""
    ln_class: str = ""
    ln_inst: str = ""
    do_name: str = ""
    da_name: str = ""
    int_addr: str = ""
    desc: str = ""
    service_type: str = ""
    src_ld_inst: str | None = None
    src_prefix: str = ""
    src_ln_class: str = ""
    src_ln_inst: str = ""
    src_cb_name: str = ""
    p_serv_t: str = ""
    p_ln: str = ""
    p_do: str = ""
    p_da: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether the reference names a source."""
        return bool(self.ied_name)
