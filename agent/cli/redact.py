"""Taking secrets out of texts before they leave the machine."""

from __future__ import annotations

import re
from typing import Final

REMOVED: Final = "[removed]"
_NAMES: Final = (
    "password|passwd|passphrase|secret|token|api_?key|psk|credential|authorization|key_?hex"
)
_RULES: Final = (
    # PEM blocks of private keys, also those cut off at the end
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        REMOVED,
        re.DOTALL,
    ),
    # JSON Web Tokens (RFC 7519): header and payload begin with {"
    (r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)*", REMOVED, 0),
    # user:password@ in addresses (RFC 3986)
    (r"(\b[a-z][a-z0-9+.-]*://)[^/\s@\"']+@", rf"\1{REMOVED}@", re.IGNORECASE),
    # HTTP authorization
    (r"\b(basic|bearer|token)\s+[A-Za-z0-9+/._~=-]{6,}", rf"\1 {REMOVED}", re.IGNORECASE),
    # name = value, name: value, "name": "value", --name value
    (
        rf"([A-Za-z0-9_.-]*(?:{_NAMES})[A-Za-z0-9_.-]*\\*[\"']?\s*[=:]\s*)"
        r"(\\*\"[^\"\n]*\"|'[^'\n]*'|\[[^\]]*\]|[^\s,;}\n]+)",
        rf"\1{REMOVED}",
        re.IGNORECASE,
    ),
    # 32 bytes or more in hexadecimal: keys, password hashes
    (r"\b[0-9a-fA-F]{64,}\b", REMOVED, 0),
)
_COMPILED: Final = tuple((re.compile(rule, flags), new) for rule, new, flags in _RULES)


def redact(text: str) -> str:
    """Return the text without private keys, tokens, passwords and long hexadecimal strings.

    It removes too much rather than too little; the macs of audit records go too.
    """
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text
