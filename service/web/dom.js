// Builds elements and icons, and has small helpers for every page. Text of people or apps is
// inserted as text, never as markup.

// What is not seen, or turns the direction of text, as a sign that something is there.
const UNSEEN = /(?![\t\n\r])[\p{Cc}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2028\u2029\ufff9-\ufffb]/gu;
const seen = (child) => (child instanceof Node ? child : String(child).replace(UNSEEN, '\ufffd'));

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'class') node.className = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map(seen));
  return node;
}
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// A name by which an element is recognised after it was rebuilt.
const nameOf = (node) => node.id || node.dataset.key || node.getAttribute('href') || node.getAttribute('aria-label') || node.textContent;

// Replaces the children of `host`. If one of the old ones has the focus, the new one of the same
// name gets it, so that updates do not interrupt whoever reads or types there.
export function renew(host, ...children) {
  const focused = host.contains(document.activeElement) && host !== document.activeElement ? document.activeElement : null;
  host.replaceChildren(...children);
  if (!focused || focused.isConnected) return;
  const name = nameOf(focused);
  $$(focused.tagName, host).find((node) => nameOf(node) === name)?.focus({ preventScroll: true });
}

const ICONS = {
  up: 'M8 13V3M3.5 7.5 8 3l4.5 4.5', down: 'M8 3v10M3.5 8.5 8 13l4.5-4.5',
  held: 'M3 4h10M8 13V8M5 10.5 8 7.5l3 3', hold: 'M3.5 6h9M3.5 10h9',
  unknown: 'M6 6a2 2 0 1 1 2.7 1.9c-.5.2-.7.6-.7 1.1v.5M8 12v.1',
  outside: 'M8 8.2a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2ZM3 13.5c.5-2.4 2.4-3.7 5-3.7s4.5 1.3 5 3.7',
  release: 'M8 2 13.5 5v6L8 14 2.5 11V5ZM2.5 5 8 8l5.5-3M8 8v6',
  rule: 'M3 4.5h10M3 8h10M3 11.5h6', edit: 'M10.5 3.5 12.5 5.5 6 12l-2.6.6L4 10ZM9 5l2 2',
  pause: 'M5.5 3.5v9M10.5 3.5v9', play: 'M5 3.5v9l7-4.5Z', boost: 'M9 1.5 3.5 9H8l-1 5.5L12.5 7H8Z',
  check: 'm3 8.5 3.5 3.5L13 4.5', cross: 'm4 4 8 8M12 4l-8 8',
  warn: 'M8 2.5 14.5 13.5H1.5ZM8 6.5v3.300M8 11.700v.1',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.5V11M8 5v.1',
  stop: 'M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5ZM8 5v3.5M8 10.900v.1',
  off: 'M8 2v5M4.5 4.5a5 5 0 1 0 7 0', clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.5V8l2.5 1.5',
  chevron: 'm4 6 4 4 4-4', right: 'm6 4 4 4-4 4', left: 'm10 4-4 4 4 4', plus: 'M8 3v10M3 8h10',
  redo: 'M13 8a5 5 0 1 1-1.5-3.5M13 2.5v3h-3',
};
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'i');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name] ?? ICONS.info);
  svg.append(path);
  return svg;
}
export const glyph = (kind) => el('span', { class: `glyph ${kind}`, 'aria-hidden': 'true' }, icon(kind));

// Says something to a screen reader.
export function announce(text) {
  const node = $('#announce') ?? document.body.appendChild(el('div', { id: 'announce', class: 'unseen', role: 'status' }));
  node.textContent = text;
}

export function note(kind, sign, strong, ...more) {
  return el('div', { class: `note ${kind}` }, icon(sign), el('div', {}, el('strong', {}, strong), ' ', ...more));
}

export function copyable(text, label) {
  return el('div', { class: 'copy' },
    el('pre', { tabindex: '0', role: 'region', 'aria-label': label }, text),
    el('button', { type: 'button', 'aria-label': `Copy: ${label}` }, 'Copy'));
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('.copy button');
  if (!button) return;
  navigator.clipboard?.writeText($('pre', button.parentElement).textContent).catch(() => {});
  button.textContent = 'Copied';
  announce('Copied');
  setTimeout(() => { button.textContent = 'Copy'; }, 1600);
});

// Opens a dialog of the page; returns its form's data if it was confirmed, else null.
export function ask(dialog) {
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes' ? new FormData($('form', dialog)) : null);
    }, { once: true });
  });
}
