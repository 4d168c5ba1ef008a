"""Sg and Ctl: setting groups and the four control models (IEC 61850-10 Ed. 2)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agent.messages import RequestOutcome, RequestStatus

SGCB = "V2G1EVSE1/LLN0$SP$SGCB"
SG = "V2G1EVSE1/DHFW1$SG$HzStr$setMag$f"
SE = "V2G1EVSE1/DHFW1$SE$HzStr$setMag$f"
SBOES = "V2G1EVSE1/DWGC1$CO$WSpt"
DOES = "V2G1EVSE1/DCTE1$CO$CeaEgzReqCtl"
SBONS = "V2G1EVSE1/DSTO1$CO$AuthConn"
DONS = "V2G1EVSE1/DSTO1$CO$LocSta"
HOLD_S = 0.6


def test_sSg1_setting_group_block(bench: Any) -> None:
    """GetSGCBValues returns number and active group as the SCL configures them."""
    client = bench.connect()
    assert client.read(f"{SGCB}$NumOfSG") == 2
    assert client.read(f"{SGCB}$ActSG") in (1, 2)
    assert client.read(f"{SGCB}$EditSG") == 0


def test_sSg2_select_active_group(bench: Any, kit: Any) -> None:
    """SelectActiveSG puts the group's values in force."""
    client = bench.connect()
    for group, hz in ((2, 50.2), (1, 50.02)):
        client.write(f"{SGCB}$ActSG", kit.Unsigned(group))
        assert client.read(SG) == pytest.approx(hz, abs=0.2)
        assert client.read(f"{SGCB}$ActSG") == group
    assert bench.live.control.requests[-1].setting == "db_of_hz"


def test_sSg3_edit_and_confirm(bench: Any, kit: Any) -> None:
    """Edited values take effect when they are confirmed, not before."""
    client = bench.connect()
    client.write(f"{SGCB}$ActSG", kit.Unsigned(1))
    before = client.read(SG)
    client.write(f"{SGCB}$EditSG", kit.Unsigned(1))
    client.write(SE, 50.07)
    assert client.read(SE) == pytest.approx(50.07)
    assert client.read(SG) == before
    client.write(f"{SGCB}$CnfEdit", True)
    bench.until(lambda: client.read(SG) == pytest.approx(50.07))
    client.write(f"{SGCB}$EditSG", kit.Unsigned(0))


def test_sSgN1_unknown_group(bench: Any, kit: Any) -> None:
    """A group outside 1 to NumOfSG is refused."""
    client = bench.connect()
    for attribute, group in (("ActSG", 0), ("ActSG", 3), ("EditSG", 3)):
        with pytest.raises(kit.Refused):
            client.write(f"{SGCB}${attribute}", kit.Unsigned(group))


def test_sSgN4_edit_without_or_against_the_editor(bench: Any, kit: Any) -> None:
    """Without an edit in progress, or against another client's, SE is closed."""
    first, second = bench.connect(), bench.connect()
    with pytest.raises(kit.Refused):
        first.write(SE, 50.5)
    first.write(f"{SGCB}$EditSG", kit.Unsigned(2))
    with pytest.raises(kit.Refused):
        second.write(f"{SGCB}$EditSG", kit.Unsigned(1))
    with pytest.raises(kit.Refused):
        second.write(SE, 50.5)
    first.write(f"{SGCB}$EditSG", kit.Unsigned(0))


def test_sSg4_the_editor_leaves(bench: Any, kit: Any) -> None:
    """An edit ends with its client's association: what was not confirmed is gone."""
    first, second = bench.connect(), bench.connect()
    before = second.read(SG)
    first.write(f"{SGCB}$EditSG", kit.Unsigned(1))
    first.write(SE, 50.44)
    first.abort()
    bench.until(lambda: second.read(f"{SGCB}$EditSG") == 0)
    second.write(f"{SGCB}$EditSG", kit.Unsigned(1))
    assert second.read(SE) == pytest.approx(before)
    second.write(f"{SGCB}$EditSG", kit.Unsigned(0))


