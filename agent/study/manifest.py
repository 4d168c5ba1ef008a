"""What a folder of results is made of: hashes of inputs and files, seed, versions, signature.

`manifest.json` names the SHA-256 of every other file of the folder. `manifest.sig` is the Ed25519
signature of its bytes, so that one signature holds everything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from agent.errors import ConfigurationError, Finding

NAME: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
_SKIPPED: Final = ("parts",)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(
    folder: Path, what: Mapping[str, Any], inputs: Mapping[str, str], key: Path | None
) -> None:
    """Write the manifest of a folder, and sign it where there is a key (PEM, Ed25519).

    Raises:
        ConfigurationError: The key cannot be used.
    """
    private = None if key is None else _private(key)
    document = {
        **what,
        "inputs": dict(inputs),
        "files": {name: sha256(folder / name) for name in _files(folder)},
        "versions": {
            "v2g-agent": version("v2g-agent"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "signed_by": "" if private is None else fingerprint(private.public_key()),
    }
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    (folder / SIGNATURE).unlink(missing_ok=True)
    (folder / NAME).write_text(text, encoding="utf-8")
    if private is not None:
        signature = base64.b64encode(private.sign(text.encode()))
        (folder / SIGNATURE).write_bytes(signature + b"\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder.

    Raises:
        ConfigurationError: There is none, or it is no JSON object.
    """
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            (Finding(str(folder / NAME), f"cannot be read: {error}"),)
        ) from error
    if not isinstance(document, dict):
        raise ConfigurationError((Finding(str(folder / NAME), "is not a manifest"),))
    return document


def check_manifest(folder: Path, public_key: Path | None) -> list[str]:
    """Return what is wrong with a folder: files that differ, a signature that does not fit.

    Without a key only the files are compared. An empty list means intact.
    """
    document = read_manifest(folder)
    files = document.get("files", {})
    wrong = []
    for name, digest in sorted(files.items()):
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name}: is missing")
        elif sha256(path) != digest:
            wrong.append(f"{name}: was changed")
    wrong += [f"{name}: is not in the manifest" for name in _files(folder) if name not in files]
    if public_key is not None:
        wrong += _signature_wrong(folder, public_key)
    return wrong


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a public key (DER, SubjectPublicKeyInfo), hexadecimal."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _signature_wrong(folder: Path, public_key: Path) -> list[str]:
    try:
        key = load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError((Finding(str(public_key), f"no public key: {error}"),)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError((Finding(str(public_key), "is not an Ed25519 key"),))
    try:
        signature = base64.b64decode((folder / SIGNATURE).read_bytes().strip(), validate=True)
        key.verify(signature, (folder / NAME).read_bytes())
    except OSError:
        return [f"{SIGNATURE}: is missing: the report is not signed"]
    except (InvalidSignature, ValueError):
        return [f"{SIGNATURE}: does not fit the manifest and this key"]
    return []


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError((Finding(str(path), f"no private key: {error}"),)) from error
    if not isinstance(key, Ed25519PrivateKey):
        hint = "openssl genpkey -algorithm ed25519"
        raise ConfigurationError((Finding(str(path), "is not an Ed25519 key", hint),))
    return key


def _files(folder: Path) -> list[str]:
    """Return the files of a folder, without what is only half of the work."""
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    kept = [n for n in names if n.parts[0] not in _SKIPPED and str(n) not in (NAME, SIGNATURE)]
    return sorted(str(name) for name in kept)
