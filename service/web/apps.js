// All apps, those that need somebody first.

import { $, el, icon, note } from './dom.js';
import { get, live, may } from './api.js';
import { appPath, connection, frame, notice, setLive, stateOf } from './shell.js';
import { big, count, now, time, wait } from './words.js';
import { pips } from './pips.js';
import { sparkline } from './spark.js';

const DAY = 86400, STEP = 900, FILTER_FROM = 8;
const ORDER = ['trouble', 'stale', 'maximum', 'waiting', 'paused', 'boosted', 'off', 'ok', 'none'];
const sparks = new Map(); // by app and process: values of the last day
let apps = [];

// The process that the app's state is about: the one that needs somebody most.
function mainProcess(app) {
  return app.processes.slice().sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))[0];
}
const sourceOf = (process) => process.queue_time?.queue ?? 'web';

async function loadSpark(app, process) {
  const key = `${app.name} ${process.process}`;
  if (sparks.has(key)) return;
  sparks.set(key, null);
  const to = Math.floor(now() / STEP) * STEP + STEP;
  try {
    const { points } = await get(`${appPath(app.name)}/series?source=${encodeURIComponent(sourceOf(process))}&from=${to - DAY}&to=${to}&step=${STEP}`);
    sparks.set(key, points.map((point) => (point.count ? point.p95 : null)));
    draw();
  } catch { /* the row goes without its curve */ }
}

function graph(app, process) {
  const values = sparks.get(`${app.name} ${process.process}`);
  const known = values?.filter((v) => v !== null) ?? [];
  if (!known.length) return el('span', { class: 'hint' }, values ? 'Nothing was reported in the last 24 h' : '');
  const above = process.rule.up.threshold_ms;
  return sparkline(values, { above, label: `Queue time of ${process.process} over the last 24 hours, ${wait(Math.max(...known))} at most; the rule adds a dyno above ${wait(above)}` });
}

function row(app) {
  const process = mainProcess(app), waiting = app.state === 'waiting';
  if (process) loadSpark(app, process);
  const link = waiting ? appPath(app.name, 'start') : appPath(app.name);
  const faint = () => el('span', { class: 'faint' }, '–');
  const up = process?.dynos?.ordered;
  return el('li', { class: `app ${app.state}` },
    el('div', { class: 'name' },
      el('div', { class: 'title' }, el('h2', {}, el('a', { href: link }, app.name)), stateOf(app)),
      el('p', { class: 'why' }, process?.sentence && app.state !== 'waiting' ? `${process.process}: ${process.sentence}` : app.words)),
    el('div', { class: 'p95' }, process?.queue_time ? big(process.queue_time.ms) : faint(), el('small', {}, process ? `${process.process}, ${process.queue_time?.statistic ?? 'p95'} now` : '')),
    el('div', { class: 'graph' }, process ? graph(app, process) : null),
    el('div', { class: 'count' }, up === null || up === undefined ? faint() : [el('b', {}, String(up)), ` ${process.process}`, el('br'), pips(process)]));
}

function summary(shown) {
  if (!apps.length) return '';
  const dynos = apps.flatMap((app) => app.processes).reduce((sum, p) => sum + (p.dynos?.ordered ?? 0), 0);
  const need = apps.filter((app) => app.state === 'trouble').length, look = apps.filter((app) => ['maximum', 'stale'].includes(app.state)).length;
  const found = shown.length < apps.length ? ` ${shown.length} shown.` : '';
  const words = [need ? `${need === 1 ? 'one needs you' : `${need} need you`}` : '', look ? `${look === 1 ? 'one is' : `${look} are`} worth a look` : ''].filter(Boolean).join(', ') || 'nothing needs you';
  return `${count(apps.length, 'app')} with ${count(dynos, 'dyno')}; ${words}.${found}`;
}

function draw() {
  const word = $('#words').value.trim().toLowerCase();
  const shown = apps.filter((app) => app.name.includes(word))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name));
  $('#filter').hidden = apps.length < FILTER_FROM;
  $('#summary').textContent = summary(shown);
  $('.apps-head').hidden = !shown.length;
  $('#apps').replaceChildren(...(!apps.length ? [empty()] : shown.length ? shown.map(row) : [noneFound(word)]));
}
function noneFound(word) {
  return el('li', { class: 'empty' }, el('h2', {}, `No app has “${word}” in its name`), el('p', {}, `There are ${apps.length}.`));
}
function empty() {
  return el('li', { class: 'empty' }, el('h2', {}, 'No apps yet'), el('p', {}, 'Add the first one: two lines in your app, and about five minutes.'), el('p', {}, el('br'), el('a', { class: 'b primary', href: '/new' }, 'Add an app')));
}

await frame();
$('#add').prepend(icon('plus'));
$('#add').hidden = !await may('admin');
try {
  apps = (await get('/apps')).apps;
  draw();
  setLive('live', 'Live');
} catch (problem) {
  notice(note('stop', 'stop', problem.message));
}
$('#words').addEventListener('input', draw);
live(null, (app) => {
  const at = apps.findIndex((known) => known.name === app.name);
  if (at < 0) apps.push(app); else apps[at] = app;
  draw();
}, (...state) => connection(...state, time));
