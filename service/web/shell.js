// The frame of every page: the head with the apps and the account, the tabs of an app, the foot
// with the clock and the colours, and the sign that shows whether the page is live.

import { $, $$, el, icon, note, renew } from './dom.js';
import { Problem, get, may, remove, whoami } from './api.js';
import { time, useZone } from './words.js';

// The name of the app in the path: /apps/NAME/...
export const appName = () => decodeURIComponent(location.pathname.split('/')[2] ?? '');
export const appPath = (name, page = '') => `/apps/${encodeURIComponent(name)}${page ? `/${page}` : ''}`;
export const STATE = {
  ok: ['ok', 'check', 'Works'], trouble: ['stop', 'stop', 'Needs you'], stale: ['attention', 'warn', 'No reports'],
  maximum: ['attention', 'warn', 'At its maximum'], waiting: ['waiting', 'clock', 'No report yet'],
  paused: ['pause', 'pause', 'Paused'], boosted: ['pause', 'boost', 'Boosted'], off: ['off', 'off', 'Off'], none: ['off', 'off', 'No rules'],
};
export function stateOf(app) {
  const [kind, sign, word] = STATE[app.state] ?? STATE.none;
  return el('span', { class: `state ${kind}` }, icon(sign), word);
}

// ---------------------------------------------------------------- the colours

const listeners = [];
export const onTheme = (listener) => listeners.push(listener);
function setTheme(value) {
  if (value === 'system') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem('theme');
  } else {
    document.documentElement.dataset.theme = value;
    localStorage.setItem('theme', value);
  }
  for (const listener of listeners) listener();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { for (const listener of listeners) listener(); });

function segmented(name, legend, choices, value, change) {
  const set = el('fieldset', { class: 'pick' }, el('legend', { class: 'unseen' }, legend));
  for (const [key, text] of choices) {
    const input = el('input', { type: 'radio', name, value: key, checked: key === value });
    input.addEventListener('change', () => change(key));
    set.append(el('label', {}, input, el('span', {}, text)));
  }
  return set;
}

function foot(zoned) {
  $('#foot').append(el('div', { class: 'wide' }, el('span', {}, 'Dynoscale'), el('span', { class: 'row settings' },
    zoned ? segmented('zone', 'Times in', [['app', 'App’s time'], ['mine', 'My time']], localStorage.getItem('zone') ?? 'app', (v) => { localStorage.setItem('zone', v); location.reload(); }) : null,
    segmented('theme', 'Colours', [['system', 'System'], ['light', 'Light'], ['dark', 'Dark']], document.documentElement.dataset.theme ?? 'system', setTheme))));
}

// ---------------------------------------------------------------- the head

function logo() {
  const NS = 'http://www.w3.org/2000/svg', svg = document.createElementNS(NS, 'svg');
  svg.setAttribute('viewBox', '0 0 22 22');
  svg.setAttribute('aria-hidden', 'true');
  for (const [name, x, y, height] of [['b1', 2, 12, 8], ['b2', 8.5, 7, 13], ['b3', 15, 2, 18]]) {
    const bar = document.createElementNS(NS, 'rect');
    for (const [key, value] of Object.entries({ class: name, x, y, width: 5, height, rx: 1.5 })) bar.setAttribute(key, value);
    svg.append(bar);
  }
  return el('a', { class: 'brand', href: '/', 'aria-label': 'Dynoscale: all apps' }, svg, el('b', {}, 'Dynoscale'));
}

function appsMenu(apps, current) {
  return el('details', { class: 'menu' }, el('summary', {}, el('span', {}, current), ' ', icon('chevron')),
    el('div', { class: 'float' },
      apps.slice(0, 40).map((app) => el('a', { class: 'item', href: appPath(app.name), 'aria-current': app.name === current && 'true' }, app.name, ' ', stateOf(app))),
      el('div', { class: 'group' }, el('a', { href: '/' }, apps.length > 40 ? `All ${apps.length} apps` : 'All apps'))));
}

async function signOut() {
  await remove('/session');
  location.href = '/signin';
}

async function accountMenu(who) {
  const out = el('button', { class: 'item', type: 'button' }, 'Sign out');
  out.addEventListener('click', signOut);
  return el('details', { class: 'menu right' },
    el('summary', {}, el('span', { class: 'avatar', 'aria-hidden': 'true' }, [...who.name].slice(0, 2).join('').toUpperCase()), el('span', { class: 'unseen' }, `${who.name}, your account`)),
    el('div', { class: 'float' }, el('div', { class: 'who' }, el('strong', {}, who.name), el('br'), el('span', { class: 'quiet' }, who.role)),
      who.app === null ? el('a', { class: 'item', href: '/account' }, 'Your account') : null,
      who.app === null && await may('admin') ? el('a', { class: 'item', href: '/people' }, 'People, tokens, audit log') : null, out));
}

// People who came from Heroku's dashboard get a way back. Plain links, so that nothing is loaded
// from elsewhere.
function fromHeroku(app) {
  const at = 'https://dashboard.heroku.com/apps';
  $('#top').before(el('nav', { class: 'heroku', 'aria-label': 'Heroku' }, el('div', { class: 'wide' },
    el('a', { href: at }, 'Heroku'), el('span', { 'aria-hidden': 'true' }, '›'),
    app ? [el('a', { href: `${at}/${encodeURIComponent(app)}` }, app), el('span', { 'aria-hidden': 'true' }, '›')] : null, el('span', {}, 'Dynoscale'))));
}

const TABS = [['', 'Overview'], ['rules', 'Rules'], ['why', 'Why'], ['savings', 'Savings'], ['settings', 'Settings']];
function tabs(name, page) {
  $('#tabs').setAttribute('aria-label', name);
  $('#tabs').append(el('div', { class: 'wide' }, el('ul', {}, TABS.map(([path, word]) => el('li', {}, el('a', { href: appPath(name, path), 'aria-current': path === page && 'page' }, word))))));
}

