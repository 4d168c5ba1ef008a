"""The units: exposure, what each may do, and that systemd and AppArmor accept them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.config import Settings, load_settings
from agent.config.settings import Ied, ProcessBus
from agent.config.workers import plan_workers
from agent.errors import EX_AGAIN
from agent.firewall import ied_goose_drop_in, xdp_drop_in

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = REPOSITORY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSURE_LIMIT = 1.6
EXPOSURE_LIMIT_XDP = 1.8
"""CAP_NET_ADMIN is a large right: for those who ask for it only."""
COMMON = UNITS / "v2g-.service.d" / "10-hardening.conf"
ACCUMULATING = {"RestrictAddressFamilies", "ExecPaths", "Documentation"}
FURTHER = UNITS / "v2g-stations@.service"
PROCESSES = [
    unit
    for unit in SERVICES
    if unit.stem not in ("v2g-gateway", "v2g-firewall") and unit != FURTHER
]


def directives(unit: Path) -> dict[str, list[str]]:
    """All values of a unit and then of the drop-in that every unit has, as systemd reads them."""
    found: dict[str, list[str]] = {}
    for file in (unit, COMMON):
        for line in file.read_text().splitlines():
            if "=" in line and not line.startswith("#"):
                name, value = line.split("=", 1)
                found.setdefault(name, []).append(value)
    return found


def last(unit: Path, name: str) -> str:
    return directives(unit).get(name, [""])[-1]


def by_name(name: str) -> Path:
    return UNITS / f"v2g-{name}.service"


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_exposure_is_at_most_1_6(unit):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert match, done.stderr
    assert float(match[1]) <= EXPOSURE_LIMIT


def test_exposure_stays_below_the_limit_with_addresses_of_the_site(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    shutil.copytree(UNITS, tmp_path / "units")
    for name in ("ied", "stations", "utility", "field", "hmi", "bus"):
        drop_in = tmp_path / "units" / f"v2g-{name}.service.d" / "50-v2g-peers.conf"
        drop_in.parent.mkdir()
        drop_in.write_text("[Service]\nIPAddressAllow=192.0.2.0/24 2001:db8::/32\n")
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=16", "--no-pager",
             str(tmp_path / "units" / f"v2g-{name}.service")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.splitlines()[-1]


def exposure_with(tmp_path: Path, name: str, text: str) -> float:
    """The exposure of a unit with one more drop-in, whose every line systemd understands."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    shutil.copytree(UNITS, tmp_path / "units")
    unit = tmp_path / "units" / f"v2g-{name}.service"
    drop_in = tmp_path / "units" / f"{unit.name}.d" / "60-v2g.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "60-v2g.conf" not in done.stderr
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert match, done.stderr
    return float(match[1])


def test_exposure_stays_at_the_limit_where_the_ied_publishes_goose(tmp_path):
    settings = Settings(path=tmp_path, ied=Ied(goose_interface="eth1"))
    assert exposure_with(tmp_path, "ied", ied_goose_drop_in(settings)) <= EXPOSURE_LIMIT
    assert ied_goose_drop_in(Settings(path=tmp_path)) == ""


def test_capture_by_xdp_adds_the_rights_that_the_kernel_asks_for_and_no_more(tmp_path):
    settings = Settings(path=tmp_path, process_bus=ProcessBus(capture="xdp"))
    assert exposure_with(tmp_path, "processbus", xdp_drop_in(settings)) <= EXPOSURE_LIMIT_XDP
    assert xdp_drop_in(Settings(path=tmp_path)) == ""


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_what_all_units_share_overrides_nothing_that_one_of_them_says(unit):
    """A drop-in is read after the unit: a directive in both would lose the unit's value."""

    def names(file: Path) -> set[str]:
        lines = (line for line in file.read_text().splitlines() if not line.startswith("#"))
        return {line.split("=", 1)[0] for line in lines if "=" in line}

    assert names(unit) & names(COMMON) <= ACCUMULATING


