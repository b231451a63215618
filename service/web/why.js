// The ledger: what was decided, why, and everything that went into it. Equal decisions in a row are
// shown once.

import { $, $$, announce, el, glyph, note } from './dom.js';
import { get } from './api.js';
import { appName, appPath, chosenProcess, frame, notice, processLinks, setLive, shown, trying } from './shell.js';
import { count, day, hour, isToday, momentOf, now, span, time, timeTag, wait } from './words.js';

const DAY = 86400, TICK = 10, PAGE = 5000, SHOWN = 400;
let kind = 'changes', entries = [], chosen = null, which = 0, from, to;
const wide = matchMedia('(min-width: 1121px)');
const app = await frame({ app: appName(), page: 'why' });
const process = chosenProcess(app);
const place = `${appPath(app.name)}/processes/${encodeURIComponent(process?.process ?? 'web')}`;

// ---------------------------------------------------------------- entries

// Sentences are alike if only their numbers differ.
const shape = (sentence) => sentence.replace(/[\d:.,]+/g, '#');

// Groups ten-second decisions into entries: a change is one entry; holds with the same reason and
// number are one entry.
function group(ticks) {
  const list = [];
  for (const tick of ticks) {
    const before = list.at(-1), hold = tick.action === 'hold';
    if (hold && before?.hold && shape(before.last.sentence) === shape(tick.sentence) && before.last.to === tick.to) {
      before.last = tick;
      before.all.push(tick);
    } else list.push({ first: tick, last: tick, hold, all: [tick] });
  }
  return list.reverse();
}

async function load() {
  const all = [], changes = kind === 'changes';
  let next = from;
  while (next) {
    const part = await get(`${place}/ledger?from=${next}&to=${to}&changes=${changes}&limit=${PAGE}`);
    all.push(...part.ticks);
    next = part.next_from;
  }
  entries = group(all);
}

// ---------------------------------------------------------------- the list

function glyphOf(entry) {
  if (!entry.hold) return entry.first.action;
  const said = entry.last.sentence;
  if (/no report|not known|unknown/.test(said)) return 'unknown';
  if (/maximum/.test(said)) return 'held';
  if (/paused|pause/.test(said)) return 'pause';
  if (/somebody else|outside/.test(said)) return 'outside';
  if (/release/.test(said)) return 'release';
  return 'hold';
}
function sentence(text) {
  const i = text.indexOf(': ');
  return i < 0 ? [text] : [el('b', {}, text[0].toUpperCase() + text.slice(1, i)), ' ', text.slice(i + 2)];
}

function draw() {
  const word = $('#words').value.trim().toLowerCase();
  const list = entries.filter((entry) => !word || entry.first.sentence.toLowerCase().includes(word) || entry.last.sentence.toLowerCase().includes(word));
  const rows = [];
  let was = '';
  for (const entry of list.slice(0, SHOWN)) {
    const date = day(entry.last.t);
    if (date !== was) { rows.push(el('li', { class: 'daybreak' }, isToday(entry.last.t) ? `Today, ${date}` : date)); was = date; }
    rows.push(row(entry));
  }
  if (list.length > SHOWN) rows.push(el('li', { class: 'empty' }, el('p', {}, `and ${list.length - SHOWN} more: look for a word, or go to a time.`)));
  if (!list.length) rows.push(el('li', { class: 'empty' }, el('h2', {}, 'Nothing like that'), el('p', {}, 'No decision of this day fits. ', kind === 'changes' ? 'Try “All”.' : '')));
  $('#list').replaceChildren(...rows);
  $('#found').textContent = `${count(list.length, kind === 'changes' ? 'change' : 'entry', kind === 'changes' ? 'changes' : 'entries')}`;
  $('#inside').hidden = !wide.matches;
  if (wide.matches) fill($('#inside'));
}

function row(entry) {
  const open = entry === chosen, id = `e${entry.first.t}`, many = entry.all.length;
  const button = el('button', { type: 'button', 'aria-expanded': String(open), id },
    el('span', { class: 't' }, many > 1 ? hour(entry.first.t) : time(entry.first.t)), glyph(glyphOf(entry)), el('span', { class: 'text' }, sentence(entry.last.sentence)),
    el('span', { class: 'times' }, many > 1 ? `${many} times, until ${hour(entry.last.t)}` : ''));
  button.addEventListener('click', () => { chosen = open ? null : entry; which = many - 1; draw(); document.getElementById(id)?.focus(); });
  const li = el('li', { class: `entry${entry.hold ? ' hold' : ''}` }, button);
  if (open && !wide.matches) { const box = el('div', { class: 'open inside' }); li.append(box); fill(box); }
  return li;
}

// ---------------------------------------------------------------- one of them

