// Every page, light and dark, wide and on a phone: no violation that axe-core knows, none of the
// Content Security Policy, no error, no request to anybody else, nothing wider than the screen; with
// names that try to break out wherever a name may appear.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, Service, axeSource, browser, missing, open, ready, settled } from './support/world.mjs';
import { PAGES, furnish } from './support/pages.mjs';

const skip = missing() ?? false;
const MOST_BYTES = 150_000;
const MARKUP = '<img src=x onerror=alert(1)>"\'&amp;';
const RTL = 'שלום עולם مرحبا';
const TURNED = '\u202E'; // no name that people give may have it; queues' names come from apps
const LONG = 'w'.repeat(200);
const HOSTILE = 'hostile-'.padEnd(64, 'x');
let service, chromium;

async function hostile() {
  const { report_url: address } = await service.api('POST', '/apps', { name: HOSTILE, zone: 'Asia/Kolkata' });
  await service.report(address, [[3, 120, `sidekiq:${MARKUP}`], [2, 300, `sidekiq:${TURNED}${RTL}`], [1, 80, `sidekiq:${LONG}`], [1, 40, 'web']], `worker.${MARKUP}`);
  const rule = (name, more = {}) => ({ name, dynos: { min: 1, max: 40 }, ...more });
  await service.api('PUT', `/apps/${HOSTILE}/rules`, { processes: {
    web: { scaling: false, rules: [rule(MARKUP.slice(0, 60), { days: ['mon', 'tue'], from: '08:00', to: '20:00' }), rule(RTL.slice(0, 60), { days: ['sat'] }), rule('w'.repeat(60))] },
    worker: { scaling: false, rules: [rule('default', { queues: [`sidekiq:${MARKUP}`, `sidekiq:${LONG}`] })] } } });
  for (const name of [MARKUP, RTL, 'p'.repeat(100)]) await service.api('POST', '/people', { name, role: 'read' });
  for (const name of [MARKUP, RTL, 't'.repeat(100)]) await service.api('POST', '/tokens', { name, scope: 'read' });
}

const OF_HOSTILE = ['', '?process=worker', '/rules', '/rules?process=worker', '/why?process=worker', '/savings', '/settings', '/start'].map((path) => [`hostile${path}`, `/apps/${HOSTILE}${path}`]);

before(async () => {
  if (skip) return;
  service = await Service.begin({ past: 12, more: 9 });
  chromium = await browser();
  await furnish(service);
  await hostile();
});
after(async () => {
  await chromium?.close();
  await service?.end();
});

async function violations(page) {
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations);
  return found.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.failureSummary.split('\n')[1] ?? ''}`).join(' | ')}`);
}

// The hostile names in two of the four: what they break is as broken in the other scheme.
for (const [scheme, width, pages] of [['light', 1440, PAGES], ['dark', 1440, [...PAGES, ...OF_HOSTILE]], ['light', 360, [...PAGES, ...OF_HOSTILE]], ['dark', 360, PAGES]]) {
  test(`every page, ${scheme}, ${width} px wide, is accessible, keeps to its policy and to its width`, { skip }, async (t) => {
    for (const signedIn of [true, false]) {
      const { context, page, faults } = await open(chromium, service, { scheme, width, height: 800, signedIn });
      await context.addInitScript(axeSource());
      for (const [name, path, { signedIn: wanted = true, bare = false, prepare } = {}] of pages) {
        if (wanted !== signedIn) continue;
        await t.test(name, async () => {
          faults.length = 0;
          await page.goto(service.url + path);
          if (bare) await page.waitForSelector('h1'); else await ready(page);
          await prepare?.(page);
          await settled(page);
          const { wide, who } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth - innerWidth, who: [...document.querySelectorAll('main *, header *')].filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest('.scroll, .tabs, pre, .unseen, .float')).slice(0, 3).map((node) => `${node.tagName}.${node.className}#${node.id}`) }));
          assert.ok(wide <= 0, `${wide} px too wide: ${who}`);
          assert.deepEqual([...await violations(page), ...faults], []);
          assert.equal(await page.evaluate(() => document.querySelectorAll('img[src="x"]').length), 0);
          assert.ok(!(await page.textContent('body')).includes(TURNED));
          assert.equal(await page.evaluate(() => document.getAnimations().length), 0, 'nothing moves where the reader asked for less motion');
        });
      }
      await context.close();
    }
  });
}

test('all that the pages are made of has less than 150 KB, compressed', { skip }, () => {
  const table = readFileSync(join(ROOT, 'build/web/pages.c'), 'utf8');
  const sizes = [...table.matchAll(/^ {4}\{"[^"]+", "[^"]+", file_\d+, (\d+), \d+\},$/gm)].map((found) => Number(found[1]));
  assert.ok(sizes.length > 20);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
});
