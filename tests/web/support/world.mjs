// What the tests of the pages stand on: a real service in a folder of its own, a real browser, and
// agents' reports. Nothing sleeps: everything waits for a condition, with a generous deadline.

import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
export const PATIENCE = Number(process.env.PATIENCE_MS ?? 90_000);
const SLOWER = Number(process.env.PAGES_SLOWER ?? 1); // so many times slower than here the pages' scripts run
export const PASSWORD = 'correct horse battery';
const MODULES = join(ROOT, 'build/web-tests/');
const require = createRequire(MODULES);
const CHROMIUM = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

// Why the tests can't run here, or null.
export function missing() {
  if (!CHROMIUM || !existsSync(CHROMIUM)) return 'there is no Chromium: apt-get install chromium, or say CHROMIUM=PATH';
  if (!existsSync(join(MODULES, 'node_modules/playwright-core'))) return 'npm could not fetch playwright-core and axe-core';
  return null;
}

export async function until(what, condition, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((done) => { setTimeout(done, 50); });
  }
}

// ---------------------------------------------------------------- programs

export class Program {
  constructor(command, { env = {}, cwd = ROOT } = {}) {
    this.said = '';
    this.process = spawn(command[0], command.slice(1), { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (bytes) => { this.said += bytes; });
    this.ended = new Promise((done) => { this.process.on('exit', done); });
  }

  async saying(pattern, what) {
    return until(`${what}\n${this.said}`, () => {
      assert.equal(this.process.exitCode, null, this.said);
      return pattern.exec(this.said);
    });
  }

  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    await this.ended;
  }
}

// ---------------------------------------------------------------- the service

export class Service {
  // past: hours that the folder is filled with; more: so many small apps beside.
  static async begin({ past = 0, more = 0, args = [] } = {}) {
    const service = new Service();
    service.folder = mkdtempSync(join(tmpdir(), 'dynoscale-web-'));
    service.data = join(service.folder, 'data');
    service.args = args;
    if (past) {
      execFileSync('mkdir', ['-m', '700', service.data]);
      execFileSync(process.env.WEB_PAST ?? join(ROOT, 'build/cc/tests/web/support/past'), [service.data, String(past), String(more)], { stdio: 'inherit' });
    }
    await service.start();
    return service;
  }

  async start() {
    this.program = new Program([join(ROOT, 'build/dynoscaled'), 'serve', '--data', this.data, '--listen', `127.0.0.1:${this.port ?? 0}`, ...this.args]);
    await this.program.saying(/has started/, 'dynoscaled starts');
    const { said } = this.program;
    this.port = Number(/^Listening on http:\/\/.*:(\d+)$/m.exec(said)[1]);
    this.url = `http://127.0.0.1:${this.port}`;
    this.link = /first one here: (\S+)/.exec(said)?.[1];
  }

  stop() { return this.program.stop(); }
  async end() { await this.stop(); rmSync(this.folder, { recursive: true, force: true }); }

  // A command of dynoscaled on this machine.
  run(...args) {
    const at = args.includes('--') ? args.indexOf('--') : args.length;
    args.splice(at, 0, '--data', this.data);
    return execFileSync(join(ROOT, 'build/dynoscaled'), args, { encoding: 'utf8' });
  }

