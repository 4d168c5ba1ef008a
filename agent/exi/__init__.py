"""EXI for ISO 15118: messages as plain data ↔ the bytes on the wire, without I/O or a JVM.

Efficient XML Interchange 1.0 (W3C Recommendation, second edition, 2014), schema-informed,
bit-packed, non-strict, default options: what ISO 15118-2:2014 clause 7.9.1 and ISO 15118-20:2022
clause 7.8 ask for, and DIN SPEC 70121 before them. The grammars are compiled from the standard's
XSD files, whose folder is given by the caller.

Read `model` (what a schema is), `xsd` (how it is read), `grammar` (how it becomes event codes),
then `encoder` and `decoder`; `codec` is what callers use.
"""

from agent.exi.codec import ExiCodec, Namespace
from agent.exi.errors import EncodeError

__all__ = ["EncodeError", "ExiCodec", "Namespace"]
