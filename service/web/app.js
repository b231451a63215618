// The page of one app: what a process does now, what would make it act next, and the charts that
// belong to it.

import { $, $$, announce, el, note } from './dom.js';
import { get, live } from './api.js';
import { appName, appPath, chosenProcess, connection, frame, notice, processLinks, setLive, trying } from './shell.js';
import { day, dynos, hour, now, stamp, time, timeTag, unit, wait } from './words.js';
import { Board, apart, area, colour, drawGap, gutter, hatch, hidden, isNarrow, line, readItem, steps, verticalLine, waitLabels, waitSplits } from './chart.js';
import { sparkline, squeezed } from './spark.js';
import { marksOf, showLanes, showList } from './marks.js';
import { bindControls, showAge, showNow } from './now.js';

const HOUR = 3600, DAY = 86400;
let app, process, data, marks = [], from, to, range = DAY, refreshing = null;
const board = new Board({ slider: $('#scrub'), zoom: (a, b) => { if (b - a > 240) show(Math.floor(a), Math.ceil(b), true); } });

// ---------------------------------------------------------------- data

const stepFor = (length) => (length <= 2 * HOUR ? 10 : length <= 6 * HOUR ? 60 : length <= 25 * HOUR ? 180 : length <= 8 * DAY ? 900 : 3600);
const isWeb = () => process.process === 'web';
const MOST_QUEUES = 5; // with a chart of their own; the others have a line below
let sources = ['web']; // a chart of queue time for each

// Which sources the process's rule looks at: the one that decides now first.
async function chooseSources() {
  if (isWeb()) return;
  const all = (await get(`${appPath(app.name)}/sources`)).sources.filter((one) => one.source !== 'web' && one.signals.includes('wait')).map((one) => one.source);
  const first = process.queue_time?.queue;
  sources = all.filter(counts).sort((a, b) => (b === first) - (a === first)).slice(0, MOST_QUEUES);
  if (!sources.length) sources = [first ?? 'web'];
}

// Values of points at the moments of the chart; null where there is none.
function spread(times, step, points, pick) {
  const by = new Map(points.map((point) => [Math.floor(point.t / step) * step, point]));
  return times.map((t) => { const point = by.get(t); const value = point && pick(point); return value === undefined ? null : value; });
}
// Before the first report nothing is known: that is no 0.
function sinceFirst(values) {
  const first = values.findIndex((value) => value > 0);
  return values.map((value, i) => (first < 0 || i < first ? null : value));
}
// Numbers that hold until the next tick: a hole of one slot is filled.
function carry(values) {
  let last = null, age = 0;
  return values.map((value) => { if (value !== null) { last = value; age = 0; return value; } age++; return age <= 1 ? last : null; });
}

async function load(a, b) {
  const step = stepFor(b - a), start = Math.floor(a / step) * step;
  const path = appPath(app.name), query = `from=${start}&to=${Math.floor(b) + 1}`;
  const place = `${path}/processes/${encodeURIComponent(process.process)}`;
  const [chart, happened, ...measured] = await Promise.all([
    get(`${place}/chart?${query}&step=${step}`),
    get(`${path}/events?${query}`),
    ...sources.map((source) => get(`${path}/series?source=${encodeURIComponent(source)}&${query}&step=${step}`)),
  ]);
  const t = [];
  for (let at = start; at <= b; at += step) t.push(at);
  const queues = measured.map(({ points }) => {
    const of = (pick) => spread(t, step, points, (point) => (point.count ? pick(point) : null));
    return { p50: of((p) => p.p50), p95: of((p) => p.p95), p99: of((p) => p.p99) };
  });
  const ticked = (pick) => carry(spread(t, step, chart.points, pick));
  data = {
    step, t, queues, p50: queues[0].p50, p95: queues[0].p95, p99: queues[0].p99,
    rate: sinceFirst(spread(t, step, measured[0].points, (p) => p.count / step)),
    ordered: ticked((p) => p.ordered), up: ticked((p) => (p.up ?? (p.ordered === null ? null : p.ordered - (p.booting ?? 0)))), booting: ticked((p) => p.booting ?? 0),
    wanted: ticked((p) => p.wanted), min: ticked((p) => p.min), max: ticked((p) => p.max),
    above: ticked((p) => p.up_ms), below: ticked((p) => p.down_ms), ticks: chart.points,
  };
  marks = marksOf(happened.events, process.process);
  Object.assign($('#scrub'), { min: t[0], max: t.at(-1), step });
  $('#scrub').value = t.at(-1);
}

