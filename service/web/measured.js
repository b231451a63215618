// The data for the charts of an app's page, as lists over one axis of time.

import { get } from './api.js';
import { appPath } from './shell.js';
import { now } from './words.js';

const HOUR = 3600, DAY = 86400;
// Agents report every 10 s, each wait shortened at random by up to a quarter.
const REPORT_S = 8.75, SMOOTH_S = 60, LATE_S = 15;

export const stepFor = (length) => (length <= 2 * HOUR ? 10 : length <= 6 * HOUR ? 60 : length <= 25 * HOUR ? 180 : length <= 8 * DAY ? 900 : 3600);
export const known = (values) => values.filter((v) => v !== null);
export const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// Values of points at the moments of the chart; null where there is none.
function spread(times, step, points, pick) {
  const by = new Map(points.map((point) => [Math.floor(point.t / step) * step, point]));
  return times.map((t) => { const point = by.get(t); const value = point && pick(point); return value === undefined ? null : value; });
}
// Before the first report the values are unknown, not 0.
function sinceFirst(values) {
  const first = values.findIndex((value) => value > 0);
  return values.map((value, i) => (first < 0 || i < first ? null : value));
}
// A tick's numbers hold until the next tick, so a hole of one slot is filled.
function carry(values) {
  let last = null, age = 0;
  return values.map((value) => { if (value !== null) { last = value; age = 0; return value; } age++; return age <= 1 ? last : null; });
}
// Turns the sum of each step into a rate per second. The last step is incomplete, and its last
// seconds have not been reported yet.
function perSecond(times, step, values) {
  return values.map((value, i) => {
    const seconds = Math.min(step, now() - LATE_S - times[i]);
    return value === null || seconds < Math.min(step, 10) ? null : value / seconds;
  });
}

// How many requests all processes can run at once: each process reports its own number with each
// report.
function capacity(times, step, sums) {
  const width = Math.max(1, Math.round(SMOOTH_S / step));
  const rates = perSecond(times, step, sums);
  return rates.map((rate, i) => {
    if (rate === null) return null;
    const some = known(rates.slice(Math.max(0, i - width + 1), i + 1));
    return mean(some) * REPORT_S || null;
  });
}

// Requests being worked on at once, how many there could be, and the share of these; null where
// agents do not tell.
function load(times, step, busy, slots) {
  const sums = (measured) => measured && spread(times, step, measured.points, (point) => (point.count ? point.sum : null));
  if (!busy) return null;
  const atOnce = perSecond(times, step, sums(busy)).map((ms) => (ms === null ? null : ms / 1000));
  const room = slots ? capacity(times, step, sums(slots)) : times.map(() => null);
  return { atOnce, room, share: atOnce.map((v, i) => (v === null || room[i] === null ? null : Math.min(1, v / room[i]))) };
}

// An app's signals by source.
export async function signalsOf(app) {
  const { sources } = await get(`${appPath(app)}/sources`);
  return new Map(sources.map(({ source, signals }) => [source, signals]));
}

// Everything in [a, b): queue times of each of `sources`, dynos and what was allowed, and for web
// its rate and load. Events, which may be many, come by a promise of their own.
export async function measure({ app, process, sources, signals, a, b }) {
  const step = stepFor(b - a), start = Math.floor(a / step) * step, isWeb = sources[0] === 'web';
  const path = appPath(app), query = `from=${start}&to=${Math.floor(b) + 1}`;
  const series = (source, signal) => get(`${path}/series?source=${encodeURIComponent(source)}&signal=${signal}&${query}&step=${step}`);
  const has = (signal) => isWeb && signals.get('web')?.includes(signal);
  const happened = get(`${path}/events?${query}`);
  happened.catch(() => {}); // told where it is waited for
  const [chart, busy, slots, ...measured] = await Promise.all([
    get(`${path}/processes/${encodeURIComponent(process)}/chart?${query}&step=${step}`),
    has('busy') ? series('web', 'busy') : null,
    has('slots') ? series('web', 'slots') : null,
    ...sources.map((source) => series(source, 'wait')),
  ]);
  const t = [];
  for (let at = start; at <= b; at += step) t.push(at);
  const queues = measured.map(({ points }) => {
    const of = (pick) => spread(t, step, points, (point) => (point.count ? pick(point) : null));
    return { p50: of((p) => p.p50), p95: of((p) => p.p95), p99: of((p) => p.p99) };
  });
  const ticked = (pick) => carry(spread(t, step, chart.points, pick));
  return {
    step, t, queues, ticks: chart.points, happened,
    rate: sinceFirst(perSecond(t, step, spread(t, step, measured[0].points, (p) => p.count))),
    load: load(t, step, busy, slots),
    ordered: ticked((p) => p.ordered), up: ticked((p) => (p.up ?? (p.ordered === null ? null : p.ordered - (p.booting ?? 0)))), booting: ticked((p) => p.booting ?? 0),
    wanted: ticked((p) => p.wanted), min: ticked((p) => p.min), max: ticked((p) => p.max),
    above: ticked((p) => p.up_ms), below: ticked((p) => p.down_ms),
  };
}
