// A change in words, "web, rule office: wait after adding 60 s → 5 s", with the old value struck out.

import { el } from './dom.js';

// What may stand before the arrow: a list of names, a list of rules after "order", or one value.
const OLD = /^(.*?)((?<=: order ).+|(?:\S+, )*\S+(?: (?:ms|s|%))?)$/;

// Names a rule once if several of its fields changed: ["web, rule a: x 1 → 2", "web, rule a: y 3 →
// 4"] becomes ["web, rule a: x 1 → 2", "y 3 → 4"].
export function folded(changes) {
  const named = (change) => /^[^:]*, rule .*: (?=[^:]* → )/.exec(change)?.[0];
  return changes.map((change, i) => { const name = named(change); return name && i && named(changes[i - 1]) === name ? change.slice(name.length) : change; });
}

export function difference(change) {
  const arrow = change.lastIndexOf(' → '), found = arrow < 0 ? null : OLD.exec(change.slice(0, arrow));
  if (!found) return el('span', {}, change);
  const [, before, old] = found;
  return el('span', {}, el('em', {}, before), el('del', {}, old), ' ', el('ins', {}, change.slice(arrow + 3)));
}
