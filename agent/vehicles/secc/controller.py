"""The package's questions about the EVSE, answered for ISO 15118-20 and for what all share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from iso15118.secc.controller.evse_data import (
    CurrentType,
    EVSEACCLLimits,
    EVSEACCPDLimits,
    EVSEDataContext,
    EVSEDCCLLimits,
    EVSEDCCPDLimits,
    EVSERatedLimits,
    EVSESessionLimits,
)
from iso15118.secc.controller.interface import AuthorizationResponse, ServiceStatus
from iso15118.shared.messages.enums import (
    AuthorizationStatus,
    AuthorizationTokenType,
    ControlMode,
    CpState,
    IsolationLevel,
    Protocol,
    ServiceV20,
    SessionStopAction,
)
from iso15118.shared.messages.iso15118_20.common_messages import (
    DynamicScheduleExchangeResParams,
    ScheduledScheduleExchangeResParams,
    ServiceList,
    ServiceParameterList,
)
from iso15118.shared.messages.iso15118_20.common_types import (
    EVSENotification,
    EVSEStatus,
    MeterInfo,
)

from agent.vehicles.secc import contract, ev, loop, offers
from agent.vehicles.secc.controller_v2 import ControllerV2
from agent.vehicles.secc.evse import EvLimits, Evse
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.values import rational

_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
NOTIFICATION_DELAY_S = 10
"""NotificationMaxDelay: the vehicle follows a stop or renegotiation within this time."""


class Controller(ControllerV2):
    """Answers for one session; made anew for each, so that sessions share nothing.

    Args:
        evse: The EVSE, which outlives the session.
        options: What it is set up to do.
        roots: Trust anchors of contracts.
        clock: CLOCK_MONOTONIC seconds.
    """

    def __init__(
        self,
        evse: Evse,
        options: SeccOptions,
        roots: tuple[x509.Certificate, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(evse, options, clock)
        self._roots = roots
        self.ev_data_context = ev.fresh_context()
        self.evse_data_context = _evse_context(options)
        self.notification: EVSENotification | None = None
        self.contract_problem = ""
        self.bidirectional = False
        self.loops = 0

    # -- what the session reports back

    def refresh(self) -> None:
        """Take over what the vehicle said last."""
        kind = self.options.rating.kind
        self.evse.ev = ev.limits(self.ev_data_context, kind, self.bidirectional)
        self.evse.integrate(self.clock())

    def reset_ev_data_context(self) -> None:
        """Start a vehicle's data anew, sharing nothing with the last one."""
        self.ev_data_context = ev.fresh_context()
        self.evse.ev = EvLimits()

    def notify(self, notification: EVSENotification | None) -> None:
        """Ask the vehicle to stop, pause or renegotiate with the next answer of the loop."""
        self.notification = notification

    # -- identity and authorisation

    async def set_status(self, status: ServiceStatus) -> None:
        """Unused: our server reports its own state."""

    async def get_evse_id(self, protocol: Protocol) -> str:
        """Return the EVSEID; DIN wants its hexadecimal form."""
        if protocol is Protocol.DIN_SPEC_70121:
            return self.options.evse_id.replace("*", "A").encode("ascii").hex().upper()[:64]
        return self.options.evse_id

    def is_eim_authorized(self) -> bool:
        """Offer every configured way of identification."""
        return False

    async def is_authorized(
        self,
        id_token: str | None = None,
        id_token_type: AuthorizationTokenType | None = None,
        certificate_chain: bytes | None = None,
        hash_data: list[dict[str, str]] | None = None,
    ) -> AuthorizationResponse:
        """Accept EIM, and contracts whose chain we trust."""
        del id_token, hash_data
        if id_token_type is AuthorizationTokenType.EMAID and certificate_chain is not None:
            self.check_contract(_split_pem(certificate_chain))
        accepted = not self.contract_problem
        return AuthorizationResponse(
            authorization_status=(
                AuthorizationStatus.ACCEPTED if accepted else AuthorizationStatus.REJECTED
            ),
            certificate_response_status=None,
        )

    def check_contract(self, chain: list[bytes]) -> str:
        """Return why a contract is refused; empty where it is not."""
        without_roots = [data for data in chain if not _is_self_signed(data)]
        self.contract_problem = contract.why_not_trusted(
            without_roots, self._roots, datetime.now(UTC)
        )
        return self.contract_problem

    # -- ISO 15118-20: offers

    async def get_energy_service_list(self) -> ServiceList:
        """Return the services that the hardware can serve."""
        return offers.energy_services(self.options)

    async def get_service_parameter_list(self, service_id: int) -> ServiceParameterList:
        """Return the parameter sets of a service."""
        return offers.parameter_sets(self.options, service_id)

    async def service_renegotiation_supported(self) -> bool:
        """The package keeps the session and goes back to ServiceDiscovery."""
        return True

    async def get_schedule_exchange_params(
        self, _service: Any, control_mode: ControlMode, _request: Any
    ) -> DynamicScheduleExchangeResParams | ScheduledScheduleExchangeResParams:
        """Return the vehicle's own mobility needs (Dynamic) or a day at full power."""
        if control_mode is ControlMode.SCHEDULED:
            return offers.schedules(self.options.rating, int(time.time()))
        needs = self.ev_data_context
        return DynamicScheduleExchangeResParams(
            departure_time=needs.departure_time, min_soc=needs.min_soc, target_soc=needs.target_soc
        )

    async def get_ac_charge_params_v20(self, energy_service: ServiceV20) -> Any:
        """Return the AC limits of the hardware."""
        self.bidirectional = energy_service is ServiceV20.AC_BPT
        self.evse_data_context.current_type = CurrentType.AC
        return offers.ac_parameters(self.options.rating, energy_service)

    async def get_dc_charge_params_v20(self, energy_service: ServiceV20) -> Any:
        """Return the DC limits of the hardware."""
        self.bidirectional = energy_service is ServiceV20.DC_BPT
        self.evse_data_context.current_type = CurrentType.DC
        return offers.dc_parameters(self.options, energy_service)

    # -- ISO 15118-20: charge loop

    async def get_evse_status(self) -> EVSEStatus | None:
        """Return what the vehicle is asked to do, if anything."""
        if self.notification is None:
            return None
        return EVSEStatus(
            notification_max_delay=NOTIFICATION_DELAY_S, evse_notification=self.notification
        )

    async def get_ac_charge_loop_params_v20(
        self, control_mode: ControlMode, selected_service: ServiceV20
    ) -> Any:
        """Return the target power and deliver it."""
        self._count_loop()
        now_s = self.clock()
        self.evse.stage.command(self.evse.target_w(now_s), self.evse.target_var(now_s), 0.0)
        phases = min(ev.phases(self.ev_data_context), self.options.rating.phases)
        return loop.ac_answer(self.evse, control_mode, selected_service, phases, now_s)

    async def get_dc_charge_loop_params_v20(
        self, control_mode: ControlMode, selected_service: ServiceV20
    ) -> Any:
        """Return the limits that carry the order."""
        now_s = self.clock()
        return loop.dc_answer(self.evse, self.options, control_mode, selected_service, now_s)

    async def send_charging_command(
        self,
        ev_target_voltage: float | None,
        ev_target_current: float | None,
        is_precharge: bool = False,
        is_session_bpt: bool = False,
    ) -> None:
        """Deliver the order (Dynamic), or the vehicle's target within it (Scheduled).

        The package hands `is_session_bpt` over in the place of `is_precharge` in the -20 loop, so
        a precharge is known by the open contactor or the missing loop instead.
        """
        del is_precharge, is_session_bpt
        now_s = self.clock()
        voltage = ev_target_voltage or self.ev_data_context.present_voltage or 0.0
        if not self.in_loop:
            self.evse.stage.command(0.0, 0.0, float(voltage))
            return
        self._count_loop()
        p_w = self.evse.target_w(now_s)
        if ev_target_voltage is not None and ev_target_current is not None:
            p_w = loop.scheduled_dc_power_w(self.evse, ev_target_voltage, ev_target_current, now_s)
        self.evse.stage.command(p_w, 0.0, float(voltage))

    def _count_loop(self) -> None:
        self.loops += 1
        self.refresh()

    async def get_evse_present_voltage(self, protocol: Protocol) -> Any:
        """Return the measured voltage."""
        return self._present(protocol, self.evse.stage.read().voltage_v, "V")

    async def get_evse_present_current(self, protocol: Protocol) -> Any:
        """Return the measured current, positive when the vehicle charges."""
        return self._present(protocol, -self.evse.stage.read().current_a, "A")

    def _present(self, protocol: Protocol, number: float, unit: str) -> Any:
        if protocol in (Protocol.DIN_SPEC_70121, Protocol.ISO_15118_2):
            return self.present_v2(number, unit)
        return rational(number)

    async def get_meter_info_v20(self) -> MeterInfo:
        """Return both energy registers."""
        return MeterInfo(
            meter_id=self.options.evse_id[:32],
            charged_energy_reading_wh=int(self.evse.energy_import_wh),
            bpt_discharged_energy_reading_wh=int(self.evse.energy_export_wh),
            meter_timestamp=int(time.time()),
        )

    # -- contactor

    async def get_cp_state(self) -> CpState:
        """Return C: control pilot and contactor interlock are the power stage's."""
        return CpState.C2

    async def is_contactor_closed(self) -> bool:
        """Close the contactor and say whether it did."""
        self.evse.stage.close()
        return self.evse.stage.closed

    async def is_contactor_opened(self) -> bool:
        """Say whether the contactor is open."""
        return not self.evse.stage.closed

    async def stop_charger(self) -> None:
        """Stop the current, then open the contactor."""
        self.in_loop = False
        self.evse.integrate(self.clock())
        self.evse.stage.open()

    async def start_cable_check(self) -> None:
        """Close the output for the insulation test (IEC 61851-23, 6.4.3.106)."""
        self.evse.stage.close()

    async def get_cable_check_status(self) -> IsolationLevel:
        """Return the result of the insulation test of the power stage."""
        return IsolationLevel.VALID

    async def set_hlc_charging(self, is_ongoing: bool) -> None:
        """Enter or leave the charge loop; whatever we asked for has then been followed."""
        self.in_loop = is_ongoing
        self.notification = None

    async def set_present_protocol_state(self, state: object) -> None:
        """Unused: our session knows its state."""

    async def update_data_link(self, action: SessionStopAction) -> None:
        """Unused: the modem keeps its link until the vehicle unplugs."""

    async def session_ended(self, current_state: str, reason: str) -> None:
        """Unused: our session reports its own end."""


def _evse_context(options: SeccOptions) -> EVSEDataContext:
    """A context that shares nothing: the package's default limits are shared by all EVSEs."""
    context = EVSEDataContext(
        rated_limits=EVSERatedLimits(EVSEACCPDLimits(), EVSEDCCPDLimits()),
        session_limits=EVSESessionLimits(EVSEACCLLimits(), EVSEDCCLLimits()),
    )
    context.nominal_voltage = options.rating.nominal_v
    return context


def _split_pem(data: bytes) -> list[bytes]:
    parts = [_PEM_BEGIN + part for part in data.split(_PEM_BEGIN)[1:]]
    der = x509.load_pem_x509_certificates(b"".join(parts)) if parts else []
    return [_der(certificate) for certificate in der]


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _is_self_signed(data: bytes) -> bool:
    try:
        certificate = x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return certificate.issuer == certificate.subject
