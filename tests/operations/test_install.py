"""The package in a clean Debian system: installed, booted, killed, upgraded, removed.

A minimal system is made by debootstrap and booted with its own systemd in a container. What this
does not show: AppArmor's enforcement and the kernel's IP filters of single units, where the
machine's kernel lacks them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import Settings
from agent.config.secc import Secc, SeccEvse
from agent.config.workers import plan_workers

REPOSITORY = Path(__file__).resolve().parents[2]
SCENARIO = Path(__file__).parent / "data" / "scenario.sh"
MIRROR = os.environ.get("DEBIAN_MIRROR", "").split()
"""Empty: the one that debootstrap knows."""
BOOT_LIMIT_S = 900
EDITED = "# an operator's line\n"
ALL_WORKERS = Secc(evse=(SeccEvse(interface="eth1"),))

pytestmark = [pytest.mark.soak, pytest.mark.root]


def need(*tools: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("installing needs root")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module")
def package() -> Path:
    """The package, built as `make deb` builds it."""
    need("dpkg-deb", "debootstrap")
    if not Path("/usr/bin/python3").exists():
        pytest.skip("the package is built for the system's /usr/bin/python3")
    subprocess.run([REPOSITORY / "packaging" / "deb.sh"], check=True)
    return max(
        (REPOSITORY / "build").glob("v2g-agent_*.deb"), key=lambda file: file.stat().st_mtime
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A minimal Debian 12."""
    need("debootstrap")
    folder = tmp_path_factory.mktemp("debian") / "root"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3,systemd,procps,iproute2,make",
         "bookworm", folder, *MIRROR],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"debootstrap cannot make a system here: {done.stdout.splitlines()[-1:]}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def inside(root: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in the system, with its own /proc, without booting it."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, root, *command],
        capture_output=True,
        text=True,
        check=check,
    )


