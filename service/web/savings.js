// What the dynos took, in hours and money, beside three stated alternatives, and what scaling itself
// took. The hours are counted from the decisions; how long people would have waited otherwise is an
// estimate, and the page says how it is made.

import { $, $$, announce, el, note } from './dom.js';
import { get, may, put, remove } from './api.js';
import { appName, appPath, chosenProcess, frame, notice, processLinks, setLive, shown, trying } from './shell.js';
import { count, day, dynos, money, now, shortDay, zoneName } from './words.js';
import { DAY_LONG, DAY_NAMES } from './week.js';

const DAY = 86400, HOUR = 3600, STEP = 1800, MONTH_H = 730;
const PARTS = [['Night', 0, 6], ['Morning', 6, 12], ['Afternoon', 12, 18], ['Evening', 18, 24]];
const app = await frame({ app: appName(), page: 'savings' });
const process = chosenProcess(app);
const place = `${appPath(app.name)}/processes/${encodeURIComponent(process.process)}`;
let days = 7, used, from, to;

const sum = (list, pick) => list.reduce((all, one) => all + pick(one), 0);
const minutes = (seconds) => Math.round(seconds / 60);
const slowWords = (seconds) => count(minutes(seconds), 'slow minute');

// ---------------------------------------------------------------- money, or hours without a price

const priced = () => used.price !== null;
function cost(seconds) {
  const hours = seconds / HOUR;
  return priced() ? money(hours * used.price.cents_a_month / 100 / MONTH_H, used.price.currency) : `${hours < 9.95 ? hours.toFixed(1) : Math.round(hours).toLocaleString('en-US')} h`;
}

// ---------------------------------------------------------------- the alternatives

// Slow seconds if `n` dynos had run all the time. Where more than n ran, it counts as slow; where
// just n ran, it was as it was; where fewer ran, more would have been enough.
function slowAt(n) {
  return sum(used.by_dynos, (row) => (row.dynos > n ? row.seconds : row.dynos === n ? row.slow_s : 0));
}
// The smallest number with which people would have waited no longer than they did, of those that the
// rules allowed: somebody may have run more by hand.
function bestFixed(slow) {
  const ran = Math.max(1, ...used.by_dynos.map((row) => row.dynos)), most = used.most ? Math.min(ran, used.most) : ran;
  for (let n = 1; n < most; n++) if (slowAt(n) <= slow) return { best: n, bound: false };
  return { best: most, bound: slowAt(most) > slow };
}

function alternatives() {
  const known = sum(used.points, (p) => p.known_s), ours = sum(used.points, (p) => p.dyno_s), slow = sum(used.points, (p) => p.slow_s);
  const { best, bound } = bestFixed(slow), most = sum(used.points, (p) => p.max_s), least = sum(used.points, (p) => p.min_s);
  const leastMean = known ? least / known : 0;
  return { known, ours, slow, best, most, bestS: best * known, least, list: [
    { name: 'Always the maximum', what: 'the most that the rules in force allowed', seconds: most, slow: null },
    { name: `Always ${dynos(best)}`, what: bound ? 'the best fixed number: the largest that the rules allow, since more ran at times, and with fewer people would have waited longer' : 'the best fixed number: the smallest with which people would have waited no longer', seconds: best * known, slow: slowAt(best) },
    { name: 'As it was', what: 'with Dynoscale', seconds: ours, slow, us: true },
    { name: 'Always the minimum', what: 'the least that the rules in force allowed, and the waits that would have been', seconds: least, slow: slowAt(Math.round(leastMean)) },
  ] };
}

function headline({ known, ours, slow, most, best, bestS }) {
  const beside = (seconds) => (seconds >= ours ? el('em', {}, `${cost(seconds - ours)} more`) : el('strong', {}, `${cost(ours - seconds)} less`));
  $('#headline').replaceChildren(`It took ${priced() ? cost(ours) : `${cost(ours).replace(' h', '')} dyno-hours`}. The best fixed number, ${best}, would have taken `, beside(bestS), ', always the maximum ', beside(most), '.');
  const share = known ? (slow / known * 100).toFixed(1) : '0';
  $('#sub').textContent = `For ${minutes(slow).toLocaleString('en-US')} of ${minutes(known).toLocaleString('en-US')} minutes the wait was above the rule’s threshold: ${share} % of the time.${known < (to - from) * 0.98 ? ` For ${minutes(to - from - known).toLocaleString('en-US')} minutes nothing is known; they are not counted.` : ''}`;
}

