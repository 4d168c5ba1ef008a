// Puts the page together: one stream of frames in, at most one drawing a frame out.
import { Access } from "./access.js";
import { Alarms } from "./alarms.js";
import { Trace, readPalette } from "./chart.js";
import { drawDroop } from "./droop.js";
import { EvseTable } from "./evses.js";
import { Events } from "./events.js";
import { byId, clock, fixed, kilowatts, magnitude, put, signed } from "./format.js";
import { showHealth } from "./health.js";
import { Live } from "./live.js";

const STALE_S = 1.0;
const CALM_MS = 1000;
const NORMAL_MODES = ["droop", "fast", "on"];
const site = { nominal_hz: 50 };
let frame = null;
let settings = {};
let drawnAt = 0;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const frequencyTrace = new Trace(byId("f-trace"), [{ name: "f_hz", dash: [], width: 2, colour: "trace" }],
  (low, high) => {
    const reach = Math.max(0.05, (Math.max(high - site.nominal_hz, site.nominal_hz - low) || 0) * 1.15);
    return Number.isFinite(reach) ? [site.nominal_hz - reach, site.nominal_hz + reach] : [site.nominal_hz - 0.05, site.nominal_hz + 0.05];
  }, (value, digits) => value.toFixed(digits));
const powerTrace = new Trace(byId("p-trace"), [
  { name: "target_w", dash: [2, 3], width: 1.5, colour: "second" },
  { name: "ordered_w", dash: [7, 4], width: 1.5, colour: "second" },
  { name: "delivered_w", dash: [], width: 2.25, colour: "trace" },
], (low, high) => {
  if (!Number.isFinite(low)) return [-1000, 1000];
  const room = Math.max(500, (high - low) * 0.1);
  return [Math.min(low, 0) - room, Math.max(high, 0) + room];
}, (value) => (value / 1000).toFixed(Math.abs(value) >= 10000 || value === 0 ? 0 : 1));

const access = new Access((session) => {
  alarms.permit(session.role === "operator");
  if (session.may_look) begin();
  else access.ask();
});
const alarms = new Alarms((body) => access.order(body));
const table = new EvseTable();
const events = new Events();
const live = new Live({
  trace: (columns) => { frequencyTrace.load(columns); powerTrace.load(columns); },
  live: (data) => {
    frame = data;
    if (data.point) { frequencyTrace.add(data.point); powerTrace.add(data.point); }
    requestAnimationFrame(draw);
  },
  evses: (data) => table.take(data),
  alarms: (data) => alarms.take(data),
  health: (data) => { settings = data.settings; showHealth(data); },
}, showLink);

function showLink(state) {
  const words = { live: ["live", ""], silent: ["no data from the gateway", "high"], closed: ["not connected", "medium"] };
  put("link", ...words[state]);
  document.body.classList.toggle("stale", state !== "live");
}

function draw() {
  if (!frame || frame.drawn) return;
  frame.drawn = true;
  const stale = frame.age_s === null || frame.age_s > STALE_S;
  put("clock", clock(frame.t));
  put("mode", stale ? "no data from the control" : frame.mode, stale ? "high" : NORMAL_MODES.includes(frame.mode) ? "" : "medium");
  if (!frame.point) return;
  byId("authority").hidden = !frame.authority;
  put("authority", frame.authority ? `ordered by ${frame.authority.replaceAll("_", " ")}` : "");
  drawFrequency(frame.f);
  drawPower(frame);
  drawLoop(frame);
  const now = performance.now();
  if (calm.matches && now - drawnAt < CALM_MS) return;
  drawnAt = now;
  drawCharts(frame);
}

function drawFrequency(f) {
  const old = !f || f.age_s > STALE_S;
  put("f", old ? "–" : fixed(f.hz, 3), old ? "high" : Math.abs(f.hz - site.nominal_hz) > 0.5 ? "high" : Math.abs(f.hz - site.nominal_hz) > 0.2 ? "medium" : "");
  put("rocof", old ? "–" : signed(f.rocof, 2), !old && Math.abs(f.rocof) > 1 ? "medium" : "");
  put("v1", old ? "–" : fixed(f.v1, 1));
  put("source", f ? f.source : "none");
  put("quality", old ? "no frequency" : f.quality, old ? "high" : f.quality === "good" ? "" : "medium");
}

