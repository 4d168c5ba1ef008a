"""LPHD.Sim at the control: switched by SCADA, told to the process bus, shown, audited."""

from __future__ import annotations

import time

import pytest

from agent.errors import AlarmCode
from agent.messages import (
    Authority,
    ControlRequest,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Role,
    Simulation,
    Snapshot,
)
from tests.gateway.conftest import FakeWorker, wait_for


def request(
    accept: bool, number: int = 1, authority: Authority = Authority.SCADA
) -> ControlRequest:
    return ControlRequest(
        request_id=f"sim-{number}",
        authority=authority,
        origin="control room (orCat 2)",
        kind=RequestKind.SIMULATION,
        target="site",
        value=float(accept),
        lease_s=60.0,
        received_s=time.monotonic(),
        t_utc_s=time.time(),
    )


def outcome(ied: FakeWorker, number: int = 1) -> RequestOutcome:
    def answered() -> RequestOutcome | None:
        heard = [m for m in ied.listen() if isinstance(m, RequestOutcome)]
        return next((m for m in heard if m.request_id == f"sim-{number}"), None)

    return wait_for(answered, 60)


def told(bus: FakeWorker) -> list[bool]:
    return [m.accept for m in bus.listen() if isinstance(m, Simulation)]


def shown(ied: FakeWorker, accept: bool) -> Snapshot:
    def newest() -> Snapshot | None:
        ied.heard.clear()
        heard = [m for m in ied.listen(0.1) if isinstance(m, Snapshot)]
        raised = heard and any(a.code is AlarmCode.SIMULATION for a in heard[-1].alarms)
        return heard[-1] if heard and heard[-1].simulation is raised is accept else None

    return wait_for(newest, 60)


def test_scada_switches_and_every_process_bus_worker_hears_it(running, worker):
    ied, bus, other = worker(Role.IED), worker(Role.PROCESS_BUS, "a"), worker(Role.PROCESS_BUS, "b")
    wait_for(lambda: told(bus) == told(other) == [False], 60)
    ied.link.send(request(True))
    assert outcome(ied).status is RequestStatus.COMPLETED
    wait_for(lambda: told(bus) == told(other) == [False, True], 60)
    shown(ied, True)
    ied.link.send(request(False, 2))
    assert outcome(ied, 2).status is RequestStatus.COMPLETED
    wait_for(lambda: told(bus) == [False, True, False], 60)
    shown(ied, False)
    modes = [record["what"] for record in running.audit if record["kind"] == "mode"]
    assert any("simulated streams accepted" in what for what in modes)
    alarms = [record["what"] for record in running.audit if record["kind"] == "alarm"]
    assert any(what.startswith("0x17 raised") for what in alarms)
    assert any(what.startswith("0x17 cleared") for what in alarms)


def test_a_process_bus_worker_that_starts_anew_is_told(running, worker):
    ied, bus = worker(Role.IED), worker(Role.PROCESS_BUS, "a")
    wait_for(lambda: told(bus) == [False], 60)
    ied.link.send(request(True))
    assert outcome(ied).status is RequestStatus.COMPLETED
    bus.link.close()
    again = worker(Role.PROCESS_BUS, "a")
    wait_for(lambda: told(again) == [True], 60)


def test_a_restart_of_the_gateway_ends_the_simulation(daemon, worker):
    ied, bus = worker(Role.IED), worker(Role.PROCESS_BUS, "a")
    wait_for(lambda: told(bus) == [False], 60)
    ied.link.send(request(True))
    assert outcome(ied).status is RequestStatus.COMPLETED
    assert daemon.stop() == 0
    bus.link.close()
    ied.link.close()
    daemon.start()
    again = worker(Role.PROCESS_BUS, "a")
    wait_for(lambda: told(again) == [False], 60)


@pytest.mark.parametrize("authority", [Authority.CSMS, Authority.MARKET])
def test_nobody_else_may_switch(running, worker, authority):
    ied, bus = worker(Role.IED), worker(Role.PROCESS_BUS)
    wait_for(lambda: told(bus) == [False], 60)
    ied.link.send(request(True, authority=authority))
    assert outcome(ied).status is RequestStatus.REFUSED
    assert told(bus) == [False]


def test_without_a_process_bus_there_is_nothing_to_switch(running, worker):
    ied = worker(Role.IED)
    ied.link.send(request(True))
    assert outcome(ied).reason == "no process bus worker is connected"
