"""Device files: the shipped ones with golden registers, and everything that can be wrong."""

import struct
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ConfigurationError, RefusedError
from agent.vehicles.field.described import DescribedDevice, plan
from agent.vehicles.field.description import (
    find_description,
    load_description,
    parse_description,
    shipped_folder,
)
from agent.vehicles.field.dialogue import DeviceRefusedError, Read, Write, carry_out
from agent.vehicles.field.limits import Limits

SHIPPED = sorted(shipped_folder().glob("*.toml"))
MINIMAL = {
    "name": "x",
    "source": "its manual",
    "value": [{"quantity": "p_w", "address": 10, "type": "int16", "unit": "W"}],
}


def findings(document):
    with pytest.raises(ConfigurationError) as caught:
        parse_description(document, "x.toml")
    return str(caught.value)


class Registers:
    """A device that has some registers and refuses others."""

    def __init__(self, values):
        self.values = dict(values)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        if isinstance(request, Write):
            for at, register in enumerate(request.registers):
                self.values[request.address + at] = register
            return ()
        addresses = range(request.address, request.address + request.count)
        if not all(address in self.values for address in addresses):
            raise DeviceRefusedError("illegal data address", 2)
        return [self.values[address] for address in addresses]


def words(fmt, value):
    data = struct.pack(fmt, value)
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_can_be_used_and_names_its_source(path):
    description = load_description(path)
    assert len(description.source) > 20
    assert {"p_w", "p_l1_w", "p_l2_w", "p_l3_w", "f_hz"} <= {v.quantity for v in description.value}


def test_there_are_two_meters_and_an_analyser():
    assert {path.stem for path in SHIPPED} == {
        "carlo-gavazzi-em340",
        "eastron-sdm630",
        "janitza-umg604",
    }


def test_sdm630_golden_registers():
    """Total system power −1.5 kW of import at 30053, frequency at 30071 (counted from 1)."""
    device = Registers(dict.fromkeys(range(0x60), 0))
    device.values |= dict(zip((52, 53), words(">f", -1500.0), strict=True))
    device.values |= dict(zip((70, 71), words(">f", 49.95), strict=True))
    readings = carry_out(
        DescribedDevice(find_description("eastron-sdm630", (shipped_folder(),))).poll((0, 1)),
        device,
    )
    assert readings.p_w == 1500.0
    assert readings.f_hz == pytest.approx(49.95, abs=1e-5)
    assert all(request.table == "input" and request.count <= 80 for request in device.requests)


def test_em340_golden_registers_have_the_least_significant_word_first():
    device = Registers(dict.fromkeys(range(0x60), 0))
    device.values |= {0x28: 0x86A0, 0x29: 0x0001, 0x33: 499, 0x00: 2301}  # 10 kW of import
    readings = carry_out(
        DescribedDevice(find_description("carlo-gavazzi-em340", (shipped_folder(),))).poll((0, 1)),
        device,
    )
    assert readings.p_w == -10_000.0
    assert readings.f_hz == pytest.approx(49.9)
    assert readings.v_phase_v[0] == pytest.approx(230.1)


def test_neighbours_are_read_together_and_distant_ones_are_not():
    description = find_description("janitza-umg604", (shipped_folder(),))
    (batch,) = plan(description, "fast")
    assert (batch.request.address, batch.request.count) == (19000, 52)
    assert [b.request.count for b in plan(description, "slow")] == [10, 2]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 600), min_size=1, max_size=20, unique=True),
    st.integers(1, 125),
    st.integers(0, 20),
)
def test_a_plan_reads_every_value_once_within_the_limits(addresses, most, gap):
    names = [f"{k}_l{n}_{u}" for k, u in (("p", "w"), ("v", "v"), ("i", "a")) for n in (1, 2, 3)]
    names += ["f_hz", "p_w", "q_var", "energy_export_wh", "energy_import_wh", "soc_pct"]
    units = {"w": "W", "v": "V", "a": "A", "hz": "Hz", "var": "var", "wh": "Wh", "pct": "%"}
    items = [
        {
            "quantity": name,
            "address": 2 * at,
            "type": "int16",
            "unit": units[name.rsplit("_", 1)[1]],
        }
        for name, at in zip(names, addresses, strict=False)
    ]
    document = {"name": "x", "source": "y", "value": items, "max_registers": most, "max_gap": gap}
    batches = plan(parse_description(document, "x"), "fast")
    assert sorted(i.quantity for b in batches for i in b.items) == sorted(
        i["quantity"] for i in items
    )
    assert all(b.request.count <= most for b in batches)
    for batch in batches:
        end = batch.request.address + batch.request.count
        assert all(batch.request.address <= item.address < end for item in batch.items)


def test_a_refused_block_costs_only_its_own_values():
    document = MINIMAL | {
        "value": [
            *MINIMAL["value"],
            {"quantity": "f_hz", "address": 500, "type": "int16", "unit": "Hz", "scale": 0.01},
        ]
    }
    device = DescribedDevice(parse_description(document, "x"))
    readings = carry_out(device.poll(), Registers({10: 7}))
    assert (readings.p_w, readings.f_hz) == (7.0, None)