def slow(bench: Any, status: RequestStatus = RequestStatus.COMPLETED, cause: int = 0) -> None:
    """The fake control answers after HOLD_S."""
    bench.live.control.delay_s = HOLD_S
    bench.live.control.answer = lambda request: [
        RequestOutcome(request.request_id, status, "", cause)
    ]


@pytest.fixture(autouse=True)
def _quick(bench: Any) -> Any:
    yield
    bench.live.control.delay_s = 0.02


def test_sCtl1_status_only(bench: Any, kit: Any) -> None:
    """An object that cannot be controlled refuses."""
    client = bench.connect()
    with pytest.raises((kit.Refused, AssertionError)) as refused:
        client.write("V2G1LD0/LLN0$CO$Health$Oper", bench.order(1))
    assert getattr(refused.value, "code", 3) in (3, 10)


def test_sDOns1_direct_with_normal_security(bench: Any) -> None:
    """Operate is accepted and the status follows."""
    client = bench.connect()
    for value in (True, False):
        client.write(f"{DONS}$Oper", bench.order(value))
        bench.until(lambda v=value: client.read("V2G1EVSE1/DSTO1$ST$LocSta$stVal") is v)


def test_sDOes1_direct_with_enhanced_security(bench: Any) -> None:
    """Operate is accepted and a positive CommandTermination follows the process."""
    client = bench.connect()
    client.write(f"{DOES}$Oper", bench.order(1))
    bench.until(lambda: client.terminations)
    assert client.terminations == [None]
    assert bench.live.control.requests[-1].kind == "stop"


def test_sDOes2_negative_termination(bench: Any) -> None:
    """When the process does not follow, the CommandTermination is negative, with its cause."""
    slow(bench, RequestStatus.FAILED, 16)
    client = bench.connect()
    client.write(f"{DOES}$Oper", bench.order(1))
    bench.until(lambda: client.terminations)
    assert client.terminations == [16]


def test_sSBOns1_select_and_operate(bench: Any) -> None:
    """A selected object with normal security is operated."""
    client = bench.connect()
    if bench.client == "libiec61850":
        client.write(f"{SBONS}$SBO", bench.order(True))
    else:
        assert client.read(f"{SBONS}$SBO") != ""
    client.write(f"{SBONS}$Oper", bench.order(True))
    bench.until(lambda: bench.live.control.requests)


def test_sSBOns2_operate_without_select(bench: Any, kit: Any) -> None:
    """An object with SBO that is not selected refuses: object-not-selected."""
    client = bench.connect()
    with pytest.raises(kit.Refused) as refused:
        client.write(f"{SBONS}$Oper", bench.order(True))
    assert refused.value.add_cause in (18, None)
    assert bench.live.control.requests == []


def test_sSBOes1_select_with_value_and_operate(bench: Any) -> None:
    """SBOw, Oper, positive response, then the CommandTermination when the EVSE followed."""
    client = bench.connect()
    client.write(f"{SBOES}$SBOw", bench.order([1500.0]))
    assert client.read("V2G1EVSE1/DWGC1$MX$WSpt$stSeld") is True
    client.write(f"{SBOES}$Oper", bench.order([1500.0]))
    bench.until(lambda: client.terminations)
    assert client.terminations == [None]
    assert client.read("V2G1EVSE1/DWGC1$MX$WSpt$stSeld") is False
    assert bench.live.control.requests[-1].value == pytest.approx(1500.0)


def test_sSBOes6_operate_with_another_value(bench: Any, kit: Any) -> None:
    """An Oper whose value is not that of its SBOw is refused and reaches nothing."""
    if bench.client == "libiec61850":
        pytest.skip("the client refuses to send it: it keeps the selected parameters")
    client = bench.connect()
    client.write(f"{SBOES}$SBOw", bench.order([1500.0]))
    with pytest.raises(kit.Refused) as refused:
        client.write(f"{SBOES}$Oper", bench.order([2500.0]))
    assert refused.value.add_cause == 26
    assert bench.live.control.requests == []


