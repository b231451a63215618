// Asking the service. An answer that is an error becomes a Problem, whose message is a sentence for
// people; whoever is not signed in is led to the sign-in page and back.

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

// What nobody needs to be signed in for. Whoever is signed in all the same needs the CSRF token there
// too, and learns it from the refusal.
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
  if (answer.headers.get('Content-Type')?.includes('json') && text) {
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

export const get = (path, options) => call('GET', path, options);
export const post = (path, body, options) => call('POST', path, { body, ...options });
export const put = (path, body, options) => call('PUT', path, { body, ...options });
export const patch = (path, body) => call('PATCH', path, { body });
export const remove = (path, body) => call('DELETE', path, { body });

// Events of one app, or of all: `event(app)` for each, `state('live' | 'failed', since)` as the
// connection comes and goes. A restart of the service is survived: the browser may give up, this
// does not.
export function live(app, event, state) {
  let source, wait = 1000, lastSeen = Date.now();
  const open = () => {
    source = new EventSource(`/api/v1/events${app ? `?app=${encodeURIComponent(app)}` : ''}`);
    source.addEventListener('open', () => { wait = 1000; lastSeen = Date.now(); state('live'); });
    source.addEventListener('app', (message) => { lastSeen = Date.now(); event(JSON.parse(message.data)); });
    source.addEventListener('error', () => {
      source.close();
      state('failed', lastSeen / 1000, Math.round(wait / 1000));
      setTimeout(async () => {
        try { session = null; await whoami(); } catch { /* told by the state */ }
        open();
      }, wait);
      wait = Math.min(wait * 2, 30000);
    });
  };
  open();
  addEventListener('pagehide', () => source.close());
}
