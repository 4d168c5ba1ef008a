"""Our OpenFMB against classes that others compiled from the public model 2.2 (oes-protobuf)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from google.protobuf import text_format

from agent.messages import Validity
from agent.utility.bus import profiles
from agent.utility.bus.energy import stock
from agent.utility.bus.identity import Identity
from agent.utility.bus.openfmb import commonmodule_pb2 as common
from agent.utility.bus.openfmb import essmodule_pb2 as ess
from agent.utility.bus.openfmb import evsemodule_pb2 as evse
from tests.utility.bus.conftest import MRID, UTC, snapshot, view

pytestmark = pytest.mark.peer

PEER = Path(__file__).with_name("openfmb_peer.py")
MODULES = {"commonmodule": common, "essmodule": ess, "evsemodule": evse}


def payloads() -> dict[str, list[bytes]]:
    """Every message that a gateway sends, of a site with EVSEs in every state."""
    me = Identity("V2G1", MRID)
    views = (
        view("CS1/1", voltage_v=(230.0,) * 3, current_a=(16.0,) * 3, energy_import_wh=12_345.0),
        view("CS2/1", p_w=-7000.0, soc_pct=None, departure_utc_s=UTC + 7200, quality=Validity.HELD),
        view("CS3/1", plugged=False, p_w=None),
        view("CS4/1", p_w=0.0, fault="ground fault", energy_needed_wh=20_000.0),
        view("CS5/1", online=False),
    )
    shot = snapshot(views=views)
    lost = msgspec.structs.replace(shot.measurement, f_hz=float("nan"), quality=Validity.INVALID)
    blind = msgspec.structs.replace(shot, measurement=lost)
    return {
        "essmodule.ESSReadingProfile": [profiles.site_reading(me, s) for s in (shot, blind)],
        "essmodule.ESSStatusProfile": [profiles.site_status(me, shot, stock(views, 20.0, 95.0))],
        "evsemodule.EVSEReadingProfile": [*profiles.evse_readings(me, shot, views)],
        "evsemodule.EVSEStatusProfile": [*profiles.evse_states(me, shot, views)],
    }


@pytest.fixture(scope="module")
def sent() -> dict[str, list[bytes]]:
    return payloads()


@pytest.fixture(scope="module")
def peer(sent):
    """What the peer knows of the model, and what it reads in our payloads."""
    asked = {name: [payload.hex() for payload in each] for name, each in sent.items()}
    done = subprocess.run(
        [sys.executable, str(PEER)], input=json.dumps(asked), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_field_that_we_define_has_the_number_and_type_of_the_public_model(peer):
    compared = 0
    for module in MODULES.values():
        for kind in module.DESCRIPTOR.message_types_by_name.values():
            theirs = peer["fields"][kind.full_name]
            for field in kind.fields:
                named = field.message_type or field.enum_type
                ours = [
                    field.number,
                    field.type,
                    field.is_repeated,
                    named.full_name if named else "",
                ]
                assert theirs[field.name] == ours, (kind.full_name, field.name)
                compared += 1
    assert compared > 120


def test_every_enumeration_that_we_define_has_the_numbers_of_the_public_model(peer):
    compared = 0
    for module in MODULES.values():
        for kind in module.DESCRIPTOR.enum_types_by_name.values():
            theirs = peer["enums"][kind.full_name]
            for value in kind.values:
                assert theirs[value.name] == value.number, (kind.full_name, value.name)
                compared += 1
    assert compared > 50


def test_the_peer_knows_every_field_and_reads_the_same_values(sent, peer):
    for name, each in sent.items():
        module, profile = name.split(".")
        for payload, theirs in zip(each, peer["read"][name], strict=True):
            assert not theirs["unknown"], name
            ours = getattr(MODULES[module], profile).FromString(payload)
            assert text_format.Parse(theirs["text"], type(ours)()) == ours, name


def test_we_read_what_the_peer_writes(sent, peer):
    for name, each in sent.items():
        module, profile = name.split(".")
        kind = getattr(MODULES[module], profile)
        for payload, theirs in zip(each, peer["read"][name], strict=True):
            assert kind.FromString(bytes.fromhex(theirs["hex"])) == kind.FromString(payload)