// What people ask for first, in their words; the rest follows in its stored form.
const ago = (v) => (v < 1 ? 'just then' : `${span(v)} before`);
const yes = (v) => (v ? 'yes' : null);
const KNOWN = {
  value_ms: [({ rule_in_force: rule }) => (rule ? `${rule.statistic} of the last ${rule.window} s` : 'The wait that was measured'), wait], samples: ['Requests or jobs in the window', number], samples_above: ['Of these, above the threshold', number],
  ordered: ['Dynos ordered', number], up: ['Of these up', number], booting: ['Of these booting', (v) => (v ? number(v) : null)], dynos_heard: ['Dynos that reported', number],
  heard_age: ['Newest report', ago], formation_age: ['Dynos last read', ago], limit: ['The platform allows', number], boot_s: ['A dyno takes to start', span],
  releasing: ['A release was under way', yes], release_age: ['Last release', ago], outside_age: ['Last change from outside', ago], act_age: ['Last order', ago],
  paused: ['Paused', (v) => ['', 'scaling down', 'both ways'][v] || null], boost: ['Boosted to at least', number], jobs_running: ['Jobs being worked on', number], started_age: ['The service ran for', span],
};
const REMEMBERED = {
  last_up: ['Dynos last added', moment], last_down: ['Dynos last removed', moment], below_since: ['Below the lower threshold since', moment],
  wanted: ['Wanted after the decision before', number], futile_since: ['Adding did not help since', moment], adopted_at: ['A change from outside was taken over', moment],
  stood_down_since: ['Stood back for another scaler since', moment], jobs_hold_since: ['Waited for running jobs since', moment],
};
function number(v) { return v.toLocaleString('en-US'); }
function moment(v) { return v ? timeTag(v, `${isToday(v) ? '' : `${day(v)}, `}${time(v)}`) : null; }

