"""`[utility]`, `[dispatch]`, `[ocpi]`: what faces the CSMS, the balancing authority, the market."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from agent.config.sections import Section

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Coordinate = Annotated[str, msgspec.Meta(pattern=r"^-?\d{1,3}\.\d{5,7}$")]
Subprotocol = Literal["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]

_IDENTITY: Final = re.compile(r"[A-Za-z0-9._=+|@-]{1,48}")
_HINT_URL: Final = "as in wss://csms.example/ocpp"


class Utility(Section, frozen=True, kw_only=True):
    """`[utility]`: the OCPP client towards the CSMS, and the HTTPS port of dispatch and OCPI."""

    url: str = ""
    """Of the CSMS, without the identity: `wss://csms.example/ocpp`; empty: no OCPP client."""
    identity: str = ""
    """Name of this gateway as a charging station; empty: `gateway.name`."""
    certificate: Path | None = None
    """Our client certificate with its chain, PEM. `key`: private key; else in the same file."""
    key: Path | None = None
    ca: Path | None = None
    """Authorities of the CSMS's certificate; empty: those of the system."""
    password: Path | None = None
    """File with the password of HTTP Basic authentication, where the CSMS wants one."""
    protocols: Annotated[tuple[Subprotocol, ...], msgspec.Meta(min_length=1)] = (
        "ocpp2.1",
        "ocpp2.0.1",
        "ocpp1.6",
    )
    """Subprotocols that are offered, most wanted first."""
    authority: Literal["balancing-authority", "csms"] = "csms"
    """Rank of what the upstream orders."""
    pass_through: bool = True
    """Carry the CSMS's calls (variables, firmware, logs) to the stations behind this gateway."""
    lease_s: Annotated[float, msgspec.Meta(ge=5, le=3600)] = 120.0
    """An order of the upstream lives on for so long when the connection is lost."""
    volts: Positive = 230.0
    """Turns limits in amperes into watts, with the period's number of phases."""
    handshake_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 20.0
    """For each of TCP with TLS, WebSocket and boot; then alarm 0x22."""
    call_timeout_min_s: Annotated[float, msgspec.Meta(ge=0.5, le=300)] = 5.0
    """Bounds of the time to answer, which follows the measured round trips."""
    call_timeout_max_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 90.0
    reconnect_min_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    reconnect_max_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 300.0
    meter_interval_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    queue_max: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 200_000
    """Transaction messages kept on disk; beyond it periodic meter values are thinned out."""
    api_host: str = "127.0.0.1"
    api_port: Port | None = None
    """HTTPS port of signed dispatch and OCPI; not set: none."""
    api_certificate: Path | None = None
    """Our server certificate with its chain, PEM. `api_key`: its private key."""
    api_key: Path | None = None
    api_client_ca: Path | None = None
    """Authorities of clients; set: mTLS."""

    @property
    def enabled(self) -> bool:
        """There is something to do for the utility process."""
        return bool(self.url) or self.api_port is not None

    def check(self) -> list[tuple[str, str, str]]:
        """URL, identity, files and bounds fit each other."""
        found: list[tuple[str, str, str]] = []
        if self.url:
            found += [("url", what, hint) for what, hint in url_findings(self.url)]
        if self.identity and not _IDENTITY.fullmatch(self.identity):
            found.append(("identity", "is 1 to 48 letters, digits and . _ = + | @ -", ""))
        if self.key is not None and self.certificate is None:
            found.append(("key", "needs certificate", ""))
        if self.call_timeout_min_s > self.call_timeout_max_s:
            found.append(("call_timeout_min_s", "is above call_timeout_max_s", ""))
        if self.reconnect_min_s > self.reconnect_max_s:
            found.append(("reconnect_min_s", "is above reconnect_max_s", ""))
        if (self.api_certificate is None) != (self.api_key is None):
            found.append(("api_certificate", "certificate and key belong together", ""))
        if self.api_client_ca is not None and self.api_certificate is None:
            found.append(("api_client_ca", "needs api_certificate and api_key", ""))
        if self.api_port is not None and self.api_certificate is None and not self._is_local:
            hint = "set api_certificate and api_key, or api_host = '127.0.0.1'"
            found.append(("api_port", "without TLS only this machine may connect", hint))
        return found

    @property
    def _is_local(self) -> bool:
        return is_loopback(self.api_host)


