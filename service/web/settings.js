// Settings of one app.

import { $, announce, ask, copyable, el, note } from './dom.js';
import { get, live, may, patch, post, put, remove } from './api.js';
import { appName, appPath, connection, frame, notice, shown, trying } from './shell.js';
import { tell } from './tell.js';
import { dynos, stamp, timeTag } from './words.js';

const name = appName(), path = appPath(name);
const KINDS = { command: 'a program on the service’s machine', ecs: 'Amazon ECS', fly: 'Fly.io', heroku: 'Heroku', kubernetes: 'Kubernetes', pull: 'KEDA, or another scaler that asks', railway: 'Railway', render: 'Render', scalingo: 'Scalingo', webhook: 'a webhook' };
let app = await frame({ app: name, page: 'settings' }).then(() => get(path));
const admin = await may('admin');

const pairs = (list) => list.filter(Boolean).flatMap(([key, value]) => [el('dt', {}, key), el('dd', {}, value)]);

// ---------------------------------------------------------------- the platform

let unread = false;  // a platform is set, and what it says was not known yet

async function platform() {
  const set = await get(`${path}/platform`).catch((problem) => { if (problem.status === 404) return null; throw problem; });
  if (!set) {
    $('#platform-state').replaceChildren(note('attention', 'warn', 'No platform is set.', 'Everything is measured, decided and shown, but nothing can be scaled.'));
    $('#platform-pairs').replaceChildren();
  } else {
    health(set);
  }
  $('#platform-form').replaceChildren(admin ? form(set) : '');
}

// Names of the platforms' settings, by their names in the API.
const SETTINGS = { app: 'App there', ca: 'Certificates', cluster: 'Cluster', command: 'Program', directory: 'Its folder', environment: 'Environment', namespace: 'Namespace', processes: 'Names there', region: 'Region', server: 'Server', url: 'Address' };

// Lists as words, and {web: 'shop-web'} as web=shop-web.
function inWords(value) {
  if (Array.isArray(value)) return value.join(' ');
  if (value && typeof value === 'object') return Object.entries(value).map(([key, one]) => `${key}=${one}`).join(' ');
  return String(value);
}

function health(set) {
  const bad = set.health.find((process) => process.trouble);
  const test = el('button', { class: 'b small', type: 'button' }, 'Test now');
  test.addEventListener('click', async () => {
    test.disabled = true;
    const { result, test: parts } = await trying(post(`${path}/platform/test`, {})).catch(() => ({ test: [] }));
    test.disabled = false;
    const said = parts.map((part) => `${part.process}: ${part.trouble ?? dynos(part.ordered ?? 0)}`).join('. ');
    $('#platform-state').replaceChildren(result === 'ok' ? note('ok', 'check', 'It works, tested just now.', said) : note('stop', 'stop', 'It does not work.', said), ' ', test);
    announce(result === 'ok' ? 'The platform works' : 'The platform does not work');
  });
  const known = set.health.filter((process) => process.ordered !== null);
  unread = !bad && !known.length;
  $('#platform-state').replaceChildren(
    bad ? note('stop', 'stop', `${bad.process}:`, bad.trouble)
      : known.length ? note('ok', 'check', 'It works.', known.map((p) => [`${p.process} has ${dynos(p.ordered)}, read at `, timeTag(p.read, stamp(p.read)), '. ']))
        : note('attention', 'warn', 'The number of dynos was not read yet.', ''), ' ', test);
  $('#platform-pairs').replaceChildren(...pairs([
    ['Platform', KINDS[set.kind] ?? set.kind],
    ...Object.entries(set.settings).map(([key, value]) => [SETTINGS[key] ?? key, el('code', {}, inWords(value))]),
    ['Credential', set.has_secret ? 'Kept encrypted, and never shown again.' : 'None is needed or set.'],
  ]));
}

// What each of the other platforms needs: [setting, its label, whether it is required].
const OTHERS = {
  kubernetes: { fields: [['namespace', 'Namespace'], ['server', 'API server (none: the cluster that the service runs in)'], ['ca', 'Its certificates (PEM)']], named: 'deployment/shop', secret: 'Token of a service account', free: true },
  render: { fields: [], named: 'srv-…', secret: 'API key' },
  fly: { fields: [['app', 'App at Fly.io']], named: 'group', secret: 'Deploy token' },
  scalingo: { fields: [['app', 'App at Scalingo'], ['region', 'Region']], named: 'type', secret: 'API token' },
  railway: { fields: [['environment', 'ID of the environment', true]], named: 'service-ID', secret: 'Project token' },
  ecs: { fields: [['region', 'Region', true], ['cluster', 'Cluster']], named: 'service', secret: 'KEY_ID:SECRET' },
  pull: { fields: [], about: ['Nothing is called from here. The other scaler asks for the number at ', el('code', {}, `/api/v1${path}/processes/TYPE/wanted`), ', with a token that may read.'] },
};

