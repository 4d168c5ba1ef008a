"""The vocabulary of IEC 61850 that every room shares: names, constraints, basic types, namespaces.

Nothing here does I/O or knows a clock. Start with:

* :class:`~agent.iec61850.reference.ObjectReference`: ``V2G1LD0/MMXU1.Hz.mag.f[MX]``
* :class:`~agent.iec61850.fc.FC`: functional constraints
* :class:`~agent.iec61850.quality.Quality`: the 13 bits and their two encodings
* :class:`~agent.iec61850.timestamp.Timestamp`: the 8 octets and their time quality
* :class:`~agent.iec61850.basic_types.BasicType`: the bTypes of SCL with their ranges
* :mod:`agent.iec61850.namespaces`: facts of IEC 61850-7-3, -7-4 and -7-420 as package data
"""

from agent.iec61850.basic_types import BasicType
from agent.iec61850.fc import FC
from agent.iec61850.quality import DetailQuality, Quality, Source, Validity
from agent.iec61850.reference import ObjectReference
from agent.iec61850.timestamp import TimeQuality, Timestamp

__all__ = [
    "FC",
    "BasicType",
    "DetailQuality",
    "ObjectReference",
    "Quality",
    "Source",
    "TimeQuality",
    "Timestamp",
    "Validity",
]
