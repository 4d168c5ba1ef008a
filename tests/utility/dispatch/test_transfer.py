"""A signed dispatch that arrives over OCPP, through the real client and the real control."""

import asyncio
import json
import time

import pytest

from agent.messages import Authority, RequestKind
from agent.utility.dispatch.desk import DispatchDesk
from agent.utility.dispatch.ledger import Ledger
from agent.utility.dispatch.transfer import MESSAGE, VENDOR, taking
from tests.utility.dispatch.conftest import claims_of, jws


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"])
def test_a_token_over_data_transfer_is_carried_out_once(
    protocol, make_site, tools, key, verifier, tmp_path
):
    ledger = Ledger(tmp_path / "ledger")
    ledger.begin(time.time() - 60.0)

    async def scenario():
        async with (
            tools.Csms(protocols=(protocol,)) as csms,
            make_site(csms, [tools.evse()]) as site,
        ):
            desk = DispatchDesk(site.context, verifier, ledger)
            site.context.transfers[VENDOR] = taking(desk)
            await site.connected()

            async def send(data, message=MESSAGE, vendor=VENDOR):
                payload = {"vendorId": vendor, "messageId": message, "data": data}
                answer = await csms.call("DataTransfer", payload)
                told = answer.get("data")
                return answer["status"], json.loads(told) if isinstance(told, str) else told

            order = {"kind": "watt-setpoint", "value": 4000.0, "lease_s": 60.0}
            token = jws(key, claims_of(now=time.time(), orders=[order]))
            status, told = await send(token)
            assert (status, told["ok"]) == ("Accepted", True)
            (request,) = site.of(RequestKind.WATT_SETPOINT)
            assert request.authority is Authority.BALANCING_AUTHORITY
            await tools.until(lambda: site.statuses["CS1/1"].p_w == pytest.approx(4000, abs=60))
            status, told = await send(token)
            assert status == "Rejected"
            assert told["error"].startswith("Payload Signature Invalid: replay")
            assert (await send("a.b.c"))[0] == "Rejected"
            assert (await send(token, message="Other"))[0] == "UnknownMessageId"
            assert (await send(token, vendor="else"))[0] == "UnknownVendorId"
            assert len(site.of(RequestKind.WATT_SETPOINT)) == 1

    asyncio.run(scenario())
