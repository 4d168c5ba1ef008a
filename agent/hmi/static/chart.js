// Traces of the last two minutes on a canvas: two thousand points in under a millisecond.
const WINDOW_S = 120;
const PAD = { left: 50, right: 8, top: 8, bottom: 20 };

export const palette = {};

export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "muted", "line", "soft", "band", "trace", "second", "third", "panel", "high"]) {
    palette[name] = style.getPropertyValue(`--${name}`).trim();
  }
  palette.font = `12px ${style.getPropertyValue("--font")}`;
}

export function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = palette.font;
  return { context, width, height };
}

export function niceStep(span, count) {
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const scaled = raw / power;
  return (scaled <= 1 ? 1 : scaled <= 2 ? 2 : scaled <= 5 ? 5 : 10) * power;
}

export class Trace {
  // series: [{ name, dash, width, colour }]; range(low, high) widens what the values span.
  constructor(canvas, series, range, label) {
    this.canvas = canvas;
    this.series = series;
    this.range = range;
    this.label = label;
    this.times = [];
    this.columns = Object.fromEntries(series.map(({ name }) => [name, []]));
  }

  load(columns) {
    this.times = [...columns.t];
    for (const name of Object.keys(this.columns)) this.columns[name] = [...columns[name]];
  }

  add(columns) {
    const t = columns.t[0];
    const last = this.times.length - 1;
    if (last >= 0 && t <= this.times[last]) return;
    this.times.push(t);
    for (const name of Object.keys(this.columns)) this.columns[name].push(columns[name][0]);
    let gone = 0;
    while (this.times[gone] < t - WINDOW_S) gone += 1;
    if (gone > 50) {
      this.times.splice(0, gone);
      for (const column of Object.values(this.columns)) column.splice(0, gone);
    }
  }

  bounds() {
    let low = Infinity;
    let high = -Infinity;
    for (const column of Object.values(this.columns)) {
      for (const value of column) {
        if (value === null) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return this.range(low, high);
  }

  draw(bands = []) {
    const { context, width, height } = prepare(this.canvas);
    const [low, high] = this.bounds();
    const now = this.times.at(-1) ?? 0;
    const right = width - PAD.right;
    const bottom = height - PAD.bottom;
    const x = (t) => right - ((now - t) / WINDOW_S) * (right - PAD.left);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - PAD.top);
    for (const [from, to] of bands) {
      context.fillStyle = palette.band;
      const top = Math.max(PAD.top, y(to));
      context.fillRect(PAD.left, top, right - PAD.left, Math.min(bottom, y(from)) - top);
    }
    this.axes(context, { low, high, y, right, bottom, x, now });
    context.save();
    context.beginPath();
    context.rect(PAD.left, 0, right - PAD.left, height);
    context.clip();
    for (const series of this.series) this.line(context, series, x, y);
    context.restore();
  }

  axes(context, { low, high, y, right, bottom, x, now }) {
    const step = niceStep(high - low, 4);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) {
      const at = Math.round(y(value)) + 0.5;
      context.strokeStyle = palette.soft;
      context.beginPath();
      context.moveTo(PAD.left, at);
      context.lineTo(right, at);
      context.stroke();
      context.fillStyle = palette.muted;
      context.fillText(this.label(value, digits), PAD.left - 6, at);
    }
    context.textBaseline = "alphabetic";
    const stepS = right < 420 ? 60 : 30;
    for (let back = 0; back <= WINDOW_S; back += stepS) {
      context.textAlign = back === 0 ? "right" : back === WINDOW_S ? "left" : "center";
      context.fillStyle = palette.muted;
      context.fillText(back === 0 ? "now" : `−${back} s`, x(now - back), bottom + 15);
    }
  }

  line(context, { name, dash, width, colour }, x, y) {
    const column = this.columns[name];
    context.beginPath();
    let down = false;
    for (let i = 0; i < column.length; i += 1) {
      if (column[i] === null) {
        down = false;
        continue;
      }
      if (down) context.lineTo(x(this.times[i]), y(column[i]));
      else context.moveTo(x(this.times[i]), y(column[i]));
      down = true;
    }
    context.setLineDash(dash);
    context.lineWidth = width;
    context.lineJoin = "round";
    context.strokeStyle = palette[colour];
    context.stroke();
    context.setLineDash([]);
  }
}
