"""A gateway that serves OCPI, a partner that serves its side, both over real sockets."""

import asyncio
import base64
import contextlib
import math
import time
from dataclasses import dataclass, field

import httpx
import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from agent.config import Settings
from agent.config.utility import Ocpi, Utility
from agent.messages import (
    ControlRequest,
    EvseStatus,
    EvseView,
    LoopView,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Snapshot,
)
from agent.utility.api.server import _listen, _Server
from agent.utility.api.service import ApiService
from agent.utility.context import Context

TOKEN_A = "invitation-0123456789abcdef"
TOKEN_B = "partner-token-for-the-gateway"
HANG_S = 20.0
LOOP = LoopView(
    "on", 50.0, 0.01, 0.04, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.inf, "", 1.0, None, 0, 0, 0
)


def status(evse_id="CS001/1", **changes):
    values = {
        "protocol": "ocpp2.1",
        "online": True,
        "plugged": True,
        "t_utc_s": time.time(),
        "published_s": time.monotonic(),
        "p_w": -7000.0,
        "charge_max_w": 11_000.0,
        "discharge_max_w": 10_000.0,
        **changes,
    }
    return EvseStatus(evse_id, **values)


async def until(condition):
    """Return the condition's first true value."""
    async with asyncio.timeout(HANG_S):
        while not (value := condition()):
            await asyncio.sleep(0.01)
        return value


@contextlib.asynccontextmanager
async def serving(app):
    """An application on a free port; yields the port."""
    sock = _listen(Utility())
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    running = asyncio.create_task(_Server(config, HANG_S).serve(sockets=[sock]))
    try:
        yield sock.getsockname()[1]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        sock.close()


@dataclass
class Partner:
    """An eMSP: versions, details, a place for results, and calls to the gateway."""

    versions: tuple = ("2.1.1", "2.2.1")
    modules: tuple = (("credentials", "RECEIVER"), ("chargingprofiles", "SENDER"))
    broken: str = ""
    asked: list = field(default_factory=list)
    results: dict = field(default_factory=dict)
    pushed: dict = field(default_factory=dict)
    token: str = TOKEN_A
    base: str = ""
    client: httpx.AsyncClient = None
    gateway: str = ""

    def app(self):
        def envelope(data):
            body = {"data": data, "status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"}
            return JSONResponse({k: v for k, v in body.items() if v is not None})

        async def versions(request):
            self.asked.append(request)
            if self.broken == "redirect":
                return JSONResponse({}, 302, {"location": "http://169.254.169.254/"})
            if self.broken == "long":
                return JSONResponse({"data": "x" * 100_000, "status_code": 1000})
            if self.broken == "http":
                return JSONResponse({}, 500)
            if self.broken == "status":
                return JSONResponse({"status_code": 2000, "timestamp": ""})
            if self.broken == "shape":
                return envelope({"version": 1})
            url = f"{self.base}/details" if self.broken != "elsewhere" else "http://127.0.0.1:1/"
            return envelope([{"version": name, "url": url} for name in self.versions])

        async def details(request):
            self.asked.append(request)
            modules = [
                {"identifier": name, "role": role, "url": f"{self.base}/{name}"}
                for name, role in self.modules
            ]
            own = {"identifier": "nltnm-tokens", "role": "BOTH", "url": ""}
            return envelope({"version": "2.2.1", "endpoints": [*modules, own]})

        async def result(request):
            self.asked.append(request)
            self.results.setdefault(request.path_params["name"], []).append(await request.json())
            return envelope(None)

        async def push(request):
            self.asked.append(request)
            self.pushed.setdefault(request.path_params["session"], []).append(await request.json())
            return envelope(None)

        return Starlette(
            routes=[
                Route("/versions", versions),
                Route("/details", details),
                Route("/result/{name}", result, methods=["POST"]),
                Route("/chargingprofiles/{session}", push, methods=["PUT"]),
            ]
        )

    def credentials(self, **changes):
        role = {
            "role": "EMSP",
            "party_id": "ABC",
            "country_code": "DE",
            "business_details": {"name": "Partner"},
        }
        return {"token": TOKEN_B, "url": f"{self.base}/versions", "roles": [role], **changes}

    async def ask(self, method, path, token=None, **options):
        """Call the gateway; return the HTTP answer."""
        token = self.token if token is None else token
        headers = {
            "authorization": f"Token {base64.b64encode(token.encode()).decode()}",
            **options.pop("headers", {}),
        }
        url = path if path.startswith("http") else f"{self.gateway}/ocpi/{path}"
        return await self.client.request(method, url, headers=headers, **options)

    async def register(self):
        answer = await self.ask("POST", "2.2.1/credentials", json=self.credentials())
        assert answer.json()["status_code"] == 1000, answer.text
        self.token = answer.json()["data"]["token"]
        return answer

    async def put_profile(self, session, name="set", **profile):
        body = {
            "charging_profile": {"charging_rate_unit": "W", **profile},
            "response_url": f"{self.base}/result/{name}",
        }
        return await self.ask("PUT", f"2.2.1/chargingprofiles/{session}", json=body)

    async def result(self, name):
        return (await until(lambda: self.results.get(name)))[-1]


