"""Numbers of ISO 15118: a 16-bit value and a power of ten."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from iso15118.shared.messages.enums import UnitSymbol
from iso15118.shared.messages.iso15118_20.common_types import RationalNumber

PhysicalT = TypeVar("PhysicalT", bound=Any)

_MAX_VALUE: Final = 32_767
_EXPONENTS: Final = range(-3, 4)


def scaled(number: float) -> tuple[int, int]:
    """Return (exponent, value) nearest to `number`, with the finest exponent that fits.

    The package truncates: 49,999.7 became 49,990; here it is 50,000. Beyond the range of the type
    (±32,767,000) the bound is returned.
    """
    for exponent in _EXPONENTS:
        value = round(number / 10.0**exponent)
        if abs(value) <= _MAX_VALUE:
            return _shortest(exponent, value)
    return _EXPONENTS[-1], _MAX_VALUE if number > 0 else -_MAX_VALUE


def _shortest(exponent: int, value: int) -> tuple[int, int]:
    while exponent < 0 and value % 10 == 0:
        exponent, value = exponent + 1, value // 10
    return exponent, value


def rational(number: float) -> RationalNumber:
    """Return a number of ISO 15118-20."""
    exponent, value = scaled(number)
    # In range by construction; ten of these in every answer of the loop need no validation.
    return RationalNumber.construct(exponent=exponent, value=value)


def physical(kind: type[PhysicalT], number: float, unit: UnitSymbol) -> PhysicalT:
    """Return a physical value of ISO 15118-2, of the given class of the package."""
    exponent, value = scaled(number)
    made: PhysicalT = kind(multiplier=exponent, value=value, unit=unit)
    return made
