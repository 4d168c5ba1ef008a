"""`v2g-ctl device check` against Modbus servers: TCP, Modbus/TCP Security, RTU on terminals.

A device serves the registers of one file and is checked by another: what differs is said with
line, key and register.
"""

import asyncio
import contextlib
import json
import re

import pytest
from pymodbus.server import ModbusSerialServer

from agent.cli.ctl import build_parser
from agent.cli.device import EXIT_NO_ANSWER, EXIT_REMARKS
from agent.errors import ConfigurationError
from agent.vehicles.field.description import find_description, load_description, shipped_folder
from agent.vehicles.simulated.analyser import SimulatedAnalyser
from tests.field.pki import Pki
from tests.field.site import Inverter, served
from tests.field.test_wires import SlowAnalyser, pair, secure

SDM630 = find_description("eastron-sdm630", (shipped_folder(),))
VALUES = {"p_w": 3000.0, "q_var": 100.0, "f_hz": 50.02}
VALUES |= {f"p_l{n}_w": 1000.0 for n in (1, 2, 3)}
VALUES |= {f"v_l{n}_v": 230.0 for n in (1, 2, 3)} | {f"i_l{n}_a": 4.5 for n in (1, 2, 3)}
FILE = """\
name = "Test meter"
source = "made for this test"
table = "input"

[[value]]
quantity = "f_hz"
address = 0
type = "float32"
unit = "Hz"

[[value]]
quantity = "p_w"
address = 2
type = "float32"
unit = "W"

[[value]]
quantity = "thd_v_pct"
address = 8
type = "float32"
unit = "%"
"""


def check(*arguments):
    """Run the command in this thread; return its exit code."""
    parsed = build_parser().parse_args(["device", "check", *map(str, arguments)])
    return parsed.run(parsed)


async def answer_of(capsys, *arguments):
    """Run the command in another thread, so that this one can serve."""
    code = await asyncio.to_thread(check, *arguments, "--json")
    return code, json.loads(capsys.readouterr().out)


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


@contextlib.asynccontextmanager
async def meter(folder, text=FILE, values=None):
    """Serve the registers of a device file; yield the port."""
    description = load_description(written(folder, "device.toml", text))
    values = values or {"f_hz": 50.01, "p_w": 1500.0, "thd_v_pct": 2.5}
    async with served(SimulatedAnalyser(description, lambda: values).device()) as port:
        yield port


def test_a_sound_file_and_a_device_that_is_as_it_says(tmp_path, capsys):
    async def scenario():
        device = SimulatedAnalyser(SDM630, lambda: VALUES).device()
        async with served(device) as port:
            return await answer_of(capsys, "eastron-sdm630", "--host", "127.0.0.1", "--port", port)

    code, answer = asyncio.run(scenario())
    assert code == 0
    assert answer["remarks"] == []
    assert answer["readings"]["p_w"] == 3000.0
    assert answer["readings"]["f_hz"] == pytest.approx(50.02, abs=1e-4)


def test_a_sunspec_device_over_modbus_tcp_security(tmp_path, capsys):
    async def scenario():
        pki = Pki(tmp_path / "pki")
        files = ("--certificate", pki.client[0], "--key", pki.client[1], "--ca", pki.ca)
        async with secure(Inverter().device(), pki) as port:
            where = ("sunspec", "--host", "127.0.0.1", "--port", port)
            return await answer_of(capsys, *where, "--tls", *files), await answer_of(capsys, *where)

    (code, answer), (plain, refused) = asyncio.run(scenario())
    assert code == 0, answer
    assert (answer["vendor"], answer["remarks"]) == ("V2G", [])
    assert {701, 702, 704, 711, 715} <= set(answer["models"])
    assert plain == EXIT_NO_ANSWER
    assert "127.0.0.1" in refused["error"]


def test_a_serial_line(tmp_path, capsys):
    async def scenario():
        ours, theirs = pair()
        meter = SimulatedAnalyser(SDM630, lambda: VALUES)
        slow = SlowAnalyser(SDM630, lambda: VALUES)
        devices = [meter.device(5), slow.device(6)]
        server = ModbusSerialServer(devices, port=theirs.name, baudrate=38_400)
        await server.serve_forever(background=True)
        line = ("--serial", ours.name, "--baud", 38_400, "--parity", "N")
        try:
            present = await answer_of(capsys, "eastron-sdm630", *line, "--unit", 5)
            absent = await answer_of(capsys, "eastron-sdm630", *line, "--unit", 6, "--timeout", 0.2)
            return present, absent
        finally:
            await server.shutdown()
            ours.close()
            theirs.close()

    (code, answer), (none, silent) = asyncio.run(scenario())
    assert (code, answer["remarks"], answer["readings"]["p_w"]) == (0, [], 3000.0)
    assert none == EXIT_NO_ANSWER
    assert "unit 6" in silent["error"]


