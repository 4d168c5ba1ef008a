"""Where results may be sent, and where not."""

import asyncio

import pytest

from agent.errors import RefusedError
from agent.utility.ocpi.guard import Guard

OWN = "https://partner.example:8443/ocpi/versions"


def test_without_a_list_only_the_partners_own_address_is_allowed():
    guard = Guard()
    assert guard.check("https://partner.example:8443/result/1?id=2", OWN).path == "/result/1"
    assert guard.check("https://PARTNER.example:8443/x", OWN)
    for url in (
        "https://partner.example/x",
        "https://partner.example.attacker.example:8443/x",
        "https://attacker.example:8443/x",
        "https://partner.example:8443@attacker.example/x",
        "https://attacker.example#partner.example:8443",
        "http://partner.example:8443/x",
        "https://127.0.0.1:8443/x",
        "javascript:alert(1)",
        "https://",
        "https://partner.example:8443/" + "x" * 255,
        "https://partner.example:99999/",
        "https://[partner.example:8443/",
        "",
    ):
        with pytest.raises(RefusedError):
            guard.check(url, OWN)


def test_with_a_list_only_the_list_is_allowed():
    guard = Guard(("results.example", "10.0.0.7:9000", "[2001:db8::1]:443"))
    for url in (
        "https://results.example/x",
        "https://results.example:443/x",
        "https://10.0.0.7:9000/x",
        "https://[2001:db8::1]/x",
    ):
        assert guard.check(url, OWN)
    for url in (
        "https://results.example:444/x",
        "https://10.0.0.7/x",
        OWN,
        "http://10.0.0.7:9000/",
    ):
        with pytest.raises(RefusedError):
            guard.check(url, OWN)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "192.168.0.1", "[::1]", "[fe80::1]",
     "[::ffff:127.0.0.1]", "0.0.0.0", "100.64.0.1"],
)  # fmt: skip
def test_without_a_list_a_name_must_lead_to_a_public_address(host):
    with pytest.raises(RefusedError, match="not public"):
        asyncio.run(Guard().target(f"https://{host}/versions"))


def test_the_address_that_was_checked_is_the_one_that_is_called(monkeypatch):
    answers = [[(2, 1, 6, "", ("93.184.215.14", 443))], [(2, 1, 6, "", ("127.0.0.1", 443))]]

    async def scenario():
        async def resolve(*_, **__):
            return answers.pop(0)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
        target = await Guard().target("https://rebinding.example/versions")
        assert (target.host, target.address) == ("rebinding.example", "93.184.215.14")
        with pytest.raises(RefusedError, match="not public"):
            await Guard().target("https://rebinding.example/versions")

    asyncio.run(scenario())
