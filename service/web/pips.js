// One box per dyno up to the maximum: filled for up, hatched for booting, empty for allowed. From
// 13 on a bar with the same meaning.

import { el } from './dom.js';

const MOST_BOXES = 12;

// `process` is in the API's form.
export function pips({ dynos, rule }) {
  const ordered = dynos?.ordered ?? 0, booting = Math.min(ordered, dynos?.booting ?? 0), up = ordered - booting;
  const top = Math.max(rule.dynos.max, ordered);
  const box = el('span', { class: 'pips', role: 'img', 'aria-label': `${up} up${booting ? `, ${booting} booting` : ''}; the rule allows ${rule.dynos.min} to ${rule.dynos.max}` });
  if (top > MOST_BOXES) {
    const bar = el('span', { class: 'bar' });
    for (const [name, n] of [['up', up], ['booting', booting], ['', top - ordered]]) {
      if (n <= 0) continue;
      const part = el('i', { class: name });
      part.style.flexGrow = n;
      bar.append(part);
    }
    if (rule.dynos.min > 0) {
      const foot = el('i', { class: 'foot' });
      foot.style.left = `${rule.dynos.min / top * 100}%`;
      bar.append(foot);
    }
    box.append(bar, el('small', {}, `of ${top}`));
    return box;
  }
  for (let i = 1; i <= top; i++) {
    const kind = i <= up ? 'up' : i <= ordered ? 'booting' : '';
    box.append(el('i', { class: `${kind}${i === rule.dynos.min ? ' floor' : ''}` }));
  }
  return box;
}
