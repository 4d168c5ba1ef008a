"""What an operator asks of a running gateway: mode, alarms seen, configuration read again."""

from __future__ import annotations

import json
import signal

import pytest

from agent.cli.embedded import free_port
from agent.errors import AlarmCode
from agent.messages import Alarm, Role, Shutdown
from tests.gateway.conftest import REPOSITORY, wait_for

pytestmark = pytest.mark.timeout(600)  # each look is a process of its own


@pytest.fixture
def daemon(daemon):
    """With a station's file, since `reload` checks everything that the configuration names."""
    scd = REPOSITORY / "scl" / "sample-station.scd"
    daemon.config.write_text(daemon.config.read_text() + f'[scl]\nfile = "{scd}"\n')
    return daemon


def answer(done) -> dict:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def audited(daemon, kind: str) -> list[str]:
    return [record["what"] for record in daemon.audit if record["kind"] == kind]


def test_the_mode_is_shown_and_set(running):
    assert answer(running.ctl("mode", "--json"))["mode"] == "on"
    assert running.ctl("mode", "blocked").returncode == 0
    wait_for(lambda: answer(running.ctl("mode", "--json"))["mode"] == "blocked", 120)
    assert running.ctl("mode", "on").returncode == 0
    wait_for(lambda: answer(running.ctl("mode", "--json"))["mode"] == "on", 120)


def test_an_alarm_stays_until_its_cause_ends_but_is_marked_as_seen(running, worker):
    stations = worker(Role.STATIONS)
    alarm = Alarm(AlarmCode.EVSE_FAULT, True, "CS001/1", "ground fault", "measure PE", 0.0)
    stations.link.send(alarm)
    wait_for(lambda: "0x50" in running.ctl("alarms").stdout, 120)
    done = running.ctl("acknowledge", "0x50", "CS001/1", "--json")
    assert (done.returncode, answer(done)["status"]) == (0, "completed")
    shown = json.loads(running.ctl("alarms", "--json").stdout)
    assert [a["acknowledged"] for a in shown if a["code"] == "0x50"] == [True]
    assert "measure PE" in running.ctl("alarms").stdout
    again = running.ctl("acknowledge", "0x50", "CS001/1")
    assert again.returncode == 3, "there is nothing left to acknowledge"
    assert "0x50 acknowledged" in audited(running, "alarm")


def test_reload_applies_what_changed_and_the_audit_names_it(running, worker):
    bus = worker(Role.PROCESS_BUS)
    text = running.config.read_text()
    running.config.write_text(text + "[control]\nlease_s = 31.0\n")
    done = running.ctl("reload", "--json")
    assert done.returncode == 0, done.stderr
    assert "1 values changed" in answer(done)["reason"]
    assert "control.lease_s: 60.0 → 31.0" in audited(running, "setting")
    assert not [m for m in bus.listen(0.2) if isinstance(m, Shutdown)], "no worker reads [control]"


def test_reload_starts_the_workers_anew_that_read_what_changed(running, worker):
    bus = worker(Role.PROCESS_BUS, "processbus")
    stations = worker(Role.STATIONS, "stations")
    changed = '[stations]\nhost = "127.0.0.1"\nheartbeat_s = 77\n'
    running.config.write_text(running.config.read_text() + changed)
    assert running.ctl("reload").returncode == 0
    told = wait_for(lambda: [m for m in stations.listen(0.05) if isinstance(m, Shutdown)], 60)
    assert told[0].again
    assert not [m for m in bus.listen(0.1) if isinstance(m, Shutdown)]
    assert running.ctl("reload", "--workers").returncode == 0
    wait_for(lambda: [m for m in bus.listen(0.05) if isinstance(m, Shutdown)], 60)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("[control]\nlease_s = -1\nnonsense = 1\n", 78, ("lease_s", "nonsense")),
        ("[grid]\nnominal_hz = 60\n", 3, ("only a restart changes", "nominal_hz")),
    ],
)
def test_reload_changes_nothing_when_it_cannot_change_all_of_it(running, line, code, words):
    before = running.config.read_text()
    running.config.write_text(before + line)
    done = running.ctl("reload")
    assert done.returncode == code
    assert all(word in done.stdout + done.stderr for word in words)
    assert audited(running, "setting") == []
    running.config.write_text(before)
    assert "0 values changed" in running.ctl("reload").stdout


def test_a_supervised_worker_comes_back_with_the_new_settings(daemon):
    """The daemon starts a real stations worker; after the reload it listens on another port."""
    text = daemon.config.read_text() + f'[process_bus]\ninterface = "virtual:{daemon.folder}/b"\n'
    stations_at = '[stations]\nhost = "127.0.0.1"\nport = {}\n'
    daemon.config.write_text(text + stations_at.format(free_port()))
    daemon.start("--config", str(daemon.config))

    def stations() -> dict:
        done = daemon.ctl("status", "--json")
        if done.returncode:
            return {}
        workers = {w["name"]: w for w in json.loads(done.stdout)["workers"]}
        return workers.get("stations", {})

    wait_for(lambda: stations().get("state") == "running", 200, 0.2)
    first = stations()["pid"]
    daemon.config.write_text(text + stations_at.format(free_port()))
    done = daemon.ctl("reload", "--json")
    assert "started anew: stations" in answer(done)["reason"]
    wait_for(lambda: stations().get("pid") not in (0, None, first), 200, 0.2)
    wait_for(lambda: stations().get("state") == "running", 200, 0.2)
    alarms = json.loads(daemon.ctl("alarms", "--json").stdout)
    assert "0x30" not in [alarm["code"] for alarm in alarms], "a reload is no fault"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(30) == 0


def test_the_head_of_the_audit_is_in_every_snapshot(running):
    running.ctl("mode", "blocked")

    def head() -> str:
        return json.loads(running.ctl("status", "--json").stdout)["audit_mac"]

    wait_for(lambda: head() in {record["mac"] for record in running.audit}, 120)
