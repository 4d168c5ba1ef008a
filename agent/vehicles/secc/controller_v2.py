"""The package's questions about the EVSE, answered for ISO 15118-2 and DIN SPEC 70121.

Both only charge: an order to discharge becomes a limit of zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from iso15118.secc.controller.evse_data import CurrentType
from iso15118.secc.controller.interface import EVSEControllerInterface
from iso15118.shared.messages.datatypes import (
    DCEVSEChargeParameter,
    DCEVSEStatus,
    DCEVSEStatusCode,
    EVSENotification,
    PVEVSEMaxCurrent,
    PVEVSEMaxCurrentLimit,
    PVEVSEMaxPowerLimit,
    PVEVSEMaxVoltageLimit,
    PVEVSEMinCurrentLimit,
    PVEVSEMinVoltageLimit,
    PVEVSENominalVoltage,
    PVEVSEPeakCurrentRipple,
    PVEVSEPresentCurrent,
    PVEVSEPresentVoltage,
)
from iso15118.shared.messages.din_spec.datatypes import (
    PMaxScheduleEntry as DinPMaxScheduleEntry,
)
from iso15118.shared.messages.din_spec.datatypes import (
    PMaxScheduleEntryDetails as DinPMaxScheduleEntryDetails,
)
from iso15118.shared.messages.din_spec.datatypes import (
    RelativeTimeInterval as DinRelativeTimeInterval,
)
from iso15118.shared.messages.din_spec.datatypes import SAScheduleTupleEntry
from iso15118.shared.messages.enums import (
    EnergyTransferModeEnum,
    IsolationLevel,
    Protocol,
    UnitSymbol,
)
from iso15118.shared.messages.iso15118_2.datatypes import (
    ACEVSEChargeParameter,
    ACEVSEStatus,
    MeterInfo,
    PMaxSchedule,
    PMaxScheduleEntry,
    PVPMax,
    RelativeTimeInterval,
    SAScheduleTuple,
)

from agent.vehicles.secc.evse import Evse
from agent.vehicles.secc.offers import DAY_S
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.values import physical

_MAX_DIN_POWER_W = 32_767
"""PMax of DIN SPEC 70121 is a short without a multiplier."""


class ControllerV2(EVSEControllerInterface):  # type: ignore[misc]
    """Base of `Controller` with the answers of the older protocols."""

    def __init__(self, evse: Evse, options: SeccOptions, clock: Callable[[], float]) -> None:
        super().__init__()
        self.evse = evse
        self.options = options
        self.clock = clock
        self.in_loop = False
        self.stop_requested = False

    # -- offers

    async def get_supported_energy_transfer_modes(
        self, _protocol: Protocol
    ) -> list[EnergyTransferModeEnum]:
        """Return the transfer mode of the outlet."""
        rating = self.options.rating
        if rating.kind == "dc":
            return [EnergyTransferModeEnum.DC_EXTENDED]
        if rating.phases == 1:
            return [EnergyTransferModeEnum.AC_SINGLE_PHASE_CORE]
        return [EnergyTransferModeEnum.AC_THREE_PHASE_CORE]

    async def get_sa_schedule_list(
        self, _ev: Any, _free: bool, _entries: int | None, departure_time: int = 0
    ) -> list[SAScheduleTuple]:
        """Return one schedule at full power, until departure or for a day ([V2G2-304])."""
        power = physical(PVPMax, self.options.rating.charge_max_w, UnitSymbol.WATT)
        interval = RelativeTimeInterval(start=0, duration=departure_time or DAY_S)
        entry = PMaxScheduleEntry(p_max=power, time_interval=interval)
        schedule = PMaxSchedule(schedule_entries=[entry])
        return [SAScheduleTuple(sa_schedule_tuple_id=1, p_max_schedule=schedule)]

    async def get_sa_schedule_list_dinspec(
        self, _entries: int | None, departure_time: int = 0
    ) -> list[SAScheduleTupleEntry]:
        """Return one schedule at full power, as far as DIN can say it."""
        entry = DinPMaxScheduleEntryDetails(
            p_max=min(int(self.options.rating.charge_max_w), _MAX_DIN_POWER_W),
            time_interval=DinRelativeTimeInterval(start=0, duration=departure_time or DAY_S),
        )
        schedule = DinPMaxScheduleEntry(p_max_schedule_id=1, entry_details=[entry])
        return [SAScheduleTupleEntry(sa_schedule_tuple_id=1, p_max_schedule=schedule)]

    async def get_ac_charge_params_v2(self) -> ACEVSEChargeParameter:
        """Return the AC limits of the hardware."""
        self.evse_data_context.current_type = CurrentType.AC
        rating = self.options.rating
        return ACEVSEChargeParameter(
            ac_evse_status=await self.get_ac_evse_status(),
            evse_nominal_voltage=physical(
                PVEVSENominalVoltage, rating.nominal_v, UnitSymbol.VOLTAGE
            ),
            evse_max_current=physical(PVEVSEMaxCurrent, rating.current_max_a, UnitSymbol.AMPERE),
        )

    async def get_dc_charge_parameters(self) -> DCEVSEChargeParameter:
        """Return the DC limits of the hardware."""
        self.evse_data_context.current_type = CurrentType.DC
        rating = self.options.rating
        volt, ampere = UnitSymbol.VOLTAGE, UnitSymbol.AMPERE
        return DCEVSEChargeParameter(
            dc_evse_status=await self.get_dc_evse_status(),
            evse_maximum_power_limit=physical(
                PVEVSEMaxPowerLimit, rating.charge_max_w, UnitSymbol.WATT
            ),
            evse_maximum_current_limit=physical(
                PVEVSEMaxCurrentLimit, rating.current_max_a, ampere
            ),
            evse_maximum_voltage_limit=physical(PVEVSEMaxVoltageLimit, rating.voltage_max_v, volt),
            evse_minimum_current_limit=physical(PVEVSEMinCurrentLimit, 0, ampere),
            evse_minimum_voltage_limit=physical(PVEVSEMinVoltageLimit, rating.voltage_min_v, volt),
            evse_peak_current_ripple=physical(PVEVSEPeakCurrentRipple, 1, ampere),
        )

    # -- charge loop

    def _notification(self) -> EVSENotification:
        if self.stop_requested:
            return EVSENotification.STOP_CHARGING
        return EVSENotification.NONE

    async def get_ac_evse_status(self) -> ACEVSEStatus:
        """Return the status; deliver the charge limit once per answer of the loop."""
        if self.in_loop:
            self.deliver_v2(self.options.rating.nominal_v)
        return ACEVSEStatus(
            notification_max_delay=0, evse_notification=self._notification(), rcd=False
        )

    async def get_dc_evse_status(self) -> DCEVSEStatus:
        """Return the status of the DC output."""
        code = DCEVSEStatusCode.EVSE_READY
        if self.stop_requested:
            code = DCEVSEStatusCode.EVSE_SHUTDOWN
        return DCEVSEStatus(
            notification_max_delay=0,
            evse_notification=self._notification(),
            evse_isolation_status=IsolationLevel.VALID,
            evse_status_code=code,
        )

    def charge_limit_w(self) -> float:
        """Return the power that may be charged now."""
        return max(0.0, -self.evse.target_w(self.clock()))

    def deliver_v2(self, voltage_v: float) -> None:
        """Charge at the limit (AC, where the vehicle follows EVSEMaxCurrent)."""
        self.evse.integrate(self.clock())
        self.evse.stage.command(-self.charge_limit_w(), 0.0, voltage_v)

    async def get_evse_max_voltage_limit(self) -> PVEVSEMaxVoltageLimit:
        """Return the highest voltage."""
        return physical(
            PVEVSEMaxVoltageLimit, self.options.rating.voltage_max_v, UnitSymbol.VOLTAGE
        )

    async def get_evse_max_current_limit(self) -> PVEVSEMaxCurrentLimit | PVEVSEMaxCurrent:
        """Return the current that the order permits, per phase in AC."""
        rating = self.options.rating
        if rating.kind == "ac":
            current = self.charge_limit_w() / (rating.nominal_v * rating.phases)
            return physical(PVEVSEMaxCurrent, min(current, rating.current_max_a), UnitSymbol.AMPERE)
        voltage = self.evse.stage.read().voltage_v
        current = self.charge_limit_w() / voltage if voltage > 0 else 0.0
        return physical(
            PVEVSEMaxCurrentLimit, min(current, rating.current_max_a), UnitSymbol.AMPERE
        )

    async def get_evse_max_power_limit(self) -> PVEVSEMaxPowerLimit:
        """Return the power that the order permits."""
        return physical(PVEVSEMaxPowerLimit, self.charge_limit_w(), UnitSymbol.WATT)

    async def is_evse_current_limit_achieved(self) -> bool:
        """Say whether the current is at its rating."""
        return abs(self.evse.stage.read().current_a) >= self.options.rating.current_max_a

    async def is_evse_voltage_limit_achieved(self) -> bool:
        """Say whether the voltage is at its rating."""
        return self.evse.stage.read().voltage_v >= self.options.rating.voltage_max_v

    async def is_evse_power_limit_achieved(self) -> bool:
        """Say whether the power is at what the order permits."""
        charge_w = -self.evse.stage.read().p_w
        return charge_w > 0 and charge_w >= self.charge_limit_w()

    def present_v2(self, number: float, unit: str) -> PVEVSEPresentVoltage | PVEVSEPresentCurrent:
        """Return a measured value in the types of ISO 15118-2."""
        if unit == "V":
            return physical(PVEVSEPresentVoltage, number, UnitSymbol.VOLTAGE)
        return physical(PVEVSEPresentCurrent, number, UnitSymbol.AMPERE)

    async def get_meter_info_v2(self) -> MeterInfo:
        """Return the register of charged energy."""
        return MeterInfo(
            meter_id=self.options.evse_id[:32],
            meter_reading=int(self.evse.energy_import_wh),
            t_meter=int(time.time()),
        )

    # -- what is not offered

    async def get_supported_providers(self) -> None:
        """Return no restriction: any contract whose chain verifies."""
        return

    async def get_15118_ev_certificate(self, _request: str, _namespace: str) -> str:
        """Return nothing: certificate installation is not offered."""
        return ""

    def ready_to_charge(self) -> bool:
        """Say that energy may flow."""
        return True

    async def send_display_params(self) -> None:
        """Unused: the session reports what the vehicle shows."""

    async def send_rated_limits(self) -> None:
        """Unused: the session reports the vehicle's limits."""
