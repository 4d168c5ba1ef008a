"""The region's coordinator: reads the reports, shares the area's gain and reserve.

Several may run: each round the account is written only if nobody else wrote it meanwhile, and
shares follow the account. When none runs, the last shares hold as `lease` says.
"""

from __future__ import annotations

import time

from loguru import logger

from agent.utility.bus.allocation import Rules, allocate
from agent.utility.bus.bucket import Bucket
from agent.utility.bus.fleet_model import AREA, GATEWAY, LEDGER, SHARE, Area, Ledger, Report


class Coordinator:
    """One round after another on the bucket.

    Args:
        local: The area by this machine's configuration; holds while no operator states another.
        rules: Settings.
    """

    def __init__(self, local: Area, rules: Rules) -> None:
        self._local, self._rules = local, rules
        self.rounds = 0
        self.lost_rounds = 0
        self._overcommitted = False

    async def run_once(self, bucket: Bucket) -> Ledger | None:
        """Do one round; return the account, or None when another coordinator was faster.

        Raises:
            nats.errors.Error: The bucket cannot be reached.
        """
        area = self._in_force(await bucket.read(Area, AREA))
        reports = await bucket.read_all(Report, GATEWAY)
        before, revision = await bucket.read_with_revision(Ledger, LEDGER)
        ledger, shares = allocate(before, area, reports, self._rules, time.time())
        if not await bucket.replace(LEDGER, ledger, revision):
            self.lost_rounds += 1
            return None
        for name, share in shares.items():
            await bucket.write(SHARE + name, share)
        self.rounds += 1
        if ledger.overcommitted and not self._overcommitted:
            logger.warning(
                "gateways hold {:.4g} W/Hz, the area admits {:.4g} W/Hz",
                ledger.granted_w_per_hz,
                ledger.admissible_w_per_hz,
            )
        self._overcommitted = ledger.overcommitted
        return ledger

    def _in_force(self, stated: Area | None) -> Area:
        """Return the stated area while its lease lasts, then the configured one."""
        if stated is None or time.time() - stated.t_utc_s > stated.lease_s:
            return self._local
        return stated