def install(root: Path, package: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(package, root / "root" / "v2g.deb")
    return inside(root, "dpkg", "-i", "/root/v2g.deb")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_clean_install_is_complete_and_its_default_configuration_is_good(root, package):
    install(root, package)
    checked = inside(root, "v2g-ctl", "check", check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 errors" in checked.stdout
    for spec in plan_workers(Settings(path=Path("agent.toml"), secc=ALL_WORKERS)):
        loaded = inside(root, "/opt/v2g/bin/python", "-c", f"import {spec.module}", check=False)
        assert loaded.returncode == 0, loaded.stderr
    for path in ("etc/v2g/agent.toml", "etc/v2g/power-profile.conf", "etc/v2g/scl/station.scd",
                 "usr/lib/systemd/system/v2g-gateway.service", "etc/apparmor.d/v2g-agent",
                 "usr/share/man/man1/v2g-ctl.1.gz", "usr/share/man/man5/agent.toml.5.gz",
                 "usr/share/bash-completion/completions/v2g-ctl"):  # fmt: skip
        assert (root / path).exists(), path
    assert mode(root / "etc/v2g/pki") == 0o700
    assert mode(root / "etc/v2g/pki/audit.key") == 0o600
    assert (root / "etc/v2g/pki/audit.key").stat().st_size == 32
    assert (root / "etc/passwd").read_text().count("v2g") >= 8


def boot(root: Path) -> dict[str, str]:
    """Boot the system, let the scenario run in it, and return what it noted."""
    unit = root / "etc/systemd/system/scenario.service"
    unit.write_text(
        "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\n"
        "ExecStart=/root/scenario.sh\nExecStopPost=/bin/systemctl --no-block poweroff\n"
    )
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    link = wants / "scenario.service"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("..") / unit.name)
    shutil.copy(SCENARIO, root / "root" / "scenario.sh")
    done = subprocess.run(
        ["systemd-nspawn", "--quiet", "-D", root, "--register=no", "--keep-unit",
         "--private-network", "--capability=CAP_BPF,CAP_IPC_LOCK", "--system-call-filter=bpf",
         "--boot"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=BOOT_LIMIT_S,
    )  # fmt: skip
    results = root / "results"
    if not results.exists():
        pytest.skip(f"systemd does not boot in a container here: {done.stderr[-300:]}")
    return dict(line.split("=", 1) for line in results.read_text().splitlines() if "=" in line)


def test_the_units_run_under_a_real_systemd_and_survive_kills(root, package):
    need("systemd-nspawn")
    install(root, package)
    found = boot(root)
    assert found["start"] == "0"
    assert [found[f"state_{name}"] for name in ("control", "processbus", "ied", "stations")] == [
        "active"
    ] * 4
    assert found["control_user"] == "v2g"
    assert (found["control_class"].strip(), found["processbus_class"].strip()) == ("FF", "FF")
    assert found["control_files"] == "v2g 640"
    assert found["status_answers"] == "1"
    assert found["impostor_answers"] == "0", "a worker's user cannot speak as an operator"
    assert found["reload"] == "yes"
    assert found["stations_keys"] == "0", "no process sees the folder of keys"
    assert found["control_sockets"] == "0", "the control has no network"
    assert all(float(value) <= 1.6 for key, value in found.items() if key.startswith("exposure"))
    assert found["killed_control_returns"] == "active"
    assert found["killed_control_leaves_workers"] == "yes"
    assert found["stopped_control_is_replaced"] == "yes", "by the watchdog"
    assert found["killed_worker_returns"] == "yes"
    assert (found["restart"], found["restart_replaces_all"]) == ("0", "yes")
    assert (found["xdp_frames"], found["xdp_program"]) == ("yes", "1")
    assert found["xdp_gone"] == "0 0", "neither the program nor the rights outlive the setting"
    assert found["audit_verify"] == "0"
    assert found["stopped"].strip() == "inactive"
    assert (found["start_broken"], found["broken_exit"]) == ("1", "78")
    assert found["broken_control"] == "inactive"
    assert (found["control_exit"], found["control_restarts"]) == ("78", "1")
    assert found["workers_stay"] == "active"


def test_upgrade_and_removal_keep_the_configuration_and_purge_takes_it(root, package, tmp_path):
    install(root, package)
    configuration = root / "etc/v2g/agent.toml"
    configuration.write_text(configuration.read_text() + EDITED)
    key = (root / "etc/v2g/pki/audit.key").read_bytes()
    unpacked = tmp_path / "newer"
    subprocess.run(["dpkg-deb", "-R", package, unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("Version: ", "Version: 99."))
    changed = unpacked / "opt/v2g/share/v2g-agent/etc/agent.toml"
    changed.write_text(changed.read_text() + "# a newer default\n")
    newer = tmp_path / "newer.deb"
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", unpacked, newer], check=True
    )

    upgraded = install(root, newer)
    assert "kept /etc/v2g/agent.toml" in upgraded.stdout
    assert EDITED in configuration.read_text()
    assert (root / "etc/v2g/pki/audit.key").read_bytes() == key
    assert inside(root, "v2g-ctl", "check").returncode == 0

    log = root / "var/log/v2g/stability-audit.log"
    log.touch()
    inside(root, "dpkg", "-r", "v2g-agent")
    assert not (root / "opt/v2g/bin").exists()
    assert not (root / "usr/bin/v2g-ctl").exists()
    assert EDITED in configuration.read_text()
    assert log.exists()

    inside(root, "dpkg", "-P", "v2g-agent")
    assert not (root / "etc/v2g").exists()
    assert not log.exists()


def make(root: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run `make TARGET` of this source tree inside the system, as its root would.

    The tree and the interpreter of its `.venv` are shown at their own paths, and pip asks the
    package index as this machine would; what is installed uses the system's /usr/bin/python3.
    """
    shown = [REPOSITORY, Path(sys.base_prefix), Path.home() / ".cache"]
    mounts = "".join(
        f'mkdir -p "$0{path}" && mount --rbind "{path}" "$0{path}" && '
        for path in shown
        if path.exists()
    )
    script = f'{mounts}mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    for path in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
        copy = root / path.removeprefix("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, root,
         "make", "--no-print-directory", "-C", REPOSITORY, target],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_make_install_does_the_same_and_make_uninstall_keeps_what_is_the_operators(root):
    need("debootstrap")
    done = make(root, "install")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in ("usr/local/bin/v2g-ctl", "usr/local/lib/systemd/system/v2g-bus.service",
                 "etc/v2g/agent.toml", "usr/share/man/man1/v2g-ctl.1"):  # fmt: skip
        assert (root / path).is_symlink() or (root / path).exists(), path
    assert inside(root, "v2g-ctl", "check").returncode == 0
    configuration = root / "etc/v2g/agent.toml"
    configuration.write_text(configuration.read_text() + EDITED)
    again = make(root, "install")
    assert again.returncode == 0, again.stderr
    assert EDITED in configuration.read_text()
    assert make(root, "uninstall").returncode == 0
    assert not (root / "opt/v2g").exists()
    assert not (root / "usr/local/lib/systemd/system/v2g-bus.service").exists()
    assert EDITED in configuration.read_text()
