"""What is installed besides the program: defaults, scripts, man pages, completion, the filter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.config import load_settings, section_types

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGING = REPOSITORY / "packaging"
SCRIPTS = [*PACKAGING.glob("*.sh"), *(PACKAGING / "debian").glob("p*")]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    for script, target in (("manpages.py", "man"), ("completion.py", "completion")):
        done = subprocess.run(
            [sys.executable, PACKAGING / script, folder / target],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return folder


def test_the_default_configuration_is_usable_as_installed(tmp_path):
    shutil.copytree(PACKAGING / "etc", tmp_path / "v2g")
    path = tmp_path / "v2g" / "agent.toml"
    path.write_text(path.read_text().replace("/etc/v2g/", f"{tmp_path}/v2g/"))
    settings = load_settings(path)
    assert settings.power.max_discharge_w == 11_000.0
    assert settings.stations.host == "127.0.0.1"
    assert settings.firewall.scada == ()
    assert settings.metrics.enabled is False


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_shell_without_bashisms_and_executable(script):
    subprocess.run(["sh", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    assert "set -eu" in script.read_text()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A tree as `stage.sh` leaves it, as far as `configure.sh` looks."""
    (tmp_path / "etc").mkdir()
    share = tmp_path / "opt/v2g/share/v2g-agent"
    shutil.copytree(PACKAGING / "etc", share / "etc")
    shutil.copy(REPOSITORY / "scl" / "sample-station.scd", share / "etc" / "station.scd")
    shutil.copy(PACKAGING / "default-v2g-agent", share)
    for kind in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(REPOSITORY / "systemd" / kind, tmp_path / "usr/lib" / kind)
    return tmp_path


def configure(image: Path, cores: int = 2) -> str:
    if os.geteuid() != 0:
        pytest.skip("giving folders to other users needs root")
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd is not installed")
    done = subprocess.run(
        [PACKAGING / "configure.sh"],
        env={**os.environ, "ROOT": str(image), "CORES": str(cores)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.root
def test_configuring_twice_changes_nothing_and_keeps_what_an_operator_wrote(image):
    configure(image)
    configuration = image / "etc/v2g/agent.toml"
    configuration.write_text("# mine\n")
    key = (image / "etc/v2g/pki/audit.key").read_bytes()
    assert "kept" in configure(image)
    assert configuration.read_text() == "# mine\n"
    assert (image / "etc/v2g/pki/audit.key").read_bytes() == key
    assert (image / "opt/v2g/share/v2g-agent/new/agent.toml").exists()


@pytest.mark.root
@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, {"processbus": "", "control": "", "stations": ""}),
        (2, {}),
        (4, {"processbus": "3", "control": "2", "stations": "0-1"}),
    ],
)
def test_the_process_bus_gets_a_core_of_its_own_where_there_are_enough(image, cores, expected):
    configure(image, cores)
    found = {}
    for name in ("processbus", "control", "stations"):
        drop_in = image / f"etc/systemd/system/v2g-{name}.service.d/10-v2g-cpu.conf"
        if drop_in.exists():
            found[name] = drop_in.read_text().splitlines()[-1].removeprefix("CPUAffinity=")
    assert found == expected


def test_man_pages_have_no_roff_errors_and_name_every_key_of_the_configuration(generated):
    pages = list((generated / "man").rglob("*.[158]"))
    assert {"v2g-ctl.1", "v2g-daemon.8", "agent.toml.5", "power-profile.conf.5"} <= {
        page.name for page in pages
    }
    settings_page = (generated / "man/man5/agent.toml.5").read_text().replace("\\-", "-")
    for name, section in section_types().items():
        assert f".SH [{name}]" in settings_page
        for key in section.__struct_fields__:
            assert f".B {key}\n" in settings_page, f"{name}.{key}"
    if shutil.which("man") is None:
        pytest.skip("man is not installed: the pages were not rendered")
    for page in pages:
        done = subprocess.run(
            ["man", "-l", "--warnings", "-Tutf8", page],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "", page.name


def test_every_command_has_a_manual_page_and_a_completion(generated):
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    present = {name for name, target in scripts.items() if find_spec(target.split(":")[0])}
    pages = {page.stem for page in (generated / "man").rglob("v2g-*")}
    assert pages == {page.name for page in (generated / "completion").iterdir()} == present
    assert len(present) >= 5


COMPLETIONS = [
    (["v2g-ctl", "au"], {"audit"}),
    (["v2g-ctl", "audit", ""], {"verify", "show", "export"}),
    (["v2g-ctl", "audit", "export", "--format", ""], {"jsonl", "csv"}),
    (["v2g-ctl", "firewall", "--wr"], {"--write"}),
    (["v2g-ctl", "--command", "D"], {"DISCHARGE"}),
]


@pytest.mark.parametrize(
    ("words", "expected"),
    COMPLETIONS,
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_bash_completes_verbs_options_and_choices(generated, words, expected):
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f". {generated}/completion/v2g-ctl\nCOMP_WORDS=({quoted})\n"
        f"COMP_CWORD={len(words) - 1}\n_v2g_ctl\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert expected <= found
    assert all(word.startswith(words[-1]) for word in found)


def test_firewall_writes_the_filter_and_the_units_lists(tmp_path):
    from agent.cli.firewall import write

    shutil.copytree(PACKAGING / "etc", tmp_path / "v2g")
    path = tmp_path / "v2g" / "agent.toml"
    text = path.read_text().replace("/etc/v2g/", f"{tmp_path}/v2g/")
    path.write_text(text.replace("balancing_authority = []", 'balancing_authority = ["192.0.2.1"]'))
    written = write(load_settings(path), tmp_path / "root")
    assert (tmp_path / "root/etc/v2g/v2g.nft") in written
    drop_in = tmp_path / "root/etc/systemd/system/v2g-utility.service.d/50-v2g-peers.conf"
    assert "IPAddressAllow=192.0.2.1/32\n" in drop_in.read_text()
