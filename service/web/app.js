// The page of one app: what a process does now, what would make it act next, and the charts that
// belong to it.

import { $, $$, announce, el, note } from './dom.js';
import { get, live } from './api.js';
import { appName, appPath, chosenProcess, connection, findApp, frame, notice, processLinks, setLive, shown, trying } from './shell.js';
import { day, dynos, hour, money, now, span, stamp, time, timeTag, unit, wait } from './words.js';
import { known, mean, measure, signalsOf } from './measured.js';
import { counts, queueNames, showQueues } from './queues.js';
import { Board, apart, area, colour, dynoRange, drawGap, gutter, hatch, hidden, isNarrow, line, readItem, steps, verticalLine, waitLabels, waitSplits } from './chart.js';
import { squeezed } from './spark.js';
import { marksOf, ruleMarks, showLanes, showList } from './marks.js';
import { bindControls, showAge, showNow } from './now.js';

const HOUR = 3600, DAY = 86400, MONTH_H = 730, RANGES = { '1h': HOUR, '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY }; // as in #last=7d
let app, process, data, price = null, boot = null, marks = [], from, to, range = DAY, refreshing = null;
const board = new Board({ slider: $('#scrub'), zoom: (a, b) => { if (b - a > 240) show(Math.floor(a), Math.ceil(b), { zoomed: true }); } });

// ---------------------------------------------------------------- data

const isWeb = () => process.process === 'web';
const MOST_QUEUES = 5; // with a chart of their own; the others have a line below
let signals = new Map(), sources = ['web']; // a chart of queue time for each

// Which sources the process's rule looks at: the one that decides now first.
async function chooseSources() {
  signals = await measuredSignals;
  if (isWeb()) return;
  const first = process.queue_time?.queue;
  sources = queueNames(signals).filter((name) => counts(process.rule, name)).sort((a, b) => (b === first) - (a === first)).slice(0, MOST_QUEUES);
  if (!sources.length) sources = [first ?? 'web'];
}

const load = (a, b) => measure({ app: app.name, process: process.process, sources, signals, a, b });
function use(found) {
  data = Object.assign(found, found.queues[0]);
  Object.assign($('#scrub'), { min: data.t[0], max: data.t.at(-1), step: data.step });
}
// What happened, where it is told; of before those that are in the range still.
let events = null, told = Promise.resolve();
function useEvents(some) {
  events = some;
  marks = [...marksOf(events.filter(({ t }) => t >= data.t[0]), process.process, app.name), ...ruleMarks(data.ticks)].sort((x, y) => x.t - y.t);
  for (const mark of marks) if (mark.kind === 'release') mark.text += besideRelease(mark.t);
}
function showMarks() {
  showList(board, marks, whyAt);
  showLanes(board, marks);
}
// The charts stand already, and get their marks.
async function addEvents(found, isWanted) {
  const { events: all } = await trying(found.happened);
  if (!isWanted()) return;
  useEvents(all);
  for (const chart of board.charts) chart.redraw(false, false);
  showMarks();
}

// Whether the wait was another one before and after a release, where the chart is fine enough to tell.
const AROUND_S = 1800, FEWEST = 3;
function besideRelease(t) {
  const usual = (a, b) => { const list = known(data.p95.filter((v, i) => data.t[i] >= a && data.t[i] + data.step <= b)).sort((x, y) => x - y); return list.length < FEWEST ? null : list[Math.floor(list.length / 2)]; };
  const [before, after] = [usual(t - AROUND_S, t), usual(t, t + AROUND_S)];
  return before === null || after === null ? '' : `: p95 was mostly ${wait(before)} in the 30 min before, ${wait(after)} in those after`;
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
// In percent of the places for requests, or the requests themselves where those are not known.
const hasRoom = () => data.load.room.some((v) => v !== null);
const loadData = () => (hasRoom() ? [data.t, data.load.share.map((v) => (v === null ? null : v * 100))] : [data.t, data.load.atOnce]);
const percent = (v) => (v === null || v === undefined ? '–' : `${Math.round(v * 100)} %`);
const few = (v) => (v === null || v === undefined ? '–' : v.toFixed(v < 10 ? 1 : 0));

// ---------------------------------------------------------------- charts

function readers() {
  return {
    ...Object.fromEntries(sources.map((source, n) => [`queue${n}`, (i) => {
      const { p50, p95, p99 } = data.queues[n], k = i ?? newest(p95);
      $(`#q${n}-read`).replaceChildren(readItem('p50', 'p50', wait(p50[k])), readItem('p95', 'p95', wait(p95[k])), readItem('p99', 'p99', wait(p99[k])), readItem('line', 'thresholds', data.above[k] === null ? '–' : `${wait(data.below[k])} and ${wait(data.above[k])}`));
    }])),
    dyno: (i) => {
      const k = i ?? newest(data.up), s = $('#scrub');
      $('#d-read').replaceChildren(readItem('up', 'up', data.up[k] ?? '–'), readItem('booting', 'booting', data.booting[k] ?? '–'), readItem('line', 'wanted', data.wanted[k] ?? '–'), readItem('range', 'allowed', data.min[k] === null ? '–' : `${data.min[k]} to ${data.max[k]}`));
      if (i !== null) $('#when').textContent = `${day(data.t[k])}, ${time(data.t[k])}`; else whenText();
      if (i !== null && document.activeElement !== s) s.value = data.t[k];
      s.setAttribute('aria-valuetext', `${stamp(data.t[k])}: p95 ${wait(data.p95[k])}, ${data.up[k] === null ? 'dynos not known' : `${dynos(data.up[k])} up`}, ${data.rate[k] === null ? '' : `${data.rate[k].toFixed(1)} a second`}`);
    },
    flow: (i) => { const k = i ?? newest(data.rate); $('#r-read').replaceChildren(readItem('flow', 'requests a second', data.rate[k] === null ? '–' : data.rate[k].toFixed(data.rate[k] < 10 ? 1 : 0))); },
    load: (i) => {
      if (!data.load) return;
      const { atOnce, room, share } = data.load, k = i ?? newest(atOnce);
      $('#b-read').replaceChildren(...(hasRoom() ? [readItem('flow', 'busy', percent(share[k])), readItem('', 'requests at once', `${few(atOnce[k])} of about ${few(room[k])}`)] : [readItem('flow', 'requests at once', few(atOnce[k]))]));
    },
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
    const right = x < bbox.left + 130 * r, words = [`set to ${mark.to} from outside`, (right ? 9 : -9) * r, 4 * r];
    ctx.textAlign = right ? 'left' : 'right';
    ctx.lineJoin = 'round'; // what stands behind the words must not run through them
    ctx.lineWidth = 4 * r;
    ctx.strokeStyle = colour('card');
    ctx.strokeText(...words);
    ctx.fillText(...words);
    ctx.restore();
  }
}

const last = (values) => values.findLast((v) => v !== null);
const newest = (values) => Math.max(0, values.findLastIndex((v) => v !== null));

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
    y: dynoRange,
    yAxis: { incrs: [1, 2, 5, 10, 20, 50, 100, 200], space: 26, values: (u, v) => v.map(String) },
    series: [{ ...steps, ...hidden }, { ...steps, ...hidden }, area(() => hatch('dyno', 'card'), null, steps), area('dyno-soft', 'dyno', { ...steps, dot: 'dyno' }), line('ink-2', { ...steps, dash: [4, 3], width: 1.2 })],
    bands: [{ series: [1, 2], fill: () => colour('range') }],
    before: releasesIn,
    after: (u) => { outsideIn(u); gutter(u, [[last(data.max), 'at most', String(last(data.max) ?? '')], [last(data.min), 'at least', String(last(data.min) ?? '')]]); },
  });
  if (isWeb()) board.add($('#r-chart'), {
    height: narrow ? 120 : 128, data: flowData(), read: read.flow, yAxis: { values: (u, v) => v.map((n) => `${n}/s`) },
    xLabels: !data.load, series: [area('flow-soft', 'flow', { dot: 'flow' })], before: (u) => { releasesIn(u); gapsIn(u); },
  });
  $('#load').hidden = !data.load;
  if (data.load) board.add($('#b-chart'), {
    height: narrow ? 120 : 128, data: loadData(), read: read.load,
    y: { range: (u, min, max) => [0, hasRoom() ? 104 : Math.max(1, max * 1.12)] },
    yAxis: { values: (u, v) => v.map((n) => (hasRoom() ? `${n} %` : String(n))) },
    series: [area('flow-soft', 'flow', { dot: 'flow' })], before: (u) => { releasesIn(u); gapsIn(u); },
  });
  board.resized = () => showLanes(board, marks);
}

