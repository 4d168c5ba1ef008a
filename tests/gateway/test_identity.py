"""A worker's user has that worker's role and no other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.daemon import identity
from agent.messages import Role


@pytest.mark.parametrize(
    ("user", "role", "permitted"),
    [
        ("v2g-hmi", Role.HMI, True),
        ("v2g-hmi", Role.OPERATOR, False),
        ("v2g-ied", Role.STATIONS, False),
        ("v2g-processbus", Role.PROCESS_BUS, True),
        ("v2g", Role.OPERATOR, True),
        ("root", Role.OPERATOR, True),
        ("alice", Role.OPERATOR, True),
    ],
)
def test_only_workers_users_are_bound_to_a_role(monkeypatch, user, role, permitted):
    monkeypatch.setattr(identity.pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name=user))
    assert identity.permits(1000, role) is permitted


def test_a_user_without_a_name_is_admitted_as_the_sockets_mode_says():
    assert identity.permits(4_000_000_000, Role.OPERATOR)


def test_the_user_of_every_worker_unit_may_have_its_role(monkeypatch):
    for role in set(Role) - {Role.OPERATOR}:
        name = SimpleNamespace(pw_name=f"v2g-{role}")
        monkeypatch.setattr(identity.pwd, "getpwuid", lambda _uid, name=name: name)
        assert identity.permits(1000, role)
