"""The report of a verification: what it says, its signature, and how both are checked.

The JSON document is signed (Ed25519, RFC 8032) over its canonical form: keys sorted, no white
space, UTF-8. The HTML page is made from that document alone and carries it, so checking a page
means checking the signature and making the page again: not one character may differ.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.errors import ConfigurationError, Finding, SignatureError, UnavailableError
from agent.estimation.verification import Comparison, Estimate, Tolerance

KIND: Final = "v2g-verification"
VERSION: Final = 1
KEY_NAME: Final = "verification.key"
LARGEST: Final = 10_000_000
_EMBEDDED: Final = re.compile(r'<script type="application/json" id="report">(.*?)</script>', re.S)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What was compared, and when (UTC seconds)."""

    gateway: str
    device: str
    evse: str
    started_s: float
    ended_s: float


def document(subject: Subject, found: Comparison, limits: Tolerance) -> dict[str, Any]:
    """Return the report as plain data; what is unknown is null."""

    def estimate(name: str, value: Estimate, tolerance: float) -> dict[str, Any]:
        verdict = found.verdicts.get(name)
        return {
            "value": _number(value.value),
            "half_width_95": _number(value.half_width),
            "tolerance": tolerance,
            "verdict": str(verdict) if verdict else None,
        }

    def energy(name: str, pair: tuple[float, float]) -> dict[str, Any]:
        verdict = found.verdicts.get(name)
        return {
            "reported_wh": _number(pair[0]),
            "measured_wh": _number(pair[1]),
            "tolerance": limits.energy,
            "verdict": str(verdict) if verdict else None,
        }

    balance = found.verdicts.get("phase imbalance")
    return {
        "kind": KIND,
        "version": VERSION,
        "gateway": subject.gateway,
        "device": subject.device,
        "evse": subject.evse,
        "started": _time(subject.started_s),
        "ended": _time(subject.ended_s),
        "samples": found.samples,
        "seconds": _number(found.seconds),
        "verdict": str(found.verdict),
        "gain": estimate("gain", found.gain, limits.gain),
        "gain_export": estimate("gain export", found.gain_export, limits.gain),
        "gain_import": estimate("gain import", found.gain_import, limits.gain),
        "offset_w": estimate("offset", found.offset_w, limits.offset_w),
        "lag_s": estimate("lag", found.lag_s, limits.lag_s),
        "energy_export": energy("energy export", found.export_wh),
        "energy_import": energy("energy import", found.import_wh),
        "phases": {
            "mean_w": [_number(value) for value in found.phase_w],
            "imbalance": _number(found.imbalance),
            "tolerance": limits.imbalance,
            "verdict": str(balance) if balance else None,
        },
        "variance": _number(found.variance),
        "residual_w": _number(found.residual_w),
    }


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key that signs reports, made at first use; its public half lies beside it.

    Raises:
        UnavailableError: The folder refuses it.
        ConfigurationError: The file is no Ed25519 key.
    """
    path = folder / KEY_NAME
    try:
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(_private_pem(key))
            path.with_suffix(".pub").write_bytes(_public_pem(key.public_key()))
            return key
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UnavailableError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError((Finding(str(path), f"is no key: {error}"),)) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise ConfigurationError((Finding(str(path), "is no Ed25519 key"),))
    return loaded


def public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file.

    Raises:
        ConfigurationError: It is none, or cannot be read.
    """
    try:
        loaded = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError((Finding(str(path), f"is no public key: {error}"),)) from error
    if not isinstance(loaded, Ed25519PublicKey):
        raise ConfigurationError((Finding(str(path), "is no Ed25519 key"),))
    return loaded


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return a short name of a public key."""
    return hashlib.sha256(_raw(key)).hexdigest()[:32]


def sign(report: Document, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the report with its signature."""
    return {
        "report": dict(report),
        "signature": {
            "algorithm": "Ed25519",
            "public_key": base64.b64encode(_raw(key.public_key())).decode(),
            "value": base64.b64encode(key.sign(canonical(report))).decode(),
        },
    }


