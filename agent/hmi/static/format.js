// Numbers and instants as text; an unknown value is a dash.
const DASH = "–";

export function fixed(value, digits) {
  return value === null || value === undefined ? DASH : value.toFixed(digits);
}

export function signed(value, digits) {
  if (value === null || value === undefined) return DASH;
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : "+") + text;
}

export function kilowatts(watts, digits = 1) {
  return watts === null || watts === undefined ? DASH : signed(watts / 1000, digits);
}

export function magnitude(watts, digits = 1) {
  return watts === null || watts === undefined ? DASH : (watts / 1000).toFixed(digits);
}

export function clock(utcS) {
  return new Date(utcS * 1000).toLocaleTimeString("sv-SE");
}

export function shortTime(utcS) {
  return new Date(utcS * 1000).toLocaleTimeString("sv-SE").slice(0, 5);
}

export function isoTime(utcS) {
  return new Date(utcS * 1000).toISOString().slice(0, 19).replace("T", " ");
}

export function since(utcS) {
  const seconds = Math.max(0, Date.now() / 1000 - utcS);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export const byId = (id) => document.getElementById(id);

// Touch the document only when the text differs: at 10 Hz most of it does not.
export function put(id, text, level) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
  if (level !== undefined && node.dataset.level !== level) node.dataset.level = level;
}

export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(node.dataset, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}
