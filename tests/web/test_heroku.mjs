// The story of Heroku's add-on in a browser: created, opened from Heroku's dashboard, data seen, rules
// set, dynos followed, the plan changed, removed. Heroku is a false one (tests/support/heroku.py).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, ROOT, Service, browser, missing, open, until } from './support/world.mjs';

const skip = missing() ?? false;
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const MANIFEST = { id: 'dynoscale', name: 'Dynoscale', api: { config_vars_prefix: 'DYNOSCALE', config_vars: ['DYNOSCALE_URL', 'DYNOSCALE_DYNOS'], password: 'a password of Heroku', sso_salt: 'a salt of Heroku’s own', version: '3' } };
let folder, program, heroku, service, chromium;

// A method of the false Heroku, by its name.
async function ask(name, given = {}) {
  const answer = await fetch(`${heroku}/_/${name}`, { method: 'POST', body: JSON.stringify(given) });
  assert.ok(answer.ok, await answer.clone().text());
  return (await answer.json()).made;
}
const state = async () => (await fetch(`${heroku}/_/state`)).json();
const quantity = async () => (await state()).apps.shop.formation.web.quantity;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'dynoscale-heroku-'));
  program = new Program([PYTHON, join(ROOT, 'tests/support/heroku.py')]);
  [, heroku] = await program.saying(/listening on (\S+)/, 'the false Heroku starts');
  const settings = join(folder, 'heroku.json');
  writeFileSync(settings, JSON.stringify({ manifest: MANIFEST, client_secret: 'the client secret of the add-on', plans: { free: { dynos: 2, history_days: 7 }, pro: { dynos: 100 } } }));
  chmodSync(settings, 0o600);
  service = await Service.begin({ args: ['--tick-s', '1', '--private-platforms', '--heroku-read-s', '1', '--heroku-api', heroku, '--heroku-id', heroku, '--heroku-addon', settings] });
  chromium = await browser();
});
after(async () => {
  await chromium?.close();
  await service?.end();
  await program?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test('the story from addons:create to addons:destroy', { skip }, async (t) => {
  const { page, faults } = await open(chromium, service, { signedIn: false });
  let addon, address, name, form;

  await t.test('addons:create sets the config vars', async () => {
    await ask('add_app', { name: 'shop', formation: { web: ['Standard-1X', 1] } });
    await ask('sell', { manifest: MANIFEST, base_url: `${service.url}/heroku/resources`, sso_url: `${service.url}/heroku/sso` });
    addon = await ask('create_addon', { app: 'shop', plan: 'free' });
    const { config } = (await state()).apps.shop;
    assert.equal(config.DYNOSCALE_DYNOS, 'all');
    address = config.DYNOSCALE_URL;
  });

  await t.test('addons:open leads to the app’s page, with the way back to Heroku', async () => {
    await service.report(address, Array.from({ length: 20 }, (_, i) => [i % 5, 20, 'web']));
    const fields = await ask('sso', { addon: addon.id });
    form = `<form method="post" action="${service.url}/heroku/sso">${Object.entries(fields).map(([key, value]) => `<input type="hidden" name="${key}" value="${value}">`).join('')}<button>Open</button></form>`;
    await page.setContent(form);
    await page.click('button');
    await page.waitForURL('**/apps/*');
    [, name] = /\/apps\/([^/?#]+)/.exec(page.url());
    await page.waitForSelector('nav.heroku a[href="https://dashboard.heroku.com/apps/shop"]');
    assert.equal(await page.locator('a[href="/people"]').count(), 0);
    await page.waitForSelector('#q-chart canvas');
  });

  await t.test('who comes with a sign-in that was used already is told what to do, on a page', async () => {
    const { context, page: late, faults: lateFaults } = await open(chromium, service, { signedIn: false });
    const sent = late.waitForResponse('**/heroku/sso');
    await late.setContent(form);
    await late.click('button');
    assert.equal((await sent).status(), 403);
    await late.waitForSelector('h1:has-text("You are not signed in")');
    await late.waitForSelector('p:has-text("choose Dynoscale under Resources once more")');
    assert.equal(await late.getAttribute('a.b.primary', 'href'), 'https://dashboard.heroku.com/apps');
    assert.equal(await late.evaluate(() => getComputedStyle(document.querySelector('.empty')).textAlign), 'center');
    assert.deepEqual(lateFaults, []);
    await context.close();
  });

  await t.test('rules are set and scaling is switched on', async () => {
    await page.goto(`${service.url}/apps/${name}/rules`);
    await page.fill('[aria-label="At most so many dynos"]', '4');
    await page.fill('[aria-label="Window in seconds"]', '10');
    await page.fill('[aria-label="Wait after adding, seconds"]', '10');
    await page.click('#keep');
    await page.waitForSelector('#history :text("version 2")');
    await page.click('#switch');
    await page.waitForSelector('#switch[aria-checked=true]');
  });

  const slow = () => service.report(address, Array.from({ length: 40 }, (_, i) => [i % 3, 900, 'web']));
  await t.test('dynos follow, as far as the plan allows', async () => {
    await until('a dyno is added', async () => { await slow(); return (await quantity()) === 2; });
    await page.goto(`${service.url}/apps/${name}/why`);
    await page.waitForSelector('.entry:has(.glyph.up)');
  });

  await t.test('with a greater plan they follow further', async () => {
    await ask('change_plan', { addon: addon.id, plan: 'pro' });
    await until('more are added', async () => { await slow(); return (await quantity()) > 2; });
  });

  await t.test('addons:destroy ends the session and leaves nothing', async () => {
    await ask('destroy_addon', { addon: addon.id });
    await page.goto(`${service.url}/apps/${name}`);
    await page.waitForURL('**/signin*');
    assert.deepEqual((await state()).apps.shop.config, {});
    assert.deepEqual((await state()).violations, []);
  });

  assert.deepEqual(faults, []);
});
