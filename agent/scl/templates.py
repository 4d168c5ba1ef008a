"""Data objects from DataTypeTemplates: each type is expanded once and shared."""

from __future__ import annotations

from collections.abc import Callable

from agent.errors import Finding, SclError
from agent.iec61850 import FC, BasicType
from agent.iec61850.basic_types import basic_type
from agent.scl.limits import Limits
from agent.scl.live import DataAttribute, DataObject
from agent.scl.model_types import DaDef, DataTypeTemplates, SdoDef

Note = Callable[[str, int, str, str, str], None]
"""Takes rule, line, SCL path, what and hint."""


class Templates:
    """Expands the types of one file.

    Problems (dangling types, recursion, bad counts) are noted once for each type, and what is
    broken is left out, as every other reader of such files does.
    """

    def __init__(self, types: DataTypeTemplates, limits: Limits, note: Note, file: str) -> None:
        self._types = types
        self._limits = limits
        self._note = note
        self._file = file
        self._objects: dict[str, tuple[DataObject, int]] = {}
        self._structures: dict[tuple[str, FC], tuple[tuple[DataAttribute, ...], int]] = {}
        self._open: list[str] = []

    def object(self, name: str, type_id: str, line: int, owner: str) -> DataObject | None:
        """A data object of a DOType under a name, or None where the type is not usable."""
        expanded = self._object(type_id, line, owner)
        if expanded is None:
            return None
        do = expanded[0]
        return DataObject(name, do.cdc, type_id, do.children, line=do.line)

    def size(self, type_id: str) -> int:
        """Number of data objects and attributes that an expanded DOType has."""
        known = self._objects.get(type_id)
        return 0 if known is None else known[1]

    def _object(self, type_id: str, line: int, owner: str) -> tuple[DataObject, int] | None:
        known = self._objects.get(type_id)
        if known is not None:
            return known
        do_type = self._types.do_types.get(type_id)
        path = f"DataTypeTemplates/DOType[{type_id}]"
        if do_type is None:
            self._dangling("DOType", type_id, line, owner)
            return None
        if not self._enter(path, line):
            return None
        children: list[DataObject | DataAttribute] = []
        size = 1
        for child in do_type.children:
            below: tuple[DataObject | DataAttribute, int] | None
            if isinstance(child, SdoDef):
                below = self._sub_object(child, do_type.children, path)
            else:
                below = self._attribute(child, child.fc, do_type.children, path)
            if below is not None:
                children.append(below[0])
                size += below[1]
        self._open.pop()
        do = DataObject("", do_type.cdc, type_id, tuple(children), line=do_type.line)
        self._check_size(size, path)
        self._objects[type_id] = do, size
        return do, size

    def _sub_object(
        self, sdo: SdoDef, siblings: tuple[SdoDef | DaDef, ...], path: str
    ) -> tuple[DataObject, int] | None:
        expanded = self._object(sdo.type, sdo.line, f"{path}/SDO[{sdo.name}]")
        if expanded is None:
            return None
        do, size = expanded
        count = self._count(sdo.count, siblings, sdo.line, f"{path}/SDO[{sdo.name}]")
        sub = DataObject(sdo.name, do.cdc, sdo.type, do.children, count=count, line=sdo.line)
        return sub, size

    def _attribute(
        self, da: DaDef, fc_text: str, siblings: tuple[SdoDef | DaDef, ...], path: str
    ) -> tuple[DataAttribute, int] | None:
        where = f"{path}/{'DA' if da.fc else 'BDA'}[{da.name}]"
        fc = _fc(fc_text)
        if fc is None:
            hint = "use a functional constraint of IEC 61850-7-2"
            self._note("type.bad-fc", da.line, where, f"fc={fc_text!r} is unknown", hint)
            return None
        b_type = basic_type(da.b_type)
        if b_type is None:
            what = f"bType={da.b_type!r} is unknown"
            self._note("type.bad-btype", da.line, where, what, "use a type of IEC 61850-6")
            return None
        children: tuple[DataAttribute, ...] = ()
        size = 1
        if b_type is BasicType.STRUCT:
            structure = self._structure(da.type, fc, da.line, where)
            if structure is None:
                return None
            children, below = structure
            size += below
        enum = self._types.enum_types.get(da.type) if b_type is BasicType.ENUM else None
        if b_type is BasicType.ENUM and enum is None:
            self._dangling("EnumType", da.type, da.line, where)
        attribute = DataAttribute(
            name=da.name,
            fc=fc,
            b_type=b_type,
            type_id=da.type,
            enum=enum,
            count=self._count(da.count, siblings, da.line, where),
            dchg=da.dchg,
            qchg=da.qchg,
            dupd=da.dupd,
            val_kind=da.val_kind,
            val_import=da.val_import,
            s_addr=da.s_addr,
            values=da.values,
            children=children,
            line=da.line,
        )
        return attribute, size

    def _structure(
        self, type_id: str, fc: FC, line: int, owner: str
    ) -> tuple[tuple[DataAttribute, ...], int] | None:
        known = self._structures.get((type_id, fc))
        if known is not None:
            return known
        da_type = self._types.da_types.get(type_id)
        path = f"DataTypeTemplates/DAType[{type_id}]"
        if da_type is None:
            self._dangling("DAType", type_id, line, owner)
            return None
        if not self._enter(path, line):
            return None
        members: list[DataAttribute] = []
        size = 0
        for bda in da_type.children:
            below = self._attribute(bda, fc, da_type.children, path)
            if below is not None:
                members.append(below[0])
                size += below[1]
        self._open.pop()
        self._check_size(size, path)
        self._structures[type_id, fc] = tuple(members), size
        return tuple(members), size

    def _check_size(self, size: int, path: str) -> None:
        if size > self._limits.max_model_nodes:
            what = f"expands to {size} nodes, more than the limit of {self._limits.max_model_nodes}"
            raise SclError((Finding(f"{self._file}: {path}", what),))

    def _enter(self, path: str, line: int) -> bool:
        if path in self._open:
            cycle = [*self._open[self._open.index(path) :], path]
            chain = " → ".join(step.rsplit("/", 1)[-1] for step in cycle)
            what = f"the type contains itself: {chain}"
            self._note("type.recursive", line, path, what, "break the cycle")
            return False
        if len(self._open) >= self._limits.max_type_depth:
            what = f"types are nested deeper than the limit of {self._limits.max_type_depth}"
            self._note("type.too-deep", line, path, what, "")
            return False
        self._open.append(path)
        return True

    def _dangling(self, kind: str, type_id: str, line: int, owner: str) -> None:
        what = f"{kind} {type_id!r} does not exist"
        self._note("type.dangling", line, owner, what, "add the type or correct the reference")

    def _count(self, text: str, siblings: tuple[SdoDef | DaDef, ...], line: int, where: str) -> int:
        """An array's size: a number, or the name of a sibling attribute whose Val has it."""
        if not text:
            return 0
        named = next((s for s in siblings if isinstance(s, DaDef) and s.name == text), None)
        number = text
        if named is not None:
            number = named.values[0].text if named.values else "0"
        if not number.isdecimal() or len(number) > 9:
            self._note("type.bad-count", line, where, f"count={text!r} is no array size", "")
            return 0
        return int(number)


def _fc(text: str) -> FC | None:
    try:
        return FC(text)
    except ValueError:
        return None
