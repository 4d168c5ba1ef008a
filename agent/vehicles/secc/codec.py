"""Our EXI codec in the shape the package asks for: JSON text on one side, EXI on the other."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import orjson
from iso15118.shared.exi_codec import EXI
from iso15118.shared.iexi_codec import IEXICodec

from agent.errors import ConfigurationError, Finding
from agent.exi import ExiCodec, Namespace

_SIGNED: Final = {
    Namespace.ISO_20_COMMON: frozenset(
        {"PnC_AReqAuthorizationMode", "OEMProvisioningCertificateChain", "SignedInstallationData"}
    ),
}
"""Elements that ISO 15118-20 signs; in -2 and DIN everything but V2G_Message is a fragment."""


def schema_folder() -> Path:
    """Return the folder of the XSD files that come with the package.

    Raises:
        ConfigurationError: The package is not installed.
    """
    spec = importlib.util.find_spec("iso15118")
    if spec is None or spec.origin is None:
        raise ConfigurationError((Finding("iso15118", "is not installed"),))
    return Path(spec.origin).parent / "shared" / "schemas"


class PackageCodec(IEXICodec):  # type: ignore[misc]
    """The package's codec interface over `agent.exi`."""

    def __init__(self, codec: ExiCodec) -> None:
        self._codec = codec

    def encode(self, message: str, namespace: str) -> bytes:
        """Return the EXI of a message or signed element, or raise `EncodeError`."""
        content: dict[str, Any] = orjson.loads(message)
        if is_fragment(next(iter(content)), namespace):
            return self._codec.encode_fragment(content, str(Namespace(namespace)))
        return self._codec.encode(content, str(Namespace(namespace)))

    def decode(self, stream: bytes, namespace: str) -> str:
        """Return the JSON text of a message, or raise `DecodeError`."""
        return orjson.dumps(self._codec.decode(bytes(stream), str(Namespace(namespace)))).decode()

    def get_version(self) -> str:
        """Return the name that the package logs."""
        return "agent.exi"


def is_fragment(name: str, namespace: str) -> bool:
    """Whether an element is encoded as a fragment, to be signed, and not as a message."""
    if namespace == Namespace.XML_SIGNATURE:
        return True
    if namespace in (Namespace.ISO_2, Namespace.DIN_70121):
        return name != "V2G_Message"
    return name in _SIGNED.get(Namespace(namespace), ())


def install(cache: Path | None) -> None:
    """Make our codec the one that the package's states use in this process.

    Raises:
        ConfigurationError: The schemas cannot be read.
    """
    codec = ExiCodec(schema_folder(), cache)
    codec.load()
    EXI().set_exi_codec(PackageCodec(codec))
