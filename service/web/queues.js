// Job queues by name, those that the rule in force uses first. Each with the wait of its oldest
// job, how many jobs wait and how many are being worked on, and the last day.

import { $, el } from './dom.js';
import { get } from './api.js';
import { appPath } from './shell.js';
import { known } from './measured.js';
import { sparkline } from './spark.js';
import { now, wait } from './words.js';

const DAY = 86400, STEP = 900, RECENT_S = 120;

// Whether a queue's name counts for a rule: * stands for any characters, and a leading - excludes
// what matches.
export function counts(rule, name) {
  const all = rule.queues ?? [], out = all.filter((one) => one.startsWith('-')).map((one) => one.slice(1)), patterns = all.filter((one) => !one.startsWith('-'));
  const fits = (pattern) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`).test(name);
  return !out.some(fits) && (!patterns.length || patterns.some(fits));
}
export const queueNames = (signals) => [...signals].filter(([name, list]) => name !== 'web' && list.includes('wait')).map(([name]) => name);

const MOST_ROWS = 12; // at first: an app may have hundreds
const asker = (app, name) => (signal, from, to, step) => get(`${appPath(app)}/series?source=${encodeURIComponent(name)}&signal=${signal}&from=${from}&to=${to}&step=${step}`).then(({ points }) => points);

// The newest value of a signal in the last two minutes; null: there is none.
async function newest(app, name, signal) {
  const recent = Math.floor(now() / 10) * 10, points = await asker(app, name)(signal, recent - RECENT_S, recent + 10, 10);
  return points.findLast((point) => point.count)?.max ?? null;
}

async function row(app, process, { name, signals, chosen, waits }) {
  const end = Math.floor(now() / STEP) * STEP + STEP, level = (signal) => (signals.includes(signal) ? newest(app, name, signal) : null);
  const [day, depth, working] = await Promise.all([asker(app, name)('wait', end - DAY, end, STEP), level('depth'), level('working')]);
  const values = day.map((point) => (point.count ? point.p95 : null)), high = Math.max(0, ...known(values));
  const cell = (value, word) => el('div', { class: 'p95' }, el('span', { class: 'num' }, value === null ? '–' : value), el('small', {}, word));
  return el('li', { class: 'app queue' },
    el('div', { class: 'name' }, el('div', { class: 'title' }, el('h3', {}, name), chosen ? el('span', { class: 'state ok' }, 'counts') : el('span', { class: 'state off' }, 'is only shown'))),
    cell(waits === null ? null : wait(waits), 'oldest job'), cell(depth?.toLocaleString('en-US') ?? null, 'jobs wait'), cell(working?.toLocaleString('en-US') ?? null, 'worked on'),
    el('div', { class: 'graph' }, sparkline(values, { above: chosen ? process.rule.up.threshold_ms : undefined, dead: !chosen, label: `${name} over the last 24 hours: ${wait(high)} at most` })));
}

// Fills the section, which is hidden if the app has no queues. Queues that count come first, sorted
// by the wait of their oldest job.
export async function showQueues(app, process, signals) {
  const names = process.process === 'web' ? [] : queueNames(signals);
  $('#queues').hidden = !names.length;
  const list = await Promise.all(names.map(async (name) => ({ name, signals: signals.get(name), chosen: counts(process.rule, name), waits: await newest(app, name, 'wait') })));
  list.sort((x, y) => y.chosen - x.chosen || (y.waits ?? -1) - (x.waits ?? -1));
  const number = list.filter((one) => one.chosen).length;
  $('#queues-hint').textContent = number === list.length ? 'All of them count: the one that waits longest decides.' : `${number} of ${list.length} count for “${process.rule.name}”: of these, the one that waits longest decides. The others are only shown.`;
  const rows = (some) => Promise.all(some.map((one) => row(app, process, one)));
  $('#queue-rows').replaceChildren(...await rows(list.slice(0, MOST_ROWS)));
  if (list.length <= MOST_ROWS) return;
  const more = el('button', { class: 'b', type: 'button' }, `Show all ${list.length} queues`), last = el('li', { class: 'more' }, more);
  more.addEventListener('click', async () => {
    more.disabled = true;
    const others = await rows(list.slice(MOST_ROWS));
    last.replaceWith(...others);
    others[0].tabIndex = -1;
    others[0].focus({ preventScroll: true });
  });
  $('#queue-rows').append(last);
}
