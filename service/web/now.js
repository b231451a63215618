// The card at the top of an app's page: the sentence, the dynos, the scale with the thresholds, and
// what happens next.

import { $, announce, ask, el, glyph, icon, renew } from './dom.js';
import { may, post, put, remove } from './api.js';
import { appPath, trying } from './shell.js';
import { clock, dynos, hour, now, span, stamp, time, wait } from './words.js';
import { pips } from './pips.js';

// The scale under the sentence. It is not an axis: each zone has a fixed width, so it is as
// readable for 30 and 100 ms as for 2 and 10 s.
function place(value, { up, down }) {
  if (value < down.threshold_ms) return value / Math.max(1, down.threshold_ms) * 30;
  if (value < up.threshold_ms) return 30 + (value - down.threshold_ms) / (up.threshold_ms - down.threshold_ms) * 40;
  return Math.min(98, 70 + (value - up.threshold_ms) / up.threshold_ms * 15);
}

function scale(process) {
  const { rule, queue_time: measured } = process, value = measured?.ms ?? null;
  const pin = el('span', { class: 'pin' }, value === null ? '' : wait(value));
  pin.style.left = `${place(value ?? 0, rule)}%`;
  pin.hidden = value === null;
  $('#scale').replaceChildren(
    el('div', { class: 'bar' }, el('i'), el('i'), el('i'), pin),
    el('div', { class: 'ends' }, el('span', {}, `${rule.down.step} fewer`, el('b', {}, wait(rule.down.threshold_ms))), el('span', {}, 'keep', el('b', {}, wait(rule.up.threshold_ms))), el('span', {}, `${rule.up.step} more`)));
  $('#scale').setAttribute('role', 'img');
  $('#scale').setAttribute('aria-label', `${measured?.statistic ?? 'p95'} is ${value === null ? 'not known' : wait(value)}. Below ${wait(rule.down.threshold_ms)} ${rule.down.step} ${rule.down.step === 1 ? 'is' : 'are'} removed, above ${wait(rule.up.threshold_ms)} ${rule.up.step} ${rule.up.step === 1 ? 'is' : 'are'} added, between nothing changes.`);
}

function title(process) {
  const number = process.dynos?.ordered;
  if (process.state === 'waiting') return 'Waiting for the first report';
  if (number === null || number === undefined) return 'The number of dynos is not known';
  if (!process.scaling) return `Off, at ${dynos(number)}`;
  const wanted = process.dynos.wanted;
  if (wanted > number) return `Going up to ${dynos(wanted)}`;
  if (wanted !== null && wanted < number) return `Going down to ${dynos(wanted)}`;
  return `${process.boost ? 'Boosted' : 'Holding'} at ${dynos(number)}`;
}

// The app has no platform yet.
const lacksPlatform = ({ sentence }) => /no platform is set/.test(sentence ?? '');

// "hold 3: p95 is 44 ms, ..." without the part that the title already says.
function because(process) {
  if (lacksPlatform(process)) return 'Everything is measured. To scale, Dynoscale must know where the app runs.';
  const sentence = process.sentence ?? process.words;
  const colon = sentence.indexOf(': ');
  const rest = colon > 0 && colon < 40 ? sentence.slice(colon + 2) : sentence;
  const text = `${/^p\d/.test(rest) ? rest[0] : rest[0].toUpperCase()}${rest.slice(1)}${/[.?!]$/.test(rest) ? '' : '.'}`;
  if (process.scaling) return text;
  return `Everything is decided and shown, nothing is done. It would ${sentence.slice(0, colon > 0 ? colon : undefined).replace(/^would /, '').replace(' (scaling is off)', '')}: ${rest}.`;
}

const item = (kind, head, ...sub) => el('li', {}, glyph(kind), el('div', {}, el('b', {}, head), el('div', { class: 'sub' }, ...sub)));

