// Which rule of a list applies when in a week, computed as in the service's rules/week. Minutes are
// of the wall clock; days are 0 (Monday) to 6.

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
export const DAY_NAMES = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
export const DAY_LONG = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

export const minutesOf = (text) => { const [h, m] = text.split(':').map(Number); return h * 60 + m; };
export const hhmm = (m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`;
export const isDefault = (rule) => !rule.days && !rule.from;

// A rule from 22:00 to 06:00 on Mondays is active from Monday 22:00 to Tuesday 06:00.
export function isActive(rule, day, minute) {
  if (isDefault(rule)) return true;
  const on = (d) => !rule.days || rule.days.includes(DAYS[(d + 7) % 7]);
  const from = rule.from ? minutesOf(rule.from) : 0, to = rule.to ? minutesOf(rule.to) : 1440;
  if (from === to) return on(day);
  if (from < to) return on(day) && minute >= from && minute < to;
  return (on(day) && minute >= from) || (on(day - 1) && minute < to);
}

// Stretches of a day in which the same rule applies, and those in which a rule is active but
// covered. Something only changes where a rule begins or ends.
export function stretches(rules, day) {
  const ends = new Set([0, 1440]);
  for (const rule of rules) for (const text of [rule.from, rule.to]) if (text) ends.add(minutesOf(text));
  const edges = [...ends].sort((a, b) => a - b), parts = edges.slice(0, -1).map((from, i) => ({ from, to: edges[i + 1], active: rules.map((rule) => isActive(rule, day, from)) }));
  const top = [], under = [];
  const add = (list, { from, to }, rule) => {
    const last = list.findLast((one) => one.rule === rule);
    if (last?.to === from) last.to = to; else list.push({ from, to, rule });
  };
  for (const part of parts) {
    const winner = part.active.indexOf(true);
    add(top, part, rules[winner]);
    part.active.forEach((on, i) => { if (on && i > winner && !isDefault(rules[i])) add(under, part, rules[i]); });
  }
  return { top, under };
}

// For how many hours of a week each rule applies.
export function hoursAWeek(rules) {
  const minutes = rules.map(() => 0);
  DAYS.forEach((_, day) => { for (const { from, to, rule } of stretches(rules, day).top) minutes[rules.indexOf(rule)] += to - from; });
  return minutes.map((m) => m / 60);
}

export function daysInWords(days) {
  const key = (days ?? DAYS).map((d) => DAYS.indexOf(d)).sort().join('');
  if (key === '0123456') return 'every day';
  if (key === '01234') return 'Mon to Fri';
  if (key === '56') return 'Sat and Sun';
  return [...key].map((d) => DAY_NAMES[d]).join(', ');
}
export function whenInWords(rule) {
  if (isDefault(rule)) return 'always, where no other rule is active';
  const from = rule.from ?? '00:00', to = rule.to ?? '24:00';
  return `${daysInWords(rule.days)}, ${from} to ${to}${minutesOf(from) > minutesOf(to) ? ' the next day' : ''}`;
}
