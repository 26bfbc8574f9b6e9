// The one WebSocket: comes back by itself, answers each request once.
const FIRST_MS = 400;
const LONGEST_MS = 4000;

export class Link {
  constructor(onMessage, onUp) {
    this.onMessage = onMessage;
    this.onUp = onUp;
    this.waiting = new Map();
    this.next = 1;
    this.delay = FIRST_MS;
    this.open();
  }

  open() {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    this.socket = socket;
    socket.onopen = () => {
      this.delay = FIRST_MS;
      this.onUp(true);
    };
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => {
      for (const resolve of this.waiting.values()) resolve({ ok: false, error: "The simulator is gone." });
      this.waiting.clear();
      this.onUp(false);
      setTimeout(() => this.open(), this.delay);
      this.delay = Math.min(this.delay * 1.6, LONGEST_MS);
    };
  }

  take(message) {
    if (message.t !== "result") return this.onMessage(message);
    this.waiting.get(message.id)?.(message);
    this.waiting.delete(message.id);
  }

  act(name, args = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) {
      return Promise.resolve({ ok: false, error: "The simulator is gone." });
    }
    const id = this.next++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.socket.send(JSON.stringify({ id, act: name, args }));
    });
  }
}
