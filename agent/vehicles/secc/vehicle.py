"""One simulated ISO 15118 vehicle: the package's EVCC, our codec, and a battery.

The vehicle accepts what the EVSE delivers, as a real one does in Dynamic control, counts it in its
battery, and shows its state of charge. It is here, and not with the other simulations, because
the package may only be imported behind `agent.vehicles.secc`.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from iso15118.shared.iexi_codec import IEXICodec
from iso15118.shared.messages.enums import ServiceV20
from iso15118.shared.messages.iso15118_20.common_messages import DynamicScheduleExchangeReqParams
from iso15118.shared.messages.iso15118_20.common_types import DisplayParameters

from agent.vehicles.secc.fence import import_modules, use_pki
from agent.vehicles.secc.values import rational
from agent.vehicles.simulated.battery import Battery

import_modules(("iso15118.evcc", "iso15118.evcc.controller.simulator"))
_evcc = importlib.import_module("iso15118.evcc")
_simulator = importlib.import_module("iso15118.evcc.controller.simulator")
_config = importlib.import_module("iso15118.evcc.evcc_config")
_states = importlib.import_module("iso15118.evcc.states.iso15118_20_states")

VOLTAGE_V: Final = 400.0
CURRENT_MAX_A: Final = 300.0
SECONDS_A_DAY: Final = 86_400

Service = Literal["DC_BPT", "DC", "AC_BPT", "AC"]


@dataclass(frozen=True, slots=True)
class VehicleOptions:
    """Setup of a simulated vehicle.

    Attributes:
        protocol: `ISO_15118_20_DC`, `ISO_15118_20_AC`, `ISO_15118_2` or `DIN_SPEC_70121`.
        service: Energy service of -20; None for the older protocols.
        transfer_mode: EnergyTransferMode of the older protocols.
        pki: Folder of the certificates; None speaks plain TCP.
        period_s: Between charge loop messages. `cycles`: of the charge loop, then it leaves.
        control: Which parameter set it takes.
    """

    interface: str
    protocol: str = "ISO_15118_20_DC"
    service: Service | None = "DC_BPT"
    transfer_mode: str = "DC_extended"
    pki: Path | None = None
    period_s: float = 0.1
    cycles: int = 1_000_000
    control: Literal["dynamic", "scheduled"] = "dynamic"


class _Vehicle(_simulator.SimEVController):  # type: ignore[misc,name-defined]
    """Answers of the vehicle, from its battery."""

    def __init__(self, config: Any, options: VehicleOptions, battery: Battery) -> None:
        super().__init__(config)
        self.options = options
        self.battery = battery
        self.loops = 0
        self.offered_w = 0.0
        self._stopped = False

    @property
    def _soc_pct(self) -> int:
        return round(self.battery.soc_pct)

    async def select_energy_service_v20(self, services: Any) -> Any:
        """Take the parameter set of the wanted control mode."""
        chosen = await super().select_energy_service_v20(services)
        wanted = 2 if self.options.control == "dynamic" else 1
        for parameter_set in services[0].parameter_sets:
            values = {item.name: item.int_value for item in parameter_set.parameters}
            if values.get("ControlMode") == wanted:
                chosen.parameter_set = parameter_set
        return chosen

    async def continue_charging(self) -> bool:
        """Stay until told to go, or for the configured number of cycles."""
        self.loops += 1
        return not self._stopped and self.loops < self.options.cycles

    async def charge_loop_delay(self) -> float:
        """Return the period of the loop."""
        return self.options.period_s

    async def is_charging_complete(self) -> bool:
        """Say that there is always something to transfer."""
        return False

    async def stop_charging(self) -> None:
        """Leave with the next cycle."""
        self._stopped = True

    async def get_charge_params_v20(self, selected_service: Any) -> Any:
        """Return the battery's limits in place of the simulator's."""
        params = await super().get_charge_params_v20(selected_service)
        params.ev_max_charge_power = rational(self.battery.charge_max_w)
        params.ev_min_charge_power = rational(0)
        if selected_service.service in (ServiceV20.AC_BPT, ServiceV20.DC_BPT):
            params.ev_max_discharge_power = rational(self.battery.discharge_max_w)
            params.ev_min_discharge_power = rational(0)
        return params

    async def get_dynamic_se_params(self, _service: Any) -> DynamicScheduleExchangeReqParams:
        """Return the mobility needs: leave in a day with the present charge."""
        capacity = self.battery.capacity_wh
        return DynamicScheduleExchangeReqParams(
            departure_time=SECONDS_A_DAY,
            min_soc=20,
            target_soc=80,
            ev_target_energy_request=rational(0.2 * capacity),
            ev_max_energy_request=rational(0.4 * capacity),
            ev_min_energy_request=rational(-0.4 * capacity),
            ev_max_v2x_energy_request=rational(0.2 * capacity),
            ev_min_v2x_energy_request=rational(-0.4 * capacity),
        )

    async def get_dynamic_dc_charge_loop_params(self) -> Any:
        """Return the limits of the moment."""
        params = await super().get_dynamic_dc_charge_loop_params()
        return params.copy(update=self._limits())

    async def get_bpt_dynamic_dc_charge_loop_params(self) -> Any:
        """Return the limits of the moment, in both directions."""
        params = await super().get_bpt_dynamic_dc_charge_loop_params()
        discharge = {
            "ev_max_discharge_power": rational(self.battery.discharge_max_w),
            "ev_min_discharge_power": rational(0),
            "ev_max_discharge_current": rational(CURRENT_MAX_A),
        }
        return params.copy(update=self._limits() | discharge)

    async def get_ac_charge_loop_params_v20(self, control_mode: Any, selected_service: Any) -> Any:
        """Return the limits of the moment; the package's figures are those of another car."""
        params = await super().get_ac_charge_loop_params_v20(control_mode, selected_service)
        limits = {
            "ev_max_charge_power": rational(self.battery.charge_max_w),
            "ev_min_charge_power": rational(0),
            "ev_max_discharge_power": rational(self.battery.discharge_max_w),
            "ev_min_discharge_power": rational(0),
            "ev_present_active_power": rational(-self.battery.p_w),
            "ev_present_reactive_power": rational(0),
        }
        return params.copy(update={k: v for k, v in limits.items() if getattr(params, k, None)})

    async def get_scheduled_dc_charge_loop_params(self) -> Any:
        """Return a target: all that the EVSE left open, within the battery's power."""
        params = await super().get_scheduled_dc_charge_loop_params()
        power = min(max(self.offered_w, -self.battery.charge_max_w), self.battery.discharge_max_w)
        current = -power / VOLTAGE_V
        update = {
            "ev_target_current": rational(current),
            "ev_target_voltage": rational(VOLTAGE_V),
        }
        return params.copy(update=update)

    def _limits(self) -> dict[str, Any]:
        missing = self.battery.capacity_wh * (0.8 - self.battery.soc_pct / 100.0)
        return {
            "departure_time": SECONDS_A_DAY,
            "ev_target_energy_request": rational(missing),
            "ev_max_charge_power": rational(self.battery.charge_max_w),
            "ev_min_charge_power": rational(0),
            "ev_max_charge_current": rational(CURRENT_MAX_A),
            "ev_max_voltage": rational(2 * VOLTAGE_V),
            "ev_min_voltage": rational(0.5 * VOLTAGE_V),
        }

    async def get_present_voltage(self) -> Any:
        """Return the battery's voltage."""
        return rational(VOLTAGE_V)

    async def get_target_voltage(self) -> Any:
        """Return the voltage that precharge shall reach."""
        return rational(VOLTAGE_V)

    async def is_precharged(self, _present_voltage: Any) -> bool:
        """Close the contactor at once: the simulated battery needs no precharge."""
        return True

    async def get_display_params(self) -> DisplayParameters:
        """Return what the driver sees."""
        return DisplayParameters(
            present_soc=self._soc_pct,
            charging_complete=False,
            battery_energy_capacity=rational(self.battery.capacity_wh),
        )

    def delivered(self, p_w: float) -> None:
        """Count what the EVSE delivered."""
        self.battery.order(p_w, time.monotonic())


