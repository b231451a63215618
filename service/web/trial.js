// Replay before saving: the edited rules are run over the app's own last days, beside those in
// force. It changes nothing.

import { $, $$, announce, el, icon, note } from './dom.js';
import { follow } from './api.js';
import { Board, area, dynoRange, isNarrow, line, readItem, steps } from './chart.js';
import { count, money, shortDay, span, stamp, timeTag, wait } from './words.js';

const SURE = { good: ['ok', 'check', 'Good'], fair: ['attention', 'info', 'Fair'], poor: ['attention', 'warn', 'Poor'], none: ['stop', 'stop', 'Not known'] };
const board = new Board({});
let days = 7, running = null, tried = null; // what was tried last, as text

const whole = (value) => Math.round(value).toLocaleString('en-US');
const round = (value) => (value < 100 ? value.toFixed(1).replace(/\.0$/, '') : whole(value));

// ---------------------------------------------------------------- the numbers

// "214", with the range if the number is uncertain.
function estimate(found, text) {
  if (!found) return '–';
  const [low, high, value] = [found.low, found.high, found.value].map(text);
  return [el('span', { class: 'big num' }, value), low === high ? null : el('div', { class: 'hint num' }, `${low} to ${high}`)];
}
// The change in words, with better or worse if that can be said.
function change(before, after, text, { fewer = 'fewer', more = 'more', matters = true } = {}) {
  if (!before || !after) return el('td', { class: 'n' }, '–');
  const by = after.value - before.value, shown = text(Math.abs(by));
  if (shown === text(0)) return el('td', { class: 'n' }, 'the same');
  const exact = before.low === before.high && after.low === after.high, sure = exact || after.low > before.high || after.high < before.low;
  return el('td', { class: `n${matters && sure ? by < 0 ? ' better' : ' worse' : ''}` }, `${shown} ${by < 0 ? fewer : more}`, sure ? null : el('div', { class: 'hint' }, 'less than it may be off'));
}

function compare(result) {
  const { in_force: now, proposed, actual, price, slow } = result;
  const cents = (value) => money(value / 100, price.currency);
  const { jobs } = result, dyno = jobs ? 'worker' : 'dyno';
  const slowly = jobs ? `more than ${round(slow.per_mille / 10)} % of the jobs began later than ${wait(slow.ms)} after they came` : `more than ${round(slow.per_mille / 10)} % waited longer than ${wait(slow.ms)}`;
  const row = (name, what, key, text, really, words) => el('tr', {}, el('th', { scope: 'row' }, el('strong', {}, name), what ? el('div', { class: 'hint' }, what) : null),
    el('td', { class: 'n' }, estimate(now?.[key], text)), el('td', { class: 'n yours' }, estimate(proposed[key], text)), change(now?.[key], proposed[key], text, words), el('td', { class: 'n quiet' }, really === null || really === undefined ? '–' : text(really)));
  const most = (side) => (side ? { value: side.at_maximum_minutes, low: side.at_maximum_minutes, high: side.at_maximum_minutes } : null);
  const sides = { in_force: now && { ...now, at_most: most(now) }, proposed: { ...proposed, at_most: most(proposed) } };
  $('#trial-table').replaceChildren(el('table', { class: 'compare' }, el('thead', {}, el('tr', {},
    el('th', { scope: 'col' }, `${shortDay(result.from)} to ${stamp(result.to)}`), ['Rules in force', 'Your change', 'Difference', 'What really was'].map((word, i) => el('th', { scope: 'col', class: i === 1 ? 'n yours' : 'n' }, word)))),
  el('tbody', {},
    row(jobs ? 'Late minutes' : 'Slow minutes', slowly, 'slow_minutes', whole, actual.slow_minutes),
    jobs ? row('Jobs that begin late', null, 'late_jobs', whole, actual.late_jobs) : null,
    price ? row('Money', `at ${cents(price.cents_a_month)} a month for a ${dyno}`, 'cost_cents', cents, actual.cost_cents, { fewer: 'less' }) : null,
    row(jobs ? 'Worker-hours' : 'Dyno-hours', price ? null : 'enter a price on the page of savings to see money', 'dyno_hours', round, actual.dyno_hours),
    row('Scalings', null, 'scalings', whole, actual.scalings, { matters: false }),
    el('tr', {}, el('th', { scope: 'row' }, el('strong', {}, 'At the maximum'), el('div', { class: 'hint' }, 'minutes in which more were wanted than the rules allow')),
      el('td', { class: 'n' }, estimate(sides.in_force?.at_most, whole)), el('td', { class: 'n yours' }, estimate(sides.proposed.at_most, whole)), change(sides.in_force?.at_most, sides.proposed.at_most, whole), el('td', { class: 'n quiet' }, '–')))));
}

// ---------------------------------------------------------------- the chart

