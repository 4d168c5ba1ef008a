"""An SCL file as typed, immutable records: what is written, nothing resolved.

Names are those of IEC 61850-6 in snake case. Every record that a finding may point at has
``line``. Attributes that are absent are None where absence means something, and the default
of IEC 61850-6 Edition 2.1 otherwise. Text is stripped; what cannot be parsed is replaced by
the default and reported in :attr:`Scl.findings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from agent.scl.finding import SclFinding
from agent.scl.model_base import Private
from agent.scl.model_comm import ConnectedAp, SubNetwork
from agent.scl.model_ied import Ied
from agent.scl.model_types import NO_TYPES, DataTypeTemplates


class LNodeRef(msgspec.Struct, frozen=True, gc=False):
    """An LNode: the logical node that does something for a piece of plant."""

    ied_name: str
    ld_inst: str
    prefix: str
    ln_class: str
    ln_inst: str
    line: int
    ln_type: str = ""


class PlantElement(msgspec.Struct, frozen=True, gc=False):
    """A part of Substation, Process or Line: voltage level, bay, equipment, function and so on."""

    tag: str
    name: str
    line: int
    attributes: Mapping[str, str]
    nodes: tuple[LNodeRef, ...] = ()
    children: tuple[PlantElement, ...] = ()
    privates: tuple[Private, ...] = ()


class HistoryItem(msgspec.Struct, frozen=True, gc=False):
    """One Hitem of the Header's History."""

    version: str
    revision: str
    when: str
    who: str
    what: str
    why: str


class Header(msgspec.Struct, frozen=True, gc=False):
    """Identity of the file."""

    id: str
    line: int
    version: str = ""
    revision: str = ""
    tool_id: str = ""
    name_structure: str = "IEDName"
    text: str = ""
    history: tuple[HistoryItem, ...] = ()


class Scl(msgspec.Struct, frozen=True, gc=False):
    """One SCL file.

    Attributes:
        file: The file as it was named; ``<bytes>`` for bytes.
        version: ``2007`` or empty for Edition 1, as revision and release.
        findings: What reading had to say: problems that did not stop it.
    """

    file: str
    version: str = ""
    revision: str = ""
    release: str = ""
    header: Header | None = None
    plant: tuple[PlantElement, ...] = ()
    subnetworks: tuple[SubNetwork, ...] = ()
    ieds: tuple[Ied, ...] = ()
    types: DataTypeTemplates = NO_TYPES
    privates: tuple[Private, ...] = ()
    findings: tuple[SclFinding, ...] = ()

    @property
    def edition(self) -> str:
        """The schema version: ``1``, ``2007A``, ``2007B``, ``2007B4``."""
        return f"{self.version}{self.revision}{self.release}" or "1"

    def ied(self, name: str) -> Ied | None:
        """The IED of that name."""
        return next((ied for ied in self.ieds if ied.name == name), None)

    def connected(self, ied_name: str) -> Iterator[tuple[SubNetwork, ConnectedAp]]:
        """Every connection of an IED with its subnetwork."""
        for subnetwork in self.subnetworks:
            for connected in subnetwork.connected:
                if connected.ied_name == ied_name:
                    yield subnetwork, connected