// `words`: name → [label, format]; a format returns null for what is not worth a line. A label may
// depend on the whole decision.
function inputs(list, words, all) {
  const rows = Object.entries(words).map(([name, [label, format]]) => {
    const found = list.find((one) => one.name === name);
    const shown = found && found.value !== -1 ? format(found.value) : null;
    return shown === null ? null : [el('dt', {}, typeof label === 'function' ? label(all) : label), el('dd', {}, shown)];
  }).filter(Boolean);
  return rows.length ? el('dl', { class: 'pairs' }, rows) : el('p', { class: 'hint' }, 'Nothing yet.');
}
function everything(situation, memory) {
  return el('details', { class: 'numbers' }, el('summary', {}, 'All that went in, as it is kept'),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'All that went in' }, el('table', {},
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Name'), el('th', { scope: 'col', class: 'n' }, 'Value'), el('th', { scope: 'col' }, 'Meaning'))),
      el('tbody', {}, [...situation, ...memory].map(({ name, value, meaning }) => el('tr', {}, el('th', { scope: 'row' }, el('code', {}, name)), el('td', { class: 'n' }, String(value)), el('td', {}, meaning)))))));
}
function ruleOf({ rule_in_force: rule, rules_version: version }) {
  if (!rule) return el('p', { class: 'quiet' }, `Version ${version}, which is not kept any more.`);
  const pairs = [['Rule', `${rule.name}, version ${version}`], ['Dynos', `${rule.dynos.min} to ${rule.dynos.max}`], ['Looks at', `${rule.statistic} of the last ${rule.window} s`],
    ['Adds', `${rule.up.step} above ${rule.up.threshold_ms} ms, then not again for ${rule.up.wait} s`], ['Removes', `${rule.down.step} below ${rule.down.threshold_ms} ms for ${rule.down.wait} s`]];
  return el('dl', { class: 'pairs' }, pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

// Repeats a decision from what is stored, and says whether the result is the same.
function again(tick) {
  const button = el('button', { class: 'b small', type: 'button' }, 'Decide it again'), said = el('p', { class: 'hint', role: 'status' });
  button.addEventListener('click', async () => {
    button.disabled = true;
    const found = await trying(get(`${place}/replay?from=${tick.t}&to=${tick.t + 1}`)).catch(() => null);
    button.disabled = false;
    if (!found) return;
    const [other] = found.differences;
    said.replaceChildren(found.ticks && found.same ? 'Decided again just now, from the same inputs and rule: the same, to the bit.'
      : found.no_rules ? 'It can’t be decided again: its version of the rules is not kept any more.'
        : other ? `Not the same: ${other.what} was ${other.was}, and is ${other.now ?? 'not known'} now.` : 'It can’t be decided again: it is not kept any more.');
  });
  return el('div', {}, button, said);
}

async function fill(box) {
  if (!chosen) {
    box.replaceChildren(el('div', { class: 'empty' }, el('h2', {}, 'Choose a decision'), el('p', {}, 'You see what was known at that moment, which rule counted, and what was remembered.')));
    return;
  }
  const entry = chosen, tick = entry.all[which] ?? entry.last;
  let all;
  try { all = await get(`${place}/explain?at=${tick.t}`); } catch (problem) { box.replaceChildren(note('stop', 'stop', problem.message)); return; }
  if (entry !== chosen) return;
  const turn = (by, name, sign) => {
    const button = el('button', { class: 'b small square', type: 'button', 'aria-label': name, disabled: !entry.all[which + by] }, sign);
    button.addEventListener('click', () => { which += by; fill(box).then(() => $(`[aria-label="${name}"]`, box)?.focus()); });
    return button;
  };
  const json = el('a', { class: 'b small', download: `${app.name}-${process.process}-${tick.t}.json`, href: `/api/v1${place}/explain?at=${tick.t}` }, 'Download as JSON');
  box.replaceChildren(...[
    entry.all.length > 1 ? el('div', { class: 'row' }, el('span', { class: 'quiet' }, `Decision ${which + 1} of ${entry.all.length} alike`), turn(-1, 'The one before', '‹'), turn(1, 'The one after', '›')) : null,
    el('div', {}, el('p', { class: 'quiet when' }, glyph(glyphOf(entry)), timeTag(tick.t, `${day(tick.t)}, ${time(tick.t)}`)), el('p', { class: 'sentence' }, tick.sentence[0].toUpperCase() + tick.sentence.slice(1)), tick.scaling ? null : el('p', { class: 'hint' }, 'Scaling was off: this was not done.'), all.next ? el('p', { class: 'hint' }, `Next: ${all.next}`) : null),
    all.trouble ? note('attention', 'warn', 'The platform said:', all.trouble) : null,
    el('div', {}, el('h2', {}, 'What was known'), all.queue ? el('p', { class: 'hint' }, `The queue that decided: ${all.queue}`) : null, inputs(all.situation, KNOWN, all)),
    el('div', {}, el('h2', {}, 'The rule that counted'), ruleOf(all)),
    el('div', {}, el('h2', {}, 'What was remembered'), inputs(all.memory, REMEMBERED, all)),
    everything(all.situation, all.memory),
    again(tick),
    el('div', { class: 'row' }, json, el('a', { class: 'b small plain', href: `${appPath(app.name)}?process=${encodeURIComponent(process.process)}#at=${tick.t}` }, 'See it on the chart')),
  ].filter(Boolean));
}

// ---------------------------------------------------------------- filters

async function reload() { await trying(load()); draw(); }
function press(value) { kind = value; for (const button of $$('#kinds button')) button.setAttribute('aria-pressed', String(button.dataset.kind === kind)); }
function useDay(end) { to = Math.ceil(end); from = to - DAY; }

// Opens the decision of a moment, whatever is shown now.
async function jumpTo(moment, words) {
  press('all');
  if (moment < from || moment > to) useDay(Math.min(now() + 1, moment + DAY / 2));
  await reload();
  const off = (entry) => Math.max(0, entry.first.t - moment, moment - entry.last.t);
  const [nearest] = entries.toSorted((a, b) => off(a) - off(b));
  chosen = nearest && off(nearest) < TICK ? nearest : null;
  if (!chosen) { announce(`Nothing was decided at ${words}`); notice(note('attention', 'warn', `Nothing was decided at ${words}.`, 'The service did not run, or knew no rules for this process.')); return; }
  which = Math.max(0, chosen.all.findIndex((tick) => tick.t >= moment));
  draw();
  document.getElementById(`e${chosen.first.t}`)?.scrollIntoView({ block: 'center' });
  announce(`At ${words}: ${chosen.all[which].sentence}`);
}
async function jump(text) {
  let moment = momentOf(text);
  if (moment === null) return;
  if ($('#date').value) moment += Math.round((new Date(`${$('#date').value}T12:00`) - new Date(`${new Date(moment * 1000).toLocaleDateString('en-CA')}T12:00`)) / 1000);
  await jumpTo(moment, text);
}

processLinks(app, process?.process);
setLive('live', 'Live');
useDay(now() + 1);
$('#kinds').addEventListener('click', (event) => { if (event.target.dataset.kind) { press(event.target.dataset.kind); reload(); } });
$('#words').addEventListener('input', () => { if ($('#words').value && kind === 'changes') { press('all'); reload(); } else draw(); });
$('#date').addEventListener('change', () => { if ($('#date').value) { useDay(new Date(`${$('#date').value}T00:00`).getTime() / 1000 + DAY); reload(); } });
$('#goto').addEventListener('input', () => jump($('#goto').value));
$('#filters').addEventListener('submit', (event) => { event.preventDefault(); jump($('#goto').value); });
wide.addEventListener('change', draw);
// From a chart or a list: #at=EPOCH.
const asked = Number(/^#at=(\d+)$/.exec(location.hash)?.[1]);
if (asked) await jumpTo(asked, `${day(asked)}, ${time(asked)}`).catch(() => {}); else await reload().catch(() => {});
if (!entries.length && kind === 'changes') { press('all'); await reload().catch(() => {}); }
shown();
