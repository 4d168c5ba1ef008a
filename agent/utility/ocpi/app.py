"""The routes of OCPI 2.2.1: versions, credentials, locations, sessions, charging profiles."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from agent.audit import Kind
from agent.config.utility import Ocpi
from agent.errors import RefusedError
from agent.utility.api.rate import RateLimit
from agent.utility.context import Context
from agent.utility.ocpi.caller import VERSION, Caller
from agent.utility.ocpi.front import Call, Front
from agent.utility.ocpi.objects import (
    BusinessDetails,
    ChargingProfileResponse,
    Credentials,
    CredentialsRole,
    Endpoint,
    SetChargingProfile,
    Version,
    VersionDetails,
)
from agent.utility.ocpi.paging import page_of
from agent.utility.ocpi.profile_desk import RESULT_S, ProfileDesk
from agent.utility.ocpi.registry import Registry
from agent.utility.ocpi.reply import OcpiError, Status, reply
from agent.utility.ocpi.sessions import Sessions, Stay
from agent.utility.ocpi.site import Site
from agent.utility.ocpi.times import parse_time

BASE: Final = "/ocpi"
MODULES: Final = (
    ("credentials", "SENDER"),
    ("locations", "SENDER"),
    ("sessions", "SENDER"),
    ("chargingprofiles", "RECEIVER"),
)
DURATION_MAX_S: Final = 86_400


@dataclass(slots=True)
class OcpiApp:
    """Answers partners.

    Attributes:
        settings: `[ocpi]`.
    """

    context: Context
    settings: Ocpi
    registry: Registry
    site: Site
    sessions: Sessions
    profiles: ProfileDesk
    caller: Caller
    _often: RateLimit = field(default_factory=lambda: RateLimit(burst=5.0, per_s=0.2))

    def routes(self) -> list[Route]:
        """Return the routes."""
        front = Front(self.context, self.registry)
        root, version = f"{BASE}/versions", f"{BASE}/{VERSION}"
        location = f"{version}/locations/{{location}}"
        session = f"{version}/sessions/{{session}}"
        profile = f"{version}/chargingprofiles/{{session}}"
        return [
            Route(root, front.invited(self.versions), methods=["GET"]),
            Route(version, front.invited(self.details), methods=["GET"]),
            Route(
                f"{version}/credentials",
                front.invited(self.credentials),
                methods=["GET", "POST", "PUT", "DELETE"],
            ),
            Route(f"{version}/locations", front.partner(self.locations), methods=["GET"]),
            Route(location, front.partner(self.location), methods=["GET"]),
            Route(f"{location}/{{evse}}", front.partner(self.location), methods=["GET"]),
            Route(f"{location}/{{evse}}/{{plug}}", front.partner(self.location), methods=["GET"]),
            Route(f"{version}/sessions", front.partner(self.list_sessions), methods=["GET"]),
            Route(
                f"{session}/charging_preferences",
                front.partner(self.preferences),
                methods=["PUT"],
            ),
            Route(profile, front.partner(self.get_profile), methods=["GET"]),
            Route(profile, front.partner(self.set_profile), methods=["PUT"]),
            Route(profile, front.partner(self.clear_profile), methods=["DELETE"]),
        ]

    async def versions(self, call: Call) -> Response:
        """Tell which versions we speak (clause 6.1)."""
        return _ok(call, [Version(version=VERSION, url=self._url(VERSION))])

    async def details(self, call: Call) -> Response:
        """Tell which modules there are (clause 6.2)."""
        endpoints = [
            Endpoint(identifier=name, role=_role(role), url=self._url(f"{VERSION}/{name}"))
            for name, role in MODULES
        ]
        return _ok(call, VersionDetails(version=VERSION, endpoints=endpoints))

    async def credentials(self, call: Call) -> Response:
        """Exchange tokens (clause 7): GET, POST registers, PUT updates, DELETE ends it."""
        method, partner = call.request.method, call.partner
        if method == "GET":
            return _ok(call, self._credentials(call.token))
        if (method == "POST") == (partner is not None):
            known = "is registered already" if partner else "is not registered"
            raise OcpiError(Status.CLIENT_ERROR, f"method not allowed: this party {known}", 405)
        if method == "DELETE" and partner is not None:
            self.registry.remove(partner)
            self._audit(partner.party, "OCPI: unregistered")
            return _ok(call)
        theirs: Credentials = await call.body(Credentials)
        endpoints = await self.caller.discover(theirs.url, theirs.token)
        party = f"{theirs.roles[0].country_code}*{theirs.roles[0].party_id}".upper()
        if partner is not None:
            token = self.registry.update(partner, theirs, endpoints, call.token)
        elif self.registry.is_invited(call.token):  # nobody else used it in the meantime
            token = self.registry.register(theirs, endpoints, call.token)
        else:
            raise OcpiError(Status.CLIENT_ERROR, "this token was used", 401)
        self._audit(party, f"OCPI: {'updated' if partner else 'registered'} at {theirs.url}")
        return _ok(call, self._credentials(token))

    async def locations(self, call: Call) -> Response:
        """List the one location (clause 8.2.1.1)."""
        query = call.request.query_params
        found = page_of(query).of(
            [self.site.location],
            lambda item: parse_time(item.last_updated),
            self._url(f"{VERSION}/locations"),
            query,
        )
        return _ok(call, found[0], found[1])

    async def location(self, call: Call) -> Response:
        """Return the location, one of its EVSEs, or one connector."""
        path = call.request.path_params
        if path["location"] != self.site.id:
            raise _unknown(f"location {path['location']}")
        if "evse" not in path:
            return _ok(call, self.site.location)
        evse = self.site.evse(path["evse"])
        if evse is None:
            raise _unknown(f"EVSE {path['evse']}")
        if "plug" not in path:
            return _ok(call, evse)
        plug = next((c for c in evse.connectors if c.id == path["plug"]), None)
        if plug is None:
            raise _unknown(f"connector {path['plug']}")
        return _ok(call, plug)

    async def list_sessions(self, call: Call) -> Response:
        """List sessions (clause 9.2.1.1); `date_from` may be left out."""
        query = call.request.query_params
        shown, headers = page_of(query).of(
            list(self.sessions),
            lambda stay: stay.updated_utc_s,
            self._url(f"{VERSION}/sessions"),
            query,
        )
        return _ok(call, [self.sessions.document(stay) for stay in shown], headers)

    async def preferences(self, call: Call) -> Response:
        """Charging preferences need tariffs, which this gateway has not (clause 9.2.1.2)."""
        return _ok(call, "NOT_POSSIBLE")

    async def get_profile(self, call: Call) -> Response:
        """Send the active profile to `response_url` (clause 14.2.1.1)."""
        text, url = call.query("duration"), call.query("response_url")
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= DURATION_MAX_S):
            most = f"duration must be 1 to {DURATION_MAX_S} s"
            raise OcpiError(Status.INVALID_PARAMETERS, most)
        stay = self._stay(call, url)
        if isinstance(stay, Stay):
            self.profiles.report(call.registered, stay, int(text), url)
        return _answered(call, stay)

    async def set_profile(self, call: Call) -> Response:
        """Put a profile in force; the result goes to `response_url` (clause 14.2.1.2)."""
        wish: SetChargingProfile = await call.body(SetChargingProfile)
        stay = self._stay(call, wish.response_url)
        if isinstance(stay, Stay):
            self.profiles.set(call.registered, stay, wish.charging_profile, wish.response_url)
        return _answered(call, stay)

    async def clear_profile(self, call: Call) -> Response:
        """End a profile; the result goes to `response_url` (clause 14.2.1.3)."""
        url = call.query("response_url")
        stay = self._stay(call, url)
        if isinstance(stay, Stay):
            self.profiles.clear(call.registered, stay, url)
        return _answered(call, stay)

    def _stay(self, call: Call, response_url: str) -> Stay | str:
        """Return the session that is meant, or the result that says why not.

        Raises:
            OcpiError: 2001, the result must not be sent there.
        """
        try:
            self.caller.guard.check(response_url, call.registered.url)
        except RefusedError as error:
            raise OcpiError(Status.INVALID_PARAMETERS, f"response_url {error}") from error
        session_id = call.request.path_params["session"]
        stay = self.sessions.get(session_id)
        if stay is None:
            return "UNKNOWN_SESSION"
        if not stay.active:
            return "REJECTED"
        name = f"{call.registered.name}/{session_id}"
        return stay if self._often.allows(name, time.monotonic()) else "TOO_OFTEN"

    def _credentials(self, token: str) -> Credentials:
        settings = self.settings
        role = CredentialsRole(
            role="CPO",
            party_id=settings.party_id,
            country_code=settings.country_code,
            business_details=BusinessDetails(name=settings.name),
        )
        return Credentials(token=token, url=self._url("versions"), roles=(role,))

    def _url(self, path: str) -> str:
        return f"{self.settings.url.rstrip('/')}{BASE}/{path}"

    def _audit(self, subject: str, text: str) -> None:
        self.context.audit(Kind.ASSOCIATION, subject, text)


def _ok(call: Call, data: Any = None, headers: dict[str, str] | None = None) -> Response:
    return reply(data, asked=call.request.headers, headers=headers)


def _answered(call: Call, stay: Stay | str) -> Response:
    result: Any = "ACCEPTED" if isinstance(stay, Stay) else stay
    return _ok(call, ChargingProfileResponse(result=result, timeout=RESULT_S))


def _role(role: str) -> Any:
    return role


def _unknown(what: str) -> OcpiError:
    return OcpiError(Status.UNKNOWN_LOCATION, f"{what[:80]} is not known", 404)
