// Who gets notices about an app: a part of its settings.

import { $, announce, copyable, el, note } from './dom.js';
import { get, may, patch, post, remove } from './api.js';
import { trying } from './shell.js';
import { stamp, timeTag } from './words.js';

const KINDS = { email: 'E-mail', slack: 'Slack', webhook: 'Webhook' };
const TARGETS = {
  email: ['E-mail address', 'email', 'ops@shop.example', ''],
  slack: ['Incoming webhook', 'url', 'https://hooks.slack.com/services/…', 'Mattermost, Discord (with /slack at the end) and others take the same.'],
  webhook: ['URL', 'url', 'https://…', 'Gets a signed POST with JSON.'],
};
let path, kinds, changes;

const boxes = (chosen, disabled) => el('fieldset', { class: 'ticks' }, el('legend', {}, 'Tell'),
  kinds.map(({ kind, meaning }) => el('label', { class: 'tick' }, el('input', { type: 'checkbox', name: 'tells', value: kind, checked: chosen.includes(kind), disabled }), meaning)));
const ticked = (form) => [...form.querySelectorAll('[name=tells]:checked')].map((box) => box.value);

function row(channel) {
  const said = el('div', { 'aria-live': 'polite' });
  const form = el('form', { class: 'stack' }, boxes(channel.tells, !changes));
  form.addEventListener('change', () => trying(patch(`${path}/channels/${channel.id}`, { tells: ticked(form) })).then(() => announce('Saved'), () => {}));
  const test = el('button', { class: 'b small', type: 'button' }, 'Test now');
  test.addEventListener('click', async () => {
    test.disabled = true;
    const { result, trouble } = await trying(post(`${path}/channels/${channel.id}/test`, {})).catch(() => ({}));
    test.disabled = false;
    if (result) said.replaceChildren(result === 'ok' ? note('ok', 'check', 'Sent.', 'Look whether it arrived.') : note('stop', 'stop', 'Not sent:', trouble));
  });
  const away = el('button', { class: 'b small danger', type: 'button' }, 'Remove');
  away.addEventListener('click', async () => {
    if (!await trying(remove(`${path}/channels/${channel.id}`)).then(() => true, () => false)) return;
    announce('Removed');
    await show();
  });
  const last = channel.told ? ['Last told ', timeTag(channel.told, stamp(channel.told)), '.'] : 'Nothing was told yet.';
  return el('div', { class: 'card pad stack' },
    el('div', { class: 'row' }, el('div', {}, el('strong', {}, KINDS[channel.kind] ?? channel.kind), ' ', el('span', { class: 'wrap' }, channel.target)), changes && [test, away]),
    channel.trouble ? note('stop', 'stop', 'The last one was not sent:', `${channel.trouble}. It is tried again for a day.`) : el('p', { class: 'hint' }, last),
    said, el('details', {}, el('summary', { class: 'quiet' }, `Tells ${channel.tells.length} of ${kinds.length}`), form));
}

function adding(email) {
  const usual = kinds.filter((one) => one.usual).map((one) => one.kind);
  const label = el('span'), input = el('input', { name: 'target', required: true, autocomplete: 'off' }), hint = el('small');
  const form = el('form', { class: 'stack' },
    el('label', { class: 'field' }, el('span', {}, 'By'), el('select', { name: 'kind' }, Object.entries(KINDS).map(([kind, words]) => el('option', { value: kind }, words)))),
    el('label', { class: 'field' }, label, input, hint), boxes(usual), el('p', {}, el('button', { class: 'b primary' }, 'Add')));
  const suit = () => {
    const [words, type, example, more] = TARGETS[form.kind.value];
    label.textContent = words;
    input.type = type;
    input.placeholder = example;
    hint.replaceChildren(...(form.kind.value === 'email' && !email ? ['This service sends no e-mail until it is started with ', el('code', {}, '--smtp'), ' and ', el('code', {}, '--mail-from'), '.'] : [more]));
  };
  form.addEventListener('change', suit);
  suit();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const made = await trying(post(`${path}/channels`, { kind: form.kind.value, target: input.value.trim(), tells: ticked(form) })).catch(() => null);
    if (!made) return;
    announce('Added');
    await show();
    if (made.secret) $('#channel-form').prepend(el('div', { class: 'stack' }, note('attention', 'warn', 'Requests are signed with this secret.', 'It is shown only now; your program needs it to know that it is us.'), copyable(made.secret, 'The webhook’s secret')));
  });
  return form;
}

async function show() {
  const { email, kinds: all, channels } = await get(`${path}/channels`);
  kinds = all;
  $('#channels').replaceChildren(...channels.length ? channels.map(row) : [note('info', 'info', 'Nobody is told.', 'What happens is shown on these pages alone.')]);
  $('#channel-form').replaceChildren(changes ? el('details', { open: !channels.length }, el('summary', { class: 'quiet' }, channels.length ? 'Add another' : 'Add one'), el('br'), adding(email)) : '');
}

async function told() {
  const { notices } = await trying(get(`${path}/notices`));
  $('#notices').replaceChildren(notices.length
    ? el('div', { class: 'card scroll', tabindex: '0', role: 'region', 'aria-label': 'What was told' }, el('table', {},
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'When'), el('th', { scope: 'col' }, 'What'))),
      el('tbody', {}, notices.map((one) => el('tr', {}, el('td', {}, timeTag(one.at, stamp(one.at))), el('td', {}, one.title))))))
    : el('p', { class: 'quiet' }, 'Nothing yet.'));
}

export async function tell(where) {
  path = where;
  changes = await may('operate');
  $('#told').addEventListener('toggle', () => { if ($('#told').open) told().catch(() => {}); });
  await show();
}
