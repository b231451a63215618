// One's own password and sessions.

import { $, announce, el, note } from './dom.js';
import { get, put, remove, whoami } from './api.js';
import { frame, notice, setLive, shown, trying } from './shell.js';
import { stamp, timeTag } from './words.js';

async function sessions() {
  const { sessions: list } = await get('/account/sessions');
  $('#session-rows').replaceChildren(...list.map((session) => {
    const end = el('button', { class: 'b small', type: 'button', 'aria-label': `End the session of ${session.browser ?? session.address}` }, 'End it');
    end.addEventListener('click', async () => { await trying(remove(`/account/sessions/${session.id}`)); announce('The session was ended'); sessions(); });
    return el('tr', {}, el('th', { scope: 'row' }, session.browser || 'A browser', session.this ? [' ', el('span', { class: 'tag' }, 'this one')] : null),
      el('td', {}, session.address), el('td', {}, 'since ', timeTag(session.created, stamp(session.created)), ', last used ', timeTag(session.seen, stamp(session.seen))),
      el('td', { class: 'n' }, session.this ? null : end));
  }));
}

await frame();
setLive('live', 'Live');
const who = await whoami();
$('#password').username.value = who.name;
$('#who').textContent = `${who.name}, ${who.role}`;
await sessions();
shown();
$('#password').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  await trying(put('/account/password', { current: form.old.value, password: form.new.value }));
  form.reset();
  notice(note('ok', 'check', 'The password was changed.', 'Your other sessions have ended.'));
  sessions();
});
