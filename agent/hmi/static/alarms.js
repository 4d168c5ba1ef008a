// Alarms with what to do about each, and the orders in force.
import { byId, element, put, shortTime, since } from "./format.js";

export class Alarms {
  constructor(order) {
    this.order = order;
    this.operator = false;
    this.last = { alarms: [], orders: [] };
  }

  take(data) {
    this.last = data;
    this.draw();
  }

  permit(operator) {
    this.operator = operator;
    this.draw();
  }

  draw() {
    const { alarms, orders } = this.last;
    const open = alarms.filter(({ acknowledged }) => !acknowledged).length;
    const seen = alarms.length - open;
    put("alarm-count", alarms.length ? `${open} to acknowledge, ${seen} acknowledged` : "none; all is as it should be");
    const ranks = { high: 0, medium: 1, low: 2 };
    const sorted = [...alarms].sort((a, b) =>
      a.acknowledged - b.acknowledged || ranks[a.priority] - ranks[b.priority] || b.since - a.since);
    this.replace("alarm-list", sorted.map((alarm) => this.alarm(alarm)));
    this.replace("order-list", orders.map((order) => this.inForce(order)));
  }

  // Keep the keyboard where it was when the list is made anew.
  replace(id, nodes) {
    const list = byId(id);
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    list.replaceChildren(...nodes);
    if (focused) [...list.querySelectorAll("button")].find(({ dataset }) => dataset.key === focused)?.focus();
  }

  alarm(alarm) {
    const action = element("div", { className: "do" });
    if (alarm.acknowledged) action.append("acknowledged");
    else if (this.operator) {
      action.append(this.button("Acknowledge", alarm.id, `Acknowledge ${alarm.code} ${alarm.source}`,
        { type: "acknowledge", code: alarm.number, source: alarm.source }));
    }
    return element("li", { className: `alarm ${alarm.priority} ${alarm.acknowledged ? "seen" : ""}` },
      element("p", { className: "what" }, `${alarm.text} `,
        element("small", { textContent: `${alarm.code} ${alarm.name}, ${alarm.source}, ${alarm.priority}, since ${since(alarm.since)}` })),
      element("p", { className: "advice", textContent: alarm.advice }), action);
  }

  inForce(order) {
    const setting = order.setting ? ` ${order.setting}` : "";
    const value = order.kind.startsWith("watt") ? ` ${(order.value / 1000).toFixed(1)} kW` : "";
    const node = element("li", { className: "order" },
      `Order in force: ${order.kind}${setting}${value} at ${order.target}, by ${order.origin} (${order.authority}), until ${shortTime(order.ends)}`);
    if (this.operator && order.authority !== "safety") {
      node.append(this.button("End it", order.id, `End it: ${order.kind} by ${order.origin}`, { type: "resume", order: order.id }));
    }
    return node;
  }

  button(text, key, label, body) {
    const button = element("button", { type: "button", className: "small", textContent: text, ariaLabel: label, data: { key } });
    button.addEventListener("click", async () => {
      button.disabled = true;
      const problem = await this.order(body);
      if (problem) {
        button.disabled = false;
        put("alarm-count", problem);
      }
    });
    return button;
  }
}
