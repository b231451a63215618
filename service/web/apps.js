// All apps, the most urgent first. There may be hundreds: a row is only rebuilt when it changes,
// and its curve is loaded when it comes into view.

import { $, el, icon, note } from './dom.js';
import { get, live, may } from './api.js';
import { STATE, appPath, connection, frame, notice, setLive, shown, stateOf } from './shell.js';
import { big, count, now, wait } from './words.js';
import { pips } from './pips.js';
import { sparkline } from './spark.js';

const DAY = 86400, HOUR = 3600, FILTER_FROM = 8;
const ORDER = ['trouble', 'stale', 'maximum', 'waiting', 'paused', 'boosted', 'off', 'ok', 'none'];
// The filters: name, words, and the states that they include.
const KINDS = [['all', 'All', ORDER], ['look', 'Need a look', ['trouble', 'stale', 'maximum']], ['held', 'Paused, boosted', ['paused', 'boosted']], ['off', 'Off', ['off', 'none']], ['waiting', 'No report yet', ['waiting']], ['ok', 'Work', ['ok']]];
const sparks = new Map(); // by app and process: values of the last day
const rows = new Map(); // by app: {node, made of}
let apps = [], kind = 'all';

// The process that determines the app's state: the most urgent one.
function mainProcess(app) {
  return app.processes.slice().sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))[0];
}
const sourceOf = (process) => process.queue_time?.queue ?? 'web';
const keyOf = (app, process) => `${app.name} ${process?.process}`;

// ---------------------------------------------------------------- curves

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    const app = isIntersecting && apps.find((one) => one.name === target.dataset.app), process = app && mainProcess(app);
    if (process) loadSpark(app, process);
  }
}, { rootMargin: '200px' });

// A day, or for a younger app its first hours.
const isYoung = (app) => now() - app.created < 2 * HOUR;
async function loadSpark(app, process) {
  const [length, step] = isYoung(app) ? [HOUR, 60] : [DAY, 900], key = keyOf(app, process), to = Math.floor(now() / step) * step + step;
  if (sparks.has(key)) return;
  sparks.set(key, null);
  try {
    const { points } = await get(`${appPath(app.name)}/series?source=${encodeURIComponent(sourceOf(process))}&from=${to - length}&to=${to}&step=${step}`);
    sparks.set(key, points.map((point) => (point.count ? point.p95 : null)));
    $('.graph', rows.get(app.name)?.node)?.replaceChildren(...[graph(app, process)].flat());
  } catch { sparks.delete(key); } // the row goes without its curve, until it is seen again
}

function graph(app, process) {
  const values = sparks.get(keyOf(app, process));
  const known = values?.filter((v) => v !== null) ?? [];
  if (!known.length) return el('span', { class: 'hint' }, values ? 'Nothing was reported in the last 24 h' : '');
  const above = process.rule.up.threshold_ms;
  const curve = sparkline(values, { above, label: `Queue time of ${process.process} over the last ${isYoung(app) ? 'hour' : '24 hours'}, ${wait(Math.max(...known))} at most; the rule adds a dyno above ${wait(above)}` });
  return isYoung(app) ? [curve, el('span', { class: 'hint' }, 'the last hour')] : curve;
}

// Loads the curves that are out of sight last, one at a time: they are needed for printing.
async function loadRest() {
  for (const app of apps.slice()) if (mainProcess(app)) await loadSpark(app, mainProcess(app));
}

// ---------------------------------------------------------------- rows

function fleet(app, process) {
  const up = process?.dynos?.ordered;
  if (up === null || up === undefined) return el('span', { class: 'faint' }, '–');
  const others = app.processes.filter((other) => other !== process && other.dynos?.ordered).map((other) => `${other.dynos.ordered} ${other.process}`);
  return [el('b', {}, String(up)), ` ${process.process}${others.length ? `, ${others.join(', ')}` : ''}`, el('br'), pips(process)];
}

// The ledger's sentence, shortened for this page.
function sentenceOf(app, process) {
  if (/no platform is set/.test(process.sentence)) return 'No platform is set: everything is measured, and nothing can be scaled.';
  if (process.state === 'trouble') return `${app.processes.length > 1 ? `${process.process}: the` : 'The'} platform says: ${process.words}`;
  const words = process.sentence.replace(/^(would )?hold (\d+)/, (all, would, n) => (would ? `would hold at ${n}` : `holding at ${n}`));
  return app.processes.length > 1 ? `${process.process}: ${words}` : words[0].toUpperCase() + words.slice(1);
}

function build(app) {
  const process = mainProcess(app), waiting = app.state === 'waiting';
  return el('li', { class: `app ${(STATE[app.state] ?? STATE.none)[0]}`, 'data-app': app.name },
    el('div', { class: 'name' },
      el('div', { class: 'title' }, el('h2', {}, el('a', { href: waiting ? appPath(app.name, 'start') : appPath(app.name) }, app.name)), stateOf(app)),
      el('p', { class: 'why' }, process?.sentence && !waiting ? sentenceOf(app, process) : app.words)),
    el('div', { class: 'p95' }, process?.queue_time ? big(process.queue_time.ms) : el('span', { class: 'faint' }, '–'), el('small', {}, process ? `${process.process}, ${process.queue_time?.statistic ?? 'p95'} now` : '')),
    el('div', { class: 'graph' }, process ? graph(app, process) : null),
    el('div', { class: 'count' }, fleet(app, process)));
}