// Stretches without a tick: the service did not run, or nothing was known.
function gaps() {
  const found = [], ticks = data.ticks;
  for (let i = 1; i < ticks.length; i++) {
    if (ticks[i].t - ticks[i - 1].t > Math.max(60, 3 * data.step)) found.push([ticks[i - 1].t + data.step, ticks[i].t]);
  }
  return found;
}

const knee = () => Math.max(20, Math.round((process.rule.up.threshold_ms ?? 100) * 1.2));
const queueData = ({ p50, p95, p99 }) => [data.t, p99, p95, p50, p95.map((v, i) => (v === null || data.above[i] === null ? null : Math.max(v, data.above[i]))), data.above, data.below];
const dynoData = () => [data.t, data.max, data.min, data.ordered, data.up, data.wanted.map((v, i) => (v !== data.ordered[i] ? v : null))];
const flowData = () => [data.t, data.rate];

// ---------------------------------------------------------------- charts

function readers() {
  const at = (i) => i ?? data.t.length - 1;
  return {
    ...Object.fromEntries(sources.map((source, n) => [`queue${n}`, (i) => {
      const k = at(i), { p50, p95, p99 } = data.queues[n];
      $(`#q${n}-read`).replaceChildren(readItem('p50', 'p50', wait(p50[k])), readItem('p95', 'p95', wait(p95[k])), readItem('p99', 'p99', wait(p99[k])), readItem('line', 'thresholds', data.above[k] === null ? '–' : `${wait(data.below[k])} and ${wait(data.above[k])}`));
    }])),
    dyno: (i) => {
      const k = at(i), s = $('#scrub');
      $('#d-read').replaceChildren(readItem('up', 'up', data.up[k] ?? '–'), readItem('booting', 'booting', data.booting[k] ?? '–'), readItem('line', 'wanted', data.wanted[k] ?? '–'), readItem('range', 'allowed', data.min[k] === null ? '–' : `${data.min[k]} to ${data.max[k]}`));
      if (i !== null) $('#when').textContent = `${day(data.t[k])}, ${time(data.t[k])}`; else whenText();
      if (i !== null && document.activeElement !== s) s.value = data.t[k];
      s.setAttribute('aria-valuetext', `${stamp(data.t[k])}: p95 ${wait(data.p95[k])}, ${data.up[k] === null ? 'dynos not known' : `${dynos(data.up[k])} up`}, ${data.rate[k] === null ? '' : `${data.rate[k].toFixed(1)} a second`}`);
    },
    flow: (i) => { const k = at(i); $('#r-read').replaceChildren(readItem('flow', 'requests a second', data.rate[k] === null ? '–' : data.rate[k].toFixed(data.rate[k] < 10 ? 1 : 0))); },
  };
}

function whenText() {
  const until = to >= now() - 60 ? 'now' : stamp(to);
  $('#when').textContent = range === 0 ? `${stamp(from)} to ${hour(to)}` : range <= DAY ? `${stamp(from)} to ${until}` : `${day(from)} to ${until}`;
}

const releasesIn = (u) => { for (const mark of marks) if (mark.kind === 'release') verticalLine(u, Math.round(u.valToPos(mark.t, 'x', true)), 'line-2'); };
const gapsIn = (u) => { for (const [a, b] of gaps()) drawGap(u, a, b); };