def remarks(tmp_path, capsys, changed, *, served_text=FILE, values=None):
    """Check a device by a changed file; return the remarks."""

    async def scenario():
        claimed = written(tmp_path, "claimed.toml", changed)
        async with meter(tmp_path, served_text, values) as port:
            return await answer_of(capsys, claimed, "--host", "127.0.0.1", "--port", port)

    code, answer = asyncio.run(scenario())
    assert code == (EXIT_REMARKS if answer["remarks"] else 0), answer
    return answer["remarks"]


def test_a_register_that_the_device_does_not_have(tmp_path, capsys):
    (found,) = remarks(tmp_path, capsys, FILE.replace("address = 8", "address = 300"))
    assert (found["line"], found["key"], found["quantity"]) == (17, "value[2]", "thd_v_pct")
    assert (found["table"], found["register"]) == ("input", 300)
    assert found["what"] == "refused with code 2 (illegal data address)"


def test_a_register_in_the_other_table(tmp_path, capsys):
    claimed = FILE.replace("address = 8", "address = 90")
    held = claimed.replace('unit = "%"', 'unit = "%"\ntable = "holding"')
    (found,) = remarks(tmp_path, capsys, claimed, served_text=held)
    assert (found["register"], found["hint"]) == (90, 'table = "holding" is answered')


def test_words_in_the_other_order(tmp_path, capsys):
    turned = 'words = "little"\n' + FILE
    found = remarks(tmp_path, capsys, FILE, served_text=turned)
    assert [each["quantity"] for each in found] == ["f_hz", "p_w", "thd_v_pct"]
    assert found[0]["hint"] == 'with words = "little" it is 50.01 Hz'
    assert (found[0]["line"], found[0]["register"]) == (5, 0)


def test_values_that_are_answered_one_by_one_only(tmp_path, capsys):
    """The device has nothing between 4 and 8, and refuses a request that reads across it."""
    strict = "max_gap = 0\n" + FILE
    (found,) = remarks(tmp_path, capsys, FILE, served_text=strict)
    assert "registers 0 to 9 are refused in one request" in found["what"]
    assert "max_gap" in found["hint"]
    assert remarks(tmp_path, capsys, strict, served_text=strict) == []


def test_a_value_that_is_none(tmp_path, capsys):
    absent = FILE.replace('type = "float32"\nunit = "W"', 'type = "uint32"\nunit = "W"')
    claimed = absent.replace('unit = "W"', 'unit = "W"\nabsent = 0xFFFFFFFF')
    values = {"f_hz": 50.0, "p_w": 0xFFFFFFFF, "thd_v_pct": 1.0}
    (found,) = remarks(tmp_path, capsys, claimed, served_text=absent, values=values)
    assert found["what"] == "has no value (registers FFFF FFFF)"


PHASES = "".join(
    f'\n[[value]]\nquantity = "{kind}_l{n}_{unit.lower()}"\naddress = {20 + 6 * at + 2 * n}\n'
    f'type = "float32"\nunit = "{unit}"\n'
    for at, (kind, unit) in enumerate((("p", "W"), ("v", "V"), ("i", "A")))
    for n in (1, 2, 3)
)


def test_powers_that_contradict_each_other(tmp_path, capsys):
    whole = FILE + PHASES
    values = VALUES | {"thd_v_pct": 2.0}
    assert remarks(tmp_path, capsys, whole, served_text=whole, values=values) == []
    found = remarks(
        tmp_path, capsys, whole.replace('unit = "W"\n', 'unit = "W"\nscale = 1000.0\n', 1),
        served_text=whole, values=values,
    )  # fmt: skip
    assert [each["key"] for each in found] == ["value[1]"]
    assert found[0]["what"] == "reads 3e+06 W where L1 to L3 make 3000 W"
    found = remarks(tmp_path, capsys, whole, served_text=whole,
                    values=values | {"p_l2_w": 9000.0, "p_w": 11_000.0})  # fmt: skip
    assert [(each["quantity"], each["register"]) for each in found] == [("p_l2_w", 24)]
    assert "which make 1035 VA" in found[0]["what"]


