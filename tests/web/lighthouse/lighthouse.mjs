// What Lighthouse says of each page, on a desktop and on a phone: node lighthouse.mjs [HOURS] [NAME...]
// Fails where performance is below 95, or accessibility or best practices below 100. Times depend on
// the machine: run it where nothing else runs.

import { createRequire } from 'node:module';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, Service, until } from '../support/world.mjs';
import { PAGES, furnish } from '../support/pages.mjs';

const LEAST = { performance: 95, accessibility: 100, 'best-practices': 100 };
const NOT_MEASURED = ['no-page']; // Lighthouse refuses what is answered with 404
const require = createRequire(join(ROOT, 'build/web-lighthouse/'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: lighthouse, desktopConfig } = await load('lighthouse');
const [hours = '26', ...names] = process.argv.slice(2);
const service = await Service.begin({ past: Number(hours), more: 9 });

// Chromium with a port for the measuring, and a folder of its own.
async function chromium() {
  const folder = mkdtempSync(join(tmpdir(), 'dynoscale-lighthouse-'));
  const program = spawn(process.env.CHROMIUM ?? '/usr/bin/chromium', ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic', '--remote-debugging-port=0', `--user-data-dir=${folder}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  program.stderr.on('data', (bytes) => { said += bytes; });
  const [, port] = await until('Chromium listens', () => /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(said));
  const ended = new Promise((done) => { program.on('exit', done); });
  return { port: Number(port), stop: async () => { program.kill(); await ended; rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); } };
}

function weak(lhr, name) {
  return lhr.categories[name].auditRefs.map(({ id, weight }) => [lhr.audits[id], weight]).filter(([audit, weight]) => weight && audit.score !== null && audit.score < 0.9)
    .map(([audit]) => `${audit.id} ${audit.displayValue ?? ''}`.trim());
}

await furnish(service);
const browser = await chromium();
const speed = []; // of the machine while each page was measured
let failed = false;
try {
  console.log('page                 device    performance  accessibility  best practices   first paint  largest paint  blocked  shifts');
  for (const [name, path, { signedIn = true } = {}] of PAGES.filter(([name, path], i) => !NOT_MEASURED.includes(name) && i === PAGES.findIndex((one) => one[1] === path))) {
    if (names.length && !names.includes(name)) continue;
    for (const device of ['desktop', 'mobile']) {
      const { lhr } = await lighthouse(service.url + path, {
        port: browser.port, logLevel: 'silent', onlyCategories: Object.keys(LEAST), disableStorageReset: true,
        extraHeaders: signedIn ? { Cookie: service.cookie } : undefined,
      }, device === 'desktop' ? desktopConfig : undefined);
      speed.push(lhr.environment.benchmarkIndex);
      const scores = Object.keys(LEAST).map((key) => Math.round((lhr.categories[key].score ?? 0) * 100)), shown = (id) => lhr.audits[id].displayValue ?? '';
      console.log(name.padEnd(21) + device.padEnd(10) + String(scores[0]).padEnd(13) + String(scores[1]).padEnd(15) + String(scores[2]).padEnd(17) + shown('first-contentful-paint').padEnd(13) + shown('largest-contentful-paint').padEnd(15) + shown('total-blocking-time').padEnd(9) + shown('cumulative-layout-shift'));
      Object.entries(LEAST).forEach(([key, least], i) => {
        if (scores[i] >= least) return;
        failed = true;
        console.log(`  ${key}: ${weak(lhr, key).join('; ')}`);
      });
    }
  }
} finally {
  await browser.stop();
  await service.end();
}
console.log(`The machine had a benchmark index of ${Math.min(...speed)} to ${Math.max(...speed)}; below 1000 or so it was busy, and times say little.`);
process.exit(failed ? 1 : 0);
