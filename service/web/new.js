// A new app: its name and its zone. Its report address is shown on the next page, once.

import { $, el, note } from './dom.js';
import { may, post } from './api.js';
import { appPath, frame, notice, setLive, shown, trying } from './shell.js';

await frame({ needs: 'admin' });
setLive('live', 'Live');
$('#zones').append(...Intl.supportedValuesOf('timeZone').map((value) => el('option', { value })));
$('#form').zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (!await may('admin')) {
  notice(note('attention', 'warn', 'Only an admin can add an app.'));
  $('#form').inert = true;
}
shown();
$('#form').name.focus();
$('#form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const name = event.target.name.value.trim(), zone = event.target.zone.value.trim();
  const made = await trying(post('/apps', { name, zone })).catch(() => null);
  if (!made) return;
  sessionStorage.setItem(`address of ${name}`, made.report_url);
  location.href = appPath(name, 'start');
});