// The row of an app; the existing one if nothing changed, so that it keeps the focus.
function rowOf(app) {
  const made = JSON.stringify([app.state, app.words, app.processes.map((p) => [p.process, p.state, p.sentence, p.queue_time?.ms, p.dynos?.ordered, p.dynos?.booting, p.rule])]);
  const old = rows.get(app.name);
  if (old?.made === made) return old.node;
  const node = build(app), focused = old?.node.contains(document.activeElement);
  if (old) { seen.unobserve(old.node); if (old.node.isConnected) old.node.replaceWith(node); }
  if (focused) $('a', node)?.focus();
  seen.observe(node);
  rows.set(app.name, { made, node });
  return node;
}

// ---------------------------------------------------------------- the page

function summary(shown) {
  if (!apps.length) return '';
  const dynos = apps.flatMap((app) => app.processes).reduce((sum, p) => sum + (p.dynos?.ordered ?? 0), 0);
  const need = apps.filter((app) => app.state === 'trouble').length, look = apps.filter((app) => ['maximum', 'stale'].includes(app.state)).length;
  const found = shown.length < apps.length ? ` ${shown.length} shown.` : '';
  const words = [need ? `${need === 1 ? 'one needs you' : `${need} need you`}` : '', look ? `${look === 1 ? 'one is' : `${look} are`} worth a look` : ''].filter(Boolean).join(', ') || 'nothing needs you';
  return `${count(apps.length, 'app')} with ${count(dynos, 'dyno')}; ${words}.${found}`;
}

function showKinds() {
  const some = KINDS.map(([name, word, states]) => [name, word, apps.filter((app) => states.includes(app.state)).length]).filter(([name, , number]) => number || name === 'all' || name === kind);
  if ($('#kinds').dataset.made === JSON.stringify([some, kind])) return;
  const focused = document.activeElement?.dataset.kind;
  $('#kinds').dataset.made = JSON.stringify([some, kind]);
  $('#kinds').replaceChildren(...some.map(([name, word, number]) => el('button', { type: 'button', 'data-kind': name, 'aria-pressed': String(name === kind) }, `${word} ${number}`)));
  if (focused) $(`#kinds [data-kind="${focused}"]`)?.focus();
}

function draw() {
  const word = $('#words').value.trim().toLowerCase(), states = KINDS.find(([name]) => name === kind)[2];
  const shown = apps.filter((app) => app.name.includes(word) && states.includes(app.state))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name));
  $('#filter').hidden = apps.length < FILTER_FROM;
  showKinds();
  $('#summary').textContent = summary(shown);
  $('.apps-head').hidden = !shown.length;
  const list = !apps.length ? [empty()] : shown.length ? shown.map(rowOf) : [noneFound(word)], there = $('#apps').children;
  if (list.length !== there.length || list.some((node, i) => node !== there[i])) place(list);
}
// Puts the rows in order. Rows that are in the right place are not touched, so that they keep the
// focus.
function place(list) {
  const host = $('#apps'), wanted = new Set(list);
  for (const node of Array.from(host.children)) if (!wanted.has(node)) node.remove();
  list.forEach((node, i) => { if (host.children[i] !== node) host.insertBefore(node, host.children[i] ?? null); });
}
function noneFound(word) {
  return el('li', { class: 'empty' }, el('h2', {}, word ? `No app has “${word}” in its name` : 'No app is like that'), el('p', {}, `There are ${apps.length}.`));
}
function empty() {
  return el('li', { class: 'empty' }, el('h2', {}, 'No apps yet'), el('p', {}, 'Add the first one: two lines in your app, and about five minutes.'), el('p', { class: 'after' }, el('a', { class: 'b primary', href: '/new' }, 'Add an app')));
}

await frame();
$('#add').prepend(icon('plus'));
$('#add').hidden = !await may('admin');
try {
  apps = (await get('/apps')).apps;
  draw();
  setLive('live', 'Live');
  shown();
  setTimeout(loadRest, 500);
} catch (problem) {
  notice(note('stop', 'stop', problem.message));
}
$('#words').addEventListener('input', draw);
$('#kinds').addEventListener('click', (event) => { if (event.target.dataset.kind) { kind = event.target.dataset.kind; draw(); } });
// Each app has its own event: those of the same moment are drawn together.
let drawing = false;
live(null, (app) => {
  const at = apps.findIndex((known) => known.name === app.name);
  if (at < 0) apps.push(app); else apps[at] = app;
  if (!drawing) { drawing = true; setTimeout(() => { drawing = false; draw(); }, 100); }
}, (...state) => connection(...state));