function nextSteps(app, process) {
  const { rule, paused, boost } = process, list = [];
  if (lacksPlatform(process)) list.push(item('held', 'Say where the app runs', 'Heroku, Kubernetes or another. ', el('a', { href: `${appPath(app.name, 'settings')}#platform` }, 'Set its platform')));
  else for (const part of (process.next ?? '').split('; ').filter(Boolean)) {
    const kind = part.startsWith('up') ? 'up' : part.startsWith('down') ? 'down' : 'hold';
    const [head, ...rest] = part.split(/ (?=when|if|as soon|because|after|until)/);
    list.push(item(kind, `${head[0].toUpperCase()}${head.slice(1)}`, rest.join(' ')));
  }
  if (process.below_since && process.scaling && rule.down.wait > 0) {
    const below = Math.min(rule.down.wait, Math.max(0, now() - process.below_since));
    const bar = el('progress', { max: rule.down.wait, value: below, 'aria-label': `Below ${wait(rule.down.threshold_ms)} for ${clock(below)} of ${clock(rule.down.wait)}` });
    list.find((li) => li.querySelector('.down'))?.querySelector('.sub')?.append(bar);
  }
  if (paused) list.push(item('pause', paused.direction === 'down' ? 'Not down' : 'Paused', paused.until ? `until ${stamp(paused.until)}, in ${span(paused.until - now())}; by ${paused.by}` : `by ${paused.by}`));
  if (boost) list.push(item('boost', `At least ${boost.dynos}`, `until ${stamp(boost.until)}, in ${span(boost.until - now())}; by ${boost.by}`));
  const until = process.rule_until;
  list.push(item('rule', `“${rule.name}” counts ${until ? `until ${stamp(until)}` : 'always'}`,
    until ? `for ${span(until - now())}: ` : '', `${rule.dynos.min} to ${dynos(rule.dynos.max)}. `,
    process.rule_then ? `Then “${process.rule_then.name}”: ${process.rule_then.dynos.min} to ${process.rule_then.dynos.max}. ` : '',
    el('a', { href: `${appPath(app.name, 'rules')}?process=${encodeURIComponent(process.process)}` }, 'Rules')));
  if (process.act?.trouble) list.unshift(item('held', 'The platform refused', process.act.trouble));
  else if (process.state === 'trouble' && !lacksPlatform(process) && !process.sentence?.includes(process.words)) list.unshift(item('held', 'The platform can’t be read', process.words));
  renew($('#next'), ...list);
}

function controls(process) {
  $('#switch').setAttribute('aria-checked', String(process.scaling));
  $('#switch b').textContent = process.scaling ? 'on' : 'off';
  $('#pause').replaceChildren(icon(process.paused ? 'play' : 'pause'), process.paused ? 'End the pause' : 'Pause…');
  $('#boost').replaceChildren(icon(process.boost ? 'cross' : 'boost'), process.boost ? 'End the boost' : 'Boost…');
}

export function showNow(app, process) {
  $('#now-title').textContent = title(process);
  $('#now-pips').replaceChildren(process.dynos && process.dynos.ordered !== null ? pips(process) : '');
  $('#now-because').textContent = because(process);
  scale(process);
  nextSteps(app, process);
  controls(process);
  showAge(process);
}
export function showAge(process) {
  $('#now-time').textContent = time(now());
  $('#now-age').textContent = process.decided ? `decided ${span(now() - process.decided)} ago` : 'nothing was decided yet';
}

// ---------------------------------------------------------------- what people do

function pauseChoices(process) {
  const at = now(), choices = [[1800, '30 min'], [3600, '1 h'], [14400, '4 h'], [86400, '24 h'], [604800, '7 days']];
  const list = choices.map(([seconds, word]) => el('option', { value: seconds, selected: seconds === 3600 }, `${stamp(at + seconds)}, in ${word}`));
  if (process.rule_until) list.push(el('option', { value: Math.round(process.rule_until - at) }, `${hour(process.rule_until)}, when “${process.rule.name}” ends`));
  $('#pause-for').replaceChildren(...list);
}

// `current` returns the process as it is now; `changed` is called after each change.
export async function bindControls(app, current, changed) {
  const path = () => `${appPath(app.name)}/processes/${encodeURIComponent(current().process)}`;
  const act = async (promise, said) => { if (await trying(promise).then(() => true, () => false)) { announce(said); changed(); } };
  if (!await may('operate')) {
    for (const id of ['#switch', '#pause', '#boost']) { $(id).disabled = true; $(id).title = 'For this one needs the role operate'; }
    return;
  }
  $('#pause').addEventListener('click', async () => {
    if (current().paused) { await act(remove(`${path()}/pause`), 'Scaling goes on'); return; }
    pauseChoices(current());
    const form = await ask($('#pause-box'));
    if (form) await act(post(`${path()}/pause`, { direction: form.get('direction'), until: Math.round(now()) + Number(form.get('for')) }), 'Paused');
  });
  $('#boost').addEventListener('click', async () => {
    if (current().boost) { await act(remove(`${path()}/boost`), 'The boost was ended'); return; }
    $('#boost-dynos').value = (current().dynos?.ordered ?? 1) + 1;
    const form = await ask($('#boost-box'));
    if (form) await act(post(`${path()}/boost`, { dynos: Number(form.get('dynos')), until: Math.round(now()) + Number(form.get('for')) }), 'Boosted');
  });
  $('#switch').addEventListener('click', async () => {
    const { scaling } = current();
    if (scaling && !await ask($('#off-box'))) return;
    await act(put(`${path()}/switch`, { scaling: !scaling }), scaling ? 'Scaling is off' : 'Scaling is on');
  });
}
