"""Roles of clients (IEC 62351-8:2020): what a certificate says its owner may do.

The role stands in the certificate's extension 1.0.62351.8.1 (IECUserRoles), or the configuration
gives it to the certificate's common name. A client without a role is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.errors import DecodeError
from agent.ied.port import Right

ROLE_EXTENSION: Final = x509.ObjectIdentifier("1.0.62351.8.1")
_SEQUENCE, _INTEGER = 0x30, 0x02


class RoleName(StrEnum):
    """The pre-defined roles (IEC 62351-8:2020, table 2), in the order of their RoleID."""

    VIEWER = "VIEWER"
    OPERATOR = "OPERATOR"
    ENGINEER = "ENGINEER"
    INSTALLER = "INSTALLER"
    SECADM = "SECADM"
    SECAUD = "SECAUD"
    RBACMNT = "RBACMNT"
    ENGINEER_OPERATOR = "ENGINEER_OPERATOR"
    """Ours: both at once; never in a certificate, only in the configuration."""


_SEE: Final = Right.VIEW | Right.READ | Right.REPORT
RIGHTS: Final[Mapping[RoleName, Right]] = {
    RoleName.VIEWER: _SEE,
    RoleName.OPERATOR: _SEE | Right.CONTROL,
    RoleName.ENGINEER: _SEE | Right.SETTING | Right.FILES,
    RoleName.INSTALLER: _SEE | Right.SETTING,
    RoleName.SECADM: Right.VIEW | Right.FILES,
    RoleName.SECAUD: Right.VIEW | Right.READ | Right.FILES,
    RoleName.RBACMNT: Right.VIEW,
    RoleName.ENGINEER_OPERATOR: _SEE | Right.CONTROL | Right.SETTING | Right.FILES,
}
"""Rights of each role (IEC 62351-8:2020, table 3): viewing does not include control, and
engineering does not either."""


def role_of(certificate: x509.Certificate, configured: Mapping[str, str]) -> RoleName | None:
    """The role of a certificate's owner: the configuration's, else the certificate's own.

    Raises:
        DecodeError: The extension is not what the standard says.
    """
    name = common_name(certificate)
    if name in configured:
        return RoleName(configured[name])
    for extension in certificate.extensions:
        if extension.oid == ROLE_EXTENSION:
            value = extension.value
            octets = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
            return _first_role(octets)
    return None


def common_name(certificate: x509.Certificate) -> str:
    """Common name of the subject, or the whole subject where it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def is_current(certificate: x509.Certificate, now: datetime | None = None) -> bool:
    """The certificate is inside its validity."""
    moment = now or datetime.now(UTC)
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _first_role(octets: bytes) -> RoleName:
    """IECUserRoles ::= SEQUENCE OF UserRoleInfo, which starts with SEQUENCE OF RoleID."""
    try:
        roles, _ = _content(octets, _SEQUENCE)
        info, _ = _content(roles, _SEQUENCE)
        identifiers, _ = _content(info, _SEQUENCE)
        number, _ = _content(identifiers, _INTEGER)
    except IndexError as error:
        raise DecodeError("IECUserRoles is cut short") from error
    known = tuple(name for name in RoleName if name is not RoleName.ENGINEER_OPERATOR)
    role = int.from_bytes(number, "big", signed=True)
    if not 0 <= role < len(known):
        raise DecodeError(f"RoleID {role} is not one of the pre-defined roles")
    return known[role]


def _content(octets: bytes, tag: int) -> tuple[bytes, bytes]:
    """Content of the first DER element, and what follows it."""
    if octets[0] != tag:
        raise DecodeError(f"IECUserRoles: tag {octets[0]:#x} where {tag:#x} belongs")
    length, start = octets[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(octets[2:start], "big")
    if start + length > len(octets):
        raise DecodeError("IECUserRoles is cut short")
    return octets[start : start + length], octets[start + length :]