@dataclass
class Gateway:
    """The utility process with a control behind it that keeps limits as the real one does."""

    folder: object
    options: dict = field(default_factory=dict)
    utility: dict = field(default_factory=dict)
    fleet: dict = field(default_factory=lambda: {"CS001/1": status()})
    force: dict = field(default_factory=dict)
    told: list = field(default_factory=list)
    history: list = field(default_factory=list)
    refuse: bool = False
    fail: object = False  # True: the power does not follow; None: nobody knows yet
    foreign: tuple = ()

    def make(self, partner_port):
        (self.folder / "tokens").write_text(f"# partners\n{TOKEN_A}\n")
        ocpi = Ocpi(
            **{
                "enabled": True,
                "tokens": self.folder / "tokens",
                "url": "http://gateway.example",
                "country_code": "NL",
                "party_id": "V2G",
                "callback_hosts": (f"127.0.0.1:{partner_port}",),
                **self.options,
            }
        )
        settings = Settings(path=self.folder / "agent.toml")
        gateway = msgspec.structs.replace(settings.gateway, state_dir=self.folder, name="Depot 7")
        utility = Utility(**self.utility)
        self.settings = msgspec.structs.replace(
            settings, gateway=gateway, utility=utility, ocpi=ocpi
        )
        self.context = Context(self.settings, "utility", self._send)
        return self

    def show(self, *statuses, complete=True):
        """Let the control tell of the fleet."""
        self.fleet |= {item.evse_id: item for item in statuses}
        views = tuple(EvseView(item, 0.0, "", 0.0, 0.0) for item in self.fleet.values())
        requests = (*(request for request, _ in self.force.values()), *self.foreign)
        self.context.take(
            Snapshot(
                time.time(), time.monotonic(), None, LOOP, views, complete, (), (),
                requests=requests, clock_synchronised=True,
            )
        )  # fmt: skip
        self.service._ocpi.tick()

    def _send(self, message):
        self.told.append(message)
        if isinstance(message, ControlRequest):
            asyncio.get_running_loop().call_soon(self._decide, message)

    def _decide(self, request):
        tell = self.context.take

        def outcome(state, why=""):
            tell(RequestOutcome(request.request_id, state, why))

        if request.kind is RequestKind.WITHDRAW:
            gone, _ = self.force.pop(request.setting, (None, None))
            self.history.append(("withdraw", request.setting))
            if gone is not None and self.fail is None:
                tell(RequestOutcome(request.setting, RequestStatus.FAILED, "withdrawn"))
            outcome(RequestStatus.COMPLETED if gone else RequestStatus.REFUSED)
        elif self.refuse:
            outcome(RequestStatus.REFUSED, "unknown target")
        else:
            self.force[request.request_id] = (request, time.monotonic())
            self.history.append(("limit", request.value))
            outcome(RequestStatus.ACCEPTED)
            if self.fail:
                outcome(RequestStatus.FAILED, "the delivered power did not follow")
            elif self.fail is False:
                outcome(RequestStatus.COMPLETED)

    @property
    def limits(self):
        """What binds the EVSE now, as the control sees it."""
        now = time.monotonic()
        return [r.value for r, since in self.force.values() if now < since + r.lease_s]

    @property
    def requests(self):
        return [m for m in self.told if isinstance(m, ControlRequest)]


@dataclass
class World:
    gateway: Gateway
    partner: Partner

    async def session(self, evse="CS001*1"):
        answer = await self.partner.ask("GET", "2.2.1/sessions")
        return next(s["id"] for s in answer.json()["data"] if s["evse_uid"] == evse)


@contextlib.asynccontextmanager
async def running(gateway, partner, registered=True):
    """Both sides connected; the gateway's EVSEs are shown."""
    async with serving(partner.app()) as port:
        partner.base = f"http://127.0.0.1:{port}"
        async with started(gateway, partner, port):
            if registered:
                await partner.register()
            yield World(gateway, partner)


@contextlib.asynccontextmanager
async def started(gateway, partner, port):
    """One life of the gateway's process."""
    gateway.make(port)
    gateway.service = ApiService(gateway.context, None)
    task = asyncio.create_task(gateway.service.run())
    partner.gateway = f"http://127.0.0.1:{gateway.service.server.port}"
    gateway.show()
    try:
        async with httpx.AsyncClient(timeout=HANG_S, trust_env=False) as partner.client:
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def gateway(tmp_path):
    return Gateway(tmp_path)


@pytest.fixture
def partner():
    return Partner()


@pytest.fixture
def play(gateway, partner):
    """Run a scenario between a registered partner and the gateway."""

    def run(scenario, registered=True):
        async def whole():
            async with running(gateway, partner, registered) as world:
                return await scenario(world)

        return asyncio.run(whole())

    return run
