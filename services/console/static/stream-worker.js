// One stream a browser: a shared worker holds it, and tells every page that asked for the same address.
// Where there are no shared workers a page has one of its own.
"use strict";
const NAMES = ["touchpoint", "journey", "alert", "heartbeat", "reset"];
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15000;
const PORT_SECONDS = 200; // hidden pages may say once a minute that they are there
const SWEEP_MS = 2000;
const MISSED_HEARTBEATS = 2.5;
const streams = new Map();
const ports = new Map(); // port -> when it was last heard of

class Stream {
  constructor(url, heartbeatSeconds) {
    this.url = url;
    this.silenceMs = Math.max(2000, heartbeatSeconds * 1000 * MISSED_HEARTBEATS);
    this.ports = new Set();
    this.state = "connecting";
    this.heardAt = Date.now();
    this.lastId = "";
    this.pauseMs = FIRST_PAUSE_MS;
    this.open();
  }

  open() {
    this.source?.close();
    const url = new URL(this.url, self.location.origin);
    if (this.lastId) url.searchParams.set("last_id", this.lastId);
    const source = new EventSource(url);
    this.source = source;
    this.openedAt = Date.now();
    for (const name of NAMES) source.addEventListener(name, (event) => this.heard(name, event));
    source.onerror = () => source === this.source && this.lost();
  }

  heard(name, event) {
    this.heardAt = Date.now();
    this.lastId = event.lastEventId || this.lastId;
    this.pauseMs = FIRST_PAUSE_MS;
    this.say("live");
    this.tell({ name, data: event.data });
  }

  lost() {
    this.say("lost");
    this.source.close();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), this.pauseMs);
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
  }

  async again() {
    // An EventSource does not say why it failed; a session that has ended is told from a network that has.
    if (this.asking) return;
    this.asking = true;
    const asked = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(LONGEST_PAUSE_MS) };
    const answer = await fetch(this.url, asked).catch(() => null);
    this.asking = false;
    if (streams.get(this.url) !== this) return;
    if (answer?.status === 401) this.say("ended");
    else if (answer) this.open();
    else this.lost();
  }

  renew() {
    // Whoever listens may have changed: the server is asked again who that is.
    clearTimeout(this.timer);
    this.source.close();
    this.again();
  }

  watch(now) {
    const since = Math.max(this.heardAt, this.openedAt);
    if (this.source.readyState !== EventSource.CLOSED && now - since > this.silenceMs) this.lost();
  }

  say(state) {
    if (state === "live" && this.state === "live") return;
    this.state = state;
    this.tell({ state, heardAt: this.heardAt });
  }

  tell(message) {
    for (const port of this.ports) port.postMessage({ url: this.url, ...message });
  }

  close() {
    clearTimeout(this.timer);
    this.source.close();
    streams.delete(this.url);
  }
}

function leave(port) {
  ports.delete(port);
  for (const stream of [...streams.values()]) {
    stream.ports.delete(port);
    if (!stream.ports.size) stream.close();
  }
}

function join(port, url, heartbeat) {
  const stream = streams.get(url) ?? new Stream(url, heartbeat);
  streams.set(url, stream);
  const joined = !stream.ports.has(port);
  stream.ports.add(port);
  // Somebody may have signed in since.
  if (stream.state === "ended") stream.renew();
  port.postMessage({ url, state: stream.state, heardAt: stream.heardAt, joined });
}

function attach(port) {
  port.onmessage = ({ data }) => {
    if (data.bye) return leave(port);
    ports.set(port, Date.now());
    if (data.renew) for (const stream of streams.values()) stream.renew();
    if (data.open) join(port, data.open, data.heartbeat);
    return undefined;
  };
}

function sweep() {
  const now = Date.now();
  for (const [port, at] of ports) if (now - at > PORT_SECONDS * 1000) leave(port);
  for (const stream of streams.values()) stream.watch(now);
}

setInterval(sweep, SWEEP_MS);

if ("onconnect" in self) self.onconnect = (event) => attach(event.ports[0]);
else attach(self);
