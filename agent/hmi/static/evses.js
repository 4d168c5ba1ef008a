// The table of EVSEs: rows are made once and only what differs is written.
import { byId, element, kilowatts, magnitude, put, shortTime } from "./format.js";

const [ID, PROTOCOL, STATE, ORDERED, DELIVERED, SOC, SOC_MIN, SOC_MAX, DEPARTS, UP, DOWN, WHY, NOTE, MODEL] =
  Array(14).keys();
const APART_SHARE = 0.1;
const APART_W = 300;
const LEVELS = { fault: "high", lost: "medium" };

export class EvseTable {
  constructor() {
    this.body = byId("evses").tBodies[0];
    this.rows = new Map();
    this.dirty = true;
    for (const name of ["filter", "show"]) byId(name).addEventListener("input", () => this.filter());
  }

  take({ complete, rows, gone }) {
    const present = complete ? new Set(rows.map((row) => row[ID])) : null;
    const names = complete ? [...this.rows.keys()].filter((id) => !present.has(id)) : gone;
    for (const id of names) this.remove(id);
    for (const row of rows) this.update(row);
    if (rows.length || names.length) this.count();
  }

  remove(id) {
    this.rows.get(id)?.node.remove();
    this.rows.delete(id);
  }

  update(row) {
    let entry = this.rows.get(row[ID]);
    if (!entry) {
      entry = this.add(row[ID]);
      this.rows.set(row[ID], entry);
    }
    entry.row = row;
    const cells = entry.cells;
    const apart = isApart(row);
    text(cells[0], row[STATE], LEVELS[row[STATE]] ?? "");
    text(cells[1], kilowatts(row[ORDERED], 2));
    text(cells[2], kilowatts(row[DELIVERED], 2), apart ? "medium" : "");
    soc(entry, row);
    text(cells[4], row[DEPARTS] === null ? "–" : shortTime(row[DEPARTS]));
    text(cells[5], magnitude(row[UP]));
    text(cells[6], magnitude(row[DOWN]));
    text(cells[7], [row[WHY], row[NOTE]].filter(Boolean).join("; "));
    entry.node.classList.toggle("dim", row[STATE] === "free");
    entry.node.title = [row[PROTOCOL], row[MODEL]].filter(Boolean).join(", ");
    entry.node.hidden = !this.shows(row);
  }

  add(id) {
    const cells = Array.from({ length: 8 }, () => element("td"));
    for (const at of [1, 2, 4, 5, 6]) cells[at].className = "r";
    for (const at of [5, 6, 7]) cells[at].classList.add("rare");
    cells[7].classList.add("why");
    const bar = element("span", { className: "soc", ariaHidden: "true" }, element("i"), element("b"));
    const number = element("span");
    const unit = element("span", { className: "unit", textContent: " %" });
    cells[3].append(bar, number, unit);
    const node = element("tr", {}, element("th", { scope: "row", textContent: id }), ...cells);
    const after = [...this.rows.keys()].filter((other) => other > id).sort()[0];
    this.body.insertBefore(node, after === undefined ? null : this.rows.get(after).node);
    return { node, cells, bar, number, unit };
  }

  filter() {
    for (const entry of this.rows.values()) entry.node.hidden = !this.shows(entry.row);
    this.count();
  }

  shows(row) {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const show = byId("show").value;
    if (show === "plugged" && row[STATE] !== "plugged") return false;
    if (show === "apart" && !isApart(row)) return false;
    if (show === "abnormal" && !(row[STATE] in LEVELS) && !isApart(row)) return false;
    if (!words.length) return true;
    const all = [row[ID], row[STATE], row[WHY], row[NOTE], row[PROTOCOL], row[MODEL]].join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  }

  count() {
    const rows = [...this.rows.values()];
    const of = (state) => rows.filter(({ row }) => row[STATE] === state).length;
    const parts = [`${rows.length} known`, `${of("plugged")} plugged`];
    for (const state of ["lost", "fault"]) if (of(state)) parts.push(`${of(state)} ${state}`);
    const shown = rows.filter(({ node }) => !node.hidden).length;
    if (shown !== rows.length) parts.push(`${shown} shown`);
    put("evse-count", parts.join(", "));
  }
}

function isApart(row) {
  if (row[ORDERED] === null || row[DELIVERED] === null || row[STATE] !== "plugged") return false;
  return Math.abs(row[ORDERED] - row[DELIVERED]) > Math.max(APART_W, APART_SHARE * Math.abs(row[ORDERED]));
}

function soc(entry, row) {
  entry.bar.hidden = entry.unit.hidden = row[SOC] === null;
  text(entry.number, row[SOC] === null ? "–" : row[SOC].toFixed(0));
  if (row[SOC] === null) return;
  entry.bar.style.setProperty("--at", row[SOC]);
  entry.bar.style.setProperty("--low", row[SOC_MIN] ?? 0);
  entry.bar.style.setProperty("--top", row[SOC_MAX] ?? 100);
}

function text(node, value, level) {
  if (node.textContent !== value) node.textContent = value;
  if (level !== undefined && (node.dataset.level ?? "") !== level) node.dataset.level = level;
}