class Dispatch(Section, frozen=True, kw_only=True):
    """`[dispatch]`: signed orders of the balancing authority (JWS, RFC 7515)."""

    public_key: Path | None = None
    """PEM of the signer's public key; not set: signed dispatch is off."""
    algorithm: Literal["ES256", "EdDSA"] = "ES256"
    """The only algorithm that is accepted, whatever a token says of itself."""
    issuer: str = ""
    """`iss` that a token must have."""
    audience: str = ""
    """`aud` that a token must have; empty: `gateway.name`."""
    max_lifetime_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 60.0
    """Longest time from now to `exp`."""
    max_skew_s: Annotated[float, msgspec.Meta(ge=0, le=5)] = 5.0
    accept_unsynchronised_clock: bool = False
    """For sites without a time service: take tokens although the clock is not synchronised."""

    def check(self) -> list[tuple[str, str, str]]:
        """A signer has a name."""
        if self.public_key is not None and not self.issuer:
            return [("issuer", "is missing", "the `iss` of the balancing authority's tokens")]
        return []


class Ocpi(Section, frozen=True, kw_only=True):
    """`[ocpi]`: OCPI 2.2.1 at the HTTPS port of `[utility]`, in the role of a CPO."""

    enabled: bool = False
    tokens: Path | None = None
    """File with the tokens A that we gave to partners, one a line; they exchange them (7.1.1)."""
    url: str = ""
    """Our address as partners reach it: `https://gateway.example:8443`."""
    country_code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] = "XX"
    party_id: Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{3}$")] = "V2G"
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "V2G gateway"
    address: Annotated[str, msgspec.Meta(min_length=1, max_length=45)] = "unknown"
    city: Annotated[str, msgspec.Meta(min_length=1, max_length=45)] = "unknown"
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "XXX"
    latitude: Coordinate = "0.00000"
    longitude: Coordinate = "0.00000"
    time_zone: str = "UTC"
    publish: bool = False
    """Partners may show the location to drivers."""
    connector_standard: Annotated[str, msgspec.Meta(pattern="^[A-Z0-9_]+$")] = "IEC_62196_T2"
    """Of every EVSE, as OCPI names it (clause 8.4.5); with its format, current and voltage."""
    connector_format: Literal["SOCKET", "CABLE"] = "CABLE"
    power_type: Literal["AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC"] = (
        "AC_3_PHASE"
    )
    max_voltage: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 230
    """V; phase to neutral for AC. Turns profiles in amperes into watts."""
    max_amperage: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 32
    ca: Path | None = None
    """Authorities of the partners' certificates; empty: those of the system."""
    callback_hosts: tuple[str, ...] = ()
    """Hosts to which results may be posted; empty: only the host of a partner's own `url`."""

    def check(self) -> list[tuple[str, str, str]]:
        """OCPI needs its tokens and its address."""
        if not self.enabled:
            return []
        found: list[tuple[str, str, str]] = []
        if self.tokens is None:
            found.append(("tokens", "is missing", "a file with one token a line"))
        if urlsplit(self.url).scheme not in {"http", "https"}:
            found.append(("url", "is missing or no address", "as in https://gateway.example:8443"))
        return found


def url_findings(url: str) -> list[tuple[str, str]]:
    """Return (what, hint) for a CSMS address that cannot be used."""
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return [(str(error), _HINT_URL)]
    if parts.scheme not in {"ws", "wss"} or not host:
        return [("is no WebSocket address", _HINT_URL)]
    if parts.scheme == "ws" and not is_loopback(host):
        return [("ws:// would send orders in clear", "use wss://; ws:// only on this machine")]
    return []


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
