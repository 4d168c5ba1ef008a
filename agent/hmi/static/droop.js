// The droop curve, the steepest one that is stable, and where the gateway stands on it.
import { niceStep, palette, prepare } from "./chart.js";

const PAD = { left: 50, right: 24, top: 12, bottom: 34 };
const POINTS = 161;

export function answer(deviationHz, gain, bands, up, down) {
  const under = -deviationHz - bands.under;
  const over = deviationHz - bands.over;
  if (under > 0) return Math.min(gain * under, up);
  if (over > 0) return -Math.min(gain * over, down);
  return 0;
}

export function drawDroop(canvas, state) {
  const { context, width, height } = prepare(canvas);
  const right = width - PAD.right;
  const bottom = height - PAD.bottom;
  const reach = Math.max(0.2, Math.abs(state.deviation ?? 0) * 1.15);
  const steepest = Math.max(state.gain, state.limit ?? 0);
  const shown = [-reach, reach].map((hz) => Math.abs(answer(hz, steepest, state.bands, state.up, state.down)));
  const most = Math.max(...shown, Math.abs(state.droop), 1000) * 1.15;
  const x = (hz) => PAD.left + ((hz + reach) / (2 * reach)) * (right - PAD.left);
  const y = (watts) => (PAD.top + bottom) / 2 - (watts / most) * ((bottom - PAD.top) / 2);

  context.fillStyle = palette.band;
  context.fillRect(x(-state.bands.under), PAD.top, x(state.bands.over) - x(-state.bands.under), bottom - PAD.top);
  grid(context, { x, y, reach, most, right, bottom });
  if (state.limit !== null) {
    line(context, { ...state, gain: state.limit }, x, y, reach, palette.third, [5, 4], 1.5);
    context.fillStyle = palette.muted;
    context.textAlign = "left";
    context.fillText("- - steepest stable", PAD.left + 6, bottom - 6);
  }
  line(context, state, x, y, reach, palette.trace, [], 2);
  if (state.deviation !== null) point(context, x(state.deviation), y(state.droop));
}

function line(context, state, x, y, reach, colour, dash, width) {
  context.beginPath();
  for (let i = 0; i < POINTS; i += 1) {
    const hz = -reach + (2 * reach * i) / (POINTS - 1);
    const watts = answer(hz, state.gain, state.bands, state.up, state.down);
    if (i === 0) context.moveTo(x(hz), y(watts));
    else context.lineTo(x(hz), y(watts));
  }
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

function point(context, x, y) {
  context.beginPath();
  context.arc(x, y, 6, 0, 2 * Math.PI);
  context.fillStyle = palette.panel;
  context.fill();
  context.lineWidth = 3;
  context.strokeStyle = palette.ink;
  context.stroke();
}

function grid(context, { x, y, reach, most, right, bottom }) {
  context.strokeStyle = palette.soft;
  context.fillStyle = palette.muted;
  context.lineWidth = 1;
  const rise = niceStep(2 * most, 4);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (let watts = Math.ceil(-most / rise) * rise; watts <= most; watts += rise) {
    context.beginPath();
    context.moveTo(PAD.left, Math.round(y(watts)) + 0.5);
    context.lineTo(right, Math.round(y(watts)) + 0.5);
    context.stroke();
    context.fillText((watts / 1000).toFixed(rise < 1000 ? 1 : 0), PAD.left - 6, y(watts));
  }
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  const step = niceStep(2 * reach, 5);
  for (let hz = Math.ceil(-reach / step) * step; hz <= reach + step / 1e6; hz += step) {
    context.fillText(`${hz > 1e-9 ? "+" : hz < -1e-9 ? "−" : ""}${Math.round(Math.abs(hz) * 1000)}`, x(hz), bottom + 14);
  }
  context.fillText("mHz from nominal", (PAD.left + right) / 2, bottom + 29);
}
