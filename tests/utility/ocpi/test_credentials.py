"""Registration and the exchange of tokens (OCPI 2.2.1 clauses 4, 6 and 7)."""

import asyncio
import base64

import pytest

from agent.errors import ConfigurationError
from agent.messages import AuditEvent
from agent.utility.api.rate import RateLimit
from agent.utility.ocpi.front import credentials_token
from agent.utility.ocpi.registry import load_invitations
from tests.utility.ocpi.conftest import TOKEN_A, TOKEN_B, Partner, running, started


def code(answer):
    return answer.status_code, answer.json()["status_code"]


def test_a_partner_exchanges_its_token_and_is_asked_back(play, gateway, partner):
    async def scenario(world):
        answer = await partner.ask("GET", "versions")
        assert answer.json()["data"] == [
            {"version": "2.2.1", "url": "http://gateway.example/ocpi/2.2.1"}
        ]
        details = (await partner.ask("GET", "2.2.1")).json()["data"]
        assert details["version"] == "2.2.1"
        assert [(e["identifier"], e["role"]) for e in details["endpoints"]] == [
            ("credentials", "SENDER"),
            ("locations", "SENDER"),
            ("sessions", "SENDER"),
            ("chargingprofiles", "RECEIVER"),
        ]
        assert all(
            e["url"].startswith("http://gateway.example/ocpi/2.2.1/") for e in details["endpoints"]
        )
        answer = await partner.register()
        data = answer.json()["data"]
        assert data["url"] == "http://gateway.example/ocpi/versions"
        assert data["roles"] == [
            {
                "role": "CPO",
                "party_id": "V2G",
                "country_code": "NL",
                "business_details": {"name": "V2G gateway"},
            }
        ]
        assert data["token"] not in (TOKEN_A, TOKEN_B)
        tokens = [request.headers["authorization"] for request in partner.asked]
        assert tokens == [f"Token {base64.b64encode(TOKEN_B.encode()).decode()}"] * 2
        assert (await partner.ask("GET", "2.2.1/credentials")).json()["data"] == data
        events = [m for m in gateway.told if isinstance(m, AuditEvent)]
        assert (events[-1].kind, events[-1].subject) == ("association", "DE*ABC")

    play(scenario, registered=False)


def test_token_a_opens_only_the_door_and_only_once(play, partner):
    async def scenario(world):
        for path in ("2.2.1/locations", "2.2.1/sessions", "2.2.1/chargingprofiles/x"):
            assert (await partner.ask("GET", path)).status_code == 401
        await partner.register()
        for path in ("versions", "2.2.1", "2.2.1/credentials", "2.2.1/locations"):
            assert (await partner.ask("GET", path, TOKEN_A)).status_code == 401
            assert code(await partner.ask("GET", path)) == (200, 1000)
        body = partner.credentials()
        assert (
            await partner.ask("POST", "2.2.1/credentials", TOKEN_A, json=body)
        ).status_code == 401

    play(scenario, registered=False)


def test_methods_that_do_not_fit_are_not_allowed(play, partner):
    async def scenario(world):
        body = partner.credentials()
        for method in ("PUT", "DELETE"):
            answer = await partner.ask(method, "2.2.1/credentials", json=body)
            assert answer.status_code == 405
        await partner.register()
        assert (await partner.ask("POST", "2.2.1/credentials", json=body)).status_code == 405

    play(scenario, registered=False)


def test_an_update_changes_the_token_and_the_old_one_lasts_until_the_new_one_is_used(play, partner):
    async def scenario(world):
        old = partner.token
        for _ in range(3):  # the answers are lost on the way
            answer = await partner.ask("PUT", "2.2.1/credentials", old, json=partner.credentials())
            assert code(answer) == (200, 1000)
        new = answer.json()["data"]["token"]
        assert (await partner.ask("GET", "versions", old)).status_code == 200
        assert (await partner.ask("GET", "versions", new)).status_code == 200
        assert (await partner.ask("GET", "versions", old)).status_code == 401
        assert (await partner.ask("GET", "versions", new)).status_code == 200

    play(scenario)


def test_after_the_end_of_the_registration_nothing_is_left(play, partner, gateway):
    async def scenario(world):
        assert code(await partner.ask("DELETE", "2.2.1/credentials")) == (200, 1000)
        for token in (partner.token, TOKEN_A):
            assert (await partner.ask("GET", "versions", token)).status_code == 401

    play(scenario)
    assert TOKEN_B not in (gateway.folder / "utility.partners.json").read_text()


def test_a_restart_forgets_no_partner_and_revives_no_token(gateway, partner):
    async def scenario():
        async with running(gateway, partner) as world:
            port = int(world.partner.base.rpartition(":")[2])
            async with started(gateway, partner, port):
                assert (await partner.ask("GET", "2.2.1/locations")).status_code == 200
                assert (await partner.ask("GET", "versions", TOKEN_A)).status_code == 401
            file = gateway.folder / "utility.partners.json"
            assert file.stat().st_mode & 0o777 == 0o600
            assert partner.token not in file.read_text()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"broken": "http"}, 3001),
        ({"broken": "status"}, 3001),
        ({"broken": "shape"}, 3001),
        ({"broken": "long"}, 3001),
        ({"broken": "redirect"}, 3001),
        ({"broken": "elsewhere"}, 3001),
        ({"versions": ("2.1.1", "2.3.0")}, 3002),
        ({"modules": (("locations", "RECEIVER"),)}, 3003),
    ],
)
def test_a_partner_that_cannot_be_asked_is_not_registered(change, status, gateway, tmp_path):
    partner = Partner(**change)

    async def scenario():
        async with running(gateway, partner, registered=False):
            answer = await partner.ask("POST", "2.2.1/credentials", json=partner.credentials())
            assert code(answer) == (200, status)
            assert (
                await partner.ask("GET", "versions")
            ).status_code == 200  # token A is still good

    asyncio.run(scenario())


