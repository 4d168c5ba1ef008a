"""The documents of OCPI 2.2.1 that this gateway sends and takes, field for field.

What is sent leaves out empty optional fields; what is taken ignores unknown ones, as the
specification asks (OCPI 2.2.1 clause 4.1, "transport and format").
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

CiString36 = Annotated[str, msgspec.Meta(min_length=1, max_length=36)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
DateTime = Annotated[str, msgspec.Meta(max_length=25)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=10 * 366 * 86_400)]
Length = Annotated[int, msgspec.Meta(ge=1, le=10 * 366 * 86_400)]


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all documents."""


class Version(Document, frozen=True):
    """One version that a party speaks (clause 6.1.2)."""

    version: str
    url: Url


class Endpoint(Document, frozen=True):
    """One module of a version (clause 6.2.2)."""

    identifier: str
    role: Literal["SENDER", "RECEIVER"]
    url: Url


class VersionDetails(Document, frozen=True):
    """The modules of a version (clause 6.2.1)."""

    version: str
    endpoints: list[Endpoint]


class BusinessDetails(Document, frozen=True):
    """Who a party is (clause 8.4.2)."""

    name: Annotated[str, msgspec.Meta(max_length=100)]
    website: str | None = None


class CredentialsRole(Document, frozen=True):
    """A role that a party has (clause 7.4.1)."""

    role: str
    party_id: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    country_code: Annotated[str, msgspec.Meta(min_length=2, max_length=2)]
    business_details: BusinessDetails


class Credentials(Document, frozen=True):
    """A token, and where it is good (clause 7.3.1)."""

    token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}$")]
    url: Url
    roles: Annotated[tuple[CredentialsRole, ...], msgspec.Meta(min_length=1, max_length=32)]


class GeoLocation(Document, frozen=True):
    """WGS 84, in degrees (clause 8.4.13)."""

    latitude: str
    longitude: str


class Connector(Document, frozen=True):
    """A plug of an EVSE (clause 8.3.3). `max_electric_power` is in W."""

    id: str
    standard: str
    format: str
    power_type: str
    max_voltage: int
    max_amperage: int
    last_updated: DateTime
    max_electric_power: int | None = None


class Evse(Document, frozen=True):
    """One EVSE of a location (clause 8.3.2)."""

    uid: str
    status: str
    capabilities: list[str]
    connectors: list[Connector]
    last_updated: DateTime
    physical_reference: str | None = None


class Location(Document, frozen=True):
    """The site (clause 8.3.1)."""

    country_code: str
    party_id: str
    id: str
    publish: bool
    name: str
    address: str
    city: str
    country: str
    coordinates: GeoLocation
    time_zone: str
    last_updated: DateTime
    evses: list[Evse] = []
    operator: BusinessDetails | None = None


class CdrToken(Document, frozen=True):
    """Who charges (clause 10.4.5)."""

    country_code: str
    party_id: str
    uid: str
    type: str
    contract_id: str


class CdrDimension(Document, frozen=True):
    """One measured quantity (clause 10.4.2)."""

    type: str
    volume: float


class ChargingPeriod(Document, frozen=True):
    """What was measured since its start (clause 10.4.6)."""

    start_date_time: DateTime
    dimensions: list[CdrDimension]


class Session(Document, frozen=True):
    """One vehicle's stay (clause 9.3.1). `kwh` is the energy charged."""

    country_code: str
    party_id: str
    id: str
    start_date_time: DateTime
    kwh: float
    cdr_token: CdrToken
    auth_method: str
    location_id: str
    evse_uid: str
    connector_id: str
    currency: str
    status: str
    last_updated: DateTime
    end_date_time: DateTime | None = None
    charging_periods: list[ChargingPeriod] = []


class ChargingProfilePeriod(Document, frozen=True):
    """From `start_period` seconds on, at most `limit` W or A (clause 14.4.5)."""

    start_period: Seconds
    limit: float


class ChargingProfile(Document, frozen=True):
    """Limits over time (clause 14.4.4). Amperes are those of one phase."""

    charging_rate_unit: Literal["W", "A"]
    start_date_time: DateTime | None = None
    duration: Length | None = None
    min_charging_rate: float | None = None
    charging_profile_period: Annotated[
        tuple[ChargingProfilePeriod, ...], msgspec.Meta(max_length=1024)
    ] = ()


class SetChargingProfile(Document, frozen=True):
    """A profile, and where its result is awaited (clause 14.3.6)."""

    charging_profile: ChargingProfile
    response_url: Url


class ActiveChargingProfile(Document, frozen=True):
    """What is planned, as seen at `start_date_time` (clause 14.4.1)."""

    start_date_time: DateTime
    charging_profile: ChargingProfile


class ChargingProfileResponse(Document, frozen=True):
    """The CPO's answer at once; the result follows within `timeout` s (clause 14.3.1)."""

    result: Literal["ACCEPTED", "NOT_SUPPORTED", "REJECTED", "TOO_OFTEN", "UNKNOWN_SESSION"]
    timeout: int


ResultType = Literal["ACCEPTED", "REJECTED", "UNKNOWN"]


class ProfileResult(Document, frozen=True):
    """The EVSE's answer: to GET with the `profile`, to PUT and DELETE without (clause 14.3)."""

    result: ResultType
    profile: ActiveChargingProfile | None = None
