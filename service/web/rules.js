// Rules: their order, the week that they make, one rule in the editor beside a chart of the last
// day, YAML beside the form, history and rollback. Changes take effect when they are saved; before
// that the service says what they would do.

import { $, $$, announce, el, icon, note } from './dom.js';
import { get, may, post, put } from './api.js';
import { appName, appPath, chosenProcess, findApp, frame, processLinks, setLive, shown, trying } from './shell.js';
import { Board, apart, area, colour, dynoRange, gutter, hidden, isNarrow, line, readItem, steps, waitLabels, waitSplits } from './chart.js';
import { squeezed } from './spark.js';
import { difference } from './difference.js';
import { dynos, money, now, span, stamp, timeTag, wait } from './words.js';
import { changeInWords, clockChanges, nightOf } from './clocks.js';
import { DAYS, DAY_LONG, DAY_NAMES, hoursAWeek, isDefault, whenInWords } from './week.js';
import { drawWeek } from './week-view.js';
import { signalsOf } from './measured.js';
import { counts, queueNames } from './queues.js';
import { bindTrial } from './trial.js';

const STEP = 180, DAY = 86400, WEEK_H = 168, MONTH_H = 730;
const name = appName(), path = appPath(name);
const sources = findApp(name).then(() => signalsOf(name)).catch(() => new Map());
const app = await frame({ app: name, page: 'rules' });
const mayChange = await may('operate');
const reported = queueNames(await sources);
let etag, saved, rules, process, open = 0, how = 'form', chart, data = null, price = null;
const current = () => rules.processes[process].rules[open];
const list = () => rules.processes[process].rules;
const tone = (i) => (isDefault(list()[i]) ? 'tone3' : `tone${i % 3}`);
const mark = (i) => (isDefault(list()[i]) ? '–' : String(i + 1));
const isAutomatic = (rule) => rule.method === 'automatic';
function effect(rule) {
  const range = `${rule.dynos.min} to ${dynos(rule.dynos.max)}`;
  if (isAutomatic(rule)) return `${range} · by itself, so that ${rule.automatic.share} % at most wait longer than ${wait(rule.automatic.goal_ms)}`;
  const one = (text) => text.replaceAll(' ', '\u00a0'); // what must not be torn apart
  return `${range} · ${one(`+${rule.up.step} above ${wait(rule.up.threshold_ms)}`)} · ${one(`−${rule.down.step} below ${wait(rule.down.threshold_ms)}`)}`;
}
const clone = (value) => JSON.parse(JSON.stringify(value));

async function load() {
  const found = await get(`${path}/rules`);
  etag = found.etag;
  saved = found;
  rules = clone(found);
  if (!rules.processes[process]) [process] = Object.keys(rules.processes);
  open = Math.min(open, list().length - 1);
}

// ---------------------------------------------------------------- the list

function move(from, by) {
  const all = list(), to = from + by;
  if (to < 0 || to >= all.length - 1) return;
  all.splice(to, 0, ...all.splice(from, 1));
  if (open === from) open = to;
  draw();
  changed();
  announce(`${all[to].name} is now number ${to + 1}`);
}

function row(rule, i) {
  const fixed = isDefault(rule);
  const arrow = (word, sign, by, off) => {
    const button = el('button', { type: 'button', class: word, 'aria-label': `Move ${rule.name} ${word}`, disabled: off || !mayChange }, icon(sign));
    button.addEventListener('click', () => { move(i, by); $(`#list li:nth-child(${i + by + 1}) .${word}`)?.focus(); });
    return button;
  };
  const counts = app.processes.find((p) => p.process === process)?.rule.name === rule.name;
  const li = el('li', { class: `rule-row ${tone(i)}${i === open ? ' open' : ''}`, draggable: !fixed && mayChange && 'true' },
    el('span', { class: 'badge', 'aria-hidden': 'true' }, mark(i)),
    el('div', {}, el('h3', {}, el('button', { type: 'button', 'aria-expanded': String(i === open), 'aria-controls': 'editor' }, rule.name), counts ? el('span', { class: 'tag' }, 'counts now') : null), el('p', {}, whenInWords(rule)), el('p', {}, effect(rule))),
    fixed ? el('span', { class: 'hint' }, 'last') : el('div', { class: 'order' }, arrow('up', 'up', -1, i === 0), arrow('down', 'down', 1, i >= list().length - 2)));
  $('h3 button', li).addEventListener('click', () => { open = i; draw(); $('#edit-head').scrollIntoView({ block: 'nearest' }); });
  li.addEventListener('dragstart', (event) => { event.dataTransfer.setData('text/plain', String(i)); li.classList.add('drag'); });
  li.addEventListener('dragend', () => li.classList.remove('drag'));
  li.addEventListener('dragover', (event) => { event.preventDefault(); li.classList.add('over'); });
  li.addEventListener('dragleave', () => li.classList.remove('over'));
  li.addEventListener('drop', (event) => { event.preventDefault(); const from = Number(event.dataTransfer.getData('text/plain')); move(from, Math.min(i, list().length - 2) - from); });
  return li;
}

