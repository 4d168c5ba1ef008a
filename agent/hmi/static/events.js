// Recorded events; the plotting library is loaded when the first of them is opened.
import { palette } from "./chart.js";
import { byId, element, fixed, isoTime, put } from "./format.js";

// Three phases by colour (Okabe and Ito), by lightness and by dash.
const DASHES = ["solid", "dash", "dot"];
const COLOURS = { light: ["#0072b2", "#b34700", "#5d666e"], dark: ["#6cc0f0", "#e69f00", "#c3c8cc"] };
const PERIOD_MS = 15000;

export class Events {
  constructor() {
    this.body = byId("events").tBodies[0];
    this.shown = "";
    byId("event-dialog").addEventListener("close", () => globalThis.Plotly?.purge(byId("waveforms")));
  }

  start() {
    clearInterval(this.timer);
    this.timer = setInterval(() => document.hidden || this.load(), PERIOD_MS);
    return this.load();
  }

  async load() {
    const answer = await fetch("/api/events").catch(() => null);
    if (!answer?.ok) return;
    const text = await answer.text();
    if (text === this.shown) return;
    this.shown = text;
    const { events } = JSON.parse(text);
    put("event-count", events.length ? `newest first, ${events.length} listed` : "none yet");
    this.body.replaceChildren(...events.map((event) => this.row(event)));
  }

  row(event) {
    const button = element("button", { type: "button", className: "small", textContent: "Open",
      ariaLabel: `Open the waveforms of ${isoTime(event.t_utc_s)}` });
    button.addEventListener("click", () => this.open(event));
    const cell = (textContent, className = "") => element("td", { textContent, className });
    return element("tr", {}, element("th", { scope: "row", textContent: isoTime(event.t_utc_s) }), cell(event.cause),
      cell(`${fixed(event.f_min_hz, 3)}, ${fixed(event.f_max_hz, 3)}`, "r rare"),
      cell(`${fixed(event.v_min_v, 0)}, ${fixed(event.v_max_v, 0)}`, "r rare"), cell(fixed(event.duration_s, 1), "r rare"),
      cell(scoreText(event.score)), element("td", {}, button));
  }

  async open(event) {
    byId("event-title").textContent = `Event of ${isoTime(event.t_utc_s)} UTC`;
    put("event-text", `${event.cause} at ${event.stream}; loading`);
    byId("waveforms").replaceChildren();
    byId("score").replaceChildren(...scoreList(event.score));
    byId("event-dialog").showModal();
    const [answer] = await Promise.all([fetch(`/api/events/${event.name}`), loadPlotly()]);
    if (!answer.ok) return put("event-text", "its files cannot be read");
    const record = await answer.json();
    put("event-text", `${event.cause} at ${event.stream}; begins ${record.begin} UTC, trigger after ${fixed(record.trigger_s, 3)} s`);
    return plot(record);
  }
}

function scoreText(score) {
  if (!score) return "–";
  const judged = score.filter(({ passed }) => passed !== null);
  return judged.length ? `${judged.filter(({ passed }) => passed).length} of ${judged.length} passed` : `${score.length} values`;
}

function scoreList(score) {
  return (score ?? []).map(({ name, value, unit, passed, note }) => {
    const verdict = passed === null ? "" : passed ? ", passed" : ", failed";
    const text = value === null ? note || "not known" : `${+value.toPrecision(4)} ${unit}`.trim() + verdict;
    return element("div", {}, element("dt", { textContent: name }),
      element("dd", { textContent: text, data: { level: passed === false ? "medium" : "" } }));
  });
}

// The library's maps, which nothing here uses, would write their style inline, which the page's
// policy forbids; they do not where an element of this name is there already.
const MAP_STYLE = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

let loading = null;
function loadPlotly() {
  if (!byId(MAP_STYLE)) document.head.append(element("meta", { id: MAP_STYLE }));
  loading ??= new Promise((resolve, reject) => {
    const script = element("script", { src: "/static/plotly.js", onload: resolve, onerror: reject });
    document.head.append(script);
  });
  return loading;
}

function plot({ t_s: times, channels }) {
  const colours = COLOURS[document.documentElement.dataset.theme];
  const units = [...new Set(channels.map(({ unit }) => unit))];
  const traces = units.flatMap((unit, row) => channels.filter((channel) => channel.unit === unit)
    .map((channel, at) => ({ x: times, y: channel.values, name: channel.name, type: "scatter", mode: "lines",
      xaxis: "x", yaxis: row === 0 ? "y" : `y${row + 1}`, line: { width: 1.3, color: colours[at % 3], dash: DASHES[at % 3] } })));
  const layout = { paper_bgcolor: palette.panel, plot_bgcolor: palette.panel, font: { color: palette.muted, size: 12 },
    margin: { l: 64, r: 12, t: 8, b: 40 }, showlegend: true, legend: { orientation: "h", y: 1.06 }, hovermode: "x unified",
    xaxis: { title: { text: "s from the beginning" }, gridcolor: palette.soft, zerolinecolor: palette.soft, anchor: units.length > 1 ? `y${units.length}` : "y" } };
  const share = 1 / units.length;
  units.forEach((unit, row) => {
    const top = 1 - row * share;
    layout[row === 0 ? "yaxis" : `yaxis${row + 1}`] = { title: { text: unit }, domain: [top - share + 0.03, top],
      gridcolor: palette.soft, zerolinecolor: palette.line };
  });
  return globalThis.Plotly.newPlot(byId("waveforms"), traces, layout,
    { responsive: true, displayModeBar: false, scrollZoom: true });
}
