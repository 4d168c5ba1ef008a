"""`v2g-ctl verify`: the report, its signature, and the record that comes over the link."""

import argparse
import json
import threading
import time

import numpy as np
import pytest

from agent.cli import verification_report as reports
from agent.cli.ctl import build_parser
from agent.cli.verify import EXIT_NOT_PASSED, EXIT_UNKNOWN_KEY
from agent.errors import SignatureError, UnavailableError
from agent.estimation.verification import Tolerance, compare
from agent.link import Hub
from agent.messages import EvseStatus, EvseView, FieldReading, LoopView, Snapshot, Validity
from tests.field.site import write_configuration

LOOP = LoopView(
    "on", 50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "", 0.0, None, 0, 0, 0
)


def example():
    t_s = np.arange(0.0, 120.0, 0.5)
    p_w = 4000.0 * np.sin(t_s / 7.0)
    return compare(t_s, 1.01 * p_w, t_s, p_w)


def signed(tmp_path):
    subject = reports.Subject("V2G1", "pq1", "<CS1>/1", 0.0, 120.0)
    document = reports.document(subject, example(), Tolerance())
    return reports.sign(document, reports.signing_key(tmp_path))


def test_a_signed_report_is_recognised_in_both_forms(tmp_path):
    whole = signed(tmp_path)
    for text in (json.dumps(whole), json.dumps(whole, indent=3), reports.page(whole)):
        report, key = reports.check(text)
        assert report["evse"] == "<CS1>/1"
        assert reports.fingerprint(key) == reports.fingerprint(
            reports.public_key(tmp_path / "verification.pub")
        )


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    first, second = reports.signing_key(tmp_path), reports.signing_key(tmp_path)
    assert reports.fingerprint(first.public_key()) == reports.fingerprint(second.public_key())
    assert (tmp_path / reports.KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_any_changed_number_breaks_the_signature(tmp_path):
    text = json.dumps(signed(tmp_path))
    assert '"value": 1.01' in text
    with pytest.raises(SignatureError, match="changed"):
        reports.check(text.replace('"value": 1.01', '"value": 1.00', 1))


def test_a_page_that_shows_something_else_than_was_signed_is_refused(tmp_path):
    text = reports.page(signed(tmp_path))
    with pytest.raises(SignatureError, match="shows something else"):
        reports.check(text.replace("Result: <b", "Result, all fine: <b"))


def test_a_name_cannot_become_markup(tmp_path):
    assert "<CS1>" not in reports.page(signed(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"report": 1}', "[" * 5000, "null", "<html>"])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(SignatureError):
        reports.check(text)


def test_bytes_flipped_anywhere_never_pass(tmp_path):
    text = json.dumps(signed(tmp_path))
    rng = np.random.default_rng(7)
    original = reports.check(text)[0]
    for at in rng.integers(0, len(text), 300):
        changed = text[:at] + chr((ord(text[at]) + 1) % 128) + text[at + 1 :]
        try:
            assert reports.check(changed)[0] == original
        except SignatureError:
            continue


class Daemon(threading.Thread):
    """Says in a second what an analyser and an EVSE say in ten minutes."""

    def __init__(self, path, gain=1.0):
        super().__init__(daemon=True)
        self.hub = Hub(path)
        self.gain = gain
        self.over = threading.Event()

    def run(self):
        rng = np.random.default_rng(1)
        levels = rng.uniform(1000.0, 8000.0, 40)
        at = 0
        while not self.over.is_set():
            self.hub.poll(0.001)
            for _ in range(20 if self.hub.peers else 0):
                self.say(at * 0.5, levels)
                at += 1
            time.sleep(0.005)

    def say(self, t_s, levels):
        p_w = float(np.interp(t_s, np.arange(levels.size) * 20.0, levels))
        phase = p_w / 3
        reading = FieldReading(
            "pq1", t_s, 0.0, Validity.GOOD, "CS1/1", p_w, p_phase_w=(phase, phase, phase)
        )
        status = EvseStatus("CS1/1", "ocpp2.1", True, True, t_s, 0.0, p_w=self.gain * p_w)
        view = EvseView(status, 0.0, "", 0.0, 0.0)
        snapshot = Snapshot(t_s, t_s, None, LOOP, (view,), True, (), ())
        for peer in self.hub.peers:
            self.hub.send(peer, reading)
            self.hub.send(peer, snapshot)
            self.hub.poll(0.0)


def verify(tmp_path, *arguments) -> int:
    parsed: argparse.Namespace = build_parser().parse_args(
        ["verify", "--config", str(tmp_path / "agent.toml"), *arguments]
    )
    return parsed.run(parsed)


@pytest.fixture
def daemon(tmp_path):
    write_configuration(tmp_path, [])
    (tmp_path / "state").mkdir()
    daemons = []

    def start(gain=1.0):
        daemons.append(Daemon(tmp_path / "run" / "control.sock", gain))
        daemons[0].start()

    yield start
    for each in daemons:
        each.over.set()
        each.join(5.0)
        each.hub.close()


def test_verify_writes_a_report_that_check_accepts(tmp_path, daemon, capsys):
    daemon()
    files = ("--output", str(tmp_path / "report"))
    code = verify(tmp_path, "--device", "pq1", "--evse", "CS1/1", "--duration", "4s", *files)
    said = capsys.readouterr().out
    assert code == 0, said
    for suffix in (".json", ".html"):
        assert verify(tmp_path, "--check", str(tmp_path / f"report{suffix}")) == 0
    assert "known key" in capsys.readouterr().out
    (tmp_path / "state" / "verification.pub").unlink()
    assert verify(tmp_path, "--check", str(tmp_path / "report.json")) == EXIT_UNKNOWN_KEY


def test_verify_of_a_wrong_meter_does_not_pass(tmp_path, daemon, capsys):
    daemon(gain=1.2)
    files = ("--output", str(tmp_path / "report"), "--json")
    code = verify(tmp_path, "--device", "pq1", "--evse", "CS1/1", "--duration", "4s", *files)
    report = json.loads(capsys.readouterr().out)["report"]
    assert code == EXIT_NOT_PASSED
    assert report["gain"]["verdict"] == "fail"
    assert abs(report["gain"]["value"] - 1.2) < 0.01


def test_verify_names_the_devices_there_are(tmp_path, daemon, monkeypatch):
    monkeypatch.setattr("agent.cli.verify.SILENCE_S", 1.0)
    daemon()
    with pytest.raises(UnavailableError, match="heard are: pq1"):
        verify(tmp_path, "--device", "pq2", "--evse", "CS1/1", "--duration", "60s")
