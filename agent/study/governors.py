"""Governors and turbines as chains of first-order sections (1 + a·s)/(1 + b·s).

A chain with gain share/droop takes the frequency deviation in pu with a minus sign and gives
mechanical power in pu of the system's base.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Sections = tuple[tuple[float, float], ...]


class Governor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of plant of a system.

    Attributes:
        kind: `reheat`: (1 + F·T·s)/(1 + T·s), behind governor and steam chest where they have
            times (Anderson & Mirheydar 1990; Kundur 1994, 9.2). `steam`: governor and chest.
            `hydro`: servo, transient droop and water column (Kundur 1994, 9.1). `lag`: one lag.
            `sections`: as listed, pairs (a, b).
        share: Rating by the system's base. `droop`: pu of frequency by pu of that rating.
    """

    kind: Literal["reheat", "steam", "hydro", "lag", "sections"]
    share: float
    droop: float
    fraction_hp: float = 0.3
    reheat_s: float = 8.0
    governor_s: float = 0.0
    chest_s: float = 0.0
    servo_s: float = 0.2
    reset_s: float = 5.0
    transient_droop: float = 0.4
    water_s: float = 1.0
    lag_s: float = 0.0
    sections: Sections = ()

    @property
    def gain(self) -> float:
        """Steady power, pu of the system's base, by pu of frequency."""
        return self.share / self.droop

    @property
    def chain(self) -> Sections:
        """The sections (a, b), without those that do nothing."""
        chain: Sections
        match self.kind:
            case "reheat":
                front = ((0.0, self.governor_s), (0.0, self.chest_s))
                chain = (*front, (self.fraction_hp * self.reheat_s, self.reheat_s))
            case "steam":
                chain = ((0.0, self.governor_s), (0.0, self.chest_s))
            case "hydro":
                slow_s = self.transient_droop / self.droop * self.reset_s
                water = (-self.water_s, 0.5 * self.water_s)
                chain = ((0.0, self.servo_s), (self.reset_s, slow_s), water)
            case "lag":
                chain = ((0.0, self.lag_s),)
            case _:
                chain = self.sections
        return tuple((a, b) for a, b in chain if a != b)