def test_an_order_that_cannot_be_read_back(tmp_path, capsys):
    command = '\n[[command]]\nquantity = "p_set_w"\naddress = 400\ntype = "int16"\nunit = "W"\n'
    claimed = "reversion_s = 5.0\n" + FILE + command
    (found,) = remarks(tmp_path, capsys, claimed)
    assert (found["key"], found["register"], found["table"]) == ("command[0]", 400, "holding")
    assert "cannot be read back" in found["what"]


def test_a_device_that_is_none_of_sunspec(tmp_path, capsys):
    async def scenario():
        async with meter(tmp_path) as port:
            return await answer_of(capsys, "sunspec", "--host", "127.0.0.1", "--port", port)

    code, answer = asyncio.run(scenario())
    assert code == EXIT_REMARKS
    assert "no SunSpec marker at registers 40000, 0, 50000" in answer["error"]


def test_a_sunspec_device_that_lacks_what_an_inverter_needs(tmp_path, capsys):
    async def scenario():
        inverter = Inverter()
        registers, model = inverter.map.registers, inverter.map.models[704]
        for name in ("WSet_SF", "WSetRvrtTms"):
            at = model.address + model.points[name].offset - inverter.map.base
            registers[at] = 0x8000
        model = inverter.map.models[702]
        registers[model.address - inverter.map.base] = 64_999  # another number: 702 is not there
        async with served(inverter.device()) as port:
            return await answer_of(capsys, "sunspec", "--host", "127.0.0.1", "--port", port)

    code, answer = asyncio.run(scenario())
    assert code == EXIT_REMARKS
    said = {(each["key"], each["quantity"]): each["what"] for each in answer["remarks"]}
    assert said["model 702", ""] == "is missing"
    assert "WSet_SF is not between -10 and 10" in said["model 704", "WSet"]
    assert answer["unknown_models"] == [64_999]


def test_the_page_for_people_names_line_key_and_register(tmp_path, capsys):
    async def scenario():
        claimed = written(tmp_path, "claimed.toml", FILE.replace("address = 8", "address = 300"))
        async with meter(tmp_path) as port:
            return await asyncio.to_thread(check, claimed, "--host", "127.0.0.1", "--port", port)

    assert asyncio.run(scenario()) == EXIT_REMARKS
    said = capsys.readouterr().out
    expected = r"claimed\.toml:17: value\[2\] thd_v_pct, input 300: refused with code 2"
    assert re.search(expected, said), said
    assert "1 remark;" in said


def test_a_bad_file_is_told_with_line_key_and_register(tmp_path):
    text = FILE.replace('unit = "W"', 'unit = "kW"').replace("address = 8", "address = 3")
    text = text.replace('name = "Test meter"', 'nam = "Test meter"')
    path = written(tmp_path, "bad.toml", text)
    with pytest.raises(ConfigurationError) as caught:
        check(path)
    said = str(caught.value).splitlines()
    assert f"{path}:1: nam: unknown key (did you mean name?)" in said
    assert f"{path}:15: value[1].unit (register 2): is 'kW' (scale it to W)" in said
    assert f"{path}: name: is missing" in said
    assert caught.value.exit_code == 78


def test_registers_that_overlap_are_told_with_the_line_of_the_second(tmp_path):
    path = written(tmp_path, "bad.toml", FILE.replace("address = 8", "address = 3"))
    with pytest.raises(ConfigurationError) as caught:
        check(path)
    assert str(caught.value) == (
        f"{path}:17: value[2] (register 3): p_w and thd_v_pct overlap "
        "(p_w fills the registers 2 to 3)"
    )


def test_a_file_that_is_no_toml_is_told_with_its_line(tmp_path):
    path = written(tmp_path, "bad.toml", FILE + "\naddress 7\n")
    with pytest.raises(ConfigurationError, match=r"bad\.toml:23: cannot be read"):
        check(path)


def test_arguments_that_contradict_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="either host or serial"):
        check("sunspec", "--host", "127.0.0.1", "--serial", "/dev/ttyUSB0")
    with pytest.raises(ConfigurationError, match="tls needs it"):
        check("sunspec", "--host", "127.0.0.1", "--tls")
