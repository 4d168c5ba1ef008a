"""XSD files → `model.Schema`: the part of XML Schema 1.0 that ISO 15118 uses.

Supported: global and local elements, references, substitution groups, sequences, choices,
wildcards, extension of complex and simple content, restriction of simple types. Anything else in
a schema stops the start with its file and line, because a skipped construct would shift every
event code after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from lxml import etree

from agent.errors import ConfigurationError, Finding
from agent.exi.model import (
    Attribute,
    Choice,
    Datatype,
    Element,
    Kind,
    Particle,
    Reference,
    Repeat,
    Schema,
    Sequence,
    TypeDefinition,
    Wildcard,
)
from agent.exi.simple_types import XSD, built_in, restrict

QName: TypeAlias = tuple[str, str]
"""Namespace and local name."""

_X: Final = f"{{{XSD}}}"
_PARTICLES: Final = frozenset(_X + tag for tag in ("element", "sequence", "choice", "any"))
_IGNORED: Final = frozenset(_X + tag for tag in ("annotation", "import", "include", "attribute"))


def read_schema(entry: Path) -> Schema:
    """Compile one XSD file with all that it imports.

    Args:
        entry: The root schema; imports are looked for beside it, then one folder up.

    Raises:
        ConfigurationError: A file cannot be read, or uses a construct that is not supported.
    """
    reader = _Reader()
    reader.load(entry)
    return reader.compile()


@dataclass(frozen=True, slots=True)
class _Context:
    """The file that a node stands in, which decides how its names are read."""

    path: Path
    namespace: str
    qualified: bool
    qualified_attributes: bool

    def qname(self, node: etree._Element, text: str) -> QName:
        prefix, colon, local = text.rpartition(":")
        scope = node.nsmap.get(prefix if colon else None)
        return (scope or ("" if colon else self.namespace), local)

    def fail(self, node: etree._Element, what: str) -> ConfigurationError:
        return ConfigurationError((Finding(f"{self.path}:{node.sourceline}", what),))


@dataclass(slots=True)
class _Declared:
    """An element declaration before its type is compiled; identity is the declaration."""

    node: etree._Element
    context: _Context
    name: QName
    index: int


@dataclass(slots=True)
class _Reader:
    files: set[Path] = field(default_factory=set)
    globals: dict[QName, _Declared] = field(default_factory=dict)
    declared: list[_Declared] = field(default_factory=list)
    type_nodes: dict[QName, tuple[etree._Element, _Context]] = field(default_factory=dict)
    heads: dict[QName, list[QName]] = field(default_factory=dict)
    types: list[TypeDefinition] = field(default_factory=list)
    type_index: dict[QName, int] = field(default_factory=dict)

    # -- reading files

    def load(self, path: Path) -> None:
        path = path.resolve()
        if path in self.files:
            return
        self.files.add(path)
        root = _parse(path)
        context = _Context(
            path,
            root.get("targetNamespace", ""),
            root.get("elementFormDefault") == "qualified",
            root.get("attributeFormDefault") == "qualified",
        )
        for node in root:
            if node.tag in (_X + "import", _X + "include"):
                self._load_import(node, context)
            elif node.tag == _X + "element":
                self._declare_global(node, context)
            elif node.tag in (_X + "complexType", _X + "simpleType"):
                self.type_nodes[(context.namespace, node.get("name", ""))] = (node, context)

    def _load_import(self, node: etree._Element, context: _Context) -> None:
        location = node.get("schemaLocation")
        if location is None:
            return
        name = Path(location).name
        for folder in (context.path.parent, context.path.parent.parent):
            if (folder / name).is_file():
                self.load(folder / name)
                return
        raise context.fail(node, f"{name} is not beside this schema nor one folder up")

    def _declare_global(self, node: etree._Element, context: _Context) -> None:
        name = (context.namespace, node.get("name", ""))
        self.globals[name] = self._declare(node, context, name)
        head = node.get("substitutionGroup")
        if head is not None:
            self.heads.setdefault(context.qname(node, head), []).append(name)

    def _declare(self, node: etree._Element, context: _Context, name: QName) -> _Declared:
        declared = _Declared(node, context, name, len(self.declared))
        self.declared.append(declared)
        return declared

    # -- compiling

    def compile(self) -> Schema:
        elements: list[Element] = []
        for name in self.type_nodes:
            self._named_type(name)
        # Compiling a type declares its local elements, so the list grows while it is walked.
        for declared in self.declared:
            namespace, local = declared.name
            elements.append(Element(local, namespace, self._element_type(declared)))
        first: dict[QName, int] = {}
        by_rank = [*self.globals.values(), *self.declared]
        for declared in by_rank:
            first.setdefault(_sort_key(declared.name), declared.index)
        return Schema(
            elements=tuple(elements),
            types=tuple(self.types),
            documents=tuple(
                self.globals[name].index for name in sorted(self.globals, key=_sort_key)
            ),
            fragments=tuple(first[key] for key in sorted(first)),
        )

    def _element_type(self, declared: _Declared) -> int:
        node, context = declared.node, declared.context
        type_name = node.get("type")
        if type_name is not None:
            return self._named_type(context.qname(node, type_name))
        for child in node:
            if child.tag in (_X + "complexType", _X + "simpleType"):
                return self._add(self._definition(child, context))
        head = node.get("substitutionGroup")
        if head is not None:
            return self._element_type(self.globals[context.qname(node, head)])
        return self._add(TypeDefinition())

    def _named_type(self, name: QName) -> int:
        index = self.type_index.get(name)
        if index is None:
            if name[0] == XSD:
                index = self._add(TypeDefinition(text=built_in(name[1])))
            else:
                node, context = self.type_nodes[name]
                index = self._add(TypeDefinition())  # its number; the content follows
                self.type_index[name] = index
                self.types[index] = self._definition(node, context)
            self.type_index[name] = index
        return index

    def _add(self, definition: TypeDefinition) -> int:
        self.types.append(definition)
        return len(self.types) - 1

    def _definition(self, node: etree._Element, context: _Context) -> TypeDefinition:
        if node.tag == _X + "simpleType":
            return TypeDefinition(text=self._simple(node, context))
        return self._complex(node, context)

    # -- simple types

    def _simple(self, node: etree._Element, context: _Context) -> Datatype:
        restriction = node.find(_X + "restriction")
        if restriction is None:
            raise context.fail(node, "a simple type that is not a restriction")
        base = self._datatype(context.qname(node, restriction.get("base", "")))
        facets = [(etree.QName(facet).localname, facet.get("value", "")) for facet in restriction]
        return restrict(base, facets)

    def _datatype(self, name: QName) -> Datatype:
        if name[0] == XSD:
            return built_in(name[1])
        node, context = self.type_nodes[name]
        return self._simple(node, context)

    # -- complex types

    def _complex(self, node: etree._Element, context: _Context) -> TypeDefinition:
        mixed = node.get("mixed") == "true"
        for child in node:
            if child.tag == _X + "simpleContent":
                extension = _extension(child, context)
                base = context.qname(child, extension.get("base", ""))
                return TypeDefinition(
                    attributes=self._attributes(extension, context, ()),
                    text=self._datatype(base),
                )
            if child.tag == _X + "complexContent":
                return self._extended(_extension(child, context), context, mixed)
        content = self._content(node, context)
        return TypeDefinition(
            self._attributes(node, context, ()), None, content or Sequence(), mixed
        )

    def _extended(self, node: etree._Element, context: _Context, mixed: bool) -> TypeDefinition:
        base_node, base_context = self.type_nodes[context.qname(node, node.get("base", ""))]
        base = self._complex(base_node, base_context)
        added = self._content(node, context)
        parts = tuple(part for part in (base.content, added) if part not in (None, Sequence()))
        return TypeDefinition(
            self._attributes(node, context, base.attributes),
            None,
            Sequence(parts),
            mixed or base.mixed,
        )

    def _attributes(
        self, node: etree._Element, context: _Context, inherited: tuple[Attribute, ...]
    ) -> tuple[Attribute, ...]:
        found = list(inherited)
        for child in node.iterchildren(_X + "attribute"):
            kind = child.get("type")
            found.append(
                Attribute(
                    child.get("name", ""),
                    context.namespace if context.qualified_attributes else "",
                    self._datatype(context.qname(child, kind)) if kind else Datatype(Kind.STRING),
                    child.get("use") == "required",
                )
            )
        return tuple(sorted(found, key=lambda found: (found.name, found.namespace)))

    # -- particles

    def _content(self, node: etree._Element, context: _Context) -> Particle | None:
        for child in node.iterchildren(tag=etree.Element):
            if child.tag in _PARTICLES:
                return self._particle(child, context)
            if child.tag not in _IGNORED:
                raise context.fail(child, f"{child.tag} is not supported")
        return None

    def _particle(self, node: etree._Element, context: _Context) -> Particle:
        item = self._term(node, context)
        low = int(node.get("minOccurs", "1"))
        high = node.get("maxOccurs", "1")
        if (low, high) == (1, "1"):
            return item
        return Repeat(low, None if high == "unbounded" else int(high), item)

    def _term(self, node: etree._Element, context: _Context) -> Particle:
        if node.tag == _X + "any":
            return Wildcard()
        if node.tag == _X + "element":
            return self._element(node, context)
        items = tuple(
            self._particle(child, context)
            for child in node.iterchildren(tag=etree.Element)
            if child.tag in _PARTICLES
        )
        return Sequence(items) if node.tag == _X + "sequence" else Choice(items)

    def _element(self, node: etree._Element, context: _Context) -> Particle:
        reference = node.get("ref")
        if reference is None:
            namespace = context.namespace if context.qualified else ""
            name = (namespace, node.get("name", ""))
            return Reference(self._declare(node, context, name).index)
        members = self._substitutes(context.qname(node, reference))
        items = tuple(Reference(self.globals[name].index) for name in members)
        return items[0] if len(items) == 1 else Choice(items)

    def _substitutes(self, head: QName) -> list[QName]:
        """The element and all that may stand for it, sorted as their event codes are."""
        found = [head]
        for name in found:  # grows while it is walked: groups of groups
            found += [member for member in self.heads.get(name, ()) if member not in found]
        return sorted(found, key=_sort_key)


def _parse(path: Path) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        return etree.parse(path, parser).getroot()
    except (OSError, etree.XMLSyntaxError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error


def _extension(node: etree._Element, context: _Context) -> etree._Element:
    extension = node.find(_X + "extension")
    if extension is None:
        raise context.fail(node, "derivation of complex types by restriction is not supported")
    return extension


def _sort_key(name: QName) -> QName:
    """EXI sorts by local name, then by namespace (EXI 1.0, clause 8.5.1)."""
    return (name[1], name[0])
