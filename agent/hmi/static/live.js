// The stream of frames, and what is known of its health.
const SILENT_MS = 2500;

export class Live {
  constructor(handlers, onState) {
    this.handlers = handlers;
    this.onState = onState;
    this.heard = performance.now();
    this.state = "";
    setInterval(() => this.watch(), 500);
  }

  open() {
    this.close();
    this.heard = performance.now();
    this.source = new EventSource("/api/live");
    for (const [name, handle] of Object.entries(this.handlers)) {
      this.source.addEventListener(name, (event) => {
        this.heard = performance.now();
        handle(JSON.parse(event.data));
      });
    }
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
  }

  // EventSource comes back by itself, but not after an answer that is no stream.
  watch() {
    if (!this.source) return this.tell("closed");
    const silent = performance.now() - this.heard > SILENT_MS;
    if (silent && this.source.readyState === EventSource.CLOSED) this.open();
    return this.tell(silent ? "silent" : "live");
  }

  tell(state) {
    if (state === this.state) return;
    this.state = state;
    this.onState(state);
  }
}
