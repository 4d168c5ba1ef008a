// Login, and the orders that it permits.
import { byId, put } from "./format.js";

let token = "";

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": token };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  if (!answer) return { error: "the gateway does not answer" };
  const data = await answer.json();
  return answer.ok ? data : { error: data.error ?? data.reason ?? "refused", status: answer.status };
}

export class Access {
  constructor(onChange) {
    this.onChange = onChange;
    this.session = {};
    byId("user").addEventListener("click", () => (this.session.user ? this.logOut() : this.ask()));
    byId("login").addEventListener("close", () => (byId("password").value = ""));
    byId("login").querySelector("form").addEventListener("submit", (event) => this.logIn(event));
    for (const button of document.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    this.dialog("stop", () => ({ type: "stop" }));
    this.dialog("test", () => {
      const target = byId("test-evse").value.trim();
      return { type: "test", power_w: byId("test-power").valueAsNumber * 1000,
        duration_s: byId("test-seconds").valueAsNumber, ...(target && { target }) };
    });
  }

  async load() {
    const answer = await fetch("/api/session").catch(() => null);
    if (answer?.ok) this.apply(await answer.json());
  }

  apply(session) {
    this.session = session;
    token = session.token ?? "";
    put("user", session.user ? `Log out ${session.user}` : "Log in");
    byId("user").hidden = !session.user && session.has_users === false;
    for (const node of document.querySelectorAll(".operator")) node.hidden = session.role !== "operator";
    this.onChange(session);
  }

  ask() {
    put("login-problem", "");
    byId("login").showModal();
    byId("name").focus();
  }

  async logIn(event) {
    event.preventDefault();
    put("login-problem", "checking");
    const session = await post("/api/login", { name: byId("name").value, password: byId("password").value });
    put("login-problem", session.error ?? "");
    if (session.error) return;
    byId("login").close();
    this.apply({ ...session, has_users: true });
  }

  async logOut() {
    await post("/api/logout", {});
    await this.load();
  }

  async order(body) {
    const { error, status } = await post("/api/orders", body);
    if (status === 401) await this.load();
    return error ?? "";
  }

  dialog(name, body) {
    const dialog = byId(`${name}-dialog`);
    const problem = dialog.querySelector(".problem");
    byId(name).addEventListener("click", () => {
      problem.textContent = "";
      dialog.showModal();
    });
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = await this.order(body());
      if (!problem.textContent) dialog.close();
    });
  }
}
