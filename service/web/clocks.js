// Nights in which the clocks of a zone change: an hour is skipped, or comes twice.

const HOUR = 3600, DAY = 86400, AHEAD_DAYS = 366;

// Minutes that a zone is ahead of UTC at a moment.
export function offsetOf(zone) {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'longOffset' });
  return (t) => {
    const name = format.formatToParts(t * 1000).find((part) => part.type === 'timeZoneName').value;
    const [, sign, h, m] = /([+-])(\d\d):(\d\d)/.exec(name) ?? ['', '+', '0', '0'];
    return (sign === '-' ? -1 : 1) * (Number(h) * 60 + Number(m));
  };
}

// The changes within a year from a moment: {t, by} with `by` in minutes, below 0 where they are set
// back.
export function clockChanges(zone, from) {
  const offset = offsetOf(zone), found = [];
  let start = Math.floor(from / HOUR) * HOUR, before = offset(start);
  for (let day = 0; day < AHEAD_DAYS; day++, start += DAY) {
    const after = offset(start + DAY);
    if (after === before) continue;
    let low = start, high = start + DAY;
    while (high - low > 60) {
      const middle = Math.floor((low + high) / 120) * 60;
      if (offset(middle) === before) low = middle; else high = middle;
    }
    found.push({ t: high, by: after - before, before });
    before = after;
  }
  return found;
}

// "Sunday 28 March: from 02:00 clocks go on to 03:00, so 02:00 to 03:00 is skipped."
export function changeInWords(zone, { t, by, before }) {
  const wall = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);
  const day = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long' }).format((t - 1 + before * 60) * 1000);
  const at = wall(t + before * 60), to = wall(t + (before + by) * 60);
  return by > 0 ? `${day}: ${at} to ${to} is skipped` : `${day}: ${to} to ${at} comes twice`;
}