function bars(found) {
  const top = Math.max(1, ...found.list.map((one) => one.seconds));
  $('#alts').replaceChildren(...found.list.map((one) => {
    const bar = el('i');
    bar.style.width = `${one.seconds / top * 100}%`;
    const bad = one.slow !== null && one.slow > Math.max(600, found.slow * 3);
    return el('li', { class: one.us && 'us' }, el('div', {}, el('h3', {}, one.name), el('p', { class: 'hint' }, one.what)),
      el('div', { class: 'meter', 'aria-hidden': 'true' }, bar),
      el('div', { class: 'right' }, el('div', { class: 'money num' }, cost(one.seconds)), el('div', { class: `slow${bad ? ' bad' : ''}` }, one.slow === null ? 'fewest slow minutes' : one.us ? slowWords(one.slow) : `about ${slowWords(one.slow)}`)));
  }));
  $('#estimate').textContent = `Dyno-hours are counted, not estimated. Slow minutes of the alternatives are: a minute in which more dynos ran than the alternative has counts as slow, one in which fewer ran does not.`;
}

// ---------------------------------------------------------------- by day, and by time of the week

const parts = new Intl.DateTimeFormat('en-GB', { timeZone: zoneName(), weekday: 'long', hour: '2-digit', hourCycle: 'h23' });
function clockOf(t) {
  const found = Object.fromEntries(parts.formatToParts(t * 1000).map(({ type, value }) => [type, value]));
  return { weekday: DAY_LONG.indexOf(found.weekday), hour: Number(found.hour) };
}

// "Mon", and below it "23 Nov"; on a phone "23".
function dayLabel(t) {
  const [weekday, number, month] = shortDay(t).split(' ');
  return [weekday, el('br'), number, el('small', { class: 'hide-narrow' }, ` ${month}`)];
}

// Above its bar; a phone has no room for the unit, which is said above the chart, nor for money.
function dayCost(seconds) {
  return priced() ? cost(seconds) : [cost(seconds).replace(' h', ''), el('small', { class: 'hide-narrow' }, ' h')];
}

function byDay() {
  const list = new Map();
  for (let t = from; t <= to; t += HOUR) list.set(day(t), list.get(day(t)) ?? { t, seconds: 0, slow: 0, known: 0 });
  for (const point of used.points) {
    const one = list.get(day(point.t));
    if (!one) continue;
    one.seconds += point.dyno_s;
    one.slow += point.slow_s;
    one.known += point.known_s;
  }
  const all = [...list.values()], seen = all.filter((one) => one.known), top = Math.max(1, ...seen.map((one) => one.seconds)), dearest = seen.find((one) => one.seconds === top);
  $('#day-chart').replaceChildren(...all.map((one, i) => {
    const bar = el('i', { class: one.known ? one === all.at(-1) && 'part' : 'none', title: one.known ? `${shortDay(one.t)}: ${cost(one.seconds)}, ${slowWords(one.slow)}` : `${shortDay(one.t)}: nothing is known` });
    bar.style.height = one.known ? `${Math.max(1, one.seconds / top * 100)}%` : '100%';
    return el('div', {}, el('b', { class: `num${priced() ? ' hide-narrow' : ''}` }, one.known && all.length <= 8 ? dayCost(one.seconds) : ''), bar, el('span', {}, all.length <= 8 ? dayLabel(one.t) : i % 7 === 0 ? shortDay(one.t) : ''));
  }));
  const whole = seen.slice(1, -1);
  $('#day-sum').textContent = `${seen.length < all.length ? 'Hatched: nothing is known. ' : ''}${whole.length > 1 ? `${cost(sum(whole, (one) => one.seconds) / whole.length)} a day on average. ` : ''}${dearest ? `The most on ${shortDay(dearest.t)}: ${cost(dearest.seconds)}. ` : ''}Today is not over.`;
  $('#day-table').replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ['Day', priced() ? 'Cost' : 'Dyno-hours', 'Slow minutes'].map((word, i) => el('th', { scope: 'col', class: i && 'n' }, word)))),
    el('tbody', {}, seen.toReversed().map((one) => el('tr', {}, el('th', { scope: 'row' }, shortDay(one.t)), el('td', { class: 'n' }, cost(one.seconds)), el('td', { class: 'n' }, String(minutes(one.slow))))))));
}

