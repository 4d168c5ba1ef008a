"""What the IED's tests share: SCL variants, a fake control, an IED in this process, clients."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from open61850.mms import MmsClient

from agent.config import Settings
from agent.config.settings import Gateway, Ied, Scl
from agent.ied.engines import create
from agent.ied.front import Front, Limits
from agent.ied.model import bind_model, load_model
from agent.ied.port import EngineOptions, Identity
from agent.ied.service import IedService
from agent.mapping import BoundModel
from agent.messages import (
    ControlRequest,
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    Message,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Snapshot,
    Validity,
)
from agent.scl.live import IedModel

ROOT = Path(__file__).parents[2]
STATION = ROOT / "scl" / "sample-station.scd"
NS = "{http://www.iec.ch/61850/2003/SCL}"
ENGINES = ("open61850", "libiec61850")


@pytest.fixture(scope="session")
def station_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample station with what only tests need: setting groups, a GOOSE, deadbands."""
    tree = etree.parse(STATION)
    _add_setting_groups(tree)
    _add_goose(tree)
    _add_deadband(tree)
    _add_group(tree)
    path = tmp_path_factory.mktemp("scl") / "station.scd"
    tree.write(path, encoding="utf-8", xml_declaration=True)
    return path


def _device(tree: Any, inst: str) -> Any:
    return tree.find(f"{NS}IED[@name='V2G1']//{NS}LDevice[@inst='{inst}']")


def _clone(tree: Any, tag: str, old: str, new: str) -> Any:
    element = tree.find(f".//{NS}{tag}[@id='{old}']")
    clone = copy.deepcopy(element)
    clone.set("id", new)
    element.addnext(clone)
    return clone


def _add_setting_groups(tree: Any) -> None:
    """DHFW1 of EVSE1 gets HzStr and WGra in two setting groups."""
    setting = _clone(tree, "DOType", "ASG_Hz", "ASG_Hz_SE")
    setting.find(f"{NS}DA[@name='setMag']").set("fc", "SE")
    node_type = _clone(tree, "LNodeType", "DHFW_EVSE", "DHFW_EVSE_SG")
    node_type.find(f"{NS}DO[@name='HzStr']").set("type", "ASG_Hz_SE")
    device = _device(tree, "EVSE1")
    node = device.find(f"{NS}LN[@lnClass='DHFW']")
    node.set("lnType", "DHFW_EVSE_SG")
    for doi in node.findall(f"{NS}DOI[@name='HzStr']"):
        node.remove(doi)
    doi = etree.SubElement(node, f"{NS}DOI", name="HzStr")
    sdi = etree.SubElement(doi, f"{NS}SDI", name="setMag")
    dai = etree.SubElement(sdi, f"{NS}DAI", name="f")
    for group, text in ((1, "50.02"), (2, "50.2")):
        etree.SubElement(dai, f"{NS}Val", sGroup=str(group)).text = text
    ln0 = device.find(f"{NS}LN0")
    etree.SubElement(ln0, f"{NS}SettingControl", numOfSGs="2", actSG="1")


def _add_goose(tree: Any) -> None:
    """A GOOSE of LD0's Status with its address, in place of the shipped one."""
    for shipped in tree.findall(f".//{NS}IED[@name='V2G1']//{NS}GSEControl"):
        shipped.getparent().remove(shipped)
    for address in tree.findall(f".//{NS}ConnectedAP[@iedName='V2G1']/{NS}GSE"):
        address.getparent().remove(address)
    ln0 = _device(tree, "LD0").find(f"{NS}LN0")
    last = ln0.findall(f"{NS}ReportControl")[-1]
    goose = etree.Element(
        f"{NS}GSEControl", name="gcbStatus", datSet="Status", confRev="7", appID="V2G1/gcbStatus"
    )
    doi = ln0.find(f"{NS}DOI")
    (doi.addprevious if doi is not None else ln0.append)(goose)
    assert last is not None
    connected = tree.find(f".//{NS}ConnectedAP[@iedName='V2G1']")
    gse = etree.SubElement(connected, f"{NS}GSE", ldInst="LD0", cbName="gcbStatus")
    address = etree.SubElement(gse, f"{NS}Address")
    for kind, text in (
        ("MAC-Address", "01-0C-CD-01-00-2A"),
        ("APPID", "002A"),
        ("VLAN-ID", "00B"),
        ("VLAN-PRIORITY", "4"),
    ):
        etree.SubElement(address, f"{NS}P", type=kind).text = text
    etree.SubElement(gse, f"{NS}MinTime", unit="s", multiplier="m").text = "4"
    etree.SubElement(gse, f"{NS}MaxTime", unit="s", multiplier="m").text = "200"


