"""`model.Schema` → event codes: schema-informed grammars (EXI 1.0, clause 8.5.4).

A state offers its productions in schema order; the position of a production is its event code.
Codes take as many bits as the productions plus one escape need, because in non-strict mode every
state also knows what the schema does not declare (clause 8.5.4.4.1). We never write such an
escape and refuse to read one. States are made when they are first met: some lists of
ISO 15118-20 have 2,048 of them, and no session meets more than a few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from agent.exi.datatypes import QName, Value, codec_of
from agent.exi.fragment import relaxed_type
from agent.exi.model import (
    Attribute,
    Choice,
    Datatype,
    Particle,
    Reference,
    Repeat,
    Schema,
    Sequence,
    TypeDefinition,
    Wildcard,
)
from agent.exi.states import TEXT, Production, State, Type


class Grammars:
    """The grammars of one schema.

    Attributes:
        documents: Elements by event code of `DocContent`, which takes `document_width` bits.
        fragments: Elements by event code of `FragmentContent`; `fragment_end` is End Document.
        document_codes, fragment_codes: Event codes by element name.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._types: dict[int, Type] = {}
        self.documents = schema.documents
        self.fragments = schema.fragments
        self.document_codes = _codes(schema, schema.documents)
        self.fragment_codes = _codes(schema, schema.fragments)
        self.document_width = len(self.documents).bit_length()
        # FragmentContent also has SE(*) and End Document; both contents have no escape.
        self.fragment_width = (len(self.fragments) + 1).bit_length()
        self.fragment_end = len(self.fragments) + 1

    def type(self, element: int) -> Type:
        """Return the grammar of an element, by its index in the schema."""
        index = self._schema.elements[element].type
        found = self._types.get(index)
        if found is None:
            definition = self._schema.types[index]
            make = _TypeGrammar(self, definition).state
            found = Type(_plain(definition), partial(make, 0, definition.content))
            self._types[index] = found
        return found

    def fragment_type(self, code: int) -> Type:
        """Return the grammar of an element at the root of a fragment."""
        element = self.fragments[code]
        qname = self.qname(element)
        types = {
            other.type for other in self._schema.elements if (other.namespace, other.name) == qname
        }
        if len(types) == 1:
            return self.type(element)
        return relaxed_type(self._schema, [self._schema.types[index] for index in sorted(types)])

    def qname(self, element: int) -> QName:
        """Return an element's namespace and local name."""
        declaration = self._schema.elements[element]
        return (declaration.namespace, declaration.name)


def _codes(schema: Schema, elements: tuple[int, ...]) -> dict[str, int]:
    codes: dict[str, int] = {}
    for code, element in enumerate(elements):
        codes.setdefault(schema.elements[element].name, code)
    return codes


def _plain(definition: TypeDefinition) -> Value | None:
    """The codec of an element that is nothing but a value."""
    if definition.text is None or definition.attributes:
        return None
    return codec_of(definition.text)


@dataclass(slots=True)
class _Step:
    """An element that may come now, and what is left after it; `element` None: wildcard."""

    element: int | None
    rest: Particle
    repeated: bool


class _TypeGrammar:
    """Makes the states of one type."""

    def __init__(self, grammars: Grammars, definition: TypeDefinition) -> None:
        self._grammars = grammars
        self._definition = definition
        self._states: dict[tuple[int, Particle | None], State] = {}

    def state(self, attributes: int, content: Particle | None) -> State:
        """Return the state after `attributes` attributes, with `content` to come.

        `content` None means that the text has been written.
        """
        key = (attributes, content)
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = self._make(attributes, content)
        return found

    def _make(self, attributes: int, content: Particle | None) -> State:
        productions: list[Production | None] = []
        for index in range(attributes, len(self._definition.attributes)):
            attribute = self._definition.attributes[index]
            productions.append(self._attribute(attribute, len(productions), index + 1))
            if attribute.required:  # nothing else may come before it
                return State(len(productions).bit_length(), tuple(productions), -1)
        if self._definition.text is not None and content is not None:
            productions.append(self._text(self._definition.text, len(productions)))
            return State(len(productions).bit_length(), tuple(productions), -1)
        return self._with_content(productions, content or Sequence())

    def _with_content(self, productions: list[Production | None], content: Particle) -> State:
        wildcard = False
        for step in _steps(content):
            if step.element is None:
                wildcard = True
                continue
            productions.append(self._element(step.element, step, len(productions)))
        if wildcard:  # SE(*) comes after all SE(qname) (clause 8.5.4.3)
            productions.append(None)
        end = -1
        if _may_be_empty(content):
            end = len(productions)
        count = len(productions) + (end >= 0) + self._definition.mixed
        return State(count.bit_length(), tuple(productions), end)

    def _element(self, element: int, step: _Step, code: int) -> Production:
        qname = self._grammars.qname(element)
        kind = self._grammars.type(element)
        following = self._later(len(self._definition.attributes), step.rest)
        return Production(qname[1], code, qname, kind.plain, kind, step.repeated, following)

    def _attribute(self, attribute: Attribute, code: int, following: int) -> Production:
        later = self._later(following, self._definition.content)
        qname = (attribute.namespace, attribute.name)
        value = codec_of(attribute.datatype)
        return Production(attribute.name, code, qname, value, None, False, later)

    def _text(self, datatype: Datatype, code: int) -> Production:
        later = self._later(len(self._definition.attributes), None)
        return Production(TEXT, code, None, codec_of(datatype), None, False, later)

    def _later(self, attributes: int, content: Particle | None) -> Callable[[], State]:
        return partial(self.state, attributes, content)


_EMPTY: Final = Sequence()


def _steps(particle: Particle) -> list[_Step]:
    """Elements that may come first, in schema order, each with what is left after it."""
    if isinstance(particle, Reference):
        return [_Step(particle.element, _EMPTY, False)]
    if isinstance(particle, Wildcard):
        return [_Step(None, _EMPTY, False)]
    if isinstance(particle, Choice):
        return [step for item in particle.items for step in _steps(item)]
    if isinstance(particle, Repeat):
        return _steps_of_repeat(particle)
    return _steps_of_sequence(particle)


def _steps_of_sequence(particle: Sequence) -> list[_Step]:
    steps: list[_Step] = []
    for position, item in enumerate(particle.items):
        rest = particle.items[position + 1 :]
        following = rest[0] if len(rest) == 1 else Sequence(rest)
        steps += [
            _Step(step.element, _join(step.rest, following), step.repeated) for step in _steps(item)
        ]
        if not _may_be_empty(item):
            break
    return steps


def _steps_of_repeat(particle: Repeat) -> list[_Step]:
    high = particle.high
    if high == 0:
        return []
    again: Particle = _EMPTY
    if high != 1:
        again = Repeat(max(particle.low - 1, 0), None if high is None else high - 1, particle.item)
    return [
        _Step(step.element, _join(step.rest, again), step.repeated or high != 1)
        for step in _steps(particle.item)
    ]


def _join(first: Particle, second: Particle) -> Particle:
    if first == _EMPTY:
        return second
    if second == _EMPTY:
        return first
    return Sequence((first, second))


def _may_be_empty(particle: Particle) -> bool:
    if isinstance(particle, Sequence):
        return all(_may_be_empty(item) for item in particle.items)
    if isinstance(particle, Choice):
        return not particle.items or any(_may_be_empty(item) for item in particle.items)
    if isinstance(particle, Repeat):
        return particle.low == 0 or _may_be_empty(particle.item)
    return False
