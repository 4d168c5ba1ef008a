"""The page in headless Chromium, against the worker process and a control that the test plays.

Screenshots are kept in `build/`.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from agent.errors import AlarmCode
from agent.messages import Acknowledge, RequestKind, Validity
from tests.hmi.conftest import (
    PASSWORD,
    REPOSITORY,
    Gateway,
    alarm,
    evse_view,
    loop_view,
    measurement,
    sine_hz,
    snapshot,
    wait_for,
)
from tests.hmi.test_records import write_event, write_scores

CHROMIUM = Path("/usr/bin/chromium")
AXE = REPOSITORY / "tests" / "peers" / "node_modules" / "axe-core" / "axe.min.js"
BUILD = REPOSITORY / "build"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 60_000
SAMPLES = 8
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 1000}
EVSES = 210
AXE_EVSES = 30

WATCH = """
globalThis.seen = {};
const node = document.getElementById("f");
const see = () => { seen[node.textContent] ??= performance.timeOrigin + performance.now(); };
new MutationObserver(see).observe(node, { childList: true, characterData: true, subtree: true });
"""

CLIPPED = """
[...document.querySelectorAll("main table")].filter((table) =>
  table.scrollWidth > table.closest(".scroll").clientWidth).map((table) => table.id)
"""
"""Tables of which a column lies beyond the screen."""

expect.set_options(timeout=PATIENCE_MS)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def said() -> list[str]:
    """Console errors and requests to other hosts; every test checks that there are none."""
    return []


@pytest.fixture
def open_page(browser: Browser, gateway: Gateway, said: list[str]) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []

    def open_one(**options: object) -> Page:
        context = browser.new_context(**{"viewport": DESK, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on(
            "console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith((gateway.url, "data:")) else said.append(r.url),
        )
        page.goto(gateway.url)
        expect(page.locator("#link")).to_have_text("live")
        return page

    yield open_one
    for context in contexts:
        context.close()
    gateway.control.make = snapshot
    gateway.control.alarms.clear()
    assert said == []


def busy_site(count: int = EVSES) -> Callable[[], object]:
    """A site with a slow swing, and with rows of every kind."""
    views = tuple(
        msgspec.structs.replace(
            evse_view(
                f"CS{i // 2:03d}/{i % 2 + 1}", p_w=-900.0 if i % 37 else -200.0,
                soc_pct=15.0 + i * 7 % 80, plugged=bool(i % 9), online=bool(i % 67),
                fault="ground fault" if i == 11 else "",
            ),
            ordered_w=-900.0,
        )
        for i in range(count)
    )  # fmt: skip

    def make() -> object:
        f_hz = sine_hz()
        droop_w = -55_000.0 * (f_hz - 50.0)
        whole = int(time.monotonic() * 50) % 50 == 0
        loop = loop_view(
            droop_w=droop_w, ordered_w=droop_w - 9000.0, target_w=droop_w - 9000.0,
            delivered_w=(droop_w - 9000.0) * 0.97, reason="droop",
        )  # fmt: skip
        return snapshot(
            measurement=measurement(f_hz), loop=loop, evses=views if whole else (), complete=whole
        )

    return make


def log_in_by_keyboard(page: Page) -> None:
    """Tab from the top of the page to the button, and through the dialog."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "user":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_be_visible(timeout=PATIENCE_MS)


def test_values_on_the_page_follow_their_source(open_page, gateway, record_property):
    page = open_page()
    page.evaluate(WATCH)
    delays_s = []
    for number in range(SAMPLES):
        f_hz = 49.901 + number / 1000
        text = f"{f_hz:.3f}"
        began_s = time.time()
        gateway.control.make = lambda f_hz=f_hz: snapshot(measurement=measurement(f_hz))
        wait_for(lambda text=text: page.evaluate("t => seen[t]", text), pause_s=0.05)
        delays_s.append(page.evaluate("t => seen[t]", text) / 1000 - began_s)
    assert min(delays_s) > -0.01
    record_property("hmi_delay_median_ms", round(statistics.median(delays_s) * 1000))
    print(f"source to page: median {statistics.median(delays_s) * 1000:.0f} ms")