// ---------------------------------------------------------------- the week

let night = null; // of clockChanges: the week that is shown; null: any week
const look = (place) => ({ tone: tone(place), mark: mark(place), effect: effect(list()[place]) });

function calendar() {
  const changes = clockChanges(rules.zone, now()).slice(0, 2);
  night = changes.find((one) => one.t === night?.t) ?? null;
  weeks(changes);
  const covered = drawWeek({ host: $('#week'), table: $('#week-table'), rules: list(), look, chosen: open, open: (place) => { open = place; draw(); }, zone: rules.zone, night });
  $('#week-hint').textContent = night
    ? `${changeInWords(night)}. Rules follow the clock on the wall: one that begins in a skipped hour begins at its end, one in an hour that comes twice counts in both.`
    : `${covered ? 'Hatched at the side: a rule that is active but covered by one above it.' : 'No rule covers another.'} Times are those of ${rules.zone}.`;
}
// An ordinary week, or one with a night in which the clocks change.
function weeks(changes) {
  const button = (change, words) => {
    const made = el('button', { type: 'button', 'aria-pressed': String((change?.t ?? null) === (night?.t ?? null)) }, words);
    made.addEventListener('click', () => { night = change; calendar(); $('#weeks [aria-pressed="true"]').focus(); });
    return made;
  };
  $('#weeks').hidden = !changes.length;
  $('#weeks').replaceChildren(button(null, 'Any week'), ...changes.map((change) => button(change, `${nightOf(change).date}: clocks change`)));
}

// ---------------------------------------------------------------- the form

function number(label, value, set, { min = 0, max = 86400000, step = 1 } = {}) {
  const input = el('input', { type: 'number', min, max, step, value: String(value), 'aria-label': label });
  const fit = () => { input.style.width = `${Math.max(68, 34 + 9.5 * input.value.length)}px`; };
  fit();
  input.addEventListener('input', () => {
    fit();
    const v = Number(input.value), good = input.value !== '' && Math.abs(v / step - Math.round(v / step)) < 1e-6 && v >= min && v <= max;
    input.setAttribute('aria-invalid', String(!good));
    if (good) { set(v); changed(); redraw(); }
  });
  return input;
}
function choice(label, options, value, set) {
  const select = el('select', { 'aria-label': label }, options.map((option) => el('option', { selected: option === value }, option)));
  select.addEventListener('change', () => { set(select.value); changed(); });
  return select;
}
const word = (text) => el('span', { class: 'u' }, text);
const part = (kind, title, ...words) => el('div', { class: `line-part ${kind}` }, el('h3', {}, title), el('div', { class: 'words' }, ...words));

function dayBox(rule, i) {
  const box = el('input', { type: 'checkbox', checked: !rule.days || rule.days.includes(DAYS[i]), 'aria-label': DAY_LONG[i] });
  box.addEventListener('change', () => {
    const on = DAYS.filter((day, k) => (k === i ? box.checked : !rule.days || rule.days.includes(day)));
    rule.days = on;
    changed();
    redraw();
  });
  return el('label', {}, box, el('span', { 'aria-hidden': 'true' }, DAY_NAMES[i]));
}
function clockBox(rule, label, key, usual) {
  const box = el('input', { type: 'text', class: 'hm', inputmode: 'numeric', maxlength: '5', value: rule[key] ?? usual, 'aria-label': `${label}, hours and minutes` });
  box.addEventListener('input', () => {
    const good = /^([01]\d|2[0-3]):[0-5]\d$/.test(box.value) || (key === 'to' && box.value === '24:00');
    box.setAttribute('aria-invalid', String(!good));
    if (!good) return;
    rule.from ??= '00:00';
    rule.to ??= '24:00';
    rule[key] = box.value;
    changed();
    redraw();
  });
  return box;
}