// All apps, requested once per page; and one of them. Whether an app exists is looked up in the
// list, so that a mistyped address causes no failed request.
let listed = null;
const allApps = () => { listed ??= get('/apps'); return listed; };
export async function findApp(name) {
  const { apps } = await allApps(), found = apps.find((one) => one.name === name);
  if (!found) throw new Problem(404, `There is no app ${name}.`);
  return found;
}

// Replaces a page that can't be shown, because it does not exist or may not be seen, by the reason
// and links to go on.
function instead(problem, name) {
  const [title, words] = problem.status === 404 && name ? [`There is no app ${name}`, 'It was removed, or the address is mistyped.']
    : problem.status === 403 ? ['This is not yours to see', problem.message]
      : ['This page can’t be shown', problem.message];
  document.title = `${title} · Dynoscale`;
  $('#tabs')?.remove();
  $('#main').replaceChildren(el('div', { class: 'wide' }, el('div', { class: 'card empty' }, el('h1', {}, title), el('p', {}, words), el('p', { class: 'after' }, el('a', { class: 'b primary', href: '/' }, 'All apps')))));
  shown();
  return new Promise(() => {}); // whoever waits for the page waits for ever
}

// Leads a person who must set up a second factor first to the place for it.
async function lacksFactor() {
  if (location.pathname === '/account' || !(await whoami()).lacks_factor) return false;
  location.replace('/account');
  return true;
}

// Builds the frame. `needs`: the role that the page requires. With the name of an app it returns
// that app, as the API lists it; `page` is its tab.
export async function frame({ app: name, page, needs } = {}) {
  let who, app, apps;
  try {
    [who, app, { apps }] = await Promise.all([whoami(), name ? findApp(name) : null, name ? allApps() : { apps: [] }]);
  } catch (problem) {
    if (problem.status === 403 && await lacksFactor()) return new Promise(() => {});
    bareFrame();
    return instead(problem, name);
  }
  if (await lacksFactor()) return new Promise(() => {});
  if (app) {
    useZone(app.zone);
    document.title = `${app.name} · ${document.title}`;
  }
  if (who.heroku_app !== null) fromHeroku(who.heroku_app);
  const here = (path) => (location.pathname === path ? 'page' : null);
  $('#top').append(el('div', { class: 'wide' }, logo(),
    app ? [el('span', { class: 'slash', 'aria-hidden': 'true' }, '/'), appsMenu(apps, app.name)] : null,
    el('div', { class: 'end' },
      el('span', { class: 'live', 'data-is': 'stale', role: 'img', 'aria-label': 'Loading' }, el('span', {}, 'Loading')),
      el('a', { href: '/', 'aria-current': here('/') }, 'Apps'),
      who.app === null && await may('admin') ? el('a', { href: '/people', 'aria-current': here('/people') }, 'People') : null,
      await accountMenu(who))));
  if (app && $('#tabs')) tabs(app.name, page);
  foot(Boolean(app));
  if (needs && !await may(needs)) {
    setLive('live', 'Live');
    return instead({ status: 403, message: `It needs the role ${needs}; yours is ${who.role}. Somebody with the role admin can change that.` });
  }
  return app;
}

// For pages without sign-in.
export function bareFrame() {
  $('#top').append(el('div', { class: 'wide' }, logo()));
  foot(false);
  shown();
}

export function setLive(is, text) {
  for (const node of $$('.live')) {
    node.dataset.is = is;
    node.replaceChildren(el('span', {}, text));
    node.title = text;
    node.setAttribute('aria-label', text);
  }
}

// Called when the page has everything it needs. Until then the stylesheet shows its outline.
export const shown = () => document.documentElement.classList.remove('loading');

export function notice(...content) {
  renew($('#notice'), ...content);
  if (content.some(Boolean)) shown();
}

// Shows what went wrong, if something did; else returns the promise's value.
export async function trying(promise) {
  try {
    const value = await promise;
    notice();
    return value;
  } catch (problem) {
    notice(note('stop', 'stop', problem.message));
    $('#notice').scrollIntoView({ block: 'nearest' });
    throw problem;
  }
}

// The connection was made or lost.
export function connection(state, since, next) {
  if (state === 'live') { setLive('live', 'Live'); notice(); return; }
  if (state === 'slow') {
    setLive('stale', 'No news');
    notice(note('attention', 'warn', `Nothing new since ${time(since)}.`, 'What you see is from then. The service is connected, but slow to answer; this page goes on by itself.'));
    return;
  }
  setLive('failed', 'Not connected');
  notice(note('stop', 'stop', `This page lost its connection at ${time(since)}.`, `What you see is from then. Scaling itself goes on. Trying again in ${next} s.`));
}

// The types of an app's processes, as links of this page.
export function processLinks(app, current) {
  renew($('#processes'), ...app.processes.map((process) => {
    const url = new URL(location);
    url.searchParams.set('process', process.process);
    url.hash = '';
    const dynos = process.dynos?.ordered;
    return el('a', { href: `${url.pathname}${url.search}`, 'aria-current': process.process === current && 'true' },
      process.process, dynos === null || dynos === undefined ? '' : ` · ${dynos} ${dynos === 1 ? 'dyno' : 'dynos'}`);
  }));
}
export function chosenProcess(app) {
  const asked = new URLSearchParams(location.search).get('process');
  return app.processes.find((p) => p.process === asked) ?? app.processes[0];
}

document.addEventListener('click', (event) => {
  for (const menu of $$('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const menu of $$('details.menu[open]')) { menu.open = false; $('summary', menu).focus(); }
});
