"""`POST /dispatch/v1` as a sender sees it, over real sockets and real TLS."""

import asyncio
import contextlib
import ssl

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from agent.config.utility import Utility
from agent.errors import ConfigurationError, UnavailableError
from agent.messages import RequestStatus
from agent.utility.api.rate import RateLimit
from agent.utility.api.server import ApiServer
from agent.utility.api.service import ApiService
from tests.utility.certificates import Authority
from tests.utility.dispatch.conftest import claims_of, jws

JOSE = {"content-type": "application/jose"}


@contextlib.asynccontextmanager
async def served(site, **options):
    """The API of a site on a free port; yields its base address."""
    settings = site.context.settings
    utility = msgspec.structs.replace(settings.utility, **options)
    site.context.settings = msgspec.structs.replace(settings, utility=utility)
    service = ApiService(site.context, site.desk)
    running = asyncio.create_task(service.run())
    scheme = "https" if utility.api_certificate else "http"
    try:
        yield f"{scheme}://127.0.0.1:{service.server.port}"
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def post(site, *bodies, headers=JOSE, **options):
    async def scenario():
        async with served(site, **options) as url, httpx.AsyncClient(timeout=20) as client:
            return [
                await client.post(f"{url}/dispatch/v1", content=body, headers=headers)
                for body in bodies
            ]

    return asyncio.run(scenario())


def test_the_answer_tells_the_outcome_of_each_order(site, key):
    (answer,) = post(site, jws(key, claims_of()), headers={**JOSE, "prefer": "wait=5"})
    assert answer.status_code == 200
    assert answer.json() == {
        "jti": "t-1",
        "ok": True,
        "orders": [{"request_id": "dispatch:t-1/0", "status": "completed", "reason": ""}],
    }
    site.final = RequestStatus.FAILED
    (answer,) = post(site, jws(key, claims_of(2)), headers={**JOSE, "prefer": "wait=5"})
    assert answer.json()["ok"] is False


def test_a_token_that_is_not_genuine_is_unauthorised(site, key):
    token = jws(key, claims_of())
    first, replay, broken = post(site, token, token, token[:-8] + "AAAAAAAA")
    assert first.status_code == 200
    assert replay.status_code == broken.status_code == 401
    cause = "Payload Signature Invalid: replay: jti t-1 was used before"
    assert replay.json() == {"error": cause}
    assert broken.json()["error"].startswith("Payload Signature Invalid: signature")
    assert len(site.requests) == 1


def test_bodies_are_bounded_and_of_the_right_kind(site, key):
    token = jws(key, claims_of())
    large, wide = post(site, "a" * 16385, "é".encode())
    assert (large.status_code, wide.status_code) == (413, 400)
    (other,) = post(site, token, headers={"content-type": "application/json"})
    assert other.status_code == 415

    async def scenario():
        async def endless():
            for _ in range(100):
                yield b"a" * 1000

        async with served(site) as url, httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/dispatch/v1", content=endless(), headers=JOSE)
            assert answer.status_code == 413
            assert (await client.get(f"{url}/dispatch/v1")).status_code == 405
            assert (await client.get(f"{url}/")).status_code == 404

    asyncio.run(scenario())
    assert not site.requests


def test_a_sender_may_not_keep_the_gateway_busy(site, monkeypatch):
    def slow(burst, per_s):
        return RateLimit(burst / 10.0, per_s / 1e6)

    monkeypatch.setattr("agent.utility.dispatch.http.RateLimit", slow)
    answers = post(site, *["a.b.c"] * 5)
    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2


def test_with_an_authority_only_its_clients_connect(site, key, tmp_path):
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    pem, private = ours.issue("gateway")
    sender, stranger = ours.issue("sender"), other.issue("stranger")
    options = {"api_certificate": pem, "api_key": private, "api_client_ca": ours.pem}

    def context(pair=None, least=ssl.TLSVersion.TLSv1_2):
        made = ssl.create_default_context(cafile=ours.pem)
        made.minimum_version = least
        if pair:
            made.load_cert_chain(*pair)
        return made

    async def scenario():
        token = jws(key, claims_of())
        async with served(site, **options) as url:
            for pair in (None, stranger):
                async with httpx.AsyncClient(verify=context(pair)) as client:
                    with pytest.raises(httpx.HTTPError):
                        await client.post(f"{url}/dispatch/v1", content=token, headers=JOSE)
            async with httpx.AsyncClient(verify=context(sender)) as client:
                answer = await client.post(f"{url}/dispatch/v1", content=token, headers=JOSE)
                assert answer.status_code == 200

    asyncio.run(scenario())
    assert len(site.requests) == 1


def test_files_and_ports_that_cannot_be_used_are_named(tmp_path):
    pem, private = Authority(tmp_path).issue("gateway")
    for wrong in (tmp_path / "none.pem", private):
        with pytest.raises(ConfigurationError, match=r"utility\.api_certificate"):
            ApiServer(Utility(api_certificate=wrong, api_key=private), Starlette())
    first = ApiServer(Utility(), Starlette())
    with pytest.raises(UnavailableError, match="in use"):
        ApiServer(Utility(api_port=first.port), Starlette())
    first._socket.close()
    assert pem.exists()
