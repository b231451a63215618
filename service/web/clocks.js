// Nights in which the clocks of a zone change: an hour is skipped, or comes twice.

const HOUR = 3600, WEEK = 7 * 86400, AHEAD_WEEKS = 53;

// Minutes that a zone is ahead of UTC at a moment.
export function offsetOf(zone) {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'longOffset' });
  return (t) => {
    const name = format.formatToParts(t * 1000).find((part) => part.type === 'timeZoneName').value;
    const [, sign, h, m] = /([+-])(\d\d):(\d\d)/.exec(name) ?? ['', '+', '0', '0'];
    return (sign === '-' ? -1 : 1) * (Number(h) * 60 + Number(m));
  };
}

// The changes within a year from a moment: {t, by} with `by` in minutes, negative where clocks are
// set back. Computed once per zone and hour.
const worked = new Map();
export function clockChanges(zone, from) {
  const key = `${zone} ${Math.floor(from / HOUR)}`;
  if (!worked.has(key)) worked.set(key, findChanges(zone, from));
  return worked.get(key);
}
function findChanges(zone, from) {
  const offset = offsetOf(zone), found = [];
  let start = Math.floor(from / HOUR) * HOUR, before = offset(start);
  for (let week = 0; week < AHEAD_WEEKS; week++, start += WEEK) {
    const after = offset(start + WEEK);
    if (after === before) continue;
    let low = start, high = start + WEEK;
    while (high - low > 60) {
      const middle = Math.floor((low + high) / 120) * 60;
      if (offset(middle) === before) low = middle; else high = middle;
    }
    found.push({ t: high, by: after - before, before });
    before = after;
  }
  return found;
}

const utc = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options });

// When a change happens on the wall clock: {day: 0 (Monday) to 6, date: "28 March", from, to:
// minutes of the day, twice}. A skipped hour is on the day on which it would have been; a repeated
// one on the day on which it first ends.
export function nightOf({ t, by, before }) {
  const twice = by < 0, start = t + (before + (twice ? by : 0)) * 60;
  const at = new Date((twice ? t + before * 60 - 1 : start) * 1000), midnight = Math.floor(at / 86400000) * 86400;
  const from = Math.max(0, Math.round((start - midnight) / 60));
  return { day: (at.getUTCDay() + 6) % 7, date: utc({ day: 'numeric', month: 'long' }).format(at), from, to: Math.min(1440, from + Math.abs(by)), twice };
}

// "Sunday 28 March: 02:00 to 03:00 is skipped"
export function changeInWords(change) {
  const { day, date, from, to, twice } = nightOf(change), wall = (m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`;
  const name = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'][day];
  return `${name} ${date}: ${wall(from)} to ${wall(to)} ${twice ? 'comes twice' : 'is skipped'}`;
}
