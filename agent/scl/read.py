"""Reads an SCL file of any edition into :class:`agent.scl.model.Scl`.

The file is parsed as a stream, one section at a time, and each section's XML is dropped once
its records are made, so memory grows with what is kept and not with the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from lxml import etree

from agent.errors import Finding, SclError
from agent.scl.finding import Severity
from agent.scl.limits import DEFAULT_LIMITS, Limits
from agent.scl.model import Header, PlantElement, Scl
from agent.scl.model_base import Private
from agent.scl.model_comm import SubNetwork
from agent.scl.model_ied import Ied
from agent.scl.model_types import NO_TYPES, DataTypeTemplates
from agent.scl.read_comm import read_communication
from agent.scl.read_ied import read_ied
from agent.scl.read_plant import PLANT_TAGS, read_header, read_plant
from agent.scl.read_types import read_types
from agent.scl.reader import SCL_NS, Reader, line_of
from agent.scl.source import Source, open_source, refuse

_SECTIONS: Final = (
    "Header", "Communication", "IED", "DataTypeTemplates", *PLANT_TAGS,
)  # fmt: skip
_PREFIX = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_UNBOUND = re.compile(r"Namespace prefix (\S+) (?:for \S+ )?on \S+ is not defined")


def read_scl(
    source: str | Path | bytes,
    *,
    ieds: Collection[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Scl:
    """Read an SCL file.

    Args:
        source: A path, or the content as bytes.
        ieds: Names of the IEDs to read in full; of the others only what a subscriber needs is
            kept (:attr:`Ied.complete`), which makes large SCD files cheap. None reads all.
        limits: Refuse what is larger.

    Returns:
        The file as records. Problems that do not stop reading are in ``findings``.

    Raises:
        SclError: The file is unreadable, not well-formed, not SCL, has a DOCTYPE, or exceeds a
            limit; file, line and element are named.
    """
    opened = open_source(source, limits)
    unbound: frozenset[str] = frozenset()
    while True:
        try:
            return _Builder(opened, ieds, limits, unbound).read()
        except etree.XMLSyntaxError as error:
            # Tools cut parts out of files and lose the declaration of their own namespace.
            prefixes = _unbound_prefixes(error) - unbound
            if not prefixes:
                raise _syntax_error(opened.name, error) from error
            opened = opened.with_prefixes(prefixes)
            unbound |= prefixes


def _unbound_prefixes(error: etree.XMLSyntaxError) -> frozenset[str]:
    entries: Any = error.error_log
    messages = [str(error), *(entry.message for entry in entries)]
    found = (_UNBOUND.search(message) for message in messages)
    return frozenset(match[1] for match in found if match and _PREFIX.fullmatch(match[1]))


def _syntax_error(name: str, error: etree.XMLSyntaxError) -> SclError:
    line = error.lineno or 0
    what = f"not well-formed XML: {error.msg}"
    return refuse(name, what, "the file is damaged or was cut off", line)


class _Builder:
    """One pass over one file."""

    def __init__(
        self,
        source: Source,
        ieds: Collection[str] | None,
        limits: Limits,
        unbound: frozenset[str],
    ) -> None:
        self._source = source
        self._wanted = ieds
        self._limits = limits
        self._unbound = unbound
        self._reader = Reader(source.name, SCL_NS, limits)
        self._header: Header | None = None
        self._plant: list[PlantElement] = []
        self._subnetworks: list[SubNetwork] = []
        self._ieds: list[Ied] = []
        self._types: DataTypeTemplates = NO_TYPES
        self._privates: list[Private] = []
        self._too_deep = etree.XPath("boolean(" + "*/" * limits.max_depth + "*)")
        self._too_wide = etree.XPath(
            f"boolean(descendant-or-self::*/@*[{limits.max_attributes + 1}])"
        )

    def read(self) -> Scl:
        with self._source.open() as stream:
            root = self._sections(stream)
        get = root.get
        for prefix in sorted(self._unbound):
            self._reader.note(
                root,
                "read.unbound-prefix",
                f"namespace prefix {prefix!r} is used but never declared",
                f'add xmlns:{prefix}="…" to the SCL element',
                Severity.WARNING,
            )
        return Scl(
            file=self._source.name,
            version=get("version", ""),
            revision=get("revision", ""),
            release=get("release", ""),
            header=self._header,
            plant=tuple(self._plant),
            subnetworks=tuple(self._subnetworks),
            ieds=tuple(self._ieds),
            types=self._types,
            privates=tuple(self._privates),
            findings=tuple(self._reader.findings),
        )

    def _sections(self, stream: Any) -> etree._Element:
        opened = False
        events = etree.iterparse(
            stream,
            events=("end",),
            tag=[f"{{*}}{name}" for name in _SECTIONS],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
        )
        for _, element in events:
            parent = element.getparent()
            if parent is None or parent.getparent() is not None:
                continue  # The root itself, or a section's name deep in a Private.
            if not opened:
                self._open_root(parent)
                opened = True
            self._section(element)
            self._drop(parent, element)
        root: etree._Element = events.root
        if not opened:
            self._open_root(root)
        if root.getroottree().docinfo.internalDTD is not None:
            raise refuse(self._source.name, "has a DOCTYPE, which SCL never needs", "remove it")
        self._keep_privates(root)
        return root

    def _drop(self, root: etree._Element, section: etree._Element) -> None:
        """Free a section and what is before it; Privates there are kept as records."""
        section.clear()
        if section.getprevious() is not None:
            self._keep_privates(root)
            while section.getprevious() is not None:
                del root[0]

    def _keep_privates(self, root: etree._Element) -> None:
        for element in self._reader.only(root, "Private"):
            self._check_limits(element)
            self._privates.append(self._reader.private(element))

    def _open_root(self, root: etree._Element) -> None:
        name = etree.QName(root)
        if name.localname != "SCL":
            raise self._not_scl(root)
        namespace = name.namespace or ""
        self._reader = Reader(self._source.name, namespace, self._limits)
        if namespace != SCL_NS:
            self._reader.note(
                root,
                "read.namespace",
                f"namespace {namespace!r} is not the one of IEC 61850-6",
                f"use {SCL_NS}",
                Severity.WARNING,
            )

    def _not_scl(self, root: etree._Element) -> SclError:
        what = f"is not SCL: its root element is {etree.QName(root).localname!r}"
        return refuse(self._source.name, what, line=line_of(root))

    def _section(self, element: etree._Element) -> None:
        reader = self._reader
        name = reader.local(element)
        self._check_limits(element)
        if name == "IED":
            wanted = self._wanted is None or element.get("name") in self._wanted
            self._ieds.append(read_ied(reader, element, wanted))
        elif name == "DataTypeTemplates":
            self._types = read_types(reader, element)
        elif name == "Communication":
            self._subnetworks.extend(read_communication(reader, element))
        elif name == "Header":
            self._header = read_header(reader, element)
        elif name in PLANT_TAGS:
            self._plant.append(read_plant(reader, element))

    def _check_limits(self, element: etree._Element) -> None:
        reader, limits = self._reader, self._limits
        where = f"{reader.file}:{reader.line(element)}: {reader.path(element)}"
        if self._too_deep(element):
            what = f"elements are nested deeper than the limit of {limits.max_depth}"
            raise SclError((Finding(where, what),))
        if self._too_wide(element):
            what = f"an element has more attributes than the limit of {limits.max_attributes}"
            raise SclError((Finding(where, what),))