// All queues that were ever reported, to choose from; those that match a pattern are marked.
function queuePicker(rule, box) {
  const host = el('div', { class: 'queues', role: 'group', 'aria-label': 'Queues that were reported' });
  const fill = () => host.replaceChildren(...reported.map((name) => {
    const button = el('button', { type: 'button', 'aria-pressed': String(counts(rule, name)) }, name);
    button.addEventListener('click', () => {
      const list = rule.queues ?? [], out = `-${name}`;
      // A queue that matches a pattern is excluded by an entry of its own.
      if (!list.length) rule.queues = [name];
      else if (list.includes(name) || list.includes(out)) rule.queues = list.filter((one) => one !== name && one !== out);
      else rule.queues = [...list, counts(rule, name) ? out : name];
      box.value = rule.queues.join(', ');
      fill();
      changed();
      $$('button', host).find((one) => one.textContent === name)?.focus();
    });
    return button;
  }));
  box.addEventListener('input', fill);
  fill();
  return host;
}

// Either steps with thresholds, or the automatic method with a goal.
function method(rule) {
  const button = (value, words) => {
    const made = el('button', { type: 'button', 'aria-pressed': String(rule.method === value) }, words);
    made.addEventListener('click', () => { rule.method = value; draw(); changed(); $('#form [aria-pressed="true"]').focus(); });
    return made;
  };
  return el('div', { class: 'pick', role: 'group', 'aria-label': 'How the number is found' }, button('steps', 'In steps'), button('automatic', 'By itself'));
}
function inSteps(rule) {
  return [
    part('up', 'Add', word('add '), number('Dynos to add', rule.up.step, (v) => { rule.up.step = v; }, { min: 1, max: 1000 }), word(' when '), choice('Statistic', ['p50', 'p75', 'p90', 'p95', 'p99', 'mean'], rule.statistic, (v) => { rule.statistic = v; }), word(' of the last '), number('Window in seconds', rule.window, (v) => { rule.window = v; }, { min: 10, max: 600 }), word(' s is above '), number('Add above, ms', rule.up.threshold_ms, (v) => { rule.up.threshold_ms = v; }, { min: 1 }), word(' ms, then not again for '), number('Wait after adding, seconds', rule.up.wait, (v) => { rule.up.wait = v; }, { max: 86400 }), word(' s')),
    part('down', 'Remove', word('remove '), number('Dynos to remove', rule.down.step, (v) => { rule.down.step = v; }, { min: 1, max: 1000 }), word(' when it stayed below '), number('Remove below, ms', rule.down.threshold_ms, (v) => { rule.down.threshold_ms = v; }), word(' ms for all of '), number('Wait before removing, seconds', rule.down.wait, (v) => { rule.down.wait = v; }, { max: 86400 }), word(' s')),
  ];
}
function byItself(rule, isWeb) {
  const goal = rule.automatic;
  return [
    part('up', 'Goal', word(isWeb ? 'of 100 requests at most ' : 'of 100 jobs at most '), number('Share that may wait longer, in percent', goal.share, (v) => { goal.share = v; }, { min: 0.1, max: 50, step: 0.1 }), word(' may wait longer than '), number('Goal, ms', goal.goal_ms, (v) => { goal.goal_ms = v; }, { min: 1 }), word(' ms')),
    part('down', 'Care', word('be '), choice('Care', ['lean', 'balanced', 'strict'], goal.care, (v) => { goal.care = v; }), el('p', { class: 'hint' }, 'Lean removes dynos early, strict keeps more of them. It learns how many this app needs at which load, and sizes its steps by that.')),
  ];
}
function jobs(rule) {
  const box = el('input', { type: 'checkbox', checked: rule.hold_while_jobs_run });
  box.addEventListener('change', () => { rule.hold_while_jobs_run = box.checked; changed(); });
  return [el('label', {}, box, 'remove none while a job would be cut off,'), word(' for at most '), number('Longest wait for running jobs, seconds', rule.drain_by, (v) => { rule.drain_by = v; }, { max: 86400 }), word(' s')];
}