def test_sSBOes8_test_flag_mismatch(bench: Any, kit: Any) -> None:
    """An Oper with another Test flag than its SBOw is refused."""
    if bench.client == "libiec61850":
        pytest.skip("the client refuses to send it: it keeps the selected parameters")
    client = bench.connect()
    client.write(f"{SBOES}$SBOw", bench.order([1500.0]))
    with pytest.raises(kit.Refused):
        client.write(f"{SBOES}$Oper", bench.order([1500.0], test=True))
    assert bench.live.control.requests == []


def test_sCtl6_second_client(bench: Any, kit: Any) -> None:
    """What one client selected, another can neither select nor operate."""
    first, second = bench.connect(), bench.connect()
    first.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    with pytest.raises(kit.Refused):
        second.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    with pytest.raises(kit.Refused):
        second.write(f"{SBOES}$Oper", bench.order([1000.0]))
    first.write(f"{SBOES}$Cancel", bench.order([1000.0])[:5])


def test_sCtl8_cancel(bench: Any, kit: Any) -> None:
    """After Cancel the object is free, and an Oper without a new selection is refused."""
    first, second = bench.connect(), bench.connect()
    first.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    first.write(f"{SBOES}$Cancel", bench.order([1000.0])[:5])
    with pytest.raises(kit.Refused):
        first.write(f"{SBOES}$Oper", bench.order([1000.0]))
    second.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    second.write(f"{SBOES}$Cancel", bench.order([1000.0])[:5])


def test_sCtl9_select_timeout(bench: Any, kit: Any) -> None:
    """A selection ends by itself after sboTimeout."""
    client = bench.connect()
    client.write("V2G1EVSE1/DWGC1$CF$WSpt$sboTimeout", kit.Unsigned(300))
    try:
        client.write(f"{SBOES}$SBOw", bench.order([1000.0]))
        time.sleep(0.8)
        with pytest.raises(kit.Refused) as refused:
            client.write(f"{SBOES}$Oper", bench.order([1000.0]))
        assert refused.value.add_cause in (18, 0, None)
    finally:
        client.write("V2G1EVSE1/DWGC1$CF$WSpt$sboTimeout", kit.Unsigned(30000))


def test_sCtl10_value_out_of_range(bench: Any, kit: Any) -> None:
    """A value outside the limits is refused at the select."""
    client = bench.connect()
    with pytest.raises(kit.Refused) as refused:
        client.write(f"{SBOES}$SBOw", bench.order([50_000.0]))
    assert refused.value.add_cause == 26


def test_sCtl11_mode_blocks(bench: Any, kit: Any) -> None:
    """With Beh blocked the control is refused: blocked-by-mode."""
    client = bench.connect()
    client.write("V2G1EVSE1/LLN0$CO$Mod$Oper", bench.order(2))
    bench.until(lambda: client.read("V2G1EVSE1/DWGC1$ST$Beh$stVal") == 2)
    try:
        with pytest.raises(kit.Refused) as refused:
            client.write(f"{SBOES}$SBOw", bench.order([1000.0]))
        assert refused.value.add_cause == 8
    finally:
        client.write("V2G1EVSE1/LLN0$CO$Mod$Oper", bench.order(1))
        bench.until(lambda: client.read("V2G1EVSE1/DWGC1$ST$Beh$stVal") == 1)


