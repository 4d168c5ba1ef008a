"""Rp and Br: unbuffered and buffered reporting (IEC 61850-10 Ed. 2)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agent.messages import Validity

URCB = "V2G1LD0/LLN0$RP$urcbMeasurements0{}"
BRCB = "V2G1LD0/LLN0$BR$brcbMeasurements0{}"
HZ, TOT_W = 2, 0
"""Positions in the data set Measurements."""
ALL_FIELDS = "0111111110"
DCHG, QCHG, INTEGRITY, GI, GI_AND_DCHG = "010000", "001000", "000010", "000001", "010001"


def urcb(number: int) -> str:
    return URCB.format(number)


def brcb(number: int) -> str:
    return BRCB.format(number)


def set_up(client: Any, kit: Any, block: str, *, triggers: str = DCHG, **attributes: Any) -> str:
    """Configure a disabled block; returns its RptID."""
    rpt_id = str(client.read(f"{block}$RptID"))
    client.write(f"{block}$OptFlds", kit.Bits(ALL_FIELDS))
    client.write(f"{block}$TrgOps", kit.Bits(triggers))
    client.write(f"{block}$BufTm", kit.Unsigned(attributes.get("BufTm", 0)))
    client.write(f"{block}$IntgPd", kit.Unsigned(attributes.get("IntgPd", 0)))
    return rpt_id


def test_sRp1_block_directory(bench: Any) -> None:
    """GetURCBValues returns the block as the SCL configures it."""
    client = bench.connect()
    assert client.read(f"{urcb(1)}$RptEna") is False
    assert client.read(f"{urcb(1)}$DatSet") == "V2G1LD0/LLN0$Measurements"
    assert client.read(f"{urcb(1)}$ConfRev") == 1


def test_sRp2_data_change(bench: Any, kit: Any) -> None:
    """Enabled with dchg, a change is reported with its value."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(1))
    client.enable(urcb(1), rpt_id)
    bench.live.show(f_hz=49.9)
    bench.until(lambda: client.reports)
    report = client.reports[0]
    assert report.rpt_id == rpt_id
    assert report.values[HZ][0] == [pytest.approx(49.9)]
    assert HZ in report.reasons


def test_sRp3_sequence_numbers(bench: Any, kit: Any) -> None:
    """SqNum starts at 0 with every enabling and rises by one."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(1))
    for _ in range(2):
        client.reports.clear()
        client.enable(urcb(1), rpt_id)
        for n in range(3):
            bench.live.show(f_hz=49.0 + 0.1 * n)
        bench.until(lambda: len(client.reports) >= 3)
        assert [report.sq_num for report in client.reports[:3]] == [0, 1, 2]
        client.write(f"{urcb(1)}$RptEna", False)
        bench.live.show(f_hz=50.0)


def test_sRp4_integrity(bench: Any, kit: Any) -> None:
    """With IntgPd every member is reported in every period."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(2), triggers=INTEGRITY, IntgPd=50)
    client.enable(urcb(2), rpt_id)
    bench.until(lambda: len(client.reports) >= 5)
    assert all(len(report.values) == 20 for report in client.reports)


def test_sRp5_general_interrogation(bench: Any, kit: Any) -> None:
    """GI reports every member once."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(3), triggers=GI)
    client.enable(urcb(3), rpt_id)
    client.write(f"{urcb(3)}$GI", True)
    bench.until(lambda: client.reports)
    assert len(client.reports[0].values) == 20
    time.sleep(0.1)
    assert len(client.reports) == 1


def test_sRp6_quality_change(bench: Any, kit: Any) -> None:
    """With qchg alone a change of quality is reported and a change of value is not."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(1), triggers=QCHG)
    client.enable(urcb(1), rpt_id)
    bench.live.show(f_hz=49.2)
    bench.live.show(quality=Validity.HELD)
    bench.until(lambda: client.reports)
    report = client.reports[0]
    assert report.values[HZ][1][:2] == "11", "questionable"
    assert TOT_W not in report.values


def test_sRp7_two_clients(bench: Any, kit: Any) -> None:
    """Two clients follow two blocks of one data set, each with its own sequence numbers."""
    clients = [bench.connect(), bench.connect()]
    for number, client in enumerate(clients, start=1):
        client.enable(urcb(number), set_up(client, kit, urcb(number)))
    for n in range(3):
        bench.live.show(f_hz=49.3 + 0.1 * n)
    for client in clients:
        bench.until(lambda c=client: len(c.reports) >= 3)
        assert [report.sq_num for report in client.reports[:3]] == [0, 1, 2]


