// People, tokens, and who changed what.

import { difference } from './difference.js';
import { $, announce, ask, copyable, el, icon, note } from './dom.js';
import { get, patch, post, put, remove, whoami } from './api.js';
import { frame, notice, setLive, shown, trying } from './shell.js';
import { stamp, timeTag } from './words.js';

const ROLES = ['read', 'operate', 'admin'];
const when = (t, never) => (t ? timeTag(t, stamp(t)) : never);
let entries = [];

async function people() {
  const { people: list } = await get('/people');
  const me = await whoami();
  $('#people').replaceChildren(...list.map((person) => {
    const own = person.name === me.name;
    const role = el('select', { 'aria-label': `What ${person.name} may do`, disabled: own }, ROLES.map((name) => el('option', { selected: name === person.role }, name)));
    role.addEventListener('change', async () => { await trying(patch(`/people/${person.id}`, { role: role.value })).catch(() => null); people(); audit(); });
    const out = el('button', { class: 'b small plain', type: 'button', 'aria-label': `Remove ${person.name}` }, 'Remove');
    out.addEventListener('click', async () => {
      if (!confirm(`Remove ${person.name}? Their sessions end at once.`)) return;
      await trying(remove(`/people/${person.id}`)).catch(() => null);
      people();
      audit();
    });
    const act = (text, label, question, send) => {
      const node = el('button', { class: 'b small plain', type: 'button', 'aria-label': label }, text);
      node.addEventListener('click', async () => {
        if (!confirm(question)) return;
        await trying(send()).catch(() => null);
        people();
        audit();
      });
      return node;
    };
    const signOut = act('Sign out', `End the sessions of ${person.name}`, `End all sessions of ${person.name}?`, () => remove(`/people/${person.id}/sessions`));
    const reset = act('Reset factor', `Reset the second factor of ${person.name}`, `Reset the second factor of ${person.name}, who has lost it? Their sessions end at once.`, () => remove(`/people/${person.id}/factor`));
    const link = el('button', { class: 'b small plain', type: 'button', 'aria-label': `New link for ${person.name}, to set a password` }, 'New link');
    link.addEventListener('click', async () => showLink(await trying(post(`/people/${person.id}/link`, {})), person.name));
    return el('tr', {}, el('th', { scope: 'row' }, el('div', { class: 'who' }, el('span', { class: 'avatar', 'aria-hidden': 'true' }, [...person.name].slice(0, 2).join('').toUpperCase()), el('div', {}, person.name, own ? [' ', el('span', { class: 'tag' }, 'you')] : null, person.factor ? [' ', el('span', { class: 'tag' }, 'second factor')] : null))),
      el('td', { 'data-word': 'May' }, role), el('td', { 'data-word': 'Last here' }, when(person.seen, 'never')), el('td', { class: 'n' }, own ? null : [link, person.invited ? null : signOut, person.factor ? reset : null, out]));
  }));
}
async function signIn() { $('#required').checked = (await get('/sign-in')).factor_required; }
function showLink({ link }, name) {
  notice(el('div', { class: 'stack' }, note('attention', 'warn', `Give this link to ${name}.`, 'It is shown only now, and works once, for 3 days.'), copyable(link, `The link for ${name}`)));
}

async function tokens() {
  const { tokens: list } = await get('/tokens');
  $('#token-rows').replaceChildren(...(list.length ? list.map((token) => {
    const out = el('button', { class: 'b small', type: 'button', 'aria-label': `Revoke ${token.name}` }, 'Revoke');
    out.addEventListener('click', async () => { await trying(remove(`/tokens/${token.id}`)); announce('The token was revoked'); tokens(); audit(); });
    return el('tr', {}, el('th', { scope: 'row' }, token.name, ' ', el('code', { class: 'quiet' }, `${token.prefix}…`)), el('td', { 'data-word': 'May' }, token.scope), el('td', { 'data-word': 'App' }, token.app ?? 'all'), el('td', { 'data-word': 'Made' }, when(token.created, '')), el('td', { 'data-word': 'Last used' }, when(token.used, 'never')), el('td', { class: 'n' }, out));
  }) : [el('tr', {}, el('td', { colspan: 6 }, 'None yet.'))]));
}

function log() {
  const word = $('#find').value.toLowerCase();
  const list = entries.filter((entry) => `${entry.who} ${entry.what} ${entry.changes.join(' ')}`.toLowerCase().includes(word));
  $('#log').replaceChildren(...(list.length ? list.map((entry) => el('li', {}, el('div', { class: 'quiet' }, timeTag(entry.at, stamp(entry.at))),
    el('div', {}, el('strong', {}, entry.who), ` ${entry.what}`, entry.changes.length ? el('div', { class: 'diff' }, entry.changes.map(difference)) : null)))
    : [el('li', { class: 'empty' }, word ? `Nothing with “${word}” in the log.` : 'Nothing yet.')]));
}
async function audit() { ({ entries } = await get('/audit?limit=500')); log(); }

await frame({ needs: 'admin' });
setLive('live', 'Live');
for (const button of ['#invite', '#new-token']) $(button).prepend(icon('plus'));
await trying(Promise.all([people(), signIn(), tokens(), audit()])).catch(() => null);
shown();
$('#find').addEventListener('input', log);
$('#required').addEventListener('change', async (event) => {
  await trying(put('/sign-in', { factor_required: event.target.checked })).catch(() => { event.target.checked = !event.target.checked; });
  audit();
});
$('#invite').addEventListener('click', async () => {
  const form = await ask($('#invite-box'));
  if (!form) return;
  showLink(await trying(post('/people', { name: form.get('name').trim(), role: form.get('role') })), form.get('name').trim());
  people();
  audit();
});
$('#new-token').addEventListener('click', async () => {
  const { apps } = await get('/apps');
  $('#token-app').replaceChildren(el('option', { value: '' }, 'all'), ...apps.map((app) => el('option', {}, app.name)));
  const form = await ask($('#token-box'));
  if (!form) return;
  const body = { name: form.get('name').trim(), scope: form.get('scope') };
  if (form.get('app')) body.app = form.get('app');
  const made = await trying(post('/tokens', body));
  $('#made').replaceChildren(note('attention', 'warn', 'This is the only time that it is shown.'), copyable(made.token, 'The token'), el('br'));
  tokens();
  audit();
});
