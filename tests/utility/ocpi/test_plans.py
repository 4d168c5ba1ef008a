"""Profiles as limits over time, lists in pages, times, ids: without I/O."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from agent.errors import DecodeError
from agent.utility.ocpi.objects import ChargingProfile, ChargingProfilePeriod
from agent.utility.ocpi.paging import LIMIT, page_of
from agent.utility.ocpi.profiles import Plan, composite, plan_of, start_utc_s
from agent.utility.ocpi.reply import OcpiError
from agent.utility.ocpi.site import short
from agent.utility.ocpi.times import format_time, parse_time


def profile(*periods, **more):
    return ChargingProfile(
        **{
            "charging_rate_unit": "W",
            "charging_profile_period": tuple(
                ChargingProfilePeriod(start_period=at, limit=limit) for at, limit in periods
            ),
            **more,
        }
    )


def test_periods_become_limits_on_the_callers_clock():
    plan = plan_of(profile((0, 7000.0), (60, 0.0), (120, 3680.0), duration=180), 1000.0, 690.0)
    assert [plan.limit_w(at) for at in (999.9, 1000.0, 1059.9, 1060.0, 1120.0, 1180.0)] == [
        None, 7000.0, 7000.0, 0.0, 3680.0, None,
    ]  # fmt: skip
    assert [plan.next_change_s(at) for at in (0.0, 1000.0, 1119.0, 1120.0)] == [
        1000.0, 1060.0, 1120.0, 1180.0,
    ]  # fmt: skip
    assert plan.next_change_s(1180.0) == math.inf


def test_amperes_are_those_of_one_phase():
    assert plan_of(profile((0, 16.0), charging_rate_unit="A"), 0.0, 230.0 * 3).limits_w == (
        11040.0,
    )


def test_without_a_duration_the_last_limit_stays():
    plan = plan_of(profile((10, 5.0)), 0.0, 1.0)
    assert (plan.limit_w(9.0), plan.limit_w(1e9), plan.end_s) == (None, 5.0, math.inf)


def test_a_negative_limit_is_refused_and_the_way_to_discharge_is_named():
    with pytest.raises(OcpiError) as caught:
        plan_of(profile((0, 100.0), (60, -5000.0)), 0.0, 1.0)
    assert caught.value.status == 2001
    assert str(caught.value) == (
        "charging_profile_period[1].limit is -5000 W: a charging profile of OCPI 2.2.1 cannot "
        "order discharge, limits are 0 or more; order exports by signed dispatch or OCPP 2.1"
    )


@pytest.mark.parametrize(
    "bad",
    [
        profile(),
        profile((0, math.nan)),
        profile((0, math.inf)),
        profile((0, 1e10)),
        profile((0, -0.1), charging_rate_unit="A"),
        profile((10, 1.0), (10, 2.0)),
        profile((10, 1.0), (5, 2.0)),
        profile((0, 1.0), (60, 2.0), duration=60),
        profile((0, 1.0), min_charging_rate=-1.0),
    ],
)
def test_profiles_that_mean_nothing_are_refused(bad):
    with pytest.raises(OcpiError) as caught:
        plan_of(bad, 0.0, 1.0)
    assert caught.value.status == 2001


def test_a_profile_starts_at_its_own_time_or_with_the_session():
    assert start_utc_s(profile((0, 1.0)), 50.0) == 50.0
    own = profile((0, 1.0), start_date_time="1970-01-01T00:01:40Z")
    assert start_utc_s(own, 50.0) == 100.0
    with pytest.raises(OcpiError, match="start_date_time"):
        start_utc_s(profile((0, 1.0), start_date_time="tomorrow"), 0.0)


periods = st.lists(
    st.tuples(st.integers(0, 5000), st.floats(0, 1e6)), min_size=1, unique_by=lambda p: p[0]
).map(sorted)


@given(
    periods, st.one_of(st.none(), st.integers(5001, 9000)), st.floats(0, 6000), st.floats(0, 1e5)
)
def test_what_is_planned_never_exceeds_the_profile_nor_the_capacity(rows, duration, now, most):
    plan = plan_of(profile(*rows, duration=duration), 0.0, 1.0)
    shown = composite(plan, most, now, 3600)
    assert shown[0].start_period == 0
    starts = [period.start_period for period in shown]
    assert starts == sorted(set(starts))
    assert all(start <= 3600 for start in starts)
    for period in shown:
        at = now + period.start_period
        limit = plan.limit_w(at)
        assert period.limit <= round(min(most, math.inf if limit is None else limit), 1)


@given(periods, st.floats(-100, 6000))
def test_the_next_change_is_where_the_limit_may_change(rows, now):
    plan = plan_of(profile(*rows), 0.0, 1.0)
    change = plan.next_change_s(now)
    assert change > now
    between = now + (min(change, now + 100.0) - now) / 2.0
    assert plan.limit_w(between) == plan.limit_w(now)


def test_without_a_profile_the_capacity_is_planned():
    assert composite(None, 11000.0, 5.0, 900) == (
        ChargingProfilePeriod(start_period=0, limit=11000.0),
    )
    assert composite(Plan((0.0,), (2000.0,), 10.0), 11000.0, 5.0, 900) == (
        ChargingProfilePeriod(start_period=0, limit=2000.0),
        ChargingProfilePeriod(start_period=5, limit=11000.0),
    )


@pytest.mark.parametrize(
    ("text", "utc_s"),
    [
        ("2015-06-29T20:39:09Z", 1435610349.0),
        ("2015-06-29T20:39:09", 1435610349.0),
        ("2016-12-29T17:45:09.2Z", 1483033509.2),
        ("2018-01-01T01:08:01.123", 1514768881.123),
    ],
)
def test_the_times_of_the_specification_are_read(text, utc_s):
    assert parse_time(text) == pytest.approx(utc_s, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "2015-06-29", "2015-06-29T20:39:09+00:00", "2015-13-29T20:39:09Z", "20:39:09Z", "x" * 99],
)
def test_other_times_are_refused(text):
    with pytest.raises(DecodeError):
        parse_time(text)


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_survives_writing_and_reading(milliseconds):
    text = format_time(milliseconds / 1000.0 + 1e-5)
    assert len(text) <= 25
    assert round(parse_time(text) * 1000.0) == milliseconds


@given(st.text(min_size=1, max_size=80))
def test_every_name_becomes_an_id_that_a_path_can_carry(name):
    found = short(name)
    assert 1 <= len(found) <= 36
    assert found.isascii()
    assert "/" not in found
    assert found == short(name)


@given(st.integers(0, 120), st.integers(1, 100), st.lists(st.integers(0, 50), max_size=120))
def test_pages_give_every_object_once(offset, limit, stamps):
    url, seen, query = "https://x.example/s", [], {"offset": "0", "limit": str(limit)}
    for _ in range(200):
        asked = QueryParams(query)
        shown, headers = page_of(asked).of(stamps, float, url, asked)
        assert headers["X-Total-Count"] == str(len(stamps))
        assert headers["X-Limit"] == str(LIMIT)
        seen += shown
        if "Link" not in headers:
            break
        address, _, relation = headers["Link"].partition(">; ")
        assert relation == 'rel="next"'
        query = dict(QueryParams(address.partition("?")[2]))
    assert seen == stamps
    asked = QueryParams({"offset": str(offset)})
    assert page_of(asked).of(stamps, float, url, asked)[0] == stamps[offset : offset + LIMIT]


def test_a_page_keeps_the_times_of_the_first_request():
    asked = QueryParams(
        {"date_from": "1970-01-01T00:00:10Z", "date_to": "1970-01-01T00:00:20Z", "limit": "2"}
    )
    shown, headers = page_of(asked).of(list(range(30)), float, "https://x.example/s", asked)
    assert shown == [10, 11]
    assert headers["X-Total-Count"] == "10"
    assert headers["Link"] == (
        "<https://x.example/s?date_from=1970-01-01T00:00:10Z&date_to=1970-01-01T00:00:20Z"
        '&offset=2&limit=2>; rel="next"'
    )


@pytest.mark.parametrize(
    "query", ["offset=-1", "offset=x", "limit=1.5", "limit=²", "date_from=now", "date_to=1"]
)
def test_pages_that_mean_nothing_are_refused(query):
    with pytest.raises(OcpiError) as caught:
        page_of(QueryParams(query))
    assert caught.value.status == 2001