def test_sRp8_buffer_time(bench: Any, kit: Any) -> None:
    """Changes of different members within BufTm make one report."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(4), BufTm=300)
    client.enable(urcb(4), rpt_id)
    bench.live.show(f_hz=49.6)
    bench.live.show(p_w=-9000.0)
    bench.until(lambda: client.reports)
    found = client.reports[0].values
    assert HZ in found
    assert len(client.reports) == 1


def test_sRpN1_configuration_while_enabled(bench: Any, kit: Any) -> None:
    """An enabled block refuses to be configured."""
    client = bench.connect()
    rpt_id = set_up(client, kit, urcb(1))
    client.enable(urcb(1), rpt_id)
    for attribute, value in (("IntgPd", kit.Unsigned(1000)), ("TrgOps", kit.Bits(GI))):
        with pytest.raises(kit.Refused) as refused:
            client.write(f"{urcb(1)}${attribute}", value)
        assert refused.value.code == 2


def test_sRpN3_unknown_data_set(bench: Any, kit: Any) -> None:
    """DatSet of a data set that does not exist is refused."""
    client = bench.connect()
    with pytest.raises(kit.Refused):
        client.write(f"{urcb(5)}$DatSet", "V2G1LD0/LLN0$None")


def test_sRpN4_block_of_another_client(bench: Any, kit: Any) -> None:
    """A block that one client has enabled is closed to the others until it is released."""
    first, second = bench.connect(), bench.connect()
    rpt_id = set_up(first, kit, urcb(1))
    first.enable(urcb(1), rpt_id)
    with pytest.raises(kit.Refused) as refused:
        second.write(f"{urcb(1)}$RptEna", True)
    assert refused.value.code in (2, 3)
    first.close()
    bench.until(lambda: second.read(f"{urcb(1)}$Resv") is False)
    second.enable(urcb(1), rpt_id)
    assert second.read(f"{urcb(1)}$RptEna") is True


def free(client: Any, kit: Any, block: str) -> None:
    """Release a buffered block for the next case."""
    client.write(f"{block}$RptEna", False)
    client.write(f"{block}$ResvTms", 0)


def test_sBr1_block_directory(bench: Any) -> None:
    """GetBRCBValues returns the block as the SCL configures it."""
    client = bench.connect()
    assert client.read(f"{brcb(1)}$RptEna") is False
    assert client.read(f"{brcb(1)}$DatSet") == "V2G1LD0/LLN0$Measurements"
    assert len(client.read(f"{brcb(1)}$EntryID")) == 8


def test_sBr2_changes_while_nobody_listens(bench: Any, kit: Any) -> None:
    """Changes during a disconnection are reported, once and in order, after resynchronisation."""
    client = bench.connect()
    rpt_id = set_up(client, kit, brcb(1))
    client.write(f"{brcb(1)}$PurgeBuf", True)
    client.enable(brcb(1), rpt_id)
    bench.live.show(f_hz=49.01)
    bench.until(lambda: client.reports)
    last = client.reports[-1].entry_id
    client.close()
    for n in range(2, 8):
        bench.live.show(f_hz=49.0 + n / 100)
    again = bench.connect()
    again.write(f"{brcb(1)}$EntryID", last)
    again.enable(brcb(1), rpt_id)
    bench.until(lambda: len(again.reports) >= 6)
    time.sleep(0.1)
    seen = [round(report.values[HZ][0][0], 2) for report in again.reports if HZ in report.values]
    assert seen == [49.02, 49.03, 49.04, 49.05, 49.06, 49.07]
    free(again, kit, brcb(1))


def test_sBr3_unknown_entry_id(bench: Any, kit: Any) -> None:
    """An EntryID that the buffer does not hold is refused."""
    client = bench.connect()
    set_up(client, kit, brcb(2))
    with pytest.raises(kit.Refused) as refused:
        client.write(f"{brcb(2)}$EntryID", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")
    assert refused.value.code == 11


def test_sBr4_purge(bench: Any, kit: Any) -> None:
    """PurgeBuf discards what was buffered."""
    client = bench.connect()
    rpt_id = set_up(client, kit, brcb(2))
    client.enable(brcb(2), rpt_id)
    client.write(f"{brcb(2)}$RptEna", False)
    client.reports.clear()
    for n in range(3):
        bench.live.show(f_hz=48.0 + n / 100)
    client.write(f"{brcb(2)}$PurgeBuf", True)
    client.write(f"{brcb(2)}$EntryID", bytes(8))
    client.enable(brcb(2), rpt_id)
    time.sleep(0.2)
    assert client.reports == []
    free(client, kit, brcb(2))


def test_sBr5_the_whole_buffer(bench: Any, kit: Any) -> None:
    """EntryID zero sends the whole buffer from its oldest entry."""
    client = bench.connect()
    rpt_id = set_up(client, kit, brcb(3))
    client.write(f"{brcb(3)}$PurgeBuf", True)
    client.enable(brcb(3), rpt_id)
    for n in range(4):
        bench.live.show(f_hz=48.5 + n / 100)
    bench.until(lambda: len(client.reports) >= 4)
    client.write(f"{brcb(3)}$RptEna", False)
    client.reports.clear()
    client.write(f"{brcb(3)}$EntryID", bytes(8))
    client.enable(brcb(3), rpt_id)
    bench.until(lambda: len(client.reports) >= 4)
    entries = [report.entry_id for report in client.reports]
    assert entries == sorted(entries)
    assert len(set(entries)) == len(entries)
    free(client, kit, brcb(3))


def test_sBr6_general_interrogation(bench: Any, kit: Any) -> None:
    """GI of a buffered block reports every member, after what the buffer holds."""
    client = bench.connect()
    rpt_id = set_up(client, kit, brcb(3), triggers=GI_AND_DCHG)
    client.write(f"{brcb(3)}$PurgeBuf", True)
    bench.live.show(f_hz=48.8)
    client.enable(brcb(3), rpt_id)
    client.write(f"{brcb(3)}$GI", True)
    bench.until(lambda: any(len(report.values) == 20 for report in client.reports))
    assert len(client.reports[0].values) < 20
    free(client, kit, brcb(3))


def test_sBr7_integrity(bench: Any, kit: Any) -> None:
    """A buffered block with IntgPd reports every member in every period."""
    client = bench.connect()
    rpt_id = set_up(client, kit, brcb(3), triggers=INTEGRITY, IntgPd=50)
    client.write(f"{brcb(3)}$PurgeBuf", True)
    client.enable(brcb(3), rpt_id)
    bench.until(lambda: len(client.reports) >= 3)
    assert all(len(report.values) == 20 for report in client.reports)
    free(client, kit, brcb(3))


def test_sBr8_overflow(bench: Any, kit: Any) -> None:
    """The first report after the buffer has dropped an entry says BufOvfl."""
    client = bench.connect()
    rpt_id = set_up(client, kit, brcb(4))
    client.write(f"{brcb(4)}$PurgeBuf", True)
    client.enable(brcb(4), rpt_id)
    client.write(f"{brcb(4)}$RptEna", False)
    engine = bench.live.service._engine
    from agent.iec61850 import ObjectReference

    hz = ObjectReference.parse("V2G1LD0/MMXU1.Hz.mag.f[MX]")
    for n in range(2_000):
        engine.update([(hz, 40.0 + (n % 1000) / 100)])
    client.reports.clear()
    client.write(f"{brcb(4)}$EntryID", bytes(8))
    client.enable(brcb(4), rpt_id)
    bench.until(lambda: client.reports)
    assert client.reports[0].buf_ovfl is True
    bench.until(lambda: client.reports[-1].buf_ovfl is False)
    free(client, kit, brcb(4))


def test_sBrN4_block_of_another_client(bench: Any, kit: Any) -> None:
    """A reserved buffered block is closed to other clients."""
    first, second = bench.connect(), bench.connect()
    rpt_id = set_up(first, kit, brcb(5))
    first.enable(brcb(5), rpt_id)
    with pytest.raises(kit.Refused):
        second.write(f"{brcb(5)}$RptEna", True)
    with pytest.raises(kit.Refused):
        second.write(f"{brcb(5)}$IntgPd", kit.Unsigned(10))
    free(first, kit, brcb(5))