function nameEditor() {
  const rule = current(), whole = how === 'yaml';
  $('#edit-head').textContent = whole ? 'All rules' : rule.name;
  $('#edit-hint').textContent = whole ? 'Of all process types of the app.' : `Rule ${open + 1} of ${list().length}: ${whenInWords(rule)}.`;
}

function form() {
  const rule = current(), isWeb = process === 'web';
  const nameBox = el('input', { type: 'text', value: rule.name, maxlength: 80, 'aria-label': 'The rule’s name' });
  nameBox.addEventListener('input', () => { if (nameBox.value.trim()) { rule.name = nameBox.value.trim(); changed(); redraw(); } });
  const queues = el('input', { type: 'text', value: (rule.queues ?? []).join(', '), placeholder: 'all', 'aria-label': 'Queues that count, with * for any characters' });
  queues.addEventListener('input', () => { rule.queues = queues.value.split(',').map((q) => q.trim()).filter(Boolean); changed(); });
  const picker = isWeb ? null : queuePicker(rule, queues);
  const drop = el('button', { class: 'b small plain', type: 'button' }, 'Remove this rule');
  drop.addEventListener('click', () => { list().splice(open, 1); open = 0; draw(); changed(); });
  nameEditor();
  $('#form').replaceChildren(...[
    part('', 'Name', nameBox),
    isDefault(rule) ? null : part('', 'When', el('div', { class: 'days' }, DAYS.map((_, i) => dayBox(rule, i))), el('div', {}, word('from '), clockBox(rule, 'From', 'from', '00:00'), word(' to '), clockBox(rule, 'To', 'to', '24:00'), word(` in ${rules.zone}`))),
    part('', 'How many', word('from '), number('At least so many dynos', rule.dynos.min, (v) => { rule.dynos.min = v; }, { max: 1000 }), word(' to '), number('At most so many dynos', rule.dynos.max, (v) => { rule.dynos.max = v; }, { max: 1000 }), word(' dynos'), el('p', { class: 'hint', id: 'takes' })),
    part('', 'How', method(rule)),
    ...(isAutomatic(rule) ? byItself(rule, isWeb) : inSteps(rule)),
    isWeb ? null : part('', 'Queues', queues, picker, el('p', { class: 'hint' }, 'The one that waits longest decides. Names, and patterns with *, between commas; none: all of them. A - before one leaves it out: -sidekiq:low')),
    isWeb ? null : part('', 'Jobs that run', jobs(rule)),
    isDefault(rule) ? null : el('p', {}, drop),
  ].filter(Boolean));
  $('#form').inert = !mayChange;
  sayTaken();
}

// What the rule's minimum and maximum take in a month, for the hours in which it applies.
function sayTaken() {
  const { dynos: { min, max } } = current(), hours = hoursAWeek(list())[list().indexOf(current())];
  const taken = (n) => {
    const monthly = n * hours / WEEK_H * MONTH_H;
    return price ? money(monthly * price.cents_a_month / 100 / MONTH_H, price.currency) : `${Math.round(monthly).toLocaleString('en-US')} dyno-hours`;
  };
  const counts = hours === WEEK_H ? 'It counts all week.' : `It counts for ${Math.round(hours)} of the ${WEEK_H} hours of a week. In these,`;
  const verb = `${price ? 'cost' : 'take'}${min === 1 ? 's' : ''}`;
  $('#takes').textContent = `${counts} ${dynos(min)} ${verb} ${taken(min)} a month, ${dynos(max)} ${taken(max)}.`;
}
async function findPrice() {
  ({ price } = await get(`${path}/processes/${encodeURIComponent(process)}/usage?from=-1m&to=now&step=60`));
  sayTaken();
}

// ---------------------------------------------------------------- the chart of the last day

