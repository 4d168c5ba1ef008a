"""Sessions, limits and password files without a server; time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigurationError
from agent.hmi.page.passwords import User, UserRole, load_users, new_line, verify, write_user
from agent.hmi.page.sessions import MAX_NAMES, MAX_SESSIONS, Sessions, Throttle, is_token

ANNA = User("anna", UserRole.OPERATOR, 15, b"salt", b"digest")


@pytest.mark.parametrize(("after_s", "is_open"), [(0.0, True), (99.0, True), (101.0, False)])
def test_a_session_ends_when_it_is_idle(after_s, is_open):
    sessions = Sessions(idle_s=100.0, session_s=1000.0)
    key, _session = sessions.open(ANNA, 0.0)
    assert (sessions.find(key, after_s) is not None) is is_open


def test_a_session_ends_in_any_case_after_its_time():
    sessions = Sessions(idle_s=100.0, session_s=250.0)
    key, session = sessions.open(ANNA, 0.0)
    for now_s in range(0, 250, 50):
        assert sessions.find(key, now_s) is session
        session.used_s = now_s
    assert sessions.find(key, 251.0) is None


def test_keys_and_tokens_are_of_one_session_only():
    sessions = Sessions(100.0, 100.0)
    (key, one), (_other_key, other) = sessions.open(ANNA, 0.0), sessions.open(ANNA, 0.0)
    assert is_token(one, one.token)
    assert not is_token(one, other.token)
    assert sessions.find(key + "x", 0.0) is None
    assert sessions.find("", 0.0) is None
    sessions.close_user("anna")
    assert sessions.find(key, 0.0) is None


def test_sessions_are_bounded():
    sessions = Sessions(1e9, 1e9)
    keys = [sessions.open(ANNA, 0.0)[0] for _ in range(MAX_SESSIONS + 5)]
    assert sessions.find(keys[0], 0.0) is None
    assert sessions.find(keys[-1], 0.0) is not None


def test_a_name_is_locked_after_its_tries_and_free_again_after_the_lockout():
    throttle = Throttle(tries=3, lockout_s=60.0)
    assert [throttle.wrong("anna", 1.0) for _ in range(3)] == [False, False, True]
    assert throttle.locked_s("anna", 2.0) == pytest.approx(59.0)
    assert throttle.locked_s("otto", 2.0) == 0.0
    assert throttle.locked_s("anna", 61.5) == 0.0


def test_a_right_password_forgets_the_wrong_ones():
    throttle = Throttle(tries=3, lockout_s=60.0)
    throttle.wrong("anna", 1.0)
    throttle.wrong("anna", 1.0)
    throttle.right("anna")
    assert not throttle.wrong("anna", 2.0)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=80))
def test_an_address_is_never_admitted_more_often_than_burst_and_rate_allow(pauses_s):
    throttle = Throttle(5, 60.0)
    now_s, admitted = 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        admitted += throttle.admits("192.0.2.1", now_s)
    assert admitted <= 10 + 0.5 * now_s + 1e-6


def test_names_that_are_remembered_are_bounded():
    throttle = Throttle(3, 60.0)
    for number in range(MAX_NAMES + 100):
        throttle.wrong(f"name{number}", 0.0)
        throttle.admits(f"address{number}", 0.0)
    assert len(throttle._wrong) <= MAX_NAMES
    assert len(throttle._buckets) <= MAX_NAMES


def test_a_written_user_can_log_in_and_nobody_else(tmp_path):
    path = tmp_path / "users"
    write_user(path, new_line("anna", UserRole.VIEWER, "a first password"))
    write_user(path, new_line("otto", UserRole.VIEWER, "another password"))
    write_user(path, new_line("anna", UserRole.OPERATOR, "a second password"))
    users = load_users(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert {name: user.role for name, user in users.items()} == {
        "anna": UserRole.OPERATOR, "otto": UserRole.VIEWER,
    }  # fmt: skip
    assert verify(users, "anna", "a second password") is users["anna"]
    assert verify(users, "anna", "a first password") is None
    assert verify(users, "nobody", "a second password") is None
    assert "password" not in path.read_text()


@pytest.mark.parametrize(("name", "password"), [("a:b", "long enough password"), ("anna", "short")])
def test_names_and_passwords_have_rules(name, password):
    with pytest.raises(ValueError, match="has"):
        new_line(name, UserRole.VIEWER, password)


def test_every_wrong_line_of_the_file_is_named(tmp_path):
    path = tmp_path / "users"
    good = new_line("anna", UserRole.VIEWER, "a first password")
    path.write_text(f"# users\n{good}\nrubbish\n{good.replace('viewer', 'king')}\n"
                    f"{good.replace('$15$', '$3$').replace('anna', 'x')}\n{good}\n")  # fmt: skip
    with pytest.raises(ConfigurationError) as caught:
        load_users(path)
    where = [finding.where.rsplit(":", 1)[1] for finding in caught.value.findings]
    assert where == ["3", "4", "5", "6"]


@given(st.binary(max_size=300))
def test_no_content_of_the_file_raises_anything_else(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("u") / "users"
    path.write_bytes(content)
    try:
        load_users(path)
    except ConfigurationError as error:
        assert error.findings
