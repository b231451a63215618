// A change in words, "web, rule office: dynos max 10 → 12", with the old value struck out.

import { el } from './dom.js';

export function difference(change) {
  const arrow = change.lastIndexOf(' → '), before = change.slice(0, Math.max(0, arrow)).lastIndexOf(' ');
  if (arrow < 0 || before < 0) return el('span', {}, change);
  return el('span', {}, el('em', {}, change.slice(0, before + 1)), el('del', {}, change.slice(before + 1, arrow)), ' ', el('ins', {}, change.slice(arrow + 3)));
}