// What someone else changed, in its own colour and form.
function outsideIn(u) {
  const { ctx, bbox } = u, r = devicePixelRatio;
  for (const mark of marks) {
    if (mark.kind !== 'outside' || mark.to === null) continue;
    const x = u.valToPos(mark.t, 'x', true), y = u.valToPos(mark.to, 'y', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour('outside');
    ctx.translate(x, y);
    ctx.rotate(Math.PI / 4);
    ctx.fillRect(-4 * r, -4 * r, 8 * r, 8 * r);
    ctx.rotate(-Math.PI / 4);
    ctx.font = `600 ${11.5 * r}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textBaseline = 'bottom';
    const right = x < bbox.left + 130 * r;
    ctx.textAlign = right ? 'left' : 'right';
    ctx.fillText(`set to ${mark.to} from outside`, (right ? 9 : -9) * r, 4 * r);
    ctx.restore();
  }
}

const last = (values) => values.findLast((v) => v !== null);

// One panel for each queue; the first one, with the lane of events, stands in the page.
function panels() {
  if (isWeb()) return;
  $('#q-head').textContent = `Queue time of ${sources[0]}`;
  $('#flow').hidden = true;
  const dynoPanel = $('#d-chart').closest('section');
  sources.slice(1).forEach((source, i) => {
    const n = i + 1;
    dynoPanel.before(el('section', { class: 'panel', 'aria-labelledby': `q${n}-head` },
      el('header', {}, el('h2', { id: `q${n}-head` }, `Queue time of ${source}`), el('div', { class: 'read', id: `q${n}-read` })),
      el('p', { class: 'summary', id: `q${n}-sum` }), el('div', { class: 'chart', id: `q${n}-chart`, role: 'img', 'aria-labelledby': `q${n}-head q${n}-sum` })));
  });
}

function queueChart(n, read, narrow) {
  const host = n ? $(`#q${n}-chart`) : $('#q-chart');
  board.add(host, {
    height: (narrow ? 200 : 248) - (sources.length > 1 ? 68 : 0), data: queueData(data.queues[n]), xLabels: false, read,
    y: { ...squeezed(knee()), range: (u, min, max) => [0, Math.max(2 * knee(), (max || 0) * 1.1)] },
    yAxis: { splits: waitSplits, filter: apart, values: waitLabels },
    series: [area('queue-soft'), area('queue-mid', 'queue', { dot: 'queue' }), area('queue'), hidden, line('ink-2', { ...steps, dash: [5, 4], width: 1.2 }), line('ink-2', { ...steps, dash: [2, 4], width: 1.2 })],
    bands: [{ series: [4, 5], fill: () => colour('attention-fill') }],
    before: (u) => { releasesIn(u); gapsIn(u); },
    after: (u) => gutter(u, [[last(data.above), 'add above', unit(last(data.above)).join(' ')], [last(data.below), 'remove below', unit(last(data.below)).join(' ')]]),
  });
}

function build() {
  const read = readers(), narrow = isNarrow();
  panels();
  sources.forEach((source, n) => queueChart(n, read[`queue${n}`], narrow));
  board.add($('#d-chart'), {
    height: narrow ? 140 : 168, data: dynoData(), xLabels: !isWeb(), read: read.dyno,
    y: { range: (u, min, max) => [0, Math.max(4, Math.ceil(max) + 0.6)] },
    yAxis: { incrs: [1, 2, 5, 10, 20, 50, 100, 200], space: 26, values: (u, v) => v.map(String) },
    series: [{ ...steps, ...hidden }, { ...steps, ...hidden }, area(() => hatch('dyno', 'card'), null, steps), area('dyno-soft', 'dyno', { ...steps, dot: 'dyno' }), line('ink-2', { ...steps, dash: [4, 3], width: 1.2 })],
    bands: [{ series: [1, 2], fill: () => colour('range') }],
    before: releasesIn,
    after: (u) => { outsideIn(u); gutter(u, [[last(data.max), 'at most', String(last(data.max) ?? '')], [last(data.min), 'at least', String(last(data.min) ?? '')]]); },
  });
  if (isWeb()) board.add($('#r-chart'), {
    height: narrow ? 120 : 128, data: flowData(), read: read.flow, yAxis: { values: (u, v) => v.map((n) => `${n}/s`) },
    series: [area('flow-soft', 'flow', { dot: 'flow' })], before: (u) => { releasesIn(u); gapsIn(u); },
  });
  board.resized = () => showLanes(board, marks);
}

// ---------------------------------------------------------------- summaries and the table

const known = (values) => values.filter((v) => v !== null);
function queueSummary({ p95: values }) {
  const p95 = known(values), slow = values.filter((v, i) => v !== null && data.above[i] !== null && v > data.above[i]).length;
  if (!p95.length) return 'Nothing was reported in this range.';
  const worst = Math.max(...p95), where = data.t[values.indexOf(worst)], length = data.step < 60 ? `${data.step} s` : data.step < HOUR ? `${data.step / 60} min` : `${data.step / HOUR} h`;
  return `${slow ? `p95 was above the threshold in ${slow} of ${p95.length} spans of ${length}` : 'p95 was never above the threshold'}; the worst had ${wait(worst)}, at ${stamp(where)}. The scale is squeezed above ${wait(knee())}.`;
}
function summaries() {
  sources.forEach((source, n) => { $(n ? `#q${n}-sum` : '#q-sum').textContent = queueSummary(data.queues[n]); });
  const ups = known(data.ordered);
  $('#d-sum').textContent = ups.length ? `Between ${Math.min(...ups)} and ${dynos(Math.max(...ups))}, ${(ups.reduce((a, b) => a + b, 0) / ups.length).toFixed(1)} on average: ${Math.round(ups.reduce((a, b) => a + b, 0) * data.step / HOUR).toLocaleString('en-US')} dyno-hours.` : 'Nothing is known of the dynos in this range.';
  const rates = known(data.rate);
  $('#r-sum').textContent = rates.length ? `${(rates.reduce((a, b) => a + b, 0) / rates.length).toFixed(1)} a second on average, ${Math.max(...rates).toFixed(1)} at most.` : '';
  table();
}
function table() {
  const every = Math.max(1, Math.round(data.t.length / 48)), rows = [];
  for (let i = data.t.length - 1; i >= 0; i -= every) {
    const cells = [wait(data.p50[i]), wait(data.p95[i]), wait(data.p99[i]), data.up[i] ?? '–', data.booting[i] ?? '–', data.wanted[i] ?? '–', data.rate[i] === null ? '–' : `${data.rate[i].toFixed(1)}/s`];
    rows.push(el('tr', {}, el('th', { scope: 'row' }, timeTag(data.t[i], stamp(data.t[i]))), cells.map((v) => el('td', { class: 'n' }, String(v)))));
  }
  $('#numbers .scroll').replaceChildren(el('table', {}, el('caption', { class: 'unseen' }, 'Queue time, dynos and throughput'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Time'), ['p50', 'p95', 'p99', 'Up', 'Booting', 'Wanted', 'Rate'].map((word) => el('th', { scope: 'col', class: 'n' }, word)))), el('tbody', {}, rows)));
}

async function show(a, b, zoomed = false) {
  from = a;
  to = b;
  if (zoomed) range = 0;
  await trying(load(from, to));
  $('#unzoom').hidden = !zoomed;
  if (board.charts.length) { const sets = [...data.queues.map(queueData), dynoData(), flowData()]; board.charts.forEach((chart, i) => chart.setData(sets[i])); } else build();
  for (const read of Object.values(readers())) read(null);
  for (const button of $$('#range button')) button.setAttribute('aria-pressed', String(Number(button.dataset.range) === range));
  whenText();
  showList(board, marks);
  summaries();
  requestAnimationFrame(() => showLanes(board, marks));
}
const showLatest = () => show(Math.floor(now()) - range, Math.floor(now()));

// ---------------------------------------------------------------- job queues

async function queues() {
  const { sources } = await get(`${appPath(app.name)}/sources`);
  const names = sources.filter((s) => s.source !== 'web' && s.signals.includes('wait')).map((s) => s.source);
  $('#queues').hidden = !names.length || process.process === 'web';
  if ($('#queues').hidden) return;
  const end = Math.floor(now() / 900) * 900 + 900;
  const rows = await Promise.all(names.map(async (name) => {
    const { points } = await get(`${appPath(app.name)}/series?source=${encodeURIComponent(name)}&from=${end - DAY}&to=${end}&step=900`);
    const values = points.map((point) => (point.count ? point.p95 : null)), chosen = counts(name);
    const high = Math.max(0, ...known(values));
    return { chosen, node: el('li', { class: 'app queue' },
      el('div', { class: 'name' }, el('div', { class: 'title' }, el('h3', {}, name), chosen ? el('span', { class: 'state ok' }, 'counts') : el('span', { class: 'state off' }, 'is only shown'))),
      el('div', { class: 'p95' }, el('span', { class: 'num' }, wait(values.findLast((v) => v !== null))), el('small', {}, 'oldest job')),
      el('div', { class: 'graph' }, sparkline(values, { above: chosen ? process.rule.up.threshold_ms : undefined, dead: !chosen, label: `${name} over the last 24 hours: ${wait(high)} at most` }))) };
  }));
  $('#queue-rows').replaceChildren(...rows.sort((x, y) => y.chosen - x.chosen).map((row) => row.node));
}
function counts(name) {
  const patterns = process.rule.queues ?? [];
  const fits = (pattern) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`).test(name);
  return !patterns.length || patterns.some(fits);
}

// ---------------------------------------------------------------- live

function sayStale() {
  if (process.state !== 'stale') return;
  setLive('stale', 'No reports');
  notice(note('attention', 'warn', `${process.words[0].toUpperCase()}${process.words.slice(1)}.`, 'Nothing is decided on what is not known. ', el('a', { href: appPath(app.name, 'start') }, 'What to check')));
}

function take(changed) {
  app = changed;
  process = chosenProcess(app);
  processLinks(app, process.process);
  showNow(app, process);
  sayStale();
  // A longer range changes little in ten seconds.
  if (range && (range <= HOUR || now() - to > 60)) refreshing ??= showLatest().catch(() => {}).finally(() => { refreshing = null; });
}

app = await frame({ app: appName(), page: '' });
if (app.state === 'waiting' && !(await get(`${appPath(app.name)}/sources`)).sources.length) { location.replace(appPath(app.name, 'start')); await new Promise(() => {}); }
process = chosenProcess(app);
if (now() - app.created < 2 * HOUR) range = HOUR; // a day would be an empty chart
$('#title').textContent = `${app.name}, ${process.process}`;
for (const id of ['#why', '#all-decisions']) $(id).href = `${appPath(app.name, 'why')}?process=${encodeURIComponent(process.process)}`;
processLinks(app, process.process);
showNow(app, process);
setLive('live', 'Live');
await chooseSources().catch(() => {});
const asked = /^#at=(\d+)$/.exec(location.hash); // from the ledger: half an hour around a decision
await (asked ? show(Number(asked[1]) - 1800, Math.min(Math.floor(now()), Number(asked[1]) + 1800), true) : showLatest()).catch(() => {});
queues().catch(() => {});
bindControls(app, () => process, async () => take(await get(appPath(app.name))));
sayStale();
live(app.name, take, (...state) => { connection(...state, time); if (state[0] === 'live') sayStale(); });
setInterval(() => showAge(process), 1000);

$('#range').addEventListener('click', (event) => {
  const seconds = Number(event.target.dataset.range);
  if (!seconds) return;
  range = seconds;
  showLatest().catch(() => {});
  announce(`Showing the last ${event.target.textContent}`);
});
$('#unzoom').addEventListener('click', () => { range = DAY; showLatest().catch(() => {}); $('#range [data-range="86400"]').focus(); });
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !$('#unzoom').hidden && !$('dialog[open]')) $('#unzoom').click(); });