class _ObservedDcLoop(_states.DCChargeLoop):  # type: ignore[misc,name-defined]
    """Shows the vehicle what the EVSE measures; the package looks at its status only."""

    async def process_message(self, message: Any, message_exi: bytes | None = None) -> None:
        current = getattr(message, "evse_present_current", None)
        voltage = getattr(message, "evse_present_voltage", None)
        if current is not None and voltage is not None:
            p_w = -current.get_decimal_value() * voltage.get_decimal_value()
            self.comm_session.ev_controller.delivered(p_w)
        scheduled = getattr(message, "bpt_scheduled_dc_charge_loop_res", None)
        if scheduled is not None:
            charge = scheduled.evse_maximum_charge_power.get_decimal_value()
            discharge = scheduled.evse_max_discharge_power.get_decimal_value()
            self.comm_session.ev_controller.offered_w = discharge or -charge
        await super().process_message(message, message_exi)

    def __str__(self) -> str:
        return "DCChargeLoop"


class _ObservedAcLoop(_states.ACChargeLoop):  # type: ignore[misc,name-defined]
    """Hands the target power of an AC charge loop to the battery."""

    async def process_message(self, message: Any, message_exi: bytes | None = None) -> None:
        params = getattr(message, "bpt_dynamic_params", None) or getattr(
            message, "dynamic_params", None
        )
        if params is not None:
            phases = 3 if params.evse_target_active_power_l3 is not None else 1
            target = params.evse_target_active_power.get_decimal_value()
            self.comm_session.ev_controller.delivered(-phases * target)
        await super().process_message(message, message_exi)

    def __str__(self) -> str:
        return "ACChargeLoop"


setattr(_states, "DCChargeLoop", _ObservedDcLoop)  # noqa: B010 - its states look it up there
setattr(_states, "ACChargeLoop", _ObservedAcLoop)  # noqa: B010


class SimulatedVehicle:
    """Drives one session after another until cancelled, or one where `cycles` is set.

    Args:
        options: Its setup.
        codec: EXI codec in the package's interface.
        battery: Its battery, which outlives the sessions.
    """

    def __init__(self, options: VehicleOptions, codec: IEXICodec, battery: Battery) -> None:
        self.options = options
        self.battery = battery
        self._codec = codec
        self.controller = _Vehicle(_evcc_config(options), options, battery)

    async def run_once(self) -> None:
        """Drive one session, from discovery to its end."""
        if self.options.pki is not None:
            use_pki(self.options.pki)
        config = _evcc_config(self.options)
        self.controller = _Vehicle(config, self.options, self.battery)
        handler = _evcc.EVCCHandler(config, self.options.interface, self._codec, self.controller)
        await handler.start()

    async def run(self, pause_s: float = 1.0) -> None:
        """Plug in again after every session."""
        while True:
            await self.run_once()
            await asyncio.sleep(pause_s)


def _evcc_config(options: VehicleOptions) -> Any:
    secured = options.pki is not None
    config = _config.EVCCConfig(
        supportedProtocols=[options.protocol],
        supportedEnergyServices=[options.service or "AC"],
        energyTransferMode=options.transfer_mode,
        isCertInstallNeeded=False,
        useTls=secured,
        enforceTls=secured,
        chargeLoopCycle=options.cycles,
        sdpRetryCycles=1,
    )
    config.load_raw_values()
    return config