  // The API, as the one who signed in last by `signIn` (the first person, who is made if need be).
  async api(method, path, body) {
    if (!this.cookie) await this.signIn();
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method, headers: { Cookie: this.cookie, 'X-CSRF-Token': this.csrf, Origin: this.url, 'Content-Type': typeof body === 'string' ? 'application/yaml' : 'application/json' },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async signIn(name = 'anna') {
    const link = this.link && decodeURIComponent(this.link.split('#link=')[1]);
    const answer = await fetch(`${this.url}/api/v1/${link ? 'links/use' : 'session'}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', Origin: this.url },
      body: JSON.stringify(link ? { link, name, password: PASSWORD } : { name, password: PASSWORD }),
    });
    assert.ok(answer.ok, await answer.clone().text());
    this.cookie = answer.headers.get('set-cookie').split(';')[0];
    this.csrf = (await answer.json()).csrf;
    this.link = undefined;
  }

  // Somebody with a role, who may sign in by PASSWORD.
  async person(name, role) {
    const { link } = await this.api('POST', '/people', { name, role });
    const answer = await fetch(`${this.url}/api/v1/links/use`, { method: 'POST', headers: { 'Content-Type': 'application/json', Origin: this.url }, body: JSON.stringify({ link: decodeURIComponent(link.split('#link=')[1]), password: PASSWORD }) });
    assert.ok(answer.ok, await answer.text());
  }

  // One report as agents send it: rows of [seconds ago, ms, source].
  async report(address, rows, dyno = 'web.1') {
    const at = Math.floor(Date.now() / 1000);
    const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const answer = await fetch(address, { method: 'POST', headers: { 'User-Agent': 'dynoscale-python;2.0.0', 'Content-Type': 'text/csv', 'Idempotency-Key': `${at}-${Math.random()}`, 'X-Dyno': dyno }, body: rows.map(([ago, ms, source]) => `${at - ago},${ms},${quoted(source)},`).join('\n') });
    assert.ok(answer.ok, `${answer.status} ${await answer.clone().text()}`);
  }

  // A program as the platform of an app: what runs is in a file. Gives a function that reads it.
  platform(app, ...processes) {
    const path = join(this.folder, `scale-${app}`), file = (process) => join(this.folder, `runs-${app}-${process}`);
    writeFileSync(path, `#!/bin/sh\nf="${this.folder}/runs-${app}-$2"\nif [ "$1" = set ]; then echo "$3" >"$f"; else cat "$f"; fi\n`);
    chmodSync(path, 0o700);
    for (const process of processes) writeFileSync(file(process), '1\n');
    this.run('platform', 'set', app, 'command', '--', path);
    return (process = processes[0]) => Number(readFileSync(file(process), 'utf8'));
  }
}

// ---------------------------------------------------------------- the browser

export async function browser() {
  const { chromium } = require('playwright-core');
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
}
export const axeSource = () => readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// A page that remembers what a tester must not overlook: errors of scripts, violations of the
// Content Security Policy, requests to anybody else. `faults` is empty in the end.
export async function open(chromium, service, { width = 1440, height = 900, scheme = 'light', signedIn = true, zone, reduced = true, touch = false } = {}) {
  const context = await chromium.newContext({ viewport: { width, height }, colorScheme: scheme, timezoneId: zone, reducedMotion: reduced ? 'reduce' : 'no-preference', hasTouch: touch, permissions: ['clipboard-read', 'clipboard-write'] });
  context.setDefaultTimeout(PATIENCE);
  if (signedIn) {
    if (!service.cookie) await service.signIn();
    const [name, value] = service.cookie.split('=');
    await context.addCookies([{ name, value, url: service.url }]);
  }
  const faults = [];
  await context.addInitScript(() => {
    const { fetch } = globalThis;
    globalThis.underWay = 0;
    globalThis.fetch = (...given) => { globalThis.underWay++; return fetch(...given).finally(() => { globalThis.underWay--; }); };
    document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  const page = await context.newPage();
  const watch = (one) => {
    one.on('pageerror', (error) => faults.push(`error: ${error.stack ?? error}`));
    one.on('console', (message) => { if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) faults.push(`console: ${message.text()}`); });
    one.on('request', (request) => { if (!request.url().startsWith(service.url) && !/^(data|blob):/.test(request.url())) faults.push(`request: ${request.url()}`); });
  };
  const slow = async (one) => (await context.newCDPSession(one)).send('Emulation.setCPUThrottlingRate', { rate: SLOWER }).catch(() => {});
  watch(page);
  if (SLOWER > 1) await slow(page);
  context.on('page', (one) => { watch(one); if (SLOWER > 1) slow(one); });
  return { context, page, faults };
}

// Everything that the page asked for is there, and painted.
export async function settled(page) {
  await page.waitForFunction(() => globalThis.underWay === 0 && new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(() => done(globalThis.underWay === 0))); }));
}

// The page hears the service. Beside "Live" it may say that no reports come, as after a while they do
// not where no agent runs.
export const CONNECTED = '.live:is([data-is=live], [aria-label="No reports"])';

// The page has its data: the sign at the top says so.
export const ready = (page) => page.waitForSelector('.live:not([aria-label="Loading"])', { state: 'attached' });