def test_inputs_normally_closed_and_in_a_register():
    document = MINIMAL | {
        "input": [
            {"quantity": "ground_fault", "address": 3, "active": 0},
            {"quantity": "dc_injection", "address": 20, "table": "holding", "bit": 5},
        ]
    }
    device = DescribedDevice(parse_description(document, "x"))
    readings = carry_out(device.poll(), Registers({10: 7, 3: 0, 20: 1 << 5}))
    assert readings.ground_fault and readings.dc_injection
    assert readings.faults == ("ground fault", "DC injection")


BAD = [
    ({"name": "x", "value": MINIMAL["value"]}, "source: is missing"),
    (MINIMAL | {"colour": 1}, "unknown key"),
    (MINIMAL | {"value": []}, "nothing is read"),
    (MINIMAL | {"value": [{**MINIMAL["value"][0], "quantity": "power"}]}, "'power' is not known"),
    (MINIMAL | {"value": [{**MINIMAL["value"][0], "unit": "kW"}]}, "is 'kW' (scale it to W)"),
    (MINIMAL | {"value": [{**MINIMAL["value"][0], "scale": 0.0}]}, "must not be 0"),
    (MINIMAL | {"value": [{**MINIMAL["value"][0], "address": 70000}]}, "address"),
    (MINIMAL | {"value": [{**MINIMAL["value"][0], "type": "int24"}]}, "'int24' is not allowed"),
    (MINIMAL | {"value": [{**MINIMAL["value"][0], "group": "often"}]}, "there is no group 'often'"),
    (MINIMAL | {"value": MINIMAL["value"] * 2}, "p_w is given twice"),
    (
        MINIMAL
        | {
            "value": [
                {**MINIMAL["value"][0], "type": "int32"},
                {"quantity": "f_hz", "address": 11, "type": "int16", "unit": "Hz"},
            ]
        },
        "p_w and f_hz overlap",
    ),
    (
        MINIMAL
        | {"command": [{"quantity": "p_set_w", "address": 1, "type": "int16", "unit": "W"}]},
        "reversion_s",
    ),
    (MINIMAL | {"input": [{"quantity": "ground_fault", "address": 1, "bit": 3}]}, "has one bit"),
]


@pytest.mark.parametrize(("document", "text"), BAD, ids=[text for _, text in BAD])
def test_what_is_wrong_with_a_file_is_said_with_its_key(document, text):
    assert text in findings(document)
    assert findings(document).startswith("x.toml")


def test_all_findings_of_a_file_come_at_once():
    document = {
        "name": "",
        "words": "middle",
        "value": [{"quantity": "p_w", "address": -1, "type": "int16", "unit": "W"}],
    }
    text = findings(document)
    assert all(key in text for key in ("x.toml.name", "x.toml.source", "x.toml.words", "address"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[[", b""])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x\.toml"):
        load_description(path)


def test_an_unknown_type_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="sunspec, carlo-gavazzi-em340, eastron-sdm630"):
        find_description("no-such", (shipped_folder(),))


INVERTER = MINIMAL | {
    "reversion_s": 4.0,
    "command": [
        {
            "quantity": "p_set_w",
            "address": 100,
            "type": "int16",
            "unit": "W",
            "scale": 10.0,
            "low": -5000.0,
            "high": 5000.0,
        },
        {"quantity": "heartbeat", "address": 110, "type": "uint16"},
    ],
}


def test_a_described_inverter_is_ordered_read_back_and_kept_alive():
    device = DescribedDevice(parse_description(INVERTER, "x"), Limits(5000.0, 5000.0))
    registers = Registers({10: 0, 100: 0, 110: 0})
    carry_out(device.order(-3000.0), registers)
    assert registers.values[100] == 0x10000 - 300
    carry_out(device.keep_alive(-3000.0), registers)
    carry_out(device.keep_alive(-3000.0), registers)
    assert registers.values[110] == 2
    carry_out(device.stop(), registers)
    assert registers.values[100] == 0
    with pytest.raises(RefusedError):
        carry_out(device.order(5200.0), registers)


def test_a_described_inverter_that_keeps_another_value_refuses():
    device = DescribedDevice(parse_description(INVERTER, "x"), Limits(5000.0, 5000.0))

    def forgetful(request):
        return (7,) if isinstance(request, Read) else ()

    with pytest.raises(DeviceRefusedError, match="was not kept"):
        carry_out(device.order(1000.0), forgetful)


def test_the_recipe_in_the_documentation_is_a_file_that_can_be_used(request):
    page = (request.config.rootpath / "docs" / "field-devices.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```toml\n")[1:]]
    files = [block for block in blocks if "[[value]]" in block]
    assert files
    for block in files:
        parse_description(tomllib.loads(block), "recipe")
