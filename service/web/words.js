// Numbers and times in words. Times are in the app's zone, or in the reader's if they chose that.

import { el } from './dom.js';

// ---------------------------------------------------------------- numbers

// 44 ms, 1.2 s: as text, and as an element with a quieter unit.
export function unit(value) {
  if (value === null || value === undefined || Number.isNaN(value) || value < 0) return ['–', ''];
  if (value < 999.5) return [String(Math.round(value)), 'ms'];
  if (value < 9950) return [(value / 1000).toFixed(1), 's'];
  if (value < 99500) return [String(Math.round(value / 1000)), 's'];
  return [String(Math.round(value / 60000)), 'min'];
}
export const wait = (value) => unit(value).join(' ').trim();
export function big(value) {
  const [number, word] = unit(value);
  return el('span', { class: 'num' }, number, el('span', { class: 'unit' }, ` ${word}`));
}
export const count = (value, one, many = `${one}s`) => `${value.toLocaleString('en-US')} ${value === 1 ? one : many}`;
export const dynos = (value) => count(value, 'dyno');
export function money(value, currency = 'USD') {
  return value.toLocaleString('en-US', { style: 'currency', currency });
}

// 1:51
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

// 4 h 27 min
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 && s < 600 ? ` ${s % 60} s` : ''}`;
  if (s < 172800) return `${Math.floor(s / 3600)} h${Math.floor(s / 60) % 60 ? ` ${Math.floor(s / 60) % 60} min` : ''}`;
  return `${Math.round(s / 86400)} days`;
}

// ---------------------------------------------------------------- times

const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
let zone = own;
const formats = new Map();

// The zone of the app that the page is about.
export function useZone(name) {
  if (localStorage.getItem('zone') !== 'mine') zone = name;
  formats.clear();
}
export const zoneName = () => zone;
function format(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...options }));
  return formats.get(key);
}
export const now = () => Date.now() / 1000;
export const time = (t) => format({ hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(t * 1000);
export const hour = (t) => format({ hour: '2-digit', minute: '2-digit' }).format(t * 1000);
export const day = (t) => format({ weekday: 'long', day: 'numeric', month: 'long' }).format(t * 1000);
export const shortDay = (t) => format({ weekday: 'short', day: 'numeric', month: 'short' }).format(t * 1000);
export const isToday = (t) => day(t) === day(now());
export const stamp = (t) => (isToday(t) ? hour(t) : `${shortDay(t)}, ${hour(t)}`);
// 14:32, Sun 14:32, 2 Nov 14:32: for lists, where the title shows the full time.
export const brief = (t) => (isToday(t) ? hour(t) : `${now() - t < 6 * 86400 ? format({ weekday: 'short' }).format(t * 1000) : format({ day: 'numeric', month: 'short' }).format(t * 1000)} ${hour(t)}`);
export function timeTag(t, text = time(t)) {
  return el('time', { datetime: new Date(t * 1000).toISOString(), title: `${day(t)}, ${time(t)} (${zone})` }, text);
}

// The day of the week in a zone, 0 (Monday) to 6, and the minute of the day.
export function dayAndMinute(t, of) {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone: of, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).formatToParts(t * 1000);
  const found = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return { day: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].indexOf(found.weekday), minute: Number(found.hour) * 60 + Number(found.minute) };
}

// The moment of HH:MM on the page's clock: today, or yesterday if that time is still to come.
export function momentOf(text) {
  const found = /^(\d{1,2}):(\d\d)$/.exec(text);
  if (!found) return null;
  const [h, m, s] = time(now()).split(':').map(Number);
  const moment = now() - (h * 3600 + m * 60 + s) + Number(found[1]) * 3600 + Number(found[2]) * 60;
  return Math.floor(moment > now() ? moment - 86400 : moment);
}