// ---------------------------------------------------------------- summaries and the table

function queueSummary({ p95: values }) {
  const p95 = known(values), slow = values.filter((v, i) => v !== null && data.above[i] !== null && v > data.above[i]).length;
  if (!p95.length) return 'Nothing was reported in this range.';
  const worst = Math.max(...p95), where = data.t[values.indexOf(worst)], length = span(data.step);
  return `${slow ? `p95 was above the threshold for ${span(slow * data.step)} of ${span(Math.min(p95.length * data.step, to - from))}` : 'p95 was never above the threshold'}; the worst ${length} had ${wait(worst)}, at ${stamp(where)}. The scale is squeezed above ${wait(knee())}.`;
}
function summaries() {
  sources.forEach((source, n) => { $(n ? `#q${n}-sum` : '#q-sum').textContent = queueSummary(data.queues[n]); });
  $('#d-sum').textContent = dynoSummary();
  const rates = known(data.rate);
  const busiest = Math.max(...rates);
  $('#r-sum').textContent = rates.length ? `${few(mean(rates))} a second on average, ${few(busiest)} at most, at ${stamp(data.t[data.rate.indexOf(busiest)])}.` : '';
  if (data.load) $('#b-sum').textContent = loadSummary();
  table();
}
function dynoSummary() {
  const list = known(data.ordered), hours = list.length * mean(list) * data.step / HOUR;
  if (!list.length) return 'Nothing is known of the dynos in this range.';
  const cost = price && money(hours * price.cents_a_month / 100 / MONTH_H, price.currency);
  const [least, most] = [Math.min(...list), Math.max(...list)];
  return `${least === most ? `${dynos(most)} all the time` : `Between ${least} and ${dynos(most)}, ${mean(list).toFixed(1)} on average`}: ${hours < 10 ? hours.toFixed(1) : Math.round(hours).toLocaleString('en-US')} dyno-hours${cost ? `, ${cost}` : ''}.${boot === null ? '' : ` A dyno takes ${span(boot)} to start.`}`;
}
function loadSummary() {
  const share = known(data.load.share), atOnce = known(data.load.atOnce);
  if (!atOnce.length) return 'Nothing was reported in this range.';
  if (!share.length) return `${few(mean(atOnce))} requests worked on at once on average, ${few(Math.max(...atOnce))} at most. How many there could be, the agents don’t know.`;
  return `${percent(mean(share))} of the places for requests taken on average, ${percent(Math.max(...share))} at most. Waits grow as all are taken. How many places there are is worked out from the reports.`;
}

