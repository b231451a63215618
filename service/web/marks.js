// Events as marks above the charts and as a list beside them. Causes are above the chart of queue
// time, scalings above that of dynos. Marks that are too close become one with a number.

import { $, $$, el, glyph, renew } from './dom.js';
import { folded } from './difference.js';
import { brief, hour, stamp, timeTag } from './words.js';

const RANK = ['act', 'outside', 'release', 'up', 'down', 'pause', 'rule', 'edit'];
const isScaling = (mark) => mark.kind === 'up' || mark.kind === 'down';

// Turns events of the API into marks of a process: {t, kind, text}. The text leaves out the app's
// name, which is at the top of the page.
export function marksOf(events, process, app) {
  return events.filter((event) => event.process === undefined || event.process === process).map((event) => {
    const { t } = event;
    switch (event.kind) {
      case 'scaling': return { t, kind: event.to > event.from ? 'up' : 'down', text: event.sentence };
      case 'shadow': return { t, kind: event.to > event.from ? 'up' : 'down', shadow: true, text: `Scaling was off, else ${event.sentence}` };
      case 'outside': return { t, kind: 'outside', text: `somebody else set ${event.dynos} dynos`, to: event.dynos };
      case 'release': return { t, kind: 'release', text: 'a release' };
      case 'change': return { t, kind: event.what.includes('pause') || event.what.includes('boost') ? 'pause' : 'edit', text: `${event.who} ${event.what.replace(` of ${app}`, '')}${event.changes.length ? `: ${folded(event.changes).join('; ')}` : ''}` };
      case 'act': return event.trouble ? { t, kind: 'act', text: `the platform: ${event.trouble}` } : null;
      default: return null;
    }
  }).filter(Boolean);
}

const glyphOf = (kind) => glyph(kind === 'act' ? 'unknown' : kind);

function many(list) {
  const ups = list.filter((mark) => mark.kind === 'up').length, downs = list.length - ups;
  return el('span', { class: 'many' }, ups ? el('span', {}, `↑${ups}`) : null, downs ? el('span', {}, `↓${downs}`) : null);
}

// Marks closer than `gap` px become one group.
function groupsOf(marks, positionOf, gap) {
  const groups = [];
  for (const mark of marks) {
    const x = positionOf(mark.t), last = groups.at(-1);
    if (last && x - last.from < gap) { last.list.push(mark); last.to = x; } else groups.push({ from: x, to: x, list: [mark] });
  }
  return groups;
}
// Half the width of a group's sign.
function half({ list }) {
  if (list.length === 1) return 12;
  return isScaling(list[0]) ? 8 + 4.4 * many(list).textContent.length + 2.5 : 14;
}

// Merges neighbours that would cover each other (more of them on narrow screens), then pushes
// groups apart.
function group(marks, positionOf, left, right) {
  let gap = marks.some(isScaling) ? 42 : 25, groups = groupsOf(marks, positionOf, gap);
  const taken = () => groups.reduce((sum, g) => sum + 2 * half(g) + 2, 0);
  for (; taken() > (right - left) * 0.8 && gap < 200; gap *= 1.3) groups = groupsOf(marks, positionOf, gap);
  groups.forEach((g, i) => {
    g.at = (g.from + g.to) / 2;
    const before = groups[i - 1];
    if (before) g.at = Math.max(g.at, before.at + half(before) + half(g) + 2);
  });
  let edge = right + 12;
  for (const g of groups.slice().reverse()) { g.at = Math.min(g.at, edge - half(g)); edge = g.at - half(g) - 2; }
  return groups;
}

function tip(host, x, list) {
  $('.tip', host)?.remove();
  const box = el('div', { class: 'tip' }, list.slice(0, 4).map((mark) => el('p', {}, timeTag(mark.t, stamp(mark.t)), mark.text)), list.length > 4 ? el('p', { class: 'quiet' }, `and ${list.length - 4} more in the list`) : null);
  host.append(box);
  box.style.left = `${Math.max(4, Math.min(x - box.offsetWidth / 2, host.clientWidth - box.offsetWidth - 4))}px`;
}

