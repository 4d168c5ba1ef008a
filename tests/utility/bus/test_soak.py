"""Ten minutes of telemetry at 10 Hz with brokers that are killed again and again."""

from __future__ import annotations

import pytest

from tests.utility.bus import test_jetstream, test_mqtt

pytestmark = [pytest.mark.soak, pytest.mark.peer]

SECONDS = 600.0
KILLS = 12


async def test_nats_killed_during_ten_minutes_every_sample_arrives_once_in_order(
    tmp_path, nats_server, identity, record_property
):
    figures = await test_jetstream.campaign(tmp_path, nats_server, identity, SECONDS, KILLS)
    for name, value in figures.items():
        record_property(name, value)


async def test_mosquitto_killed_during_ten_minutes_every_sample_is_taken_once_in_order(
    tmp_path, mosquitto, identity, record_property
):
    figures = await test_mqtt.campaign(tmp_path, mosquitto, identity, SECONDS, KILLS)
    for name, value in figures.items():
        record_property(name, value)
