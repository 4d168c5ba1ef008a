"""The worker's start, and what a share means to a gateway over its life."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from agent.config import Bus, Fleet, Gateway, Settings
from agent.control import parameters_from
from agent.control.region import GAIN, INERTIA
from agent.errors import ConfigurationError
from agent.link import Link
from agent.messages import ControlRequest, RequestKind, Role
from agent.utility.bus import member as member_module
from agent.utility.bus.energy import Stock
from agent.utility.bus.fleet_model import Share
from agent.utility.bus.lease import Terms
from agent.utility.bus.member import Member
from agent.utility.bus.worker import BusWorker
from agent.worker import Worker
from tests.utility.bus.conftest import snapshot, view

LOCAL = parameters_from(nominal_hz=50, inertia_s=4.0)
SHARE = Share(version=3, lease_s=10.0, inertia_s=2.0, gain_w_per_hz=5000.0, t_utc_s=1.0)


def worker(tmp_path: Path, **tables) -> Worker:
    settings = Settings(path=tmp_path / "agent.toml", gateway=Gateway(state_dir=tmp_path), **tables)
    return Worker("bus", settings, Link(tmp_path / "no.sock", Role.BUS))


def test_a_fleet_without_nats_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"bus\.nats"):
        BusWorker(worker(tmp_path, fleet=Fleet(enabled=True)))


def test_certificates_that_cannot_be_read_are_a_configuration_error(tmp_path):
    from agent.utility.bus.link import tls_context

    bus = Bus(nats="tls://broker.example", ca=tmp_path / "missing.pem")
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        tls_context(bus, bus.nats)


class Told:
    """A member and what it tells the control."""

    def __init__(self, folder: Path, hold_s: float = 100.0, decay_s: float = 100.0) -> None:
        self.sent: list[ControlRequest] = []
        self.member = Member(
            "G1", LOCAL, Terms(hold_s, decay_s), folder / "share.json", self.sent.append
        )
        shot = msgspec.structs.replace(
            snapshot(views=(view(),)), settings={"k_uf": 0.004, "k_of": 0.004, INERTIA: 4.0}
        )
        self.member.take(shot, (view(),))

    def tell(self) -> list[ControlRequest]:
        self.sent.clear()
        self.member.tell()
        return list(self.sent)


def later(seconds: float) -> SimpleNamespace:
    """A clock of the member's own that is ahead."""
    return SimpleNamespace(monotonic=lambda: time.monotonic() + seconds, time=time.time)


def test_a_share_becomes_requests_that_narrow_once_until_it_changes(tmp_path):
    told = Told(tmp_path)
    assert told.tell() == []
    told.member.receive(SHARE)
    first = told.tell()
    assert {(r.kind, r.setting, r.value) for r in first} == {
        (RequestKind.SETTING, INERTIA, 2.0), (RequestKind.SETTING, GAIN, 5000.0),
    }  # fmt: skip
    assert told.tell() == []
    told.member.receive(
        msgspec.structs.replace(SHARE, version=4, gain_w_per_hz=4000.0, t_utc_s=2.0)
    )
    new, old = told.tell()
    assert (new.kind, new.value) == (RequestKind.SETTING, 4000.0)
    gain = next(r for r in first if r.setting == GAIN)
    assert (old.kind, old.setting) == (RequestKind.WITHDRAW, gain.request_id)


def test_an_older_share_and_one_that_was_not_renewed_change_nothing(tmp_path):
    told = Told(tmp_path)
    told.member.receive(SHARE)
    told.tell()
    for old in (msgspec.structs.replace(SHARE, version=2, t_utc_s=9.0), SHARE, None):
        told.member.receive(old)
        assert told.member.share == SHARE
        assert told.tell() == []


def test_long_after_its_lease_a_share_gives_way_and_is_withdrawn(tmp_path, monkeypatch):
    told = Told(tmp_path)
    told.member.receive(SHARE)
    first = told.tell()
    monkeypatch.setattr(member_module, "time", later(160.0))
    assert told.member.phase() == "decaying"
    moved = {r.setting: r.value for r in told.tell() if r.kind is RequestKind.SETTING}
    assert moved[INERTIA] == pytest.approx(3.0, abs=0.05)
    assert moved[GAIN] > 5000.0
    monkeypatch.setattr(member_module, "time", later(1000.0))
    assert told.member.phase() == "over"
    ended = told.tell()
    assert {r.kind for r in ended} == {RequestKind.WITHDRAW}
    assert len(ended) == 2
    assert not {r.setting for r in ended} & {r.request_id for r in first}


def test_a_share_that_is_wider_than_the_local_envelope_says_nothing_of_inertia(tmp_path):
    told = Told(tmp_path)
    told.member.receive(msgspec.structs.replace(SHARE, inertia_s=9.0))
    assert [r.setting for r in told.tell()] == [GAIN]


def test_what_lies_on_the_disk_and_is_no_share_is_left_alone(tmp_path):
    (tmp_path / "share.json").write_bytes(b'{"share": 7}')
    assert Told(tmp_path).member.share is None


def test_the_report_says_what_the_gateway_can_do(tmp_path):
    report = Told(tmp_path).member.report(Stock(up_wh=1000.0, down_wh=2000.0))
    assert report.name == "G1"
    assert (report.up_wh, report.down_wh) == (1000.0, 2000.0)
    assert report.rated_w == pytest.approx(11_000.0)
    assert report.wanted_w_per_hz == pytest.approx(11_000.0 / (0.004 * 50.0))
    assert report.version == 0