// Reads "web=shop-web worker=jobs" into an object; null: it is malformed.
function processesOf(text) {
  const pairs = text.trim().split(/\s+/).filter(Boolean).map((word) => word.split('='));
  return pairs.every((pair) => pair.length === 2 && pair[0] && pair[1]) ? Object.fromEntries(pairs) : null;
}

function other(set) {
  const fields = el('div', { class: 'stack' });
  const kind = el('select', { name: 'kind' }, Object.keys(OTHERS).map((one) => el('option', { value: one, selected: set?.kind === one }, KINDS[one])));
  const own = el('form', { class: 'stack' }, el('label', { class: 'field' }, el('span', {}, 'Platform'), kind), fields, el('p', {}, el('button', { class: 'b' }, 'Test and use')));
  const show = () => {
    const { fields: list, named, secret, free, about } = OTHERS[kind.value], settings = set?.kind === kind.value ? set.settings : {};
    if (about) return fields.replaceChildren(el('p', { class: 'quiet' }, about));
    fields.replaceChildren(
      ...list.map(([key, label, required]) => el('label', { class: 'field' }, el('span', {}, label), key === 'ca' ? el('textarea', { name: 'set-ca', rows: '3', spellcheck: 'false' }, settings.ca ?? '')
        : el('input', { name: `set-${key}`, required: Boolean(required), autocomplete: 'off', spellcheck: 'false', value: settings[key] ?? null }))),
      el('label', { class: 'field' }, el('span', {}, 'Names there'), el('input', { name: 'names', autocomplete: 'off', spellcheck: 'false', placeholder: `web=${named}`, value: settings.processes ? inWords(settings.processes) : null }),
        el('small', {}, 'TYPE=NAME for each process type that has another name there.')),
      el('label', { class: 'field' }, el('span', {}, secret), el('input', { name: 'key', type: 'password', required: !free, autocomplete: 'off' }),
        el('small', {}, 'It is kept encrypted, and tested at once.')));
  };
  kind.addEventListener('change', show);
  show();
  own.addEventListener('submit', async (event) => {
    event.preventDefault();
    const processes = processesOf(own.elements.names?.value ?? '');
    if (!processes) return notice(note('stop', 'stop', 'Names are written as TYPE=NAME, with blanks between them.'));
    const settings = Object.keys(processes).length ? { processes } : {};
    for (const [key] of OTHERS[kind.value].fields) {
      const value = own.elements[`set-${key}`].value.trim();
      if (value) settings[key] = value;
    }
    const key = own.elements.key?.value;
    const made = await trying(put(`${path}/platform`, { kind: kind.value, settings, ...(key ? { secret: key } : {}) })).catch(() => null);
    if (made) await platform();
  });
  return own;
}

function form(set) {
  const webhook = el('form', { class: 'stack' },
    el('label', { class: 'field' }, el('span', {}, 'Webhook'), el('input', { name: 'url', type: 'url', required: true, placeholder: 'https://…', value: set?.kind === 'webhook' ? set.settings.url : null }),
      el('small', {}, 'GET gives the number of dynos, a signed POST sets it. It is tested at once.')),
    el('p', {}, el('button', { class: 'b primary' }, 'Test and use')));
  webhook.addEventListener('submit', async (event) => {
    event.preventDefault();
    const made = await trying(put(`${path}/platform`, { kind: 'webhook', settings: { url: webhook.url.value } })).catch(() => null);
    if (!made) return;
    await platform();
    if (made.secret) $('#platform-form').prepend(el('div', { class: 'stack' }, note('attention', 'warn', 'Requests are signed with this secret.', 'It is shown only now; your program needs it to know that it is us.'), copyable(made.secret, 'The webhook’s secret')));
  });
  const heroku = el('form', { class: 'stack' },
    el('label', { class: 'field' }, el('span', {}, 'App at Heroku'), el('input', { name: 'app', required: true, autocomplete: 'off', spellcheck: 'false', placeholder: name, value: set?.kind === 'heroku' ? set.settings.app : null })),
    el('label', { class: 'field' }, el('span', {}, 'API key'), el('input', { name: 'key', type: 'password', required: true, autocomplete: 'off' }),
      el('small', {}, 'Of somebody who may scale the app: heroku authorizations:create. It is kept encrypted, and tested at once.')),
    el('p', {}, el('button', { class: 'b' }, 'Test and use')));
  heroku.addEventListener('submit', async (event) => {
    event.preventDefault();
    const made = await trying(put(`${path}/platform`, { kind: 'heroku', settings: { app: heroku.app.value }, secret: heroku.key.value })).catch(() => null);
    if (made) await platform();
  });
  return el('details', { open: !set }, el('summary', { class: 'quiet' }, set ? 'Use another' : 'Set one'), el('br'), webhook, el('h3', {}, 'Heroku'), heroku, el('h3', {}, 'Another platform'), other(set),
    el('p', { class: 'hint' }, 'A program on the service’s machine can be set only there: ', el('code', {}, `dynoscaled platform set ${name} command -- ./scale`), '.'));
}