@pytest.fixture
def installed_root(tmp_path: Path) -> Path:
    """A root in which the units' commands exist, for `systemd-analyze verify`."""
    units = tmp_path / "usr/lib/systemd/system"
    shutil.copytree(UNITS, units, ignore=shutil.ignore_patterns("apparmor.d", "*users.d", "tmp*"))
    for name in ("opt/v2g/bin/v2g-ctl", "opt/v2g/bin/v2g-daemon", "opt/v2g/bin/python",
                 "usr/sbin/nft"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    for name in ("sysinit", "basic", "shutdown", "multi-user", "network-online", "network-pre",
                 "time-sync", "local-fs"):  # fmt: skip
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    for name in ("-", "system"):
        (units / f"{name}.slice").write_text("[Unit]\nDefaultDependencies=no\n")
    return tmp_path


def test_systemd_reads_every_line_of_every_unit(installed_root):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    names = [unit.name.replace("@", "@eth1") for unit in SERVICES]
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={installed_root}", "--man=no", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "v2g" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


def test_the_gateway_unit_starts_stops_and_restarts_all_of_it():
    wanted = " ".join(directives(by_name("gateway"))["Wants"])
    for unit in PROCESSES:
        assert last(unit, "PartOf") == "v2g-gateway.service"
        assert unit.name in wanted or unit.name == "v2g-secc@.service"
    assert last(UNITS / "v2g-secc@.service", "WantedBy") == "v2g-gateway.service"
    assert "PartOf" not in directives(by_name("gateway"))


def test_a_crash_of_the_control_restarts_no_worker():
    """PartOf= would pass an automatic restart on, so no worker is part of the control."""
    for unit in PROCESSES:
        for name in ("PartOf", "BindsTo", "Requires", "Requisite"):
            assert "v2g-control" not in " ".join(directives(unit).get(name, []))


@pytest.mark.parametrize("unit", PROCESSES, ids=lambda unit: unit.stem)
def test_each_process_is_watched_bounded_and_not_restarted_on_a_bad_configuration(unit):
    assert last(unit, "Type") == "notify"
    assert int(last(unit, "WatchdogSec")) > 0
    assert last(unit, "RestartPreventExitStatus") == "78"
    assert last(unit, "Restart") in ("always", "on-failure")
    assert last(unit, "MemoryMax")
    assert last(unit, "CPUAffinity")
    assert last(unit, "AppArmorProfile") == f"-{unit.stem.rstrip('@')}"
    assert last(unit, "User") not in ("", "root")


def test_a_worker_that_ended_for_new_settings_comes_back_and_counts_as_no_failure():
    for unit in PROCESSES:
        if unit.stem != "v2g-control":
            assert last(unit, "RestartForceExitStatus") == str(EX_AGAIN)
            assert last(unit, "SuccessExitStatus") == str(EX_AGAIN)


def test_a_further_process_for_stations_runs_like_the_first():
    """Same user, keys and bounds: it is the same program once more."""
    first, further = directives(by_name("stations")), directives(FURTHER)
    own = {"Description", "ExecStart", "ExecCondition", "WantedBy"}
    assert {k: v for k, v in further.items() if k not in own} == {
        k: v for k, v in first.items() if k not in own
    }
    for name in ("ExecStart", "ExecCondition"):
        assert further[name][0].replace("@%i", "") == first[name][0]
    assert last(FURTHER, "WantedBy") == "v2g-gateway.service"


def test_no_two_processes_share_a_user():
    users = [last(unit, "User") for unit in PROCESSES]
    assert len(set(users)) == len(users)
    known = re.findall(r"^u (\S+)", (UNITS / "sysusers.d/v2g-agent.conf").read_text(), re.M)
    assert set(users) == set(known)


def test_privileges_are_those_of_the_design():
    """Capabilities, address families and real-time priority of each process, and nothing more."""
    capabilities = {u.stem: last(u, "CapabilityBoundingSet") for u in PROCESSES}
    assert {name: value for name, value in capabilities.items() if value} == {
        "v2g-processbus": "CAP_NET_RAW",
        "v2g-ied": "CAP_NET_BIND_SERVICE",
        "v2g-stations": "CAP_NET_BIND_SERVICE",
    }
    real_time = {u.stem for u in PROCESSES if last(u, "CPUSchedulingPolicy") == "fifo"}
    assert real_time == {"v2g-control", "v2g-processbus"}
    assert last(by_name("control"), "PrivateNetwork") == "yes"
    families = {u.stem: " ".join(directives(u)["RestrictAddressFamilies"]) for u in PROCESSES}
    assert families["v2g-control"] == "AF_UNIX"
    assert "AF_INET" not in families["v2g-processbus"]
    own_core = last(by_name("processbus"), "CPUAffinity")
    others = {last(unit, "CPUAffinity") for unit in PROCESSES if unit != by_name("processbus")}
    assert own_core not in others


def test_each_process_gets_its_own_keys_and_none_gets_the_folder():
    keys = {unit.stem: directives(unit).get("LoadCredential", []) for unit in PROCESSES}
    assert keys["v2g-processbus"] == []
    assert keys["v2g-control"] == ["audit.key:/etc/v2g/pki/audit.key"]
    for name in ("ied", "stations", "utility", "field", "hmi", "bus"):
        assert keys[f"v2g-{name}"] == [f"tls:/etc/v2g/pki/{name}"]
    for unit in PROCESSES:
        if unit.stem == "v2g-secc@":
            assert last(unit, "BindReadOnlyPaths") == "/etc/v2g/pki/secc:/etc/v2g/pki"
        else:
            assert "-/etc/v2g/pki" in last(unit, "InaccessiblePaths")


def test_nothing_is_reachable_that_the_configuration_does_not_name():
    for unit in PROCESSES:
        assert last(unit, "IPAddressDeny") == "any"
    for name in ("ied", "stations", "field", "utility", "hmi", "bus"):
        assert last(by_name(name), "IPAddressAllow") == "localhost"


def test_every_worker_that_the_daemon_would_start_has_a_unit_that_starts_the_same(tmp_path):
    (tmp_path / "p.conf").write_text("")
    (tmp_path / "agent.toml").write_text(
        '[gateway]\npower_profile = "p.conf"\n[stations]\nhost = "127.0.0.1"\n'
        '[[secc.evse]]\ninterface = "eth7"\n'
        '[[field.device]]\nname = "m"\nrole = "meter"\nhost = "192.0.2.1"\n'
    )
    planned = plan_workers(load_settings(tmp_path / "agent.toml"))
    assert "secc@eth7" in [spec.name for spec in planned]
    for spec in planned:
        kind, at, _instance = spec.name.partition("@")
        unit = by_name(kind + at)
        command = last(unit, "ExecStart").replace("%i", "eth7")
        assert f"-m {spec.module} " in command
        assert command.endswith(f"--name {spec.name}")
        condition = last(unit, "ExecCondition").replace("%i", "eth7")
        assert condition.endswith(f"--worker {spec.name}")


def test_apparmor_takes_the_profiles_and_every_unit_names_one_of_them():
    parser = shutil.which("apparmor_parser") or "/usr/sbin/apparmor_parser"
    if not Path(parser).exists():
        pytest.skip("apparmor is not installed")
    folder = UNITS / "apparmor.d"
    base = [parser, "-I", str(folder), "-I", "/etc/apparmor.d"]
    done = subprocess.run(
        [*base, "-Q", "-K", str(folder / "v2g-agent")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    named = subprocess.run(
        [*base, "-N", str(folder / "v2g-agent")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert sorted(named) == sorted(unit.stem.rstrip("@") for unit in PROCESSES)


def test_systemd_makes_the_users_and_folders(tmp_path):
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd is not installed")
    for kind in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(UNITS / kind, tmp_path / "usr/lib" / kind)
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    users = (tmp_path / "etc/passwd").read_text()
    assert users.count("nologin") == len(PROCESSES)
    done = subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", "v2g-agent.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("giving folders to other users needs root")
    assert (tmp_path / "etc/v2g/pki").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "var/log/v2g").stat().st_mode & 0o777 == 0o750
