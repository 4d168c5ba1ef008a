"""What an IED subscribes to: its ExtRefs resolved to streams of GOOSE and sampled values."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.iec61850 import ObjectReference
from agent.scl.expand import expand, expand_published
from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import DEFAULT_LIMITS, Limits
from agent.scl.live import GooseBlock, IedModel, SvBlock
from agent.scl.model import Scl
from agent.scl.model_control import ExtRef
from agent.scl.stream import Stream, StreamValue, stream_of

_CLIENT_SERVICES = frozenset({"Poll", "Report"})

Block = GooseBlock | SvBlock


class Binding(msgspec.Struct, frozen=True):
    """One ExtRef and the values of the stream that feed it.

    Attributes:
        owner: The logical node whose input it is.
        indexes: Positions in :attr:`Stream.values`; several where the ExtRef names a data object.
    """

    ext_ref: ExtRef
    owner: ObjectReference
    indexes: tuple[int, ...]


class Subscription(msgspec.Struct, frozen=True):
    """A stream of another IED and the inputs it feeds."""

    stream: Stream
    bindings: tuple[Binding, ...]

    def values(self) -> Iterator[tuple[Binding, StreamValue]]:
        """Every bound value with its binding."""
        for binding in self.bindings:
            for index in binding.indexes:
                yield binding, self.stream.values[index]


class Subscriptions(msgspec.Struct, frozen=True):
    """Everything that an IED takes from others.

    Attributes:
        streams: GOOSE and sampled value subscriptions, in the order of their first ExtRef.
        polled: ExtRefs that name a report or polling (Edition 2 serviceType), with their nodes.
        unbound: Later-binding inputs that nobody has bound yet, with their nodes.
        findings: ExtRefs that could not be resolved, and why.
    """

    streams: tuple[Subscription, ...] = ()
    polled: tuple[tuple[ObjectReference, ExtRef], ...] = ()
    unbound: tuple[tuple[ObjectReference, ExtRef], ...] = ()
    findings: tuple[SclFinding, ...] = ()


def subscriptions(scl: Scl, ied_name: str, *, limits: Limits = DEFAULT_LIMITS) -> Subscriptions:
    """Resolve the ExtRefs of an IED to control blocks, addresses and data set members.

    Edition 2 names the control block; Edition 1 names only the data, and the control block is
    the one whose data set carries it, preferably one that lists this IED as a subscriber.

    Raises:
        SclError: No such IED, or only its outline was read.
    """
    return _Resolver(scl, expand(scl, ied_name, limits=limits), limits).run()


class _Resolver:
    def __init__(self, scl: Scl, model: IedModel, limits: Limits) -> None:
        self._scl = scl
        self._model = model
        self._limits = limits
        self._publishers: dict[str, IedModel | None] = {model.ied_name: model}
        self._streams: dict[tuple[str, ObjectReference], tuple[Stream, list[Binding]]] = {}
        self._findings: list[SclFinding] = []

    def run(self) -> Subscriptions:
        polled: list[tuple[ObjectReference, ExtRef]] = []
        unbound: list[tuple[ObjectReference, ExtRef]] = []
        for owner, ext_ref in self._ext_refs():
            if not ext_ref.is_bound:
                unbound.append((owner, ext_ref))
            elif ext_ref.service_type in _CLIENT_SERVICES:
                polled.append((owner, ext_ref))
            else:
                self._resolve(owner, ext_ref)
        streams = tuple(Subscription(s, tuple(bindings)) for s, bindings in self._streams.values())
        return Subscriptions(streams, tuple(polled), tuple(unbound), tuple(self._findings))

    def _ext_refs(self) -> Iterator[tuple[ObjectReference, ExtRef]]:
        for device in self._model.devices:
            for node in device.nodes:
                for ext_ref in node.ext_refs:
                    yield ObjectReference(device.name, node.name), ext_ref

    def _resolve(self, owner: ObjectReference, ext_ref: ExtRef) -> None:
        name = self._model.ied_name if ext_ref.ied_name == "@" else ext_ref.ied_name
        publisher = self._publisher(name)
        if publisher is None:
            self._note(owner, ext_ref, "extref.no-ied", f"IED {name!r} is not in the file")
            return
        blocks = list(_candidates(publisher, ext_ref))
        if not blocks:
            self._note_no_block(owner, ext_ref, publisher)
            return
        block = self._preferred(blocks)
        stream, bindings = self._stream(name, publisher, block)
        indexes = matching(stream, publisher, ext_ref)
        if not indexes:
            what = f"data set {stream.data_set!r} of {stream.reference} does not carry it"
            self._note(owner, ext_ref, "extref.not-member", what)
            return
        bindings.append(Binding(ext_ref, owner, indexes))

    def _note_no_block(self, owner: ObjectReference, ext_ref: ExtRef, publisher: IedModel) -> None:
        name = publisher.ied_name
        if ext_ref.src_cb_name:
            what = f"IED {name!r} has no control block {ext_ref.src_cb_name!r} there"
        elif name == self._model.ied_name or _exists(publisher, ext_ref):
            return  # Data of its own, or data to read: the reference needs no stream.
        else:
            what = f"no GOOSE or sampled value control block of IED {name!r} carries it"
        self._note(owner, ext_ref, "extref.no-block", what)

    def _publisher(self, name: str) -> IedModel | None:
        if name not in self._publishers:
            ied = self._scl.ied(name)
            self._publishers[name] = (
                None if ied is None else expand_published(self._scl, ied, self._limits)
            )
        return self._publishers[name]

    def _preferred(self, blocks: list[Block]) -> Block:
        own = self._model.ied_name
        return next((b for b in blocks if own in b.control.subscribers), blocks[0])

    def _stream(self, name: str, publisher: IedModel, block: Block) -> tuple[Stream, list[Binding]]:
        key = name, block.reference
        if key not in self._streams:
            self._streams[key] = stream_of(publisher, block), []
        return self._streams[key]

    def _note(self, owner: ObjectReference, ext_ref: ExtRef, rule: str, what: str) -> None:
        source = ".".join(filter(None, (_ln(ext_ref), ext_ref.do_name, ext_ref.da_name)))
        path = f"IED[{self._model.ied_name}]/{owner.ld}/{owner.ln}/Inputs/ExtRef"
        self._findings.append(
            SclFinding(
                Severity.ERROR,
                rule,
                self._scl.file,
                ext_ref.line,
                path,
                f"{ext_ref.ied_name}{ext_ref.ld_inst}/{source}: {what}",
                "bind the input again in the system configuration tool",
            )
        )


def _ln(ext_ref: ExtRef) -> str:
    return ext_ref.prefix + ext_ref.ln_class + ext_ref.ln_inst


def _candidates(publisher: IedModel, ext_ref: ExtRef) -> Iterator[Block]:
    """Control blocks the ExtRef names (Edition 2), or whose data set carries it (Edition 1)."""
    for device in publisher.devices:
        for node in device.nodes:
            blocks: tuple[Block, ...] = (*node.gooses, *node.sampled_values)
            for block in blocks:
                if ext_ref.service_type == "GOOSE" and not isinstance(block, GooseBlock):
                    continue
                if ext_ref.service_type == "SMV" and not isinstance(block, SvBlock):
                    continue
                if ext_ref.src_cb_name:
                    if (device.inst, node.name, block.control.name) == _named_block(ext_ref):
                        yield block
                elif block.data_set and matching(stream_of(publisher, block), publisher, ext_ref):
                    yield block


def _named_block(ext_ref: ExtRef) -> tuple[str, str, str]:
    """ldInst, node name and control block name; absent parts as IEC 61850-6 defaults them."""
    ld_inst = ext_ref.ld_inst if ext_ref.src_ld_inst is None else ext_ref.src_ld_inst
    node = ext_ref.src_prefix + (ext_ref.src_ln_class or "LLN0") + ext_ref.src_ln_inst
    return ld_inst, node, ext_ref.src_cb_name


def _exists(publisher: IedModel, ext_ref: ExtRef) -> bool:
    device = publisher.device_by_inst(ext_ref.ld_inst)
    node = None if device is None else device.node(_ln(ext_ref))
    return node is not None and node.object(ext_ref.do_name.split(".")[0]) is not None


def matching(stream: Stream, publisher: IedModel, ext_ref: ExtRef) -> tuple[int, ...]:
    """Positions of the values of a stream that an ExtRef names."""
    device = publisher.device_by_inst(ext_ref.ld_inst)
    if device is None:
        return ()
    path = tuple(name for name in f"{ext_ref.do_name}.{ext_ref.da_name}".split(".") if name)
    ln = _ln(ext_ref)
    return tuple(
        index
        for index, value in enumerate(stream.values)
        if value.reference.ld == device.name
        and value.reference.ln == ln
        and value.reference.path[: len(path)] == path
    )