const board = new Board({});
const flat = (value) => data.t.map(() => value);
// The rule's thresholds; above the first, requests are slow.
const upper = () => (isAutomatic(current()) ? current().automatic.goal_ms : current().up.threshold_ms);
const lower = () => (isAutomatic(current()) ? null : current().down.threshold_ms);
const fleetData = () => [data.t, data.ordered, flat(current().dynos.max), flat(current().dynos.min)];
let fleetChart;
const chartData = () => [data.t, data.p95, data.p95.map((v) => (v === null ? null : Math.max(v, upper()))), flat(upper()), flat(lower())];

// The queue that decides, or else the first that counts.
async function sourceOf(name) {
  if (name === 'web') return 'web';
  const deciding = app.processes.find((p) => p.process === name)?.queue_time?.queue;
  if (deciding) return deciding;
  return reported[0] ?? 'web';
}

async function loadChart() {
  const source = await sourceOf(process), to = Math.floor(now() / STEP) * STEP + STEP;
  const { points } = await get(`${path}/series?source=${encodeURIComponent(source)}&from=${to - DAY}&to=${to}&step=${STEP}`);
  const fleet = new Map((await get(`${path}/processes/${encodeURIComponent(process)}/chart?from=${to - DAY}&to=${to}&step=${STEP}`)).points.map((p) => [Math.floor(p.t / STEP) * STEP, p.ordered]));
  data = { t: points.map((p) => p.t), p95: points.map((p) => (p.count ? p.p95 : null)), ordered: points.map((p) => fleet.get(p.t) ?? null) };
  const narrow = isNarrow(), knee = () => Math.max(20, upper() * 1.2);
  board.clear();
  chart = board.add($('#c-chart'), {
    height: narrow ? 220 : 330, margin: narrow ? 66 : 156, data: chartData(), xLabels: false,
    y: { ...squeezed(knee()), range: (u, min, max) => [0, Math.max(2.2 * knee(), (max || 0) * 1.05)] },
    yAxis: { splits: waitSplits, filter: apart, values: waitLabels },
    series: [area('queue-soft', 'queue', { dot: 'queue' }), hidden, line('ink', { dash: [6, 4], width: 1.4 }), line('ink', { dash: [2, 4], width: 1.4 })],
    bands: [{ series: [2, 3], fill: () => colour('attention-fill') }],
    read: (i) => { $('#c-read').replaceChildren(readItem('p95', 'p95', wait(data.p95[i ?? data.t.length - 1])), el('span', {}, i === null ? 'now' : stamp(data.t[i]))); },
  });
  fleetChart = board.add($('#f-chart'), {
    height: narrow ? 150 : 200, margin: narrow ? 66 : 156, data: fleetData(),
    y: dynoRange,
    yAxis: { incrs: [1, 2, 5, 10, 20, 50, 100, 200], space: 26, values: (u, v) => v.map(String) },
    series: [area('dyno-soft', 'dyno', { ...steps, dot: 'dyno' }), line('ink-2', { dash: [6, 4], width: 1.2 }), line('ink-2', { dash: [2, 4], width: 1.2 })],
    read: (i) => { $('#f-read').replaceChildren(readItem('up', 'dynos', data.ordered[i ?? data.ordered.findLastIndex((v) => v !== null)] ?? '–')); },
    after: (u) => { const { min, max } = current().dynos; gutter(u, [[max, 'at most', String(max)], [min, 'at least', String(min)]]); },
  });
  board.resized = () => requestAnimationFrame(handles);
  requestAnimationFrame(handles);
  sums();
  sumFleet();
}