def test_a_partner_may_not_make_us_knock_on_other_doors(play, partner):
    async def scenario(world):
        for url in (
            "http://169.254.169.254/latest/meta-data",
            "https://169.254.169.254/versions",
            "http://127.0.0.1:1/versions",
            "http://localhost/versions",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "https://user@127.0.0.1/",
            "//127.0.0.1/",
            "versions",
            "http://[::1]/",
            "http://2130706433/",
        ):
            body = partner.credentials(url=url)
            answer = await partner.ask("POST", "2.2.1/credentials", json=body)
            assert code(answer) == (200, 3001), url
        assert not partner.asked

    play(scenario, registered=False)


def test_credentials_that_are_not_complete_are_refused_with_the_field(play, partner):
    async def scenario(world):
        whole = partner.credentials()
        for name in whole:
            body = {key: value for key, value in whole.items() if key != name}
            answer = await partner.ask("POST", "2.2.1/credentials", json=body)
            assert code(answer) == (200, 2001)
            assert name in answer.json()["status_message"]
        for change in ({"token": "a b"}, {"token": "x" * 65}, {"token": ""}, {"roles": []}):
            answer = await partner.ask("POST", "2.2.1/credentials", json={**whole, **change})
            assert code(answer) == (200, 2001)
        for text in (b"{", b"", b"[" * 40, b'{"token": NaN}', b"\xff"):
            answer = await partner.ask("POST", "2.2.1/credentials", content=text)
            assert answer.status_code == 400
        answer = await partner.ask("POST", "2.2.1/credentials", content=b" " * 200_000)
        assert answer.status_code == 413

    play(scenario, registered=False)


def test_without_a_valid_token_nobody_comes_in(play, partner, gateway):
    async def scenario(world):
        url = f"{partner.gateway}/ocpi/versions"
        plain = {"authorization": f"Token {partner.token}"}
        for headers in (
            {},
            plain,
            {"authorization": f"Bearer {partner.token}"},
            {"authorization": "Token"},
            {"authorization": "Token ====="},
            {"authorization": "Token " + base64.b64encode(b"\xff\xfe").decode()},
        ):
            assert (await partner.client.get(url, headers=headers)).status_code == 401
        answers = [await partner.ask("GET", "versions", f"guess-{n}") for n in range(12)]
        assert answers[-1].status_code == 429
        assert (await partner.ask("GET", "versions")).status_code == 200

    play(scenario)


def test_the_token_in_the_header_is_base64_of_utf_8():
    assert credentials_token("Token ZXhhbXBsZS10b2tlbgo=") == "example-token"
    assert credentials_token("token ZXhhbXBsZS10b2tlbg==") == "example-token"
    assert credentials_token("Token example-token") == ""


def test_ids_come_back_and_the_route_is_turned_round(play, partner):
    async def scenario(world):
        headers = {
            "X-Request-ID": "r-1",
            "X-Correlation-ID": "c-1",
            "OCPI-from-party-id": "ABC",
            "OCPI-from-country-code": "DE",
            "OCPI-to-party-id": "V2G",
            "OCPI-to-country-code": "NL",
        }
        for path in ("versions", "2.2.1/locations/none", "2.2.1/nothing"):
            answer = await partner.ask("GET", path, headers=headers)
            if answer.status_code == 404 and path.endswith("nothing"):
                continue
            assert answer.headers["X-Request-ID"] == "r-1"
            assert answer.headers["X-Correlation-ID"] == "c-1"
            assert answer.headers["OCPI-from-party-id"] == "V2G"
            assert answer.headers["OCPI-to-country-code"] == "DE"
        bad = await partner.ask("GET", "versions", headers={"X-Request-ID": "x" * 500})
        assert len(bad.headers["X-Request-ID"]) == 36

    play(scenario)


def test_a_partner_may_not_keep_the_gateway_busy(play, partner, monkeypatch):
    def slow(burst, per_s):
        return RateLimit(burst / 10.0, per_s / 1e6)

    monkeypatch.setattr("agent.utility.ocpi.front.RateLimit", slow)

    async def scenario(world):
        answers = [await partner.ask("GET", "2.2.1/locations") for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert answers[-1].json()["status_code"] == 2000

    play(scenario)


def test_tokens_that_could_be_guessed_stop_the_start(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(
        "short\n# comment\n\nlong-enough-0123456789 # partner\nwith space 0123456789abc\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_invitations(file)
    assert [finding.where for finding in caught.value.findings] == [f"{file}:1", f"{file}:5"]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_invitations(tmp_path / "none")


def test_a_damaged_file_of_partners_is_put_aside(gateway, partner):
    async def scenario():
        (gateway.folder / "utility.partners.json").write_text("{broken")
        async with running(gateway, partner):
            assert (await partner.ask("GET", "versions")).status_code == 200

    asyncio.run(scenario())
    assert (gateway.folder / "utility.partners.json.damaged").exists()
