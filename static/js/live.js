// Live: what hx-ws lacks: hello with the seqs one has, no entry twice, a watch on the heartbeat, sign-in on 4401,
// a fresh load on reset, a new connection after the back-forward cache.
// Others listen on `document`: "live:joined", "live:ok", "live:error", "live:entry", "live:state",
// and "live:over" when the session is: who still holds what was typed prevents the way to sign in.
const el = document.getElementById("live"), root = document.documentElement;
const SILENCE = 60000, PROTOCOL = 1; // the server sends a heartbeat every 25 s
const seqs = new Map();
let timer, state;

const tell = (name, detail) => document.dispatchEvent(new CustomEvent("live:" + name, {detail}));
const set = s => { if (s !== state) { state = root.dataset.live = s; tell("state", s) } };
const connection = () => el?._htmx?.ws?.connection;
const watch = () => { clearTimeout(timer); timer = setTimeout(revive, SILENCE) };
const parse = m => { try { return JSON.parse(m.data) } catch { return null } };

export function send(message) {
  const socket = connection()?.socket;
  if (state !== "on" || socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(message));
  return true;
}

function revive() {
  set("off");
  htmx.process(el, true); // takes the old connection down and wires the element anew
  htmx.trigger(el, "connect");
}

function incoming(e) {
  const m = parse(e.detail.message);
  watch();
  if (!m) return;
  if (m.t === "joined") {
    if (m.mode === "reset" || m.room === document.body.dataset.room && m.by !== document.body.dataset.by) return location.reload();
    return tell("joined", m);
  }
  if (m.t === "ok" || m.t === "error") return tell(m.t, m);
  if (m.t === "hb") {
    for (const [room, head] of Object.entries(m.heads || {}))
      if (seqs.has(room) && head > seqs.get(room)) send({t: "join", room, after: seqs.get(room)});
    return;
  }
  if (m.seq != null && m.seq <= (seqs.get(m.room) ?? -1)) e.preventDefault();
}

if (el) {
  for (const part of el.dataset.rooms.split(" ").filter(Boolean)) {
    const [room, seq] = part.split(":");
    seqs.set(room, +seq);
  }
  el.addEventListener("htmx:ws:after:connection", e => {
    set("on");
    watch();
    e.detail.connection.socket.send(JSON.stringify({t: "hello", v: PROTOCOL, view: el.dataset.view, rooms: Object.fromEntries(seqs)}));
  });
  el.addEventListener("htmx:ws:before:message:incoming", incoming);
  el.addEventListener("htmx:ws:after:message:incoming", e => {
    const m = parse(e.detail.message);
    if (m?.content == null || m.seq == null || m.seq <= (seqs.get(m.room) ?? -1)) return; // an `ok` brings no entry
    const from = seqs.get(m.room);
    seqs.set(m.room, m.seq);
    tell("entry", {room: m.room, seq: m.seq, from});
  });
  el.addEventListener("htmx:ws:close", e => {
    const code = e.detail.code;
    if (state === "paused") return;
    clearTimeout(timer);
    if (code === 4401 && document.dispatchEvent(new Event("live:over", {cancelable: true}))) return location.assign("/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
    set(code >= 4400 ? "dead" : "off");
  });
  addEventListener("pageshow", e => { if (e.persisted) revive() });
  addEventListener("online", () => { if (state === "off") revive() });
  addEventListener("offline", () => set("off"));
  document.getElementById("pause")?.addEventListener("click", () => { // paused: no connection; resumed: what was missed comes
    if (state === "paused") return revive();
    set("paused");
    clearTimeout(timer);
    htmx.process(el, true);
  });
  set("off");
  const start = () => { htmx.process(el); htmx.trigger(el, "connect") };
  window.htmx ? start() : addEventListener("DOMContentLoaded", start);
}