// Handles to drag the two thresholds, at the right of the chart. The form has the same numbers.
function handles() {
  const host = $('#c-chart'), rule = current();
  for (const old of $$('.handle', host)) old.remove();
  if (!chart || !mayChange) return;
  const top = chart.over.getBoundingClientRect().top - host.getBoundingClientRect().top;
  const place = (handle, value) => { handle.style.top = `${top + chart.valToPos(value, 'y')}px`; handle.lastChild.data = wait(value); };
  const moves = isAutomatic(rule) ? [['goal', rule.automatic, 'goal_ms', (v) => v]]
    : [['add above', rule.up, 'threshold_ms', (v) => Math.max(v, rule.down.threshold_ms + 1)], ['remove below', rule.down, 'threshold_ms', (v) => Math.min(v, rule.up.threshold_ms - 1)]];
  for (const [text, step, key, fit] of moves) {
    const handle = el('span', { class: 'handle', 'aria-hidden': 'true' }, el('span', { class: 'hide-narrow' }, `${text} `), ' ');
    place(handle, step[key]);
    handle.addEventListener('pointerdown', (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = (moved) => {
        const v = chart.posToVal(moved.clientY - chart.over.getBoundingClientRect().top, 'y'), grain = v > 1000 ? 100 : v > 100 ? 10 : 5;
        step[key] = fit(Math.max(1, Math.round(v / grain) * grain));
        place(handle, step[key]);
        chart.setData(chartData());
        sums();
      };
      handle.onpointerup = () => { handle.onpointermove = handle.onpointerup = null; draw(); changed(); };
    });
    host.append(handle);
  }
}
function sums() {
  const known = data.p95.filter((v) => v !== null), least = lower();
  const over = known.filter((v) => v > upper()).length, under = least === null ? 0 : known.filter((v) => v < least).length;
  const above = `p95 was above ${wait(upper())} for ${span(over * STEP)}`;
  $('#c-sum').textContent = !known.length ? 'Nothing was reported in the last 24 h.'
    : least === null ? `${above}, and not for ${span((known.length - over) * STEP)}. Drag the goal at the chart’s right, or type it.`
      : `${above}, below ${wait(least)} for ${span(under * STEP)}, between them for ${span((known.length - over - under) * STEP)}. Drag the two values at the chart’s right, or type them.`;
}
function sumFleet() {
  const known = data.ordered.filter((v) => v !== null), { min, max } = current().dynos, lasting = (fits) => (known.some(fits) ? `for ${span(known.filter(fits).length * STEP)}` : 'never');
  $('#f-sum').textContent = known.length ? `As it was: ${max} or more ${lasting((v) => v >= max)}, ${min} or fewer ${lasting((v) => v <= min)}.` : 'Nothing is known of the dynos in the last 24 h.';
}
function redraw() {
  $('#list').replaceChildren(...list().map(row));
  calendar();
  nameEditor();
  if ($('#takes')) sayTaken();
  if (data && chart) { chart.setData(chartData()); fleetChart.setData(fleetData()); handles(); sums(); sumFleet(); }
}

// ---------------------------------------------------------------- YAML

async function showYaml() {
  const { yaml } = await trying(post(`/rules/check?zone=${encodeURIComponent(rules.zone)}`, JSON.stringify(rules), { type: 'application/json' }));
  $('#text').value = yaml;
  $('#text').readOnly = !mayChange;
}
let typing;
$('#text').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    try {
      const read = await trying(post(`/rules/check?zone=${encodeURIComponent(rules.zone)}`, $('#text').value, { type: 'application/yaml' }));
      ({ rules } = read);
      if (!rules.processes[process]) [process] = Object.keys(rules.processes);
      open = Math.min(open, list().length - 1);
      $('#text').setAttribute('aria-invalid', 'false');
      $('#list').replaceChildren(...list().map(row));
      calendar();
      changed();
    } catch { $('#text').setAttribute('aria-invalid', 'true'); }
  }, 300);
});
$('#how').addEventListener('click', async (event) => {
  if (!event.target.dataset.how) return;
  how = event.target.dataset.how;
  for (const button of $$('#how button')) button.setAttribute('aria-pressed', String(button.dataset.how === how));
  $('.edit').hidden = how === 'yaml';
  $('#yaml').hidden = how !== 'yaml';
  nameEditor();
  if (how === 'yaml') await showYaml().catch(() => {}); else draw();
});

// ---------------------------------------------------------------- saving