// What the table has beside the time: [head, text of a row].
function columns() {
  const { p50, p95, p99 } = data.queues[0], of = (word, values, text) => [word, (i) => (values[i] === null ? '–' : text(values[i]))];
  const fleet = [of('Up', data.up, String), of('Booting', data.booting, String), of('Wanted', data.wanted, String)];
  if (!isWeb()) return [...sources.map((source, n) => of(`p95 of ${source}`, data.queues[n].p95, wait)), ...fleet];
  return [of('p50', p50, wait), of('p95', p95, wait), of('p99', p99, wait), ...fleet, of('Rate', data.rate, (v) => `${few(v)}/s`),
    ...(!data.load ? [] : hasRoom() ? [of('Busy', data.load.share, percent)] : [of('At once', data.load.atOnce, few)])];
}
// Built where somebody looks at it: hundreds of cells that most readers never open.
function table() {
  if (!$('#numbers').open) { $('#numbers .scroll').replaceChildren(); return; }
  const every = Math.max(1, Math.round(data.t.length / 48)), rows = [], list = columns();
  for (let i = data.t.length - 1; i >= 0; i -= every) {
    rows.push(el('tr', {}, el('th', { scope: 'row' }, timeTag(data.t[i], stamp(data.t[i]))), list.map(([, text]) => el('td', { class: 'n' }, text(i)))));
  }
  $('#numbers .scroll').replaceChildren(el('table', {}, el('caption', { class: 'unseen' }, 'The numbers of the charts'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Time'), list.map(([word]) => el('th', { scope: 'col', class: 'n' }, word)))), el('tbody', {}, rows)));
}

const whyAt = (t) => `${appPath(app.name, 'why')}?process=${encodeURIComponent(process.process)}#at=${t}`;

// The moment that is being read by the slider, which news leave where it is; null: the newest.
function readPlace() {
  const slider = $('#scrub'), at = Number(slider.value);
  return data && slider === document.activeElement && at < data.t.at(-1) ? at : null;
}

// The newest wish counts, however the answers come in.
let wishes = 0;
async function show(a, b, { zoomed = false, quietly = false } = {}) {
  const wish = ++wishes;
  if (zoomed) range = 0;
  for (const button of $$('#range button')) button.setAttribute('aria-pressed', String(Number(button.dataset.range) === range));
  if (!quietly) $('#charts').setAttribute('aria-busy', 'true');
  const found = await trying(load(a, b)).finally(() => { if (wish === wishes) $('#charts').removeAttribute('aria-busy'); });
  if (wish !== wishes) return;
  from = a;
  to = b;
  const place = readPlace();
  use(found);
  if (events) useEvents(events);
  $('#unzoom').hidden = !zoomed;
  if (board.charts.length) { const sets = [...data.queues.map(queueData), dynoData(), ...(isWeb() ? [flowData(), ...(data.load ? [loadData()] : [])] : [])]; board.charts.forEach((chart, i) => chart.setData(sets[i])); } else build();
  for (const read of Object.values(readers())) read(null);
  whenText();
  $('#scrub').value = place ?? data.t.at(-1);
  summaries();
  told = addEvents(found, () => wish === wishes);
  told.catch(() => {});
  requestAnimationFrame(() => {
    if (events) showMarks();
    if (place !== null) board.point(Number($('#scrub').value)); // the charts have their new axes now
  });
}
// The last hour of an app that is younger begins with it: the rest would be empty.
const LEAST_S = 900;
function showLatest(options) {
  const at = Math.floor(now()), young = range === HOUR ? Math.max(LEAST_S, at - Math.floor(app.created) + 60) : range;
  return show(at - Math.min(range, young), at, options);
}

// What a dyno costs, and how long it takes to start: told when the charts stand. A service that was
// started since knows how long from the next start on; the last scaling knew it too.
async function findDyno() {
  const place = `${appPath(app.name)}/processes/${encodeURIComponent(process.process)}`;
  ({ price } = await get(`${place}/usage?from=-1m&to=now&step=60`));
  await told;
  for (const t of [process.decided, marks.findLast(({ kind, shadow }) => (kind === 'up' || kind === 'down') && !shadow)?.t]) {
    if (!t || boot !== null) continue;
    const { situation } = await get(`${place}/explain?at=${t}`);
    boot = situation.find(({ name, value }) => name === 'boot_s' && value > 0)?.value ?? null;
  }
  if (data) $('#d-sum').textContent = dynoSummary();
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
  $('#why').href = whyAt(process.decided ?? Math.floor(now()));
  sayStale();
  // A longer range changes little in ten seconds.
  if (range && (range <= HOUR || now() - to > 60)) refreshing ??= showLatest({ quietly: true }).catch(() => {}).finally(() => { refreshing = null; });
}

const measuredSignals = findApp(appName()).then(({ name }) => signalsOf(name));
measuredSignals.catch(() => {});
app = await frame({ app: appName(), page: '' });
process = chosenProcess(app);
await chooseSources().catch(() => {});
if (app.state === 'waiting' && !signals.size) { location.replace(appPath(app.name, 'start')); await new Promise(() => {}); }
if (now() - app.created < 2 * HOUR) range = HOUR; // a day would be an empty chart
$('#title').textContent = `${app.name}, ${process.process}`;
$('#all-decisions').href = `${appPath(app.name, 'why')}?process=${encodeURIComponent(process.process)}`;
processLinks(app, process.process);
showNow(app, process);
$('#why').href = whyAt(process.decided ?? Math.floor(now()));
await bindControls(app, () => process, async () => take(await get(appPath(app.name)))); // not only once the charts are there
setLive('live', 'Live');
const asked = /^#at=(\d+)$/.exec(location.hash); // from the ledger: half an hour around a decision
range = RANGES[/^#last=(\w+)$/.exec(location.hash)?.[1]] ?? range;
await (asked ? show(Number(asked[1]) - 1800, Math.min(Math.floor(now()), Number(asked[1]) + 1800), { zoomed: true }) : showLatest()).catch(() => {});
shown();
showQueues(app.name, process, signals).catch(() => {});
findDyno().catch(() => {});
sayStale();
live(app.name, take, (...state) => { connection(...state); if (state[0] === 'live') sayStale(); });
setInterval(() => showAge(process), 1000);

$('#range').addEventListener('click', (event) => {
  const seconds = Number(event.target.dataset.range);
  if (!seconds) return;
  range = seconds;
  history.replaceState(null, '', `#last=${Object.keys(RANGES).find((name) => RANGES[name] === range)}`);
  showLatest().catch(() => {});
  announce(`Showing the last ${event.target.textContent}`);
});
$('#numbers').addEventListener('toggle', () => { if (data) table(); });
$('#unzoom').addEventListener('click', () => { range = DAY; showLatest().catch(() => {}); $('#range [data-range="86400"]').focus(); });
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !$('#unzoom').hidden && !$('dialog[open]')) $('#unzoom').click(); });