def test_sCtl15_origin_and_number(bench: Any) -> None:
    """origin and ctlNum of the last order are shown, and the order carries orIdent."""
    client = bench.connect()
    client.write(f"{SBOES}$SBOw", bench.order([1000.0], ident=b"desk 4"))
    client.write(f"{SBOES}$Oper", bench.order([1000.0], ident=b"desk 4"))
    bench.until(lambda: client.terminations)
    category, ident = client.read("V2G1EVSE1/DWGC1$MX$WSpt$origin")
    assert (category, ident) == (2, b"desk 4")
    assert bench.live.control.requests[-1].origin.startswith("desk 4 (orCat 2)")


def test_sCtl16_test_order(bench: Any) -> None:
    """In test mode an order with Test is checked and answered; without Test it is refused."""
    client = bench.connect()
    client.write("V2G1EVSE1/LLN0$CO$Mod$Oper", bench.order(3))
    bench.until(lambda: client.read("V2G1EVSE1/DWGC1$ST$Beh$stVal") == 3)
    try:
        client.write(f"{DOES}$Oper", bench.order(1, test=True))
        bench.until(lambda: client.terminations)
        assert bench.live.control.requests[-1].test
        with pytest.raises(Exception, match="AddCause 8"):
            client.write(f"{DOES}$Oper", bench.order(1))
    finally:
        client.write("V2G1EVSE1/LLN0$CO$Mod$Oper", bench.order(1))
        bench.until(lambda: client.read("V2G1EVSE1/DWGC1$ST$Beh$stVal") == 1)


def test_sCtl17_simulation(bench: Any) -> None:
    """LPHD.Sim is operated, and its status is what the control says."""
    client = bench.connect()
    client.write("V2G1LD0/LPHD1$CO$Sim$Oper", bench.order(True))
    bench.until(lambda: bench.live.control.requests)
    request = bench.live.control.requests[-1]
    assert (request.kind, request.target, request.value) == ("simulation", "site", 1.0)
    assert client.read("V2G1LD0/LPHD1$ST$Sim$stVal") is False
    bench.live.show(simulation=True)
    assert client.read("V2G1LD0/LPHD1$ST$Sim$stVal") is True


def test_sCtl26_select_and_cancel_while_in_execution(bench: Any, kit: Any) -> None:
    """While an order is in execution SBOw and Cancel are refused."""
    slow(bench)
    client = bench.connect()
    client.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    client.write(f"{SBOES}$Oper", bench.order([1000.0]))
    bench.until(lambda: bench.live.control.requests)
    with pytest.raises(kit.Refused):
        client.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    if bench.client == "open61850":
        with pytest.raises(kit.Refused):
            client.write(f"{SBOES}$Cancel", bench.order([1000.0])[:5])
    bench.until(lambda: client.terminations)
    if bench.client == "open61850":  # the other client reports the cause of the refused SBOw
        assert client.terminations == [None]


def test_sCtl30_the_client_leaves_during_execution(bench: Any) -> None:
    """An order in execution goes on without its client; the object is free afterwards."""
    slow(bench)
    client = bench.connect()
    client.write(f"{SBOES}$SBOw", bench.order([1000.0]))
    client.write(f"{SBOES}$Oper", bench.order([1000.0]))
    bench.until(lambda: bench.live.control.requests)
    client.abort()
    time.sleep(HOLD_S + 0.3)
    bench.live.control.answer = bench.live.control.completes
    bench.live.control.delay_s = 0.02
    other = bench.connect()
    other.write(f"{SBOES}$SBOw", bench.order([500.0]))
    other.write(f"{SBOES}$Oper", bench.order([500.0]))
    bench.until(lambda: other.terminations)


def test_sCtlN1_mistyped_control_value(bench: Any, kit: Any) -> None:
    """A ctlVal of another type is refused and the association lives on."""
    if bench.client == "libiec61850":
        pytest.skip("the client checks the type itself")
    client = bench.connect()
    for wrong in (True, 5, [True], "text"):
        with pytest.raises(kit.Refused):
            client.write(f"{SBOES}$SBOw", bench.order(wrong))
    assert client.alive
    assert client.read(SG)
