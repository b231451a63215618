// Calls the service. An error becomes a Problem, whose message is a sentence for people. Whoever is
// not signed in is led to the sign-in page and back.

export class Problem extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

let session = null, leaving = false;
addEventListener('beforeunload', () => { leaving = true; });
addEventListener('pagehide', () => { leaving = true; });
addEventListener('pageshow', () => { leaving = false; });

// Who is signed in: {name, role, csrf ...}. Asked for once a page.
export function whoami() {
  session ??= call('GET', '/session');
  return session;
}
export async function may(role) {
  const order = ['read', 'operate', 'admin'];
  return order.indexOf((await whoami()).role) >= order.indexOf(role);
}

function toSignIn() {
  const back = location.pathname + location.search + location.hash;
  location.replace(`/signin${back === '/' ? '' : `?back=${encodeURIComponent(back)}`}`);
}

// Addresses that need no sign-in. A browser that is signed in must send the CSRF token there too,
// and learns it from the refusal.
const isOpen = (method, path) => (method === 'POST' && path === '/session') || path.startsWith('/links/');

async function call(method, path, { body, type, accept, headers = {} } = {}) {
  const sent = { Accept: accept ?? 'application/json', ...headers };
  if (method !== 'GET' && !isOpen(method, path)) sent['X-CSRF-Token'] = (await whoami()).csrf ?? '';
  if (body !== undefined) sent['Content-Type'] = type ?? 'application/json';
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { method, headers: sent, body: body === undefined || type ? body : JSON.stringify(body) });
  } catch {
    if (leaving) return new Promise(() => {}); // the browser ended it, because the page is left
    throw new Problem(0, 'The service can’t be reached. Scaling itself goes on, if the service runs.');
  }
  const text = await answer.text();
  if (answer.status === 401 && location.pathname !== '/signin') { toSignIn(); return new Promise(() => {}); }
  if (answer.status === 403 && isOpen(method, path) && !headers['X-CSRF-Token']) {
    const { csrf } = await call('GET', '/session');
    return call(method, path, { body, type, accept, headers: { ...headers, 'X-CSRF-Token': csrf } });
  }
  if (!answer.ok) throw new Problem(answer.status, sentenceOf(answer, text));
  if (/[/+]json\b/.test(answer.headers.get('Content-Type') ?? '') && text) {
    const value = JSON.parse(text);
    if (value && typeof value === 'object') Object.defineProperty(value, 'etag', { value: answer.headers.get('ETag'), enumerable: false });
    return value;
  }
  return text;
}

function sentenceOf(answer, text) {
  try {
    const { detail, title } = JSON.parse(text);
    const said = detail ?? title;
    if (said) return `${said[0].toUpperCase()}${said.slice(1)}${said.endsWith('.') ? '' : '.'}`;
  } catch { /* not JSON */ }
  return `The service answered ${answer.status}${answer.statusText ? ` (${answer.statusText})` : ''}.`;
}

// Calls something that takes a while: `event(name, value)` for each event of the answer, until it
// ends or `signal` aborts it.
export async function follow(path, body, event, signal) {
  const headers = { Accept: 'text/event-stream', 'Content-Type': 'application/json', 'X-CSRF-Token': (await whoami()).csrf ?? '' };
  let answer, rest = '';
  try {
    answer = await fetch(`/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body), signal });
  } catch (problem) {
    if (signal.aborted) throw problem;
    throw new Problem(0, 'The service can’t be reached. Scaling itself goes on, if the service runs.');
  }
  if (answer.status === 401) { toSignIn(); return new Promise(() => {}); }
  if (!answer.ok) throw new Problem(answer.status, sentenceOf(answer, await answer.text()));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) tell(part, event, answer);
  }
}
// Reads one event of a stream, which is made of lines of fields.
function tell(part, event, answer) {
  const of = (field) => part.split('\n').filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).replace(/^ /, '')).join('\n');
  const data = of('data');
  if (!data) return;
  if (of('event') === 'problem') throw new Problem(JSON.parse(data).status ?? 500, sentenceOf(answer, data));
  event(of('event'), JSON.parse(data));
}

export const get = (path, options) => call('GET', path, options);
export const post = (path, body, options) => call('POST', path, { body, ...options });
export const put = (path, body, options) => call('PUT', path, { body, ...options });
export const patch = (path, body) => call('PATCH', path, { body });
export const remove = (path, body) => call('DELETE', path, { body });

// Events of one app, or of all: calls `event(app)` for each, and `state('live' | 'slow' | 'failed',
// since, next)` as the connection comes and goes. Reconnects after a restart of the service, when
// the browser itself may give up, and silently when a stream ends normally, as each does after some
// minutes. slow: the stream is open, but events that come at each tick have been missing for long.
const SILENCE_MS = 35_000, SILENCES = 4, WATCH_MS = 5000;
export function live(app, event, state) {
  let source, wait = 500, failures = 0, lastSeen = Date.now(), gap = null, slow = false;
  const seen = () => {
    const at = Date.now();
    if (slow) { slow = false; state('live'); }
    lastSeen = at;
    return at;
  };
  const open = () => {
    source = new EventSource(`/api/v1/events${app ? `?app=${encodeURIComponent(app)}` : ''}`);
    source.addEventListener('open', () => { wait = 500; failures = 0; gap = null; seen(); state('live'); });
    source.addEventListener('app', (message) => { const before = lastSeen; gap = seen() - before; event(JSON.parse(message.data)); });
    source.addEventListener('error', () => {
      source.close();
      if (failures++) state('failed', lastSeen / 1000, Math.max(1, Math.round(wait / 1000)));
      setTimeout(async () => {
        try { session = null; await whoami(); } catch { /* told by the state */ }
        open();
      }, wait);
      wait = Math.min(wait * 2, 30000);
    });
  };
  open();
  setInterval(() => {
    if (failures || slow || gap === null || Date.now() - lastSeen < Math.max(SILENCE_MS, gap * SILENCES)) return;
    slow = true;
    state('slow', lastSeen / 1000);
  }, WATCH_MS);
  addEventListener('pagehide', () => source.close());
}
