// From the report address to the first report. Then the page becomes the app's page by itself.

import { $, announce, copyable, el, icon, note } from './dom.js';
import { live, post } from './api.js';
import { appName, appPath, connection, frame, shown, trying } from './shell.js';
import { clock, now, wait } from './words.js';

const LATE_S = 120;
const LANGUAGES = {
  rails: ['Rails', [['In the Gemfile, then bundle install', "gem 'dynoscale_ruby', '~> 2.0'"]], 'bundle exec dynoscale doctor'],
  rack: ['Sinatra, Rack', [['In the Gemfile, then bundle install', "gem 'dynoscale_ruby', '~> 2.0'"], ['In config.ru, before run', "require 'dynoscale_ruby/middleware'\nuse DynoscaleRuby::Middleware"]], 'bundle exec dynoscale doctor'],
  gunicorn: ['gunicorn', [['In requirements.txt', 'dynoscale>=2'], ['In gunicorn.conf.py', 'from dynoscale.hooks.gunicorn import pre_request']], 'python -m dynoscale doctor'],
  django: ['Django', [['In requirements.txt', 'dynoscale>=2'], ['At the end of wsgi.py', 'from dynoscale.wsgi import DynoscaleWsgiApp\napplication = DynoscaleWsgiApp(application)']], 'python -m dynoscale doctor'],
  flask: ['Flask', [['In requirements.txt', 'dynoscale>=2'], ['Where the app is made', 'from dynoscale.wsgi import DynoscaleWsgiApp\napp.wsgi_app = DynoscaleWsgiApp(app.wsgi_app)']], 'python -m dynoscale doctor'],
  asgi: ['FastAPI, ASGI', [['In requirements.txt', 'dynoscale>=2'], ['Where the app is made', 'from dynoscale.asgi import DynoscaleAsgiApp\napp.add_middleware(DynoscaleAsgiApp)']], 'python -m dynoscale doctor'],
};
const name = appName();
let language = localStorage.getItem('language') in LANGUAGES ? localStorage.getItem('language') : 'rails';
// From the page before this one. It holds a secret, so it is kept in this page's memory alone.
const KEPT = `address of ${name}`;
let address = sessionStorage.getItem(KEPT);
sessionStorage.removeItem(KEPT);
const since = now();
let arrived = false;

const block = (title, text) => el('div', { class: 'snippet' }, el('p', { class: 'label' }, title), copyable(text, title));

function lines() {
  $('#langs').replaceChildren(...Object.entries(LANGUAGES).map(([key, [title]]) => {
    const button = el('button', { type: 'button', 'aria-pressed': String(key === language) }, title);
    button.addEventListener('click', () => { language = key; localStorage.setItem('language', key); lines(); help(); $('#langs [aria-pressed="true"]').focus(); });
    return button;
  }));
  $('#lines').replaceChildren(...LANGUAGES[language][1].map(([title, text]) => block(title, text)), ...variables());
}

// What platforms set, and people on their own servers must set themselves.
function elsewhere() {
  return el('details', {}, el('summary', {}, 'On a server of your own'),
    block('Also in the environment of each server process, with a number of its own', 'DYNO=web.1'),
    block('In nginx, so that the agent knows when a request came', 'proxy_set_header X-Request-Start "t=${msec}";'),
    el('p', { class: 'hint' }, 'HAProxy: http-request set-header X-Request-Start t=%[date(0,us)]. Apache: RequestHeader set X-Request-Start "%t".'));
}

function variables() {
  if (address) {
    return [block('Set in the app’s environment', `DYNOSCALE_URL=${address}\nDYNOSCALE_DYNOS=all`),
      block('On Heroku, in your terminal', `heroku config:set DYNOSCALE_URL=${address} DYNOSCALE_DYNOS=all --app ${name}`),
      elsewhere(),
      el('p', { class: 'hint' }, 'The address holds a secret. This is the only time that it is shown; a new one can be made in the settings at any time. Then deploy.')];
  }
  const again = el('button', { class: 'b', type: 'button' }, 'Make a new address');
  again.addEventListener('click', async () => {
    const made = await trying(post(`${appPath(name)}/report-token`, {})).catch(() => null);
    if (!made) return;
    address = made.report_url;
    lines();
  });
  return [el('p', {}, 'Then set DYNOSCALE_URL to the address that was shown when the app was added, and DYNOSCALE_DYNOS to all. If it is lost, make a new one; the old one works for another day.'), el('p', {}, again), elsewhere()];
}

function waiting() {
  if (arrived) return;
  $('#wait').replaceChildren(
    el('div', { class: 'big' }, el('span', { class: 'listen', 'aria-hidden': 'true' }, Array.from({ length: 5 }, () => el('i'))),
      el('div', {}, el('h3', {}, 'Waiting for the first report'), el('p', { class: 'quiet' }, 'For ', el('span', { class: 'num', id: 'for' }, '0:00'), '. It comes with the first requests after the deploy; open your app once to be sure of some.'))));
}

const CURES = [
  ['settings: DYNOSCALE_URL is not set', 'Set it as above, on this app, and deploy.'],
  ['service: does not know the token (status 401)', 'The address was copied in part, or is an old one. Copy it again.'],
  ['service: cannot be reached', `Your network lets nothing out to ${location.host}.`],
  ['all ok', 'Then only requests are missing: open the app once.'],
];
function help() {
  if (arrived) { $('#help').replaceChildren(); return; }
  const late = now() - since >= LATE_S;
  $('#help').replaceChildren(el('div', { class: 'stack' },
    late ? note('attention', 'warn', 'Nothing for 2 minutes.', 'Usually it is one of two things: the app was not deployed since, or DYNOSCALE_URL is set on another app.') : null,
    block(late ? 'Ask the agent itself; it says what is wrong and what to do' : 'In doubt? The agent can say what it sees', LANGUAGES[language][2]),
    late ? el('div', { class: 'stack' }, el('p', { class: 'label' }, 'What it says, and what then'),
      el('div', { class: 'card' }, el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'What doctor says' },
        el('table', {}, el('tbody', {}, CURES.map(([says, then]) => el('tr', {}, el('td', {}, el('code', {}, says)), el('td', {}, then)))))))) : null));
}

function arrive(process) {
  arrived = true;
  const { ms, samples } = process.queue_time ?? {};
  help();
  $('#wait').replaceChildren(el('div', { class: 'big' }, el('span', { class: 'state ok' }, icon('check')),
    el('div', {}, el('h3', {}, `It is here: ${samples ? `${samples} of ${process.process} in the last minute` : process.process}`),
      el('p', { class: 'quiet' }, ms === null || ms === undefined ? '' : `95 of 100 waited less than ${wait(ms)}. `, 'Scaling is off at first; watch it for a while, then switch it on.'))),
  el('p', {}, el('br'), el('a', { class: 'b primary long', href: appPath(name) }, `Open ${name}`)));
  announce('The first report is here');
  setTimeout(() => location.replace(appPath(name)), 5000);
}
function look(app) {
  const heard = app.processes.find((p) => p.queue_time && p.queue_time.heard_age !== null);
  if (heard && !arrived) arrive(heard);
}

const app = await frame({ app: name, page: '' });
$('#title').textContent = `Connect ${name}`;
lines();
waiting();
help();
look(app);
shown();
live(name, look, (...state) => connection(...state));
setInterval(() => {
  const seconds = now() - since;
  if (arrived || !$('#for')) return;
  $('#for').textContent = clock(seconds);
  if (Math.floor(seconds) === LATE_S) help();
}, 1000);