def _add_deadband(tree: Any) -> None:
    """TotW gets db and zeroDb."""
    kind = tree.find(f".//{NS}DOType[@id='MV_W']")
    for name in ("db", "zeroDb"):
        etree.SubElement(kind, f"{NS}DA", name=name, fc="CF", bType="INT32U", valKind="Set")


def _add_group(tree: Any) -> None:
    """GRP1 is the logical device of a group: what EVSE4 is, under another name."""
    device = copy.deepcopy(_device(tree, "EVSE4"))
    device.set("inst", "GRP1")
    for fcda in device.iter(f"{NS}FCDA"):
        fcda.set("ldInst", "GRP1")
    _device(tree, "EVSE4").addnext(device)


class FakeControl:
    """Stands for the control process: remembers requests, answers as told."""

    def __init__(self) -> None:
        self.connected = True
        self.requests: list[ControlRequest] = []
        self.events: list[Message] = []
        self.answer: Callable[[ControlRequest], list[RequestOutcome]] = self.completes
        self.delay_s = 0.02
        self.deliver: Callable[[Message], None] = lambda message: None

    def send(self, message: Message) -> bool:
        """What the IED sends."""
        if not self.connected:
            return False
        if isinstance(message, ControlRequest):
            self.requests.append(message)
            for number, outcome in enumerate(self.answer(message)):
                timer = threading.Timer(self.delay_s * (number + 1), self.deliver, (outcome,))
                timer.daemon = True
                timer.start()
        else:
            self.events.append(message)
        return True

    @staticmethod
    def completes(request: ControlRequest) -> list[RequestOutcome]:
        """Accepted, then followed."""
        accepted = RequestOutcome(request.request_id, RequestStatus.ACCEPTED)
        done = RequestOutcome(request.request_id, RequestStatus.COMPLETED)
        return [done] if request.kind is RequestKind.SETTING else [accepted, done]


@dataclass
class Scene:
    """What the fake control says; `snapshot()` says it."""

    f_hz: float = 50.0
    p_w: float = -3000.0
    online: bool = True
    plugged: bool = True
    evses: tuple[str, ...] = ("cs1/1",)
    soc_pct: float | None = 55.0
    quality: Validity = Validity.GOOD
    settings: dict[str, float] = field(
        default_factory=lambda: {"db_uf_hz": 0.02, "db_of_hz": 0.02, "k_uf": 0.05, "k_of": 0.05}
    )
    clock_synchronised: bool = True
    loop: LoopView | None = None
    subscriptions: tuple[Any, ...] = ()
    simulation: bool = False

    def status(self, evse_id: str) -> EvseStatus:
        now = time.time()
        return EvseStatus(
            evse_id,
            "ocpp2.1",
            self.online,
            self.plugged,
            now,
            time.monotonic(),
            p_w=self.p_w,
            charge_max_w=11_000.0,
            discharge_max_w=11_000.0,
            soc_pct=self.soc_pct,
            capacity_wh=60_000.0,
            voltage_v=(230.0, 231.0, 229.0),
        )

    def snapshot(self, *, complete: bool = True) -> Snapshot:
        now, mono = time.time(), time.monotonic()
        loop = self.loop or LoopView(
            "droop", 50.0, 0.02, 0.05, 0.0, 0.0, 0.0, self.p_w, 5000.0, 5000.0, 100.0, 100.0,
            "", 0.1, None, 1, 0, 0,
        )  # fmt: skip
        measurement = Measurement("mu", now, self.f_hz, 0.0, 230.0, self.quality, mono, mono)
        views = tuple(
            EvseView(self.status(evse), self.p_w, "droop", 14_000.0, 8_000.0) for evse in self.evses
        )
        return Snapshot(
            now,
            mono,
            measurement,
            loop,
            views,
            complete,
            (),
            (),
            subscriptions=self.subscriptions,
            settings=self.settings,
            clock_synchronised=self.clock_synchronised,
            simulation=self.simulation,
        )


