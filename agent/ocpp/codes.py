"""Error codes of OCPP-J and the exception that carries one.

Sources: OCPP-J 1.6 table 7; OCPP 2.0.1 part 4 (edition 3) table 10; OCPP 2.1 part 4 table 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from agent.errors import ProtocolError
from agent.ocpp.version import Version


class ErrorCode(Enum):
    """RPC error codes in the spelling of 2.x; `spelled` gives that of a version."""

    FORMAT_VIOLATION = "FormatViolation"
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"

    def spelled(self, version: Version) -> str:
        """Return the code as `version` writes it on the wire."""
        return _SPELLED_16.get(self, self.value) if version is Version.V16 else self.value


# 1.6 has the famous missing "r", and no word for a broken envelope.
_SPELLED_16: Final = {
    ErrorCode.FORMAT_VIOLATION: "FormationViolation",
    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
    ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "GenericError",
    ErrorCode.RPC_FRAMEWORK_ERROR: "GenericError",
}


class CallError(ProtocolError):
    """A call cannot be carried out: what becomes a CALLERROR, or came as one.

    Attributes:
        code: Wire spelling of the error code.
        description: One sentence, at most 255 characters on the wire.
        details: Free-form object.
    """

    def __init__(
        self,
        code: ErrorCode | str,
        description: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.code = code
        self.description = description[:255]
        self.details = dict(details or {})
        super().__init__(f"{code.value if isinstance(code, ErrorCode) else code}: {description}")

    def spelled(self, version: Version) -> str:
        """Return the code as `version` writes it."""
        return self.code.spelled(version) if isinstance(self.code, ErrorCode) else self.code
