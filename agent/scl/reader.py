"""What every part of the reader uses: local names, attributes as values, findings with paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from agent.scl.finding import SclFinding, Severity
from agent.scl.limits import Limits
from agent.scl.model_base import Private, Value

SCL_NS: Final = "http://www.iec.ch/61850/2003/SCL"
_NAMING: Final = {
    "DataSet": ("name",),
    "FCDA": ("ldInst", "prefix", "lnClass", "lnInst", "doName", "daName", "fc"),
    "LDevice": ("inst",),
    "LN0": ("lnClass",),
    "LN": ("prefix", "lnClass", "inst"),
    "ConnectedAP": ("iedName", "apName"),
    "GSE": ("ldInst", "cbName"),
    "SMV": ("ldInst", "cbName"),
    "ExtRef": ("iedName", "ldInst", "lnClass", "lnInst", "doName", "daName", "intAddr"),
    "P": ("type",),
}
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


def line_of(element: etree._Element) -> int:
    """Line of an element, 0 where the parser does not know."""
    line: Any = element.sourceline
    return int(line or 0)


class Reader:
    """Reads elements of one file and collects what it has to say about them."""

    def __init__(self, file: str, namespace: str, limits: Limits) -> None:
        self.file = file
        self.limits = limits
        self.findings: list[SclFinding] = []
        self._prefix = f"{{{namespace}}}" if namespace else ""
        self._locals: dict[object, str] = {}
        self.ln0_tag = self.tag("LN0")

    def tag(self, local: str) -> str:
        """The full tag of an SCL element."""
        return self._prefix + local

    def local(self, element: etree._Element) -> str:
        """Local name of an SCL element; empty for comments and other namespaces."""
        tag = element.tag
        name = self._locals.get(tag)
        if name is None:
            text = str(tag)  # comments and processing instructions have a function as tag
            name = text[len(self._prefix) :] if text.startswith(self._prefix) else ""
            name = "" if name[:1] in ("{", "<") else name
            self._locals[tag] = name
        return name

    def children(self, element: etree._Element) -> Iterator[tuple[str, etree._Element]]:
        """SCL children with their local names."""
        for child in element:
            name = self.local(child)
            if name:
                yield name, child

    def only(self, element: etree._Element, *names: str) -> Iterator[etree._Element]:
        """SCL children with one of the names."""
        return element.iterchildren(*(self._prefix + name for name in names))

    def first(self, element: etree._Element, name: str) -> etree._Element | None:
        """The first SCL child of that name."""
        return next(iter(element.iterchildren(self._prefix + name)), None)

    def text(self, element: etree._Element) -> str:
        """Stripped text of an element, comments inside it skipped."""
        text = element.text or ""
        for child in element:
            if isinstance(child, etree._Comment | etree._ProcessingInstruction):
                text += child.tail or ""
        return text.strip()

    def flag(self, element: etree._Element, name: str, default: bool) -> bool:
        """A boolean attribute: ``true``, ``false``, ``1`` or ``0``."""
        raw = element.get(name)
        if raw is None:
            return default
        raw = raw.strip()
        if raw in _TRUE:
            return True
        if raw not in _FALSE:
            self.note(element, "read.bad-boolean", f"{name}={raw!r} is neither true nor false")
            return default
        return False

    def integer(self, element: etree._Element, name: str, default: int, least: int = 0) -> int:
        """An integer attribute, or the default where it is absent or no number."""
        raw = element.get(name)
        if raw is None:
            return default
        raw = raw.strip()
        if _INTEGER.fullmatch(raw) and int(raw) >= least:
            return int(raw)
        if raw:
            self.note(element, "read.bad-integer", f"{name}={raw!r} is not a number from {least}")
        return default

    def optional_integer(self, element: etree._Element, name: str) -> int | None:
        """An integer attribute, or None where it is absent or no number."""
        value = self.integer(element, name, -1)
        return None if value < 0 else value

    def values(self, element: etree._Element) -> tuple[Value, ...]:
        """The Val children: stripped text and setting group."""
        if not len(element):
            return ()
        return tuple(map(self.value, element.iterchildren(self._prefix + "Val")))

    def value(self, element: etree._Element) -> Value:
        """A Val element."""
        group = 0 if element.get("sGroup") is None else self.integer(element, "sGroup", 0)
        return Value(self.text(element), group)

    def private(self, element: etree._Element) -> Private:
        """A Private element, verbatim."""
        xml = etree.tostring(element, encoding="UTF-8", with_tail=False, xml_declaration=False)
        return Private(element.get("type", ""), xml, self.line(element))

    def line(self, element: etree._Element) -> int:
        """Line of an element, 0 where the parser does not know."""
        return line_of(element)

    def note(
        self,
        element: etree._Element,
        rule: str,
        what: str,
        hint: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Remember a finding about an element."""
        self.findings.append(
            SclFinding(
                severity, rule, self.file, self.line(element), self.path(element), what, hint
            )
        )

    def path(self, element: etree._Element) -> str:
        """SCL path of an element: tags and names from below SCL down to it."""
        steps = [self._step(element)]
        steps.extend(self._step(ancestor) for ancestor in element.iterancestors())
        return "/".join(reversed(steps[:-1] if len(steps) > 1 else steps))

    def _step(self, element: etree._Element) -> str:
        name = self.local(element) or str(element.tag)
        keys = _NAMING.get(name, ("name", "id", "type"))
        label = ".".join(filter(None, (element.get(key) for key in keys)))
        if name not in _NAMING:
            label = element.get("name") or element.get("id") or element.get("type") or ""
        return f"{name}[{label}]" if label else name
