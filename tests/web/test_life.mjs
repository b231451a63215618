// The whole life of an app as its people see it, in a real browser, with a real service and a real
// agent.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PASSWORD, Program, ROOT, Service, browser, missing, open, ready, until } from './support/world.mjs';

const skip = missing() ?? false;
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
let service, chromium, page, faults, dynos;

// An app on gunicorn with the agent; `slow` requests say that they waited.
async function realApp(address) {
  writeFileSync(join(service.folder, 'gunicorn.conf.py'), 'from dynoscale.hooks.gunicorn import pre_request\n');
  writeFileSync(join(service.folder, 'shop.py'), 'def app(environ, start_response):\n    start_response("200 OK", [])\n    return [b"ok"]\n');
  const app = new Program([PYTHON, '-m', 'gunicorn', '-b', '127.0.0.1:0', '-c', 'gunicorn.conf.py', 'shop:app'], { cwd: service.folder, env: { PYTHONPATH: join(ROOT, 'python'), DYNOSCALE_URL: address, DYNO: 'web.1', DYNOSCALE_DYNOS: 'all' } });
  const [, port] = await app.saying(/Listening at: http:\/\/127\.0\.0\.1:(\d+)/, 'gunicorn listens');
  app.ask = (waited) => fetch(`http://127.0.0.1:${port}/`, { headers: { 'X-Request-Start': `t=${(Date.now() - waited) / 1000}` } }).then((answer) => answer.text());
  return app;
}

before(async () => {
  if (skip) return;
  service = await Service.begin({ args: ['--tick-s', '1'] });
  chromium = await browser();
});
after(async () => {
  await chromium?.close();
  await service?.end();
});

test('a life: first person, app, first report, rules replayed and saved, scaled, read why, paused, rolled back, invited, removed', { skip }, async (t) => {
  ({ page, faults } = await open(chromium, service, { signedIn: false }));

  await t.test('the printed link makes the first person, and leads to the first app', async () => {
    await page.goto(service.link);
    await page.fill('[name=name]', 'anna');
    await page.fill('[name=password]', PASSWORD);
    await page.click('#go');
    await page.waitForURL('**/new');
    await page.fill('[name=name]', 'shop');
    await page.fill('[name=zone]', 'Europe/Berlin');
    await page.click('text=Add it');
    await page.waitForURL('**/apps/shop/start');
    service.link = undefined;
    [service.cookie] = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`);
    service.csrf = (await (await fetch(`${service.url}/api/v1/session`, { headers: { Cookie: service.cookie } })).json()).csrf;
  });

  let app;
  await t.test('the first report of a real agent turns the waiting page into the page of the app', async () => {
    await page.waitForSelector('text=Waiting for the first report');
    const [, address] = /DYNOSCALE_URL=(\S+)/.exec(await page.textContent('#lines'));
    const stored = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
    assert.ok(!stored.includes(address), stored);
    app = await realApp(address);
    await until('the report comes', async () => { await app.ask(20); return /It is here/.test(await page.textContent('#wait')) || !page.url().endsWith('/start'); });
    await page.waitForURL('**/apps/shop');
    await page.waitForSelector('#q-chart canvas');
    await page.waitForSelector('#now-title:has-text("Waiting"), #now-title:has-text("not known"), #now-title:has-text("Off")');
  });

  await t.test('a rule is edited by its form, shown as a difference, tried on the past, and saved', async () => {
    dynos = service.platform('shop', 'web');
    await page.goto(`${service.url}/apps/shop/rules`);
    await page.fill('[aria-label="At most so many dynos"]', '4');
    await page.fill('[aria-label="Window in seconds"]', '10');
    await page.fill('[aria-label="Wait after adding, seconds"]', '10');
    await page.waitForSelector('#changes :text("max")');
    await page.click('#save-trial'); // of the first minute there may be too little to say
    await page.waitForSelector('#trial-result:not([hidden]), #trial-notice .note');
    await page.click('#keep');
    await page.waitForSelector('#history :text("version 2")');
    assert.equal(await page.isVisible('#save'), false);
    await page.click('#switch');
    await page.waitForSelector('#switch[aria-checked=true]');
  });

  await t.test('traffic that waits has a dyno added, and the page says so by itself', async () => {
    await page.goto(`${service.url}/apps/shop`);
    await until('a dyno is added', async () => { await Promise.all(Array.from({ length: 20 }, () => app.ask(900))); return dynos() > 1; });
    await page.waitForSelector('#now-title:has-text("at 2 dynos"), #now-title:has-text("at 3 dynos"), #now-title:has-text("at 4 dynos"), #now-title:has-text("Going up")');
  });

  await t.test('the ledger says why, and shows what was known', async () => {
    await page.goto(`${service.url}/apps/shop/why`);
    await page.click('.entry:has(.glyph.up) >> nth=-1 >> button');
    await page.waitForSelector('.inside .sentence:has-text("above 100 ms")');
    await page.waitForSelector('.inside :text("What was known")');
  });

  await t.test('scaling is paused until a moment that is said, and goes on', async () => {
    await page.goto(`${service.url}/apps/shop`);
    await page.click('#pause');
    await page.check('[name=direction][value=both]');
    await page.click('#pause-box button[value=yes]');
    await page.waitForSelector('#next :text("by anna")');
    await page.click('#pause:has-text("End the pause")');
    await page.waitForSelector('#pause:has-text("Pause…")');
  });

  await t.test('the rules are rolled back', async () => {
    await page.goto(`${service.url}/apps/shop/rules`);
    await page.click('[aria-label="Roll back to this: version 1"]');
    await page.waitForSelector('#history :text("version 4")');
    assert.equal(await page.inputValue('[aria-label="At most so many dynos"]'), '2');
  });

  await t.test('a person who may only read is invited, sees, may not change, and is removed', async () => {
    await page.goto(`${service.url}/people`);
    await page.click('#invite');
    await page.fill('#invite-box [name=name]', 'ben');
    await page.click('#invite-box button[value=yes]');
    const link = (await page.textContent('.copy pre')).trim();

    const other = await open(chromium, service, { signedIn: false });
    await other.page.goto(link);
    await other.page.fill('[name=password]', PASSWORD);
    await other.page.click('#go');
    await other.page.waitForSelector('.app h2 a');
    await other.page.goto(`${service.url}/apps/shop`);
    await ready(other.page);
    assert.equal(await other.page.isDisabled('#pause'), true);
    await other.page.goto(`${service.url}/people`);
    await other.page.waitForSelector('text=This is not yours to see');

    page.once('dialog', (dialog) => dialog.accept());
    await page.click('[aria-label="Remove ben"]');
    await page.waitForFunction(() => !document.querySelector('[aria-label="Remove ben"]'));
    await other.page.goto(`${service.url}/`, { waitUntil: 'commit' }); // the page leads on at once
    await other.page.waitForURL('**/signin*');
    assert.deepEqual(other.faults, []);
  });

  await app?.stop();
  assert.deepEqual(faults, []);
});
