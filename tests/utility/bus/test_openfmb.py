"""The profiles on the wire: bytes that OpenFMB's own definitions encode, and what we make."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Validity
from agent.utility.bus import profiles
from agent.utility.bus.energy import stock
from agent.utility.bus.identity import evse_mrid
from agent.utility.bus.openfmb import commonmodule_pb2 as common
from agent.utility.bus.openfmb import essmodule_pb2 as ess
from agent.utility.bus.openfmb import evsemodule_pb2 as evse
from tests.utility.bus.conftest import MRID, UTC, snapshot, view

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
FOLDER = Path("agent/utility/bus/openfmb")
GOLDEN = json.loads((HERE / "data" / "openfmb.json").read_text())
MODULES = {"essmodule": ess, "evsemodule": evse}


def message(name: str):
    module, profile = name.split(".")
    return getattr(MODULES[module], profile)()


@pytest.mark.parametrize("name", GOLDEN)
def test_our_definitions_write_the_bytes_of_the_public_model(name):
    """The hex was made by the definitions of OpenFMB's operational model 2.2.0 (2.1.0 for ESS)."""
    made = text_format.Parse(GOLDEN[name]["text"], message(name))
    assert made.SerializeToString(deterministic=True).hex() == GOLDEN[name]["hex"]


@pytest.mark.parametrize("name", GOLDEN)
def test_our_definitions_read_the_bytes_of_the_public_model(name):
    read = message(name)
    read.ParseFromString(bytes.fromhex(GOLDEN[name]["hex"]))
    assert read == text_format.Parse(GOLDEN[name]["text"], message(name))


def test_the_generated_modules_are_those_of_the_definitions(tmp_path):
    sources = [str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / FOLDER).glob("*.proto")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}"]
    subprocess.run([*command, f"--pyi_out={tmp_path}", *sources], cwd=REPOSITORY, check=True)
    made = sorted((tmp_path / FOLDER).iterdir())
    assert len(made) == 2 * len(sources)
    for path in made:
        assert path.read_text() == (REPOSITORY / FOLDER / path.name).read_text()


def test_the_site_is_one_ess_that_exports_positively(identity):
    read = ess.ESSReadingProfile.FromString(profiles.site_reading(identity, snapshot()))
    assert read.ess.conductingEquipment.mRID == MRID
    assert read.readingMessageInfo.messageInfo.messageTimeStamp.seconds == UTC
    mmxu = read.essReading.readingMMXU
    assert mmxu.Hz.mag == 49.9
    assert mmxu.Hz.units.SIUnit == common.UnitSymbolKind_Hz
    assert mmxu.Hz.q.validity == common.ValidityKind_good
    assert [p.cVal.mag for p in (mmxu.PhV.phsA, mmxu.PhV.phsB, mmxu.PhV.phsC)] == [
        230.5, 230.0, 229.5,
    ]  # fmt: skip
    assert mmxu.W.net.cVal.mag == 3980.0


def test_a_lost_frequency_is_invalid_and_not_a_number_of_hertz(identity):
    import msgspec

    lost = snapshot()
    measured = msgspec.structs.replace(
        lost.measurement, f_hz=float("nan"), quality=Validity.INVALID
    )
    lost = msgspec.structs.replace(lost, measurement=measured)
    read = ess.ESSReadingProfile.FromString(profiles.site_reading(identity, lost))
    assert read.essReading.readingMMXU.Hz.q.validity == common.ValidityKind_invalid
    assert read.essReading.readingMMXU.Hz.mag == 0.0


def test_each_evse_is_a_dese_with_its_own_uuid_that_imports_positively(identity):
    views = (view("CS1/1"), view("CS2/1", p_w=-7000.0, soc_pct=None))
    (payload,) = profiles.evse_readings(identity, snapshot(views=views), views)
    first, second = evse.EVSEReadingProfile.FromString(payload).evseReading.evseReadingDESE
    assert first.logicalNode.identifiedObject.mRID.value == evse_mrid(MRID, "CS1/1")
    assert first.logicalNode.identifiedObject.name.value == "CS1/1"
    assert first.ChaW.mag == -4000.0
    assert first.readingDEAO.readingDEEV.Soc.mag == 55.0
    assert second.ChaW.mag == 7000.0
    assert not second.HasField("readingDEAO")


def test_no_message_is_larger_than_brokers_take(identity):
    views = tuple(view(f"CS{i:04}/1", voltage_v=(230.0,) * 3, current_a=(16.0,) * 3)
                  for i in range(2000))  # fmt: skip
    shot = snapshot(views=views)
    messages = [*profiles.evse_readings(identity, shot, views),
                *profiles.evse_states(identity, shot, views)]  # fmt: skip
    assert max(map(len, messages)) < 256 * 1024
    counts = [len(evse.EVSEReadingProfile.FromString(m).evseReading.evseReadingDESE)
              for m in profiles.evse_readings(identity, shot, views)]  # fmt: skip
    assert sum(counts) == 2000


def test_the_vehicles_identity_does_not_leave_the_gateway(identity):
    views = (view(ev_id="DE1ABC12345678"),)
    shot = snapshot(views=views)
    for payload in (*profiles.evse_readings(identity, shot, views),
                    *profiles.evse_states(identity, shot, views)):  # fmt: skip
        assert b"DE1ABC" not in payload


def test_state_and_energy_of_the_site(identity):
    views = (view("CS1/1"), view("CS2/1", soc_pct=95.0, capacity_wh=20_000.0),
             view("CS3/1", plugged=False))  # fmt: skip
    held = stock(views, 20.0, 95.0)
    assert held.soc_pct == pytest.approx((55 * 60 + 95 * 20) / 80)
    assert held.up_wh == pytest.approx(600 * 35 + 200 * 75)
    assert held.down_wh == pytest.approx(600 * 40)
    payload = profiles.site_status(identity, snapshot(views=views), held)
    battery = ess.ESSStatusProfile.FromString(payload).essStatus.essStatusZBAT
    assert battery.Soc.mag == pytest.approx(held.soc_pct)
    assert battery.WHAvail.mag == pytest.approx(600 * 55 + 200 * 95)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"plugged": False}, evse.ChargingStateKind_Idle),
        ({"p_w": -3000.0}, evse.ChargingStateKind_Charging),
        ({"p_w": 3000.0}, evse.ChargingStateKind_Charging),
        ({"p_w": 0.0}, evse.ChargingStateKind_SuspendedEV),
    ],
)
def test_charging_states_are_the_models(values, state):
    assert profiles.charging_state(view(**values)) == state


@given(
    f_hz=st.floats(),
    p_w=st.none() | st.floats(),
    soc=st.none() | st.floats(0, 100),
    t_utc_s=st.floats(0, 4e9),
)
def test_any_snapshot_becomes_messages_that_can_be_read(f_hz, p_w, soc, t_utc_s):
    import msgspec

    from agent.utility.bus.identity import Identity

    me = Identity("V2G1", MRID)
    views = (view(p_w=p_w, soc_pct=soc),)
    shot = snapshot(t_utc_s, views)
    measured = msgspec.structs.replace(shot.measurement, f_hz=f_hz)
    shot = msgspec.structs.replace(shot, measurement=measured)
    ess.ESSReadingProfile.FromString(profiles.site_reading(me, shot))
    ess.ESSStatusProfile.FromString(profiles.site_status(me, shot, stock(views, 20, 95)))
    for payload in profiles.evse_readings(me, shot, views):
        evse.EVSEReadingProfile.FromString(payload)
    for payload in profiles.evse_states(me, shot, views):
        evse.EVSEStatusProfile.FromString(payload)