def test_an_alarm_appears_and_is_acknowledged_by_keyboard_alone(open_page, gateway):
    page = open_page()
    expect(page.locator("#alarm-count")).to_have_text("none; all is as it should be")
    gateway.control.raise_alarm(alarm())
    item = page.locator("#alarm-list li")
    expect(item).to_contain_text("charging station CS009 is lost")
    expect(item).to_contain_text("look at its network and its supply")
    expect(page.locator("#stop")).to_be_hidden()
    log_in_by_keyboard(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Acknowledge":
            break
    page.keyboard.press("Enter")
    expect(item).to_contain_text("acknowledged")
    expect(page.locator("#alarm-count")).to_have_text("0 to acknowledge, 1 acknowledged")
    sent = [message for message in gateway.control.heard if isinstance(message, Acknowledge)]
    assert (sent[-1].code, sent[-1].source) == (AlarmCode.STATION_LOST, "CS009")


def test_an_operator_stops_and_tests_in_dialogs_and_escape_orders_nothing(open_page, gateway, said):
    page = open_page()
    page.locator("#user").click()
    page.locator("#name").fill("anna")
    page.locator("#password").fill("a wrong password")
    page.keyboard.press("Enter")
    expect(page.locator("#login-problem")).to_have_text("wrong name or password")
    assert ["401" in text for text in said] == [True]  # the browser notes every refusal
    said.clear()
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    before = len(gateway.control.requests(RequestKind.STOP))
    page.locator("#stop").click()
    page.keyboard.press("Escape")
    page.locator("#test").click()
    page.locator("#test-power").fill("3.5")
    page.locator("#test-seconds").fill("30")
    page.locator("#test-evse").fill("CS001/1")
    page.locator("#test-dialog button.main").click()
    expect(page.locator("#test-dialog")).to_be_hidden()
    test = gateway.control.requests(RequestKind.WATT_SETPOINT)[-1]
    assert (test.value, test.duration_s, test.target) == (3500.0, 30.0, "CS001/1")
    assert len(gateway.control.requests(RequestKind.STOP)) == before
    page.locator("#stop").click()
    page.locator("#stop-dialog button.main").click()
    wait_for(lambda: len(gateway.control.requests(RequestKind.STOP)) == before + 1)
    page.locator("#user").click()
    expect(page.locator("#stop")).to_be_hidden()


def test_hundreds_of_evses_are_there_and_can_be_filtered(open_page, gateway):
    gateway.control.make = busy_site()
    page = open_page()
    rows = page.locator("#evses tbody tr")
    expect(rows).to_have_count(EVSES)
    names = page.locator("#evses tbody th").all_text_contents()
    assert names == sorted(names)
    page.locator("#filter").fill("CS01 fault")
    expect(page.locator("#evses tbody tr:visible")).to_have_count(0)
    page.locator("#filter").fill("ground")
    expect(page.locator("#evses tbody tr:visible")).to_have_count(1)
    expect(page.locator("#evses tbody tr:visible")).to_contain_text("fault")
    page.locator("#filter").fill("")
    page.locator("#show").select_option("abnormal")
    expect(page.locator("#evse-count")).to_contain_text("shown")
    visible = page.locator("#evses tbody tr:visible").count()
    assert 1 < visible < 30


def test_an_event_opens_with_its_waveforms_and_score(open_page, gateway):
    write_event(gateway.state / "events")
    write_scores(gateway.state / "events")
    page = open_page(color_scheme="dark")
    expect(page.locator("#events tbody")).to_contain_text("1 of 1 passed")
    page.locator("#events button").first.click()
    expect(page.locator("#waveforms .main-svg").first).to_be_visible()
    expect(page.locator("#waveforms .scatterlayer .trace")).to_have_count(2)
    expect(page.locator("#score")).to_contain_text("0.93, passed")
    page.screenshot(path=BUILD / "hmi-event.png")
    page.keyboard.press("Escape")
    expect(page.locator("#event-dialog")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    open_page, gateway, scheme, size
):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci --ignore-scripts --prefix tests/peers")
    gateway.control.make = busy_site(AXE_EVSES)
    for code in (AlarmCode.FREQUENCY_OUT_OF_BOUNDS, AlarmCode.STATION_LOST, AlarmCode.GAIN_LIMITED):
        gateway.control.raise_alarm(alarm(code, "here", acknowledged=code == 0x42))
    viewport = PHONE if size == "phone" else DESK
    page = open_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("#evses tbody tr")).to_have_count(AXE_EVSES)
    expect(page.locator("#alarm-list li")).to_have_count(3)
    page.screenshot(path=BUILD / f"hmi-{size}-{scheme}.png", full_page=True)
    width = page.evaluate("document.scrollingElement.scrollWidth")
    assert width <= viewport["width"]
    assert page.evaluate(CLIPPED) == []
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    serious = [
        (rule["id"], node["html"], node["failureSummary"])
        for rule in found["violations"]
        for node in rule["nodes"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert len(found["passes"]) > 20


def test_a_gain_that_stability_limits_is_said_and_drawn(open_page, gateway):
    reason = "the area's stations answer after 0.9 s"
    limited = {"gain_w_per_hz": 40_000.0, "gain_limit_w_per_hz": 40_000.0, "gain_reason": reason}
    gateway.control.make = lambda: snapshot(
        measurement=measurement(49.93), loop=loop_view(droop_w=2_400.0, **limited)
    )
    page = open_page()
    expect(page.locator("#gain-reason")).to_have_text(reason)
    expect(page.locator("#gain-note")).to_be_visible()
    expect(page.locator("#gain")).to_have_text("40.0")
    expect(page.locator("#gain")).to_have_attribute("data-level", "low")
    expect(page.locator("#gain-limit")).to_have_text("40.0")
    answer = re.compile(r"the answer is \+2\.4 kilowatts")
    expect(page.locator("#droop-chart")).to_have_attribute("aria-label", answer)
    page.locator("section:has(#droop-chart)").screenshot(path=BUILD / "hmi-droop-limited.png")


def test_what_is_not_known_is_said_and_not_shown_as_if_it_were(open_page, gateway):
    page = open_page()
    bad = measurement(quality=Validity.HELD)
    gateway.control.make = lambda: snapshot(measurement=bad, loop=loop_view(mode="lost"))
    expect(page.locator("#quality")).to_have_text("no frequency")
    expect(page.locator("#f")).to_have_text("–")
    expect(page.locator("#mode")).to_have_attribute("data-level", "medium")
    expect(page.locator("#sources")).to_contain_text("set aside")
    expect(page.locator("#certificates")).to_contain_text("stations certificate")
    expect(page.locator("#certificates td[data-level=medium]")).to_have_text("12")