function chart(result) {
  const { proposed, in_force: now, actual } = result, narrow = isNarrow();
  const list = (side) => (side ?? actual).points.map((point) => point.ordered ?? point.up), t = proposed.points.map((point) => point.t);
  const [yours, theirs] = [list(proposed), list(now)];
  board.clear();
  board.add($('#trial-chart'), {
    height: narrow ? 150 : 200, margin: narrow ? 16 : 24, data: [t, yours, theirs],
    y: dynoRange, yAxis: { incrs: [1, 2, 5, 10, 20, 50, 100, 200], space: 26, values: (u, v) => v.map(String) },
    series: [area('dyno-soft', 'dyno', { ...steps, dot: 'dyno' }), line('ink', { ...steps, dash: [4, 3], width: 1.4 })],
    read: (i) => {
      const k = i ?? t.length - 1;
      $('#trial-read').replaceChildren(readItem('up', 'your change', round(yours[k] ?? 0)), readItem('line', now ? 'rules in force' : 'what was', round(theirs[k] ?? 0)), el('span', {}, stamp(t[k])));
    },
  });
  $('#trial-sum').textContent = `At most ${count(proposed.most_dynos, result.jobs ? 'worker' : 'dyno')} with your change${now ? `, ${now.most_dynos} with the rules in force` : ''}. Each step is ${span(result.step)}.`;
  const every = Math.max(1, Math.round(t.length / 48));
  const cell = (side, i) => [side?.points[i]?.ordered, side?.points[i]?.p95];
  $('#trial-numbers').replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ['Time', 'Dynos, in force', result.jobs ? 'oldest job' : 'p95', 'Dynos, your change', result.jobs ? 'oldest job' : 'p95'].map((word, i) => el('th', { scope: 'col', class: i && 'n' }, word)))),
    el('tbody', {}, t.map((at, i) => [at, i]).filter(([, i]) => i % every === 0).map(([at, i]) => el('tr', {}, el('th', { scope: 'row' }, timeTag(at, stamp(at))),
      [cell(now, i), cell(proposed, i)].flatMap(([n, p95]) => [el('td', { class: 'n' }, n === null || n === undefined ? '–' : round(n)), el('td', { class: 'n' }, wait(p95))]))))));
}

// ---------------------------------------------------------------- the whole

function sureness({ sureness: { level, sentences } }) {
  const [kind, sign, word] = SURE[level] ?? SURE.none;
  $('#trial-sure').replaceChildren(el('h3', {}, 'How sure is this? ', el('span', { class: `state ${kind}` }, icon(sign), word)), el('ul', { class: 'sure' }, sentences.map((sentence) => el('li', {}, `${sentence[0].toUpperCase()}${sentence.slice(1)}${/[.?!]$/.test(sentence) ? '' : '.'}`))));
}

function show(result) {
  const { verdict } = result;
  $('#trial-verdict').textContent = `${verdict[0].toUpperCase()}${verdict.slice(1)}${/[.?!]$/.test(verdict) ? '' : '.'}`;
  $('#trial-result').hidden = false;
  compare(result);
  chart(result);
  sureness(result);
  announce(verdict);
}

function working(is) {
  $('#trial-go').hidden = is;
  $('#trial-stop').hidden = !is;
  $('#trial-progress').hidden = !is;
  if (is) progress(0);
}
function progress(done) {
  $('#trial-progress progress').value = done;
  $('#trial-progress span').textContent = `${Math.floor(done * days)} of ${days} days`;
}
function say(...content) { $('#trial-notice').replaceChildren(...content); }

// place: of the process; rules(): all rules as edited.
export function bindTrial({ place, rules }) {
  const run = async () => {
    const controller = new AbortController(), asked = rules();
    running?.abort();
    running = controller;
    say();
    working(true);
    let result = null;
    try {
      await follow(`${place()}/trial`, { rules: asked, days }, (name, value) => { if (name === 'progress') progress(value.done); if (name === 'result') result = value; }, controller.signal);
      if (result) { tried = JSON.stringify(asked); show(result); } else say(note('stop', 'stop', 'The replay ended without a result.', 'Try it again.'));
    } catch (problem) {
      if (controller.signal.aborted) say(el('p', { class: 'quiet' }, 'Stopped. Nothing was changed.'));
      else say(note('attention', 'warn', problem.message));
    }
    if (running === controller) { running = null; working(false); }
  };
  $('#trial-go').prepend(icon('redo'));
  $('#trial-go').addEventListener('click', () => { run().then(() => $('#trial-go').focus({ preventScroll: true })); $('#trial-stop').focus({ preventScroll: true }); });
  $('#trial-stop').addEventListener('click', () => running?.abort());
  $('#trial-days').addEventListener('click', (event) => {
    if (!event.target.dataset.days) return;
    days = Number(event.target.dataset.days);
    for (const button of $$('#trial-days button')) button.setAttribute('aria-pressed', String(Number(button.dataset.days) === days));
    if (tried || running) run();
  });
  return { run, changed: (now) => { if (tried) say(JSON.stringify(now) === tried ? '' : note('attention', 'info', 'Since then you changed the rules again.', 'Below is what came of the earlier ones.')); }, forget: () => { running?.abort(); tried = null; say(); $('#trial-result').hidden = true; } };
}
