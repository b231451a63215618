// Job queues by name: those that the rule in force chooses first, each with how long its oldest job
// waits, how many wait and how many are worked on, and the last day.

import { $, el } from './dom.js';
import { get } from './api.js';
import { appPath } from './shell.js';
import { known } from './measured.js';
import { sparkline } from './spark.js';
import { now, wait } from './words.js';

const DAY = 86400, STEP = 900, RECENT_S = 120;

// Whether a queue's name is one that a rule counts; * stands for any characters.
export function counts(rule, name) {
  const patterns = rule.queues ?? [];
  const fits = (pattern) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`).test(name);
  return !patterns.length || patterns.some(fits);
}
export const queueNames = (signals) => [...signals].filter(([name, list]) => name !== 'web' && list.includes('wait')).map(([name]) => name);

async function row(app, process, name, signals) {
  const end = Math.floor(now() / STEP) * STEP + STEP, recent = Math.floor(now() / 10) * 10;
  const ask = (signal, from, to, step) => get(`${appPath(app)}/series?source=${encodeURIComponent(name)}&signal=${signal}&from=${from}&to=${to}&step=${step}`).then(({ points }) => points);
  const newest = async (signal, pick) => (signals.includes(signal) ? pick((await ask(signal, recent - RECENT_S, recent + 10, 10)).findLast((point) => point.count)) : null);
  const [day, waits, depth, working] = await Promise.all([ask('wait', end - DAY, end, STEP), newest('wait', (point) => point?.max ?? null), newest('depth', (point) => point?.max ?? null), newest('working', (point) => point?.max ?? null)]);
  const values = day.map((point) => (point.count ? point.p95 : null)), chosen = counts(process.rule, name), high = Math.max(0, ...known(values));
  const cell = (value, word) => el('div', { class: 'p95' }, el('span', { class: 'num' }, value === null ? '–' : value), el('small', {}, word));
  return { chosen, waits: waits ?? -1, node: el('li', { class: 'app queue' },
    el('div', { class: 'name' }, el('div', { class: 'title' }, el('h3', {}, name), chosen ? el('span', { class: 'state ok' }, 'counts') : el('span', { class: 'state off' }, 'is only shown'))),
    cell(waits === null ? null : wait(waits), 'oldest job'), cell(depth?.toLocaleString('en-US') ?? null, 'jobs wait'), cell(working?.toLocaleString('en-US') ?? null, 'worked on'),
    el('div', { class: 'graph' }, sparkline(values, { above: chosen ? process.rule.up.threshold_ms : undefined, dead: !chosen, label: `${name} over the last 24 hours: ${wait(high)} at most` }))) };
}

// Fills the section; hidden where the app has no queues.
export async function showQueues(app, process, signals) {
  const names = process.process === 'web' ? [] : queueNames(signals);
  $('#queues').hidden = !names.length;
  const rows = await Promise.all(names.map((name) => row(app, process, name, signals.get(name))));
  const number = rows.filter((one) => one.chosen).length;
  $('#queues-hint').textContent = number === rows.length ? 'All of them count: the one that waits longest decides.' : `${number} of ${rows.length} count for “${process.rule.name}”: of these, the one that waits longest decides. The others are only shown.`;
  $('#queue-rows').replaceChildren(...rows.sort((x, y) => y.chosen - x.chosen || y.waits - x.waits).map((one) => one.node));
}
