// Signing in: by a password, or by a link that works once and sets one (the first person's, an
// invitation's, a new password's). The link's secret stands behind the #.

import { $, el, note } from './dom.js';
import { get, post } from './api.js';
import { bareFrame, notice, trying } from './shell.js';

// Only a path of this service: a link from elsewhere must not lead away.
function back() {
  const asked = new URLSearchParams(location.search).get('back') ?? '/';
  try {
    const url = new URL(asked, location.origin);
    return url.origin === location.origin && asked.startsWith('/') ? url.pathname + url.search + url.hash : '/';
  } catch { return '/'; }
}

const TEXTS = {
  first: ['Welcome', 'You are the first here, and so the admin. This link works once.', 'Begin'],
  invite: ['Welcome', 'Choose a password. This link works once.', 'Begin'],
  password: ['A new password', 'This link works once.', 'Set it and sign in'],
};

function showCode() {
  $('#code').hidden = false;
  $('#form').code.required = true;
  $('#form').code.focus();
}

function becomeLink({ kind, name, factor }) {
  const [title, lead, button] = TEXTS[kind] ?? TEXTS.invite;
  document.title = `${title} · Dynoscale`;
  $('#title').textContent = title;
  $('#lead').textContent = lead;
  $('#lead').hidden = false;
  $('#go').textContent = button;
  $('#password-label').textContent = kind === 'first' ? 'Password' : 'New password';
  $('#password-hint').hidden = false;
  $('#form').password.autocomplete = 'new-password';
  $('#form').password.minLength = 12;
  if (factor) showCode();
  if (name) { $('#form').name.value = name; $('#form').name.readOnly = true; }
}

const link = new URLSearchParams(location.hash.slice(1)).get('link');
bareFrame();
let kind = null;
if (link) {
  try {
    const found = await post('/links/check', { link });
    ({ kind } = found);
    becomeLink(found);
  } catch (problem) {
    notice(note('stop', 'stop', problem.message));
  }
} else if ((await trying(get('/setup')).catch(() => ({}))).first_run) {
  notice(note('attention', 'warn', 'Nobody has signed in yet.', 'The service printed a link for the first person when it started; ', el('code', {}, 'dynoscaled user link'), ' prints it again.'));
}
$('#form').name.focus();

$('#form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target, password = form.password.value, name = form.name.value.trim();
  $('#go').disabled = true;
  try {
    const code = form.code.value.trim() ? { code: form.code.value.trim() } : {};
    if (kind) await trying(post('/links/use', kind === 'first' ? { link, name, password } : { link, password, ...code }));
    else await trying(post('/session', { name, password, ...code }));
    location.replace(kind === 'first' && !(await get('/apps')).apps.length ? '/new' : back());
  } catch (problem) {
    if (problem.status !== 422) form.password.select();
    else if (!$('#code').hidden) form.code.select();
    else { notice(); showCode(); } // the password is right
  } finally { $('#go').disabled = false; }
});
$('#go').disabled = false; // before, the browser would send the form by itself, with the password in the address
