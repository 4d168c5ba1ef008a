"""Elements that two types share, at the root of a fragment (EXI 1.0, clause 8.5.3).

Inside a message the surrounding type says which declaration is meant; a fragment has no
surroundings. Where the declarations of one name differ, the element is written with the relaxed
grammar, which offers every attribute and element of the schema. ISO 15118 has one such element:
`eMAID` of ISO 15118-2, which is signed in CertificateInstallationRes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agent.exi.datatypes import QName, codec_of
from agent.exi.errors import EncodeError
from agent.exi.model import Attribute, Datatype, Kind, Schema, TypeDefinition
from agent.exi.states import TEXT, Production, State, Type


def relaxed_type(schema: Schema, definitions: Sequence[TypeDefinition]) -> Type:
    """Return the relaxed grammar, limited to the attributes and text of `definitions`.

    Raises:
        EncodeError: A definition has element content, which no signed element of ISO 15118 has.
    """
    if any(definition.text is None for definition in definitions):
        raise EncodeError("elements in an element that two types share are not supported")
    used = {_name(found): found for definition in definitions for found in definition.attributes}
    names = sorted({_name(found) for kind in schema.types for found in kind.attributes})
    return Type(None, partial(_start, names, used, len(schema.fragments)))


def _name(attribute: Attribute) -> QName:
    return (attribute.name, attribute.namespace)


def _start(names: list[QName], used: dict[QName, Attribute], elements: int) -> State:
    """ElementFragment 0: AT(qname)…, AT(*), SE(qname)…, SE(*), EE, CH; attributes may follow."""
    reserved = elements + 2  # AT(*), the elements and SE(*)
    end = len(names) + reserved
    productions: list[Production | None] = [None] * (end + 2)
    state = State(len(productions).bit_length(), (), end)
    for code, name in enumerate(names):
        if name in used:
            value = codec_of(used[name].datatype)
            qname = (name[1], name[0])
            productions[code] = Production(name[0], code, qname, value, None, False, lambda: state)
    text = codec_of(Datatype(Kind.STRING))  # characters are untyped here
    after = partial(State, (elements + 3).bit_length(), (), elements + 1)
    productions[end + 1] = Production(TEXT, end + 1, None, text, None, False, after)
    state.productions = tuple(productions)
    return state
