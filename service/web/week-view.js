// The week as a calendar: which rule applies when, which one is covered by another, and nights in
// which the clocks change and an hour is skipped or repeated.

import { el } from './dom.js';
import { changeInWords, nightOf } from './clocks.js';
import { dayAndMinute, now } from './words.js';
import { DAY_LONG, DAY_NAMES, hhmm, stretches } from './week.js';

const HEIGHT = 384, ROOM_FOR_LIMITS = 200;
const px = (minute) => `${minute / 1440 * HEIGHT}px`;

function hourLabels() {
  const hours = el('div', { class: 'hours', 'aria-hidden': 'true' });
  for (const h of [0, 4, 8, 12, 16, 20, 24]) { const label = el('span', {}, String(h)); label.style.top = px(h * 60); hours.append(label); }
  return hours;
}

function block({ part, day, chosen, tone, mark, effect, open }) {
  const { rule, from, to } = part;
  const node = el('span', { class: `block ${tone}${chosen ? ' on' : ''}`, title: `${DAY_LONG[day]}, ${hhmm(from)} to ${hhmm(to)}: ${rule.name}, ${effect}` },
    el('b', {}, mark), el('span', { class: 'name' }, ` ${rule.name}`), to - from > ROOM_FOR_LIMITS ? el('span', {}, el('br'), `${rule.dynos.min}–${rule.dynos.max}`) : null);
  node.style.top = px(from);
  node.style.height = `calc(${px(to - from)} - 2px)`;
  node.addEventListener('click', open);
  return node;
}
function strip(kind, from, to, ...words) {
  const node = el('span', { class: kind }, words);
  node.style.top = px(from);
  node.style.height = px(Math.max(6, to - from));
  return node;
}

// The hour of a clock change, in its day's column.
function changedHour(night) {
  return strip(night.twice ? 'twice' : 'lost', night.from, night.to, el('span', {}, night.twice ? 'twice' : 'skipped'));
}

// rules: of one process. look: {tone, mark, effect} for a rule's place; chosen: the place being
// edited; open(place). night: from clockChanges, or null for an ordinary week. Returns whether a
// rule covers another.
export function drawWeek({ host, table, rules, look, chosen, open, zone, night }) {
  const rows = [], changed = night && nightOf(night), today = dayAndMinute(now(), zone);
  const isNow = (day) => !changed && day === today.day;
  const head = (day) => (changed?.day === day ? [DAY_NAMES[day], ' ', el('span', { class: 'date' }, changed.date)] : DAY_NAMES[day]);
  let covered = false;
  host.replaceChildren(el('span'), ...DAY_NAMES.map((_, day) => el('div', { class: `dayname${isNow(day) || changed?.day === day ? ' today' : ''}` }, head(day))), hourLabels());
  for (let day = 0; day < 7; day++) {
    const column = el('div', { class: 'day' }), { top, under } = stretches(rules, day);
    for (const part of top) {
      const place = rules.indexOf(part.rule);
      column.append(block({ part, day, chosen: place === chosen, ...look(place), open: () => open(place) }));
      rows.push([DAY_LONG[day], `${hhmm(part.from)} to ${hhmm(part.to)}`, part.rule.name, `${part.rule.dynos.min} to ${part.rule.dynos.max}`, under.filter((u) => u.from < part.to && u.to > part.from).map((u) => u.rule.name).join(', ') || '–']);
    }
    for (const part of under) column.append(strip(`under ${look(rules.indexOf(part.rule)).tone}`, part.from + 4, part.to - 6));
    covered ||= under.length > 0;
    if (changed?.day === day) { column.append(changedHour(changed)); rows.push([`${DAY_LONG[day]} ${changed.date}`, `${hhmm(changed.from)} to ${hhmm(changed.to)}`, changed.twice ? 'comes twice: what counts then counts in both' : 'is skipped: a rule that begins in it begins at its end', '', '']); }
    if (isNow(day)) { const line = el('span', { class: 'nowline' }); line.style.top = px(today.minute); column.append(line); }
    host.append(column);
  }
  host.setAttribute('role', 'img');
  host.setAttribute('aria-label', `The week as a calendar; the list below says the same in words.${night ? ` ${changeInWords(night)}.` : ''}`);
  table.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, ['Day', 'Time', 'Rule that counts', 'Dynos', 'Covers'].map((word) => el('th', { scope: 'col' }, word)))), el('tbody', {}, rows.map((cells) => el('tr', {}, cells.map((cell, i) => (i ? el('td', {}, cell) : el('th', { scope: 'row' }, cell))))))));
  return covered;
}