@dataclass
class LiveIed:
    """An IED served in this process.

    Attributes:
        port: TCP port of its front.
    """

    settings: Settings
    service: IedService
    front: Front
    control: FakeControl
    scene: Scene
    loop: asyncio.AbstractEventLoop
    port: int = 0

    def show(self, **changes: Any) -> None:
        """Change the scene and show it; returns when the model has it."""
        for name, value in changes.items():
            setattr(self.scene, name, value)
        before = self.service.counters["snapshots"]
        self.service.take(self.scene.snapshot())
        wait_for(lambda: self.service.counters["snapshots"] > before)

    def client(self, **options: Any) -> MmsClient:
        """A new association of open61850's client."""
        return MmsClient.connect("127.0.0.1", self.port, timeout=60.0, **options)


def wait_for(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """The condition's first true value; fails when there is none in time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    pytest.fail("it did not happen in time")


@functools.cache
def _described(station: Path) -> tuple[IedModel, BoundModel]:
    """Model and mapping of a station; both are immutable, so tests share them."""
    settings = Settings(path=station, scl=Scl(file=station))
    model = load_model(settings)
    return model, bind_model(settings, model)


@contextlib.contextmanager
def serve(
    engine_name: str,
    station: Path,
    folder: Path,
    *,
    limits: Limits | None = None,
    gate: Any = None,
    admit: Any = None,
    front_port: int = 0,
    **ied: Any,
) -> Iterator[LiveIed]:
    """Serve V2G1 of a station with an engine, until the end of the block.

    The scene is shown when a test asks for it, so that it grows old only where `stale_s` says so.
    """
    ied.setdefault("stale_s", 60.0)
    if engine_name == "libiec61850":
        pytest.importorskip("pyiec61850", reason="the libiec61850 extra is not installed")
    settings = Settings(
        path=folder / "agent.toml",
        gateway=Gateway(state_dir=folder / "state"),
        scl=Scl(file=station),
        ied=Ied(engine=engine_name, host="127.0.0.1", **ied),  # type: ignore[arg-type]
    )
    model, bound = _described(station)
    files = f"{settings.ied.files}/" if settings.ied.files else None
    options = EngineOptions(Identity(revision="test"), 1 << 16, file_store=files)
    engine = create(engine_name, model, options)
    control = FakeControl()
    service = IedService(settings, model, bound, engine, control.send)
    control.deliver = service.take
    limits = limits or Limits()
    limits = dataclasses.replace(
        limits, associations=min(limits.associations, engine.max_associations)
    )
    front = Front(engine, limits, service.decisions.audit)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service.start()
    starting = front.start("127.0.0.1", front_port, gate, admit)
    port = asyncio.run_coroutine_threadsafe(starting, loop).result(5)
    live = LiveIed(settings, service, front, control, Scene(), loop, port)
    try:
        live.show()
        yield live
    finally:
        asyncio.run_coroutine_threadsafe(front.stop(), loop).result(5)
        service.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Every engine in turn: the contract holds for all."""
    return str(request.param)


@pytest.fixture
def live(engine_name: str, station_file: Path, tmp_path: Path) -> Iterator[LiveIed]:
    """A fresh IED on each engine."""
    with serve(engine_name, station_file, tmp_path) as ied:
        yield ied


@pytest.fixture
def server() -> Callable[..., contextlib.AbstractContextManager[LiveIed]]:
    """`serve`, for tests that need other options."""
    return serve


@pytest.fixture
def scene() -> Scene:
    """What a control says."""
    return Scene()


@pytest.fixture
def until() -> Callable[..., Any]:
    """`wait_for`."""
    return wait_for


@dataclass(frozen=True)
class ServerKit:
    """`serve` and `Limits` for fixtures of a wider scope."""

    serve: Callable[..., contextlib.AbstractContextManager[LiveIed]] = serve
    limits: Callable[..., Limits] = Limits


@pytest.fixture(scope="session")
def package_server() -> ServerKit:
    """See `ServerKit`."""
    return ServerKit()