const trial = bindTrial({ place: () => `${path}/processes/${encodeURIComponent(process)}`, rules: () => rules });
$('#save-trial').addEventListener('click', () => { $('#trial').scrollIntoView({ block: 'start' }); trial.run(); });
const body = () => (how === 'yaml' ? [$('#text').value, 'application/yaml'] : [JSON.stringify(rules), 'application/json']);
let asking = 0;
async function changed() {
  const [text, type] = body(), turn = ++asking;
  trial.changed(rules);
  if (JSON.stringify(rules) === JSON.stringify(saved)) { $('#save').hidden = true; return; }
  try {
    const plan = await trying(post(`${path}/rules/plan`, text, { type }));
    if (turn !== asking) return;
    $('#save').hidden = !plan.changes.length;
    const then = plan.processes.find((p) => p.process === process);
    $('#changes').replaceChildren(...plan.changes.map((change) => el('div', { class: 'diff' }, difference(change))),
      then?.then?.sentence && then.same_measure ? el('div', { class: 'hint' }, `Decided now, it would ${then.then.scaling ? '' : '(scaling is off) '}${then.then.sentence}`) : '');
    $('#keep').disabled = false;
  } catch {
    if (turn === asking) { $('#save').hidden = false; $('#changes').replaceChildren(el('span', { class: 'error' }, 'This can’t be saved as it is: see the sentence above.')); $('#keep').disabled = true; }
  }
}
$('#keep').addEventListener('click', async () => {
  const [text, type] = body();
  try {
    await trying(put(`${path}/rules`, text, { type, headers: { 'If-Match': etag } }));
  } catch (problem) {
    if (problem.status === 412) { $('#notice').replaceChildren(note('attention', 'warn', 'Somebody else changed the rules meanwhile.', 'Reload the page to see theirs; yours are still here.')); }
    return;
  }
  announce('The rules are saved and in force');
  trial.forget();
  await start();
});
$('#discard').addEventListener('click', async () => { rules = clone(saved); open = Math.min(open, list().length - 1); $('#save').hidden = true; if (how === 'yaml') await showYaml(); draw(); });
$('#add').addEventListener('click', () => {
  const rule = clone(list().at(-1)), names = list().map((other) => other.name);
  let n = 1;
  while (names.includes(`rule ${n}`)) n++;
  Object.assign(rule, { name: `rule ${n}`, days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '20:00' });
  list().unshift(rule);
  open = 0;
  draw();
  changed();
  $('#form input')?.focus();
});
$('#switch').addEventListener('click', async () => {
  const { scaling } = saved.processes[process];
  if (await trying(put(`${path}/processes/${encodeURIComponent(process)}/switch`, { scaling: !scaling })).then(() => true, () => false)) { announce(scaling ? 'Scaling is off' : 'Scaling is on'); await start(); }
});

// ---------------------------------------------------------------- history

async function past() {
  const { versions } = await get(`${path}/rules/history`);
  $('#history').replaceChildren(...versions.map((version, i) => {
    const button = el('button', { class: 'b small', type: 'button', 'aria-label': `Roll back to this: version ${version.version}` }, 'Roll back to this');
    button.addEventListener('click', async () => {
      if (await trying(post(`${path}/rules/rollback`, { version: version.version })).then(() => true, () => false)) { announce(`Version ${version.version} is in force again`); await start(); }
    });
    return el('li', {}, el('div', { class: 'quiet' }, timeTag(version.at, stamp(version.at))),
      el('div', {}, el('strong', {}, version.who), ` version ${version.version}`, i ? null : [' ', el('span', { class: 'tag' }, 'in force')], el('div', { class: 'diff' }, version.changes.map(difference))),
      i && mayChange ? button : null);
  }));
}

function draw() {
  const { scaling } = saved.processes[process] ?? {};
  $('#switch').setAttribute('aria-checked', String(Boolean(scaling)));
  $('#switch b').textContent = scaling ? 'on' : 'off';
  $('#switch').disabled = !mayChange;
  $('#add').hidden = !mayChange;
  redraw();
  form();
}
async function start() {
  await load();
  $('#save').hidden = true;
  processLinks(app, process);
  draw();
  if (how === 'yaml') await showYaml();
  await Promise.all([loadChart(), past(), findPrice()]).catch(() => {});
}

process = chosenProcess(app)?.process;
$('#add').prepend(icon('plus'));
setLive('live', 'Live');
await trying(start()).catch(() => {});
shown();