function lane(host, board, marks) {
  const chart = board.charts[0], focused = document.activeElement?.parentElement === host ? Number(document.activeElement.dataset.t) : null;
  host.replaceChildren();
  if (!chart) return;
  const left = chart.over.getBoundingClientRect().left - host.getBoundingClientRect().left;
  const groups = group(marks, (t) => left + chart.valToPos(t, 'x'), left, left + chart.over.clientWidth);
  const light = (list) => { for (const li of $$('#events li')) li.classList.toggle('on', list.some((mark) => String(mark.t) === li.dataset.t)); };
  // Keeps the focus on the mark that had it, in whichever group it is now.
  const held = focused === null ? null : groups.find((g) => g.list.some(({ t }) => t === focused));
  groups.forEach((g, i) => {
    const main = g.list.slice().sort((a, b) => RANK.indexOf(a.kind) - RANK.indexOf(b.kind))[0];
    const shown = g.list.length === 1 ? '' : isScaling(main) ? `${many(g.list).textContent}: ` : `${g.list.length} events: `;
    const button = el('button', { class: 'mark', type: 'button', tabindex: (held ? g === held : i === groups.length - 1) ? '0' : '-1', 'data-t': main.t, 'aria-label': shown + g.list.map((mark) => `${hour(mark.t)}, ${mark.text}`).join('. ') },
      g.list.length === 1 ? glyphOf(main.kind) : isScaling(main) ? many(g.list) : [glyphOf(main.kind), el('span', { class: 'more' }, String(g.list.length))]);
    button.style.left = `${g.at}px`;
    const open = () => { tip(host, g.at, g.list); board.mark(main.t); light(g.list); };
    const close = () => { $('.tip', host)?.remove(); board.mark(null); light([]); };
    for (const name of ['mouseenter', 'focus', 'click']) button.addEventListener(name, open);
    for (const name of ['mouseleave', 'blur']) button.addEventListener(name, close);
    host.append(button);
    if (g === held) button.focus({ preventScroll: true });
  });
  host.onkeydown = (event) => {
    const list = $$('.mark', host), i = list.indexOf(document.activeElement);
    const j = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: list.length - 1 }[event.key];
    if (j === undefined || !list[j]) return;
    event.preventDefault();
    list[i].tabIndex = -1;
    list[j].tabIndex = 0;
    list[j].focus();
  };
}

export function showLanes(board, marks) {
  lane($('#lane'), board, marks.filter((mark) => !isScaling(mark)));
  lane($('#lane2'), board, marks.filter(isScaling));
}

// The moments at which another rule came into force by schedule.
export function ruleMarks(ticks) {
  const found = [];
  ticks.forEach((tick, i) => {
    const before = ticks[i - 1];
    if (before?.rule && tick.rule && tick.rule !== before.rule) found.push({ t: tick.t, kind: 'rule', text: `“${tick.rule}” counts: ${tick.min} to ${tick.max} dynos, where “${before.rule}” did` });
  });
  return found;
}

// Marks of decisions link to the page that explains them: `why(t)` is its address.
const MADE = ['up', 'down'];
export function showList(board, marks, why) {
  const list = marks.slice().reverse(), number = (kind) => list.filter((mark) => mark.kind === kind && !mark.shadow).length;
  const times = (n, word) => `${n} ${n === 1 ? 'time' : 'times'} ${word}`;
  const scaled = [number('up') && times(number('up'), 'up'), number('down') && times(number('down'), 'down'), number('outside') && `${number('outside')} from outside`].filter(Boolean);
  $('#e-sum').textContent = scaled.length ? `${scaled.join(', ')}.${number('outside') ? '' : ' Nobody else changed the number.'}` : list.length ? 'Nothing was scaled in this range.' : 'Nothing in this range.';
  renew($('#events'), ...list.slice(0, 300).map((mark) => {
    const [head, ...rest] = mark.text.split(': ');
    const li = el('li', { 'data-t': mark.t, class: mark.shadow && 'shadow' }, glyphOf(mark.kind), el('div', {}, el('div', { class: 'line' }, el('span', { class: 'what' }, head[0].toUpperCase() + head.slice(1)), MADE.includes(mark.kind) ? el('a', { href: why(mark.t), title: 'Why' }, timeTag(mark.t, brief(mark.t))) : timeTag(mark.t, brief(mark.t))), rest.length ? el('div', {}, rest.join(': ')) : null));
    li.addEventListener('mouseenter', () => board.mark(mark.t));
    li.addEventListener('mouseleave', () => board.mark(null));
    return li;
  }));
}
