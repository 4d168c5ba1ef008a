"""From records to the live model of one IED."""

from __future__ import annotations

from functools import partial

from agent.errors import Finding, SclError
from agent.scl.datasets import Nodes, resolve_data_set
from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import DEFAULT_LIMITS, Limits
from agent.scl.live import (
    DataObject,
    GooseBlock,
    IedModel,
    LiveDataSet,
    LogBlock,
    LogicalDevice,
    LogicalNode,
    ReportBlock,
    SvBlock,
)
from agent.scl.model import Scl
from agent.scl.model_comm import CbAddress
from agent.scl.model_ied import Ied, Instance, LDevice, Ln, Service
from agent.scl.overlay import overlay
from agent.scl.references import control_reference
from agent.scl.templates import Templates


def expand(
    scl: Scl,
    ied_name: str,
    access_point: str | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> IedModel:
    """The live model of one IED.

    Args:
        scl: The file; the IED must have been read in full.
        ied_name: Name of the IED.
        access_point: Name of one access point, whose server (ServerAt followed) is expanded;
            None expands the logical devices of all of them.
        limits: Refuse what expands to more.

    Returns:
        Everything that could be resolved; what could not is in ``findings``.

    Raises:
        SclError: No such IED or access point, only its outline was read, or a limit was met.
    """
    ied = scl.ied(ied_name)
    if ied is None:
        known = ", ".join(ied.name for ied in scl.ieds[:20]) or "none"
        raise SclError((Finding(scl.file, f"there is no IED {ied_name!r}", f"known: {known}"),))
    where = f"{scl.file}:{ied.line}: IED[{ied_name}]"
    if not ied.complete:
        hint = "name it in read_scl(ieds=…)"
        raise SclError((Finding(where, "only the outline of this IED was read", hint),))
    if access_point is not None and all(ap.name != access_point for ap in ied.access_points):
        raise SclError((Finding(where, f"there is no access point {access_point!r}"),))
    return _Expansion(scl, ied, access_point, limits).run()


def expand_published(scl: Scl, ied: Ied, limits: Limits = DEFAULT_LIMITS) -> IedModel:
    """The live model of an IED of which perhaps only the outline was read.

    Good for what it publishes: data sets, GOOSE and sampled value control blocks.
    """
    return _Expansion(scl, ied, None, limits).run()


class _Expansion:
    """One run of :func:`expand`."""

    def __init__(self, scl: Scl, ied: Ied, access_point: str | None, limits: Limits) -> None:
        self._scl = scl
        self._ied = ied
        self._access_point = access_point
        self._limits = limits
        self._findings: list[SclFinding] = []
        self._templates = Templates(scl.types, limits, self._note, scl.file)
        self._size = 0
        self._gse: dict[tuple[str, str], CbAddress] = {}
        self._smv: dict[tuple[str, str], CbAddress] = {}

    def run(self) -> IedModel:
        ied, point = self._ied, self._access_point
        connected = tuple(
            connected
            for _, connected in self._scl.connected(ied.name)
            if point in (None, connected.ap_name)
        )
        for connection in connected:
            self._gse.update(((gse.ld_inst, gse.cb_name), gse) for gse in connection.gse)
            self._smv.update(((smv.ld_inst, smv.cb_name), smv) for smv in connection.smv)
        sources = ied.devices(point)
        bare = [self._device(device) for device in sources]
        nodes: Nodes = {
            (device.inst, node.name): (device.name, node)
            for device in bare
            for node in device.nodes
        }
        devices = tuple(
            self._with_blocks(source, device, nodes)
            for source, device in zip(sources, bare, strict=True)
        )
        return IedModel(
            ied_name=ied.name,
            access_point=point,
            devices=devices,
            connected=connected,
            services=self._services(),
            findings=tuple(dict.fromkeys(self._findings)),
        )

    def _services(self) -> tuple[Service, ...]:
        """Services of the access point where it has its own, else of the IED."""
        for point in self._ied.access_points:
            if self._access_point in (None, point.name) and point.services is not None:
                return point.services
        return self._ied.services or ()

    def _device(self, device: LDevice) -> LogicalDevice:
        nodes = tuple(self._node(device, ln) for ln in device.nodes)
        return LogicalDevice(self._ied.domain(device), device.inst, device.line, nodes)

    def _node(self, device: LDevice, ln: Ln) -> LogicalNode:
        return LogicalNode(
            name=ln.name,
            prefix=ln.prefix,
            ln_class=ln.ln_class,
            inst=ln.inst,
            type_id=ln.ln_type,
            line=ln.line,
            objects=self._objects(device, ln),
            logs=ln.logs,
            setting_control=ln.setting_control,
            ext_refs=ln.ext_refs,
        )

    def _objects(self, device: LDevice, ln: Ln) -> tuple[DataObject, ...]:
        path = self._path(device, ln)
        ln_type = self._scl.types.ln_types.get(ln.ln_type)
        if ln_type is None:
            what = f"LNodeType {ln.ln_type!r} does not exist"
            self._note("type.dangling", ln.line, path, what, "add the type or correct lnType")
            return ()
        instances: dict[str, list[Instance]] = {}
        for instance in ln.instances:
            instances.setdefault(instance.name, []).append(instance)
        objects: list[DataObject] = []
        for definition in ln_type.objects:
            where = f"DataTypeTemplates/LNodeType[{ln_type.id}]/DO[{definition.name}]"
            do = self._templates.object(definition.name, definition.type, definition.line, where)
            if do is None:
                continue
            self._count(definition.type, path)
            for instance in instances.pop(definition.name, ()):
                do = overlay(do, instance, partial(self._note_instance, f"{path}/DOI[{do.name}]"))
            objects.append(do)
        for unknown in (instance for group in instances.values() for instance in group):
            what = f"DOI {unknown.name!r} is not in the type {ln_type.id!r}"
            hint = "remove it or correct the type"
            where = f"{path}/DOI[{unknown.name}]"
            self._note("instance.not-in-type", unknown.line, where, what, hint)
        return tuple(objects)

    def _count(self, type_id: str, path: str) -> None:
        self._size += self._templates.size(type_id)
        if self._size > self._limits.max_model_nodes:
            what = f"the IED expands to more than {self._limits.max_model_nodes} nodes"
            raise SclError((Finding(f"{self._scl.file}: {path}", what),))

    def _with_blocks(self, source: LDevice, device: LogicalDevice, nodes: Nodes) -> LogicalDevice:
        return LogicalDevice(
            device.name,
            device.inst,
            device.line,
            tuple(
                self._node_with_blocks(source, ln, device.name, node, nodes)
                for ln, node in zip(source.nodes, device.nodes, strict=True)
            ),
        )

    def _node_with_blocks(
        self, source: LDevice, ln: Ln, device: str, node: LogicalNode, nodes: Nodes
    ) -> LogicalNode:
        data_sets = tuple(
            resolve_data_set(data_set, device, node.name, nodes) for data_set in ln.data_sets
        )
        named = {data_set.name: data_set for data_set in data_sets}

        def data_set_of(name: str | None) -> LiveDataSet | None:
            return named.get(name) if name else None

        return LogicalNode(
            name=node.name,
            prefix=node.prefix,
            ln_class=node.ln_class,
            inst=node.inst,
            type_id=node.type_id,
            line=node.line,
            objects=node.objects,
            data_sets=data_sets,
            reports=tuple(
                ReportBlock(control, data_set_of(control.dat_set)) for control in ln.report_controls
            ),
            gooses=tuple(
                GooseBlock(
                    control,
                    control_reference(device, node.name, "GO", control.name),
                    data_set_of(control.dat_set),
                    self._gse.get((source.inst, control.name)),
                )
                for control in ln.gse_controls
            ),
            sampled_values=tuple(
                SvBlock(
                    control,
                    control_reference(
                        device, node.name, "MS" if control.multicast else "US", control.name
                    ),
                    data_set_of(control.dat_set),
                    self._smv.get((source.inst, control.name)),
                )
                for control in ln.sv_controls
            ),
            log_controls=tuple(
                LogBlock(control, data_set_of(control.dat_set)) for control in ln.log_controls
            ),
            logs=node.logs,
            setting_control=node.setting_control,
            ext_refs=node.ext_refs,
        )

    def _path(self, device: LDevice, ln: Ln) -> str:
        return f"IED[{self._ied.name}]/LDevice[{device.inst}]/{ln.name}"

    def _note_instance(
        self, path: str, rule: str, instance: Instance, what: str, hint: str
    ) -> None:
        self._note(rule, instance.line, path, what, hint)

    def _note(self, rule: str, line: int, path: str, what: str, hint: str) -> None:
        self._findings.append(
            SclFinding(Severity.ERROR, rule, self._scl.file, line, path, what, hint)
        )