// ---------------------------------------------------------------- the rest

function report() {
  const heard = app.processes.map((p) => p.queue_time?.heard_age).filter((age) => age !== null && age !== undefined);
  $('#report-pairs').replaceChildren(...pairs([
    ['Last report', heard.length ? `${Math.min(...heard)} s ago` : 'none yet'],
    ...app.report_tokens.map((token) => [`Address …${token.hint}`, ['made ', timeTag(token.created, stamp(token.created)), token.expires ? [', works until ', timeTag(token.expires, stamp(token.expires))] : ', in use']]),
  ]));
}
$('#rotate').addEventListener('click', async () => {
  const form = await ask($('#rotate-box'));
  if (!form) return;
  const made = await trying(post(`${path}/report-token`, { overlap: Number(form.get('overlap')) })).catch(() => null);
  if (!made) return;
  $('#rotated').replaceChildren(el('div', { class: 'stack' }, note('attention', 'warn', 'This is the only time that it is shown.'), copyable(`DYNOSCALE_URL=${made.report_url}`, 'The new address')));
  app = await get(path);
  report();
});

$('#zones').append(...Intl.supportedValuesOf('timeZone').map((value) => el('option', { value })));
$('#zone-form').zone.value = app.zone;
$('#zone-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  await trying(patch(path, { zone: event.target.zone.value.trim() }));
  notice(note('ok', 'check', `Times are read in ${event.target.zone.value} now.`));
});

// One day at a time, so that progress can be shown and the export can be stopped.
async function exported(state, said) {
  const parts = [await trying(get(`${path}/export`, { accept: 'application/x-ndjson' }))];
  const { first_day: start, last_day: end } = JSON.parse(parts[0].slice(0, parts[0].indexOf('\n')));
  for (let at = start, n = 1; at <= end && !state.stopped; at += 86400, n++) {
    said(`Day ${n} of ${(end - start) / 86400 + 1}. Stop`);
    parts.push(await trying(get(`${path}/export?day=${at}`, { accept: 'application/x-ndjson' })));
  }
  return parts;
}
let exporting = null;
$('#export').addEventListener('click', async (event) => {
  event.preventDefault();
  if (exporting) { exporting.stopped = true; announce('The export was stopped'); return; }
  const link = event.target, state = exporting = { stopped: false };
  const parts = await exported(state, (words) => { link.textContent = words; }).catch(() => null);
  exporting = null;
  link.textContent = 'Export everything';
  if (!parts || state.stopped) return;
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/x-ndjson' }));
  el('a', { href: url, download: `${name}.ndjson` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  announce('The export is done');
});
$('#export').href = `/api/v1${path}/export`;

$('#removal-text').textContent = `Destroys everything that Dynoscale knows of ${name}: its measurements, rules, decisions and audit log. There is no way back. The app itself goes on as it is, and is scaled no more.`;
$('#removal-label').textContent = `To confirm, type the app’s name: ${name}`;
$('#removal').addEventListener('input', () => { $('#removal button').disabled = $('#removal').elements.name.value !== name; });
$('#removal').addEventListener('submit', async (event) => {
  event.preventDefault();
  await trying(remove(path, { name: $('#removal').elements.name.value }));
  location.href = '/';
});
if (!admin) for (const id of ['#rotate', '#zone-form', '#removal']) $(id).inert = true;

live(name, async () => {
  const set = unread && await get(`${path}/platform`).catch(() => null);
  if (set && unread) health(set);
}, (...state) => connection(...state));
report();
await platform().catch((problem) => notice(note('stop', 'stop', problem.message)));
await tell(path).catch((problem) => notice(note('stop', 'stop', problem.message)));
shown();
