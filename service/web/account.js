// One's own password, second factor and sessions.

import { $, announce, ask, copyable, el, note } from './dom.js';
import { get, post, put, remove, whoami } from './api.js';
import { frame, notice, setLive, shown, trying } from './shell.js';
import { stamp, timeTag } from './words.js';

// The password again, before something that somebody else at this browser must not do. Gives null where
// it was called off.
async function again(why, withCode) {
  const box = $('#again-box'), { current, code } = $('form', box);
  current.value = '';
  code.value = '';
  code.required = withCode;
  $('#again-code').hidden = !withCode;
  $('#again-why').textContent = why;
  const form = await ask(box);
  if (!form) return null;
  return withCode ? { current: form.get('current'), code: form.get('code') } : { current: form.get('current') };
}
const button = (text, click, label) => el('button', { class: 'b small', type: 'button', 'aria-label': label, onclick: click }, text);
const quietly = (promise) => promise.catch(() => null); // what went wrong is told already

// ---------------------------------------------------------------- sessions

async function end(which, why, said) {
  const body = await again(why);
  if (!body) return;
  await trying(remove(`/account/sessions/${which}`, body));
  announce(said);
  sessions();
}

async function sessions() {
  const { sessions: list } = await get('/account/sessions');
  $('#end-others').hidden = list.length < 2;
  $('#session-rows').replaceChildren(...list.map((session) => el('tr', {}, el('th', { scope: 'row' }, session.browser || 'A browser', session.this ? [' ', el('span', { class: 'tag' }, 'this one')] : null),
    el('td', {}, session.address), el('td', {}, 'since ', timeTag(session.created, stamp(session.created)), ', last used ', timeTag(session.seen, stamp(session.seen))),
    el('td', { class: 'n' }, session.this ? null : button('End it', () => quietly(end(session.id, 'To end this session.', 'The session was ended')), `End the session of ${session.browser || session.address}`)))));
}

// ---------------------------------------------------------------- the second factor

function picture({ width, path }) {
  const NS = 'http://www.w3.org/2000/svg', svg = document.createElementNS(NS, 'svg'), points = document.createElementNS(NS, 'path');
  for (const [key, value] of Object.entries({ class: 'qr', viewBox: `0 0 ${width} ${width}`, role: 'img', 'aria-label': 'The secret as a QR code', 'shape-rendering': 'crispEdges' })) svg.setAttribute(key, value);
  points.setAttribute('d', path);
  svg.append(points);
  return svg;
}

function showRecovery({ recovery }) {
  $('#factor-box').replaceChildren(el('div', { class: 'stack' }, note('attention', 'warn', 'Keep these recovery codes.', 'They are shown only now. Each works once in place of a code, where the app is lost.'), copyable(recovery.join('\n'), 'The recovery codes')));
}

async function setUp() {
  const body = await again('To set up a second factor.');
  if (!body) return;
  const made = await trying(post('/account/factor', body));
  const form = el('form', { class: 'stack' }, el('label', { class: 'field' }, el('span', {}, 'The code that it shows'), el('input', { name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', required: true, maxlength: 6, pattern: '[0-9]{6}', title: 'six digits' }), el('small', {}, 'All your other sessions end.')), el('p', {}, el('button', { class: 'b primary' }, 'Switch it on')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    quietly(trying(post('/account/factor/confirm', { code: form.code.value })).then(async (codes) => { await factor(); showRecovery(codes); sessions(); }));
  });
  $('#factor-box').replaceChildren(el('div', { class: 'card pad factor' }, picture(made.picture), el('div', { class: 'stack' },
    el('p', {}, 'Read the picture with an authenticator app, ', el('a', { href: made.uri }, 'open it in one on this device'), ', or type the secret:'), copyable(made.secret, 'The secret'), form)));
  form.code.focus();
}

async function newRecovery() {
  const body = await again('To make new recovery codes. Those of before end.');
  if (!body) return;
  const codes = await trying(post('/account/factor/recovery', body));
  await factor();
  showRecovery(codes);
}

async function switchOff() {
  const body = await again('To switch the second factor off.', true);
  if (!body) return;
  await trying(post('/account/factor/off', body));
  await factor();
  notice(note('ok', 'check', 'The second factor is off.', 'Your other sessions have ended.'));
  sessions();
}

async function factor() {
  const { active: on, required, recovery_left: left } = await get('/account/factor');
  $('#factor-box').replaceChildren();
  $('#factor-state').textContent = on ? `On. Signing in takes a code of your authenticator app, too. Recovery codes left: ${left}.`
    : `Off. ${required ? 'It is required here' : 'With it, signing in takes a code of an authenticator app, too'}.`;
  $('#factor-buttons').replaceChildren(...(on ? [button('New recovery codes', () => quietly(newRecovery())), button('Switch it off', () => quietly(switchOff()))]
    : [button('Set it up', () => quietly(setUp()))]));
  if (required && !on) notice(note('attention', 'warn', 'A second factor is required here.', 'Set it up below. Until then there is nothing else to see.'));
}

await frame();
setLive('live', 'Live');
const who = await whoami();
for (const form of [$('#password'), $('#again-box form')]) form.username.value = who.name;
$('#who').textContent = `${who.name}, ${who.role}`;
$('#end-others').addEventListener('click', () => quietly(end('others', 'To end all your other sessions.', 'The other sessions were ended')));
$('#password').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  await trying(put('/account/password', { current: form.old.value, password: form.new.value }));
  form.reset();
  notice(note('ok', 'check', 'The password was changed.', 'Your other sessions have ended.'));
  sessions();
});
await Promise.all([sessions(), factor()]);
shown();