function drawPower(data) {
  const apart = Math.abs(data.ordered_w - data.delivered_w) > Math.max(1000, 0.2 * Math.abs(data.ordered_w));
  put("delivered", kilowatts(data.delivered_w, 1));
  put("ordered", kilowatts(data.ordered_w, 1), apart ? "medium" : "");
  put("target", kilowatts(data.target_w, 1));
  put("why", data.reason || "nothing to do");
  put("up", magnitude(data.up_w));
  put("down", magnitude(data.down_w));
  const low = Math.min(0, data.ordered_w - data.down_w, data.delivered_w);
  const top = Math.max(0, data.ordered_w + data.up_w, data.delivered_w);
  const share = (watts) => `${(100 * (watts - low)) / Math.max(1, top - low)}%`;
  put("least", kilowatts(data.ordered_w - data.down_w, 0));
  put("most", kilowatts(data.ordered_w + data.up_w, 0));
  const gauge = byId("gauge").style;
  gauge.setProperty("--low", share(data.ordered_w - data.down_w));
  gauge.setProperty("--top", share(data.ordered_w + data.up_w));
  gauge.setProperty("--zero", share(0));
  const zero = parseFloat(share(0));
  byId("gauge").classList.toggle("edge", zero < 12 || zero > 88);
  gauge.setProperty("--ordered", share(data.ordered_w));
  gauge.setProperty("--delivered", share(data.delivered_w));
}

function drawLoop(data) {
  put("droop", kilowatts(data.droop_w));
  put("gain", fixed(data.gain === null ? null : data.gain / 1000, 1), data.gain_reason ? "low" : "");
  put("gain-limit", data.gain_limit === null ? "∞" : fixed(data.gain_limit / 1000, 1));
  put("deadband", fixed(data.deadband_hz === null ? null : data.deadband_hz * 1000, 0));
  put("delay", fixed(data.delay_s, 2));
  byId("gain-note").hidden = !data.gain_reason;
  put("gain-reason", data.gain_reason);
  put("latency", data.latency_ms.map((value) => fixed(value, 1)).join(", "));
  put("missed", String(data.missed));
  put("setpoints", String(data.setpoints));
}

function bands() {
  const under = settings.db_uf_hz ?? frame.deadband_hz ?? 0;
  return { under, over: settings.db_of_hz ?? under };
}

function drawCharts(data) {
  const { under, over } = bands();
  frequencyTrace.draw([[site.nominal_hz - under, site.nominal_hz + over]]);
  powerTrace.draw();
  drawDroop(byId("droop-chart"), {
    deviation: data.f && data.f.age_s <= STALE_S ? data.f.hz - site.nominal_hz : null,
    droop: data.droop_w ?? 0, gain: data.gain ?? 0, limit: data.gain_limit, bands: { under, over },
    up: Math.max(0, data.up_w + Math.max(0, data.droop_w)), down: Math.max(0, data.down_w + Math.max(0, -data.droop_w)),
  });
}

// What the pictures show, in words, for whoever does not see them; not ten times a second.
function describe() {
  if (!frame?.point) return;
  const f = frame.f ? `${fixed(frame.f.hz, 3)} hertz` : "unknown";
  byId("f-trace").ariaLabel = `Frequency of the last two minutes, now ${f}`;
  byId("p-trace").ariaLabel = `Power of the last two minutes, now ${kilowatts(frame.delivered_w)} kilowatts delivered of ${kilowatts(frame.ordered_w)} ordered`;
  byId("droop-chart").ariaLabel = `Droop curve; at ${f} the answer is ${kilowatts(frame.droop_w)} kilowatts`;
  byId("gauge").ariaLabel = `Headroom: ${magnitude(frame.up_w)} kilowatts up, ${magnitude(frame.down_w)} kilowatts down`;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  readPalette();
  if (frame?.point) drawCharts(frame);
}

function prefers() {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

let begun = false;
async function begin() {
  if (!begun) {
    const answer = await fetch("/api/site").catch(() => null);
    if (!answer?.ok) return;
    Object.assign(site, await answer.json());
    begun = true;
    put("site", site.name);
    document.title = `${site.name}, V2G gateway`;
    setInterval(describe, 5000);
  }
  if (!live.source) live.open();
  events.start();
}

setTheme(localStorage.getItem("theme") ?? prefers());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => localStorage.getItem("theme") ?? setTheme(prefers()));
byId("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", theme);
  setTheme(theme);
});
addEventListener("resize", () => frame?.point && drawCharts(frame));
access.load();
