"""Security profile 3: whom we trust, whom the CSMS trusts, and what is said when not."""

import asyncio

import pytest

from agent.errors import AlarmCode, ConfigurationError
from agent.utility.csms.tls import check_validity, client_context, key_of


async def why_not(site, tools):
    alarm = await tools.until(lambda: site.alarm(AlarmCode.UPSTREAM_LOST), "an alarm")
    return alarm.text


def test_a_revoked_server_certificate_is_refused(make_site, tools, pki):
    async def scenario():
        certificate, key = pki.issue("gw", "GW1")
        async with tools.Csms(tls=pki.server_context()) as csms:
            options = {"certificate": certificate, "key": key}
            async with make_site(csms, ca=pki.revoking(pki.server[0]), **options) as site:
                assert "revoked" in await why_not(site, tools)
            async with make_site(csms, ca=pki.revoking(certificate), **options) as site:
                await site.connected()

    asyncio.run(scenario())


def test_an_unknown_authority_and_a_wrong_name_are_refused(make_site, tools, pki, tmp_path):
    async def scenario():
        other = type(pki)(tmp_path / "other")
        certificate, key = pki.issue("gw", "GW1")
        async with tools.Csms(tls=pki.server_context()) as csms:
            options = {"certificate": certificate, "key": key}
            async with make_site(csms, ca=other.ca, **options) as site:
                text = await why_not(site, tools)
                assert "the CSMS's certificate is refused" in text
            url = csms.url.replace("localhost", "127.0.0.1")
            async with make_site(None, url=url, ca=pki.ca, **options) as site:
                assert "IP address mismatch" in await why_not(site, tools)

    asyncio.run(scenario())


def test_a_csms_that_wants_a_certificate_says_so(make_site, tools, pki):
    async def scenario():
        async with (
            tools.Csms(tls=pki.server_context()) as csms,
            make_site(csms, ca=pki.ca) as site,
        ):
            assert "certificate" in await why_not(site, tools)
            assert csms.heard == []

    asyncio.run(scenario())


def test_a_renewed_certificate_is_used_at_the_next_connection(make_site, tools, pki):
    async def scenario():
        certificate, key = pki.issue("gw", "GW1")
        async with (
            tools.Csms(tls=pki.server_context()) as csms,
            make_site(csms, ca=pki.ca, certificate=certificate, key=key) as site,
        ):
            await site.connected()
            first = peer_serial(csms)
            pki.issue("gw", "GW1")
            csms.drop()
            await tools.until(lambda: len(csms.sockets) > 1, "another connection")
            await site.connected()
            assert peer_serial(csms) != first

    asyncio.run(scenario())


def peer_serial(csms):
    return csms.sockets[-1].transport.get_extra_info("peercert")["serialNumber"]


def test_the_key_is_found_beside_the_certificate_or_in_it(pki, tmp_path):
    certificate, key = pki.issue("gw", "GW1")
    assert key_of(certificate, None) == key
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert key_of(both, None) == both
    client_context(both, None, pki.ca)


@pytest.mark.parametrize(
    ("start", "end", "words"), [(-40, -1, "expired on"), (2, 30, "is valid from")]
)
def test_a_certificate_out_of_its_time_names_the_date(pki, start, end, words):
    certificate, _ = pki.issue("gw", "GW1", start_days=start, end_days=end)
    with pytest.raises(ConfigurationError, match=words):
        check_validity(certificate)


def test_files_that_cannot_be_used_are_named(pki, tmp_path):
    certificate, _ = pki.issue("gw", "GW1")
    _, other = pki.issue("other", "GW2")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for arguments, name in (
        ((certificate, other, pki.ca), "gw.crt"),
        ((certificate, None, empty), "empty.pem"),
        ((empty, other, pki.ca), "empty.pem"),
        ((certificate, tmp_path / "none.key", pki.ca), "none.key"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            client_context(*arguments)
        assert name in str(caught.value)


def test_basic_authentication_names_the_identity(make_site, tools, pki, tmp_path):
    async def scenario():
        password = tmp_path / "password"
        password.write_text("correct horse\n")
        async with tools.Csms() as csms, make_site(csms, password=password) as site:
            await site.connected()
            assert csms.headers[0]["Authorization"] == "Basic R1cxOmNvcnJlY3QgaG9yc2U="

    asyncio.run(scenario())