def canonical(report: Document) -> bytes:
    """Return the bytes that are signed."""
    text = json.dumps(
        report, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def check(text: str) -> tuple[Document, Ed25519PublicKey]:
    """Return the report in a JSON or HTML file and the key that signed it.

    Raises:
        SignatureError: It is no report, or something in it was changed after it was signed.
    """
    if len(text) > LARGEST:
        raise SignatureError("too large for a report")
    embedded = _EMBEDDED.search(text)
    try:
        signed = json.loads(embedded[1] if embedded else text)
        report, signature = signed["report"], signed["signature"]
        if signature["algorithm"] != "Ed25519" or report["kind"] != KIND:
            raise SignatureError("not a signed verification report")
        raw = base64.b64decode(signature["public_key"], validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw)
        key.verify(base64.b64decode(signature["value"], validate=True), canonical(report))
    except InvalidSignature as error:
        raise SignatureError("the report was changed after it was signed") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SignatureError(f"not a signed verification report ({error})") from error
    if embedded and page(signed) != text:
        raise SignatureError("the page shows something else than the report that was signed")
    return report, key


def page(signed: Document) -> str:
    """Return the HTML page of a signed report: its numbers for people, and the document itself."""
    report = signed["report"]
    rows = "\n".join(_rows(report))
    data = json.dumps(signed, sort_keys=True, allow_nan=False).replace("<", "\\u003c")
    title = html.escape(f"Verification of {report['evse']} by {report['device']}")
    facts = (
        f"Gateway {report['gateway']}, {report['started']} to {report['ended']}, "
        f"{report['samples']} reports compared"
    )
    verdict = html.escape(str(report["verdict"]))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ text-align: left; padding: .3em .6em; border-bottom: 1px solid #ccc; }}
.pass {{ color: #060; }} .fail {{ color: #b00; font-weight: bold; }}
.inconclusive {{ color: #850; }}
</style></head><body>
<h1>{title}</h1>
<p>{html.escape(facts)}</p>
<p>Result: <b class="{verdict}">{verdict}</b></p>
<table>
<tr><th>quantity</th><th>value</th><th>95 % interval</th><th>tolerance</th><th>result</th></tr>
{rows}
</table>
<p>The report is taken as gain × (measured power, lag earlier) + offset. Each line stands for
itself: errors that cancel in the energy still show in gain, offset, directions and phases.</p>
<p>Signed with Ed25519 key {html.escape(str(signed["signature"]["public_key"]))}. Check:
<code>v2g-ctl verify --check FILE</code></p>
<script type="application/json" id="report">{data}</script>
</body></html>
"""


def _rows(report: Document) -> list[str]:
    rows = []
    for key, name, unit in (
        ("gain", "gain", ""), ("gain_export", "gain, export", ""),
        ("gain_import", "gain, import", ""), ("offset_w", "offset", " W"),
        ("lag_s", "lag", " s"),
    ):  # fmt: skip
        part = report[key]
        width = "±" + _shown(part["half_width_95"], unit)
        tolerance = f"±{part['tolerance']:g}{unit}"
        rows.append(_row(name, _shown(part["value"], unit), width, tolerance, part))
    for key, name in (("energy_export", "energy, export"), ("energy_import", "energy, import")):
        part = report[key]
        value = f"{_shown(part['reported_wh'])} Wh reported, {_shown(part['measured_wh'])} measured"
        rows.append(_row(name, value, "", f"±{part['tolerance']:.0%}", part))
    phases = report["phases"]
    means = ", ".join(_shown(value, " W") for value in phases["mean_w"])
    share = "–" if phases["imbalance"] is None else f"{phases['imbalance']:.1%}"
    text = f"L1 to L3: {means}; imbalance {share}"
    rows.append(_row("phases", text, "", f"{phases['tolerance']:.0%}", phases))
    variance = "–" if report["variance"] is None else f"{report['variance']:.2%}"
    text = f"{variance}; left over {_shown(report['residual_w'], ' W')}"
    rows.append(_row("variance", text, "", "", {}))
    return rows


def _row(name: str, value: str, width: str, tolerance: str, part: Document) -> str:
    verdict = html.escape(str(part.get("verdict") or "–"))
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in (name, value, width, tolerance))
    return f'<tr>{cells}<td class="{verdict}">{verdict}</td></tr>'


def _shown(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:.5g}{unit}"


def _number(value: float) -> float | None:
    return round(value, 9) if math.isfinite(value) else None


def _time(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds")


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
