// What changes slowly: sources and their votes, subscriptions, processes, certificates, the clock.
import { byId, element, fixed, isoTime, put, signed } from "./format.js";

const DAY_S = 86400;
const SOON_DAYS = 30;
const QUIET = { decides: "", votes: "", held: "low", silent: "medium", "set aside": "high" };
const APART_MHZ = 20;

export function showHealth(health) {
  fill("sources", health.sources, (source) => [
    [source.name],
    [source.vote, QUIET[source.vote] ?? "medium"],
    [fixed(source.hz, 4)],
    [signed(source.apart_mhz, 1), Math.abs(source.apart_mhz ?? 0) > APART_MHZ ? "medium" : ""],
    [source.quality, source.quality === "good" ? "" : "medium"],
  ], [2, 3], "no source has reported");
  fill("subscriptions", health.subscriptions, (each) => [
    [each.name],
    [subscription(each), each.alive && !each.needs && !each.simulated ? "" : each.alive ? "medium" : "high"],
    [String(each.lost)],
    [String(each.rejected)],
  ], [2, 3], "the SCL names none");
  fill("workers", health.workers, (worker) => [
    [worker.name],
    [worker.state, worker.state === "running" ? "" : "medium"],
    [fixed(worker.age_s, 1), worker.age_s > 2 ? "medium" : ""],
    [String(worker.restarts)],
  ], [2, 3], "none");
  fill("certificates", health.certificates, certificate, [2], "no process uses a certificate");
  const [synchronised, source, reason] = health.clock;
  put("clock-state", synchronised ? `synchronised, ${source}` : reason, synchronised ? "" : "low");
}

function certificate({ name, expires }) {
  const days = Math.floor((expires - Date.now() / 1000) / DAY_S);
  const level = days < 0 ? "high" : days < SOON_DAYS ? "medium" : "";
  return [[name], [`${isoTime(expires)} UTC`], [days < 0 ? "expired" : String(days), level]];
}

function subscription(each) {
  if (!each.alive) return each.reason || "lost";
  const state = each.simulated ? "simulated" : "alive";
  return each.needs ? `${state}, needs commissioning` : state;
}

function fill(id, items, cells, right, none) {
  const body = byId(id).tBodies[0];
  const columns = byId(id).tHead.rows[0].cells.length;
  if (!items.length) {
    body.replaceChildren(element("tr", { className: "none" }, element("td", { colSpan: columns, textContent: none })));
    return;
  }
  const rows = items.map((item) => {
    const nodes = cells(item).map(([text, level], at) => {
      const node = element(at === 0 ? "th" : "td", { textContent: text });
      if (at === 0) node.scope = "row";
      if (level) node.dataset.level = level;
      if (right.includes(at)) node.className = "r";
      return node;
    });
    return element("tr", {}, ...nodes);
  });
  body.replaceChildren(...rows);
}