function byWeek() {
  const hours = DAY_LONG.map(() => PARTS.map(() => ({ dyno: 0, known: 0 })));
  for (const point of used.points) {
    const { weekday, hour } = clockOf(point.t), cell = hours[weekday][PARTS.findIndex(([, a, b]) => hour >= a && hour < b)];
    cell.dyno += point.dyno_s;
    cell.known += point.known_s;
  }
  // The mean number of dynos in a part of the week, for all of its six hours; an hour of it must be
  // known to tell.
  const mean = hours.map((row) => row.map((cell) => (cell.known >= HOUR ? cell.dyno / cell.known * 6 * HOUR : null)));
  const flat = mean.flat().filter((v) => v !== null), low = Math.min(...flat), high = Math.max(...flat);
  const shade = (v) => `h${Math.min(4, Math.floor((v - low) / (high - low + 1e-9) * 5))}`;
  const missing = mean.flat().length - flat.length;
  $('#week-sum').textContent = `${cost(sum(flat, (v) => v))}${missing ? ` for what is known; hatched ${missing === 1 ? 'is the part' : `are the ${missing} parts`} of the week not seen yet` : ' in all'}. Darker is more. Times are those of ${zoneName()}.`;
  $('#heat').replaceChildren(
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, el('span', { class: 'unseen' }, 'Day')), PARTS.map(([name, a, b]) => el('th', { scope: 'col' }, name, el('div', { class: 'faint' }, `${a}–${b}`))), el('th', { scope: 'col' }, 'Day'))),
    el('tbody', {}, mean.map((row, i) => el('tr', {}, el('th', { scope: 'row' }, el('span', { class: 'hide-narrow' }, DAY_LONG[i]), el('span', { class: 'only-narrow' }, DAY_NAMES[i])),
      row.map((v) => (v === null ? el('td', { class: 'none' }, el('span', { class: 'unseen' }, 'not seen yet')) : el('td', { class: `num ${shade(v)}` }, cost(v)))),
      el('td', { class: 'num sum' }, row.every((v) => v !== null) ? cost(sum(row, (v) => v)) : '')))));
}

// ---------------------------------------------------------------- what scaling took, and the price

function charged() {
  const booting = sum(used.points, (p) => p.booting_s);
  const line = (name, what, value) => el('tr', {}, el('th', { scope: 'row' }, name, el('div', { class: 'hint' }, what)), el('td', { class: 'n' }, value));
  $('#charged').replaceChildren(
    line('Dynos that were booting', `${(booting / HOUR).toFixed(1)} dyno-hours in which they served nobody, as far as the platform says`, cost(booting)),
    line(count(used.flaps, 'flap'), 'a dyno added, and removed again within 10 min', cost(used.flap_s)),
    line('Scalings', `${used.ups} up, ${used.downs} down`, ''));
}

async function priceForm() {
  const admin = await may('admin'), form = $('#price');
  $('#price-hint').textContent = priced() ? `Entered by a person. It counts for ${process.process}.` : `Nobody has entered a price of a ${process.process} dyno yet, so this page counts hours.`;
  form.money.value = priced() ? (used.price.cents_a_month / 100).toFixed(2) : '';
  if (priced()) form.currency.value = used.price.currency;
  for (const control of form.elements) control.disabled = !admin;
  $('#forget').hidden = !priced();
}

function draw() {
  const some = used.points.some((point) => point.dyno_s > 0), known = sum(used.points, (point) => point.known_s), early = some && known < HOUR;
  $('#known').hidden = !some || early;
  $('#period').textContent = some ? `${day(Math.max(from, used.points[0].t))} to now` : '';
  if (!some) {
    $('#headline').textContent = 'Nothing to count yet.';
    $('#sub').replaceChildren('As soon as the platform says how many dynos run, their hours are counted here. ', el('a', { href: `${appPath(app.name, 'settings')}#platform` }, 'Its platform'));
    return;
  }
  if (early) {
    $('#headline').textContent = 'Too early to say what it saves.';
    $('#sub').textContent = `${count(minutes(known), 'minute')} ${minutes(known) === 1 ? 'is' : 'are'} known so far. From an hour on they are compared with what else could have been done.`;
    return;
  }
  const found = alternatives();
  headline(found);
  bars(found);
  byDay();
  byWeek();
  charged();
  priceForm();
}

async function load() {
  to = Math.floor(now());
  from = to - days * DAY;
  used = await trying(get(`${place}/usage?from=${from}&to=${to}&step=${STEP}`));
  for (const button of $$('#back button')) button.setAttribute('aria-pressed', String(Number(button.dataset.days) === days));
  draw();
}

processLinks(app, process.process);
await load().catch(() => {});
shown();
setLive('live', 'Live');
$('#back').addEventListener('click', (event) => {
  if (!event.target.dataset.days) return;
  days = Number(event.target.dataset.days);
  load().catch(() => {});
});
$('#price').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  await trying(put(`${place}/price`, { cents_a_month: Math.round(Number(form.money.value) * 100), currency: form.currency.value.toUpperCase() }));
  await load();
  notice(note('ok', 'check', 'The price counts from now on, for the past too.'));
  announce('The price was saved');
});
$('#forget').addEventListener('click', async () => {
  await trying(remove(`${place}/price`));
  await load();
  announce('The price was forgotten');
});
