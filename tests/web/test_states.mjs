// What happens to a page that is open: two tabs, a session that ends, a service that restarts, no
// reports any more, clocks of other zones, the keyboard alone, paper.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service, browser, missing, open, ready, settled, until } from './support/world.mjs';

const skip = missing() ?? false;
const APP = '/apps/shop-production';
let service, chromium;

before(async () => {
  if (skip) return;
  service = await Service.begin({ past: 4, args: ['--tick-s', '1'] });
  chromium = await browser();
  await service.signIn();
});
after(async () => {
  await chromium?.close();
  await service?.end();
});

// Runs `body(page)` on a page that must stay without faults.
async function visit(path, options, body) {
  const { context, page, faults } = await open(chromium, service, options);
  await page.goto(service.url + path);
  await ready(page);
  await body(page, context);
  await context.close();
  assert.deepEqual(faults, []);
}

test('what one tab changes, another shows by itself', { skip }, () => visit(APP, {}, async (page, context) => {
  const other = await context.newPage();
  await other.goto(service.url + APP);
  await ready(other);
  await page.click('#boost');
  await page.fill('#boost-dynos', '5');
  await page.click('#boost-box button[value=yes]');
  await other.waitForSelector('#next :text("At least 5")');
  await other.click('#boost:has-text("End the boost")');
  await page.waitForSelector('#boost:has-text("Boost…")');
}));

test('rules that somebody else changed meanwhile are not written over', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  await page.click('#list button:has-text("default")');
  await page.fill('[aria-label="At most so many dynos"]', '7');
  await page.waitForSelector('#changes :text("max")');
  await service.api('PUT', `${APP}/processes/worker/switch`, { scaling: false });
  await page.click('#keep');
  await page.waitForSelector('#notice :text("Somebody else changed the rules meanwhile")');
  assert.equal(await page.inputValue('[aria-label="At most so many dynos"]'), '7');
  await service.api('PUT', `${APP}/processes/worker/switch`, { scaling: true });
}));

test('when the session has ended, one signs in and is back where one was', { skip }, async () => {
  await service.person('dora', 'admin');
  const { context, page, faults } = await open(chromium, service, { signedIn: false });
  const signIn = async () => {
    await page.fill('[name=name]', 'dora');
    await page.fill('[name=password]', 'correct horse battery');
    await page.click('#go');
  };
  await page.goto(`${service.url}${APP}/why`);
  await page.waitForURL('**/signin?back=*');
  await signIn();
  await page.waitForURL(`**${APP}/why`);
  await ready(page);
  await context.clearCookies();
  await page.click('#kinds [data-kind=all]');
  await page.waitForURL('**/signin?back=*');
  await signIn();
  await page.waitForURL(`**${APP}/why`);
  await page.goto(`${service.url}/signin?back=https://elsewhere.example/`);
  await signIn();
  await page.waitForURL(`${service.url}/`);
  await context.close();
  assert.deepEqual(faults, []);
});

test('a service that restarts under an open page: what is shown stays, and goes on by itself', { skip }, async () => {
  const { context, page } = await open(chromium, service, {});
  await page.goto(service.url + APP);
  await page.waitForSelector('.live[data-is=live]', { state: 'attached' });
  await service.stop();
  await page.waitForSelector('#notice :text("lost its connection")');
  assert.match(await page.textContent('#now-title'), /dyno/);
  await service.start();
  await page.waitForSelector('.live[data-is=live]', { state: 'attached' });
  await page.waitForFunction(() => !document.querySelector('#notice').textContent);
  await context.close();
});

test('no reports any more: the page says so, and that nothing is decided on it', { skip }, () => visit('/apps/blog', {}, async (page) => {
  await page.waitForSelector('#notice :text("No report for")');
  assert.match(await page.textContent('#notice'), /Nothing is decided on what is not known/);
}));

for (const [zone, minutes] of [['America/St_Johns', -210], ['Asia/Kolkata', 330], ['Pacific/Honolulu', -600]]) {
  test(`times are those of the app's zone, or of the reader's where so chosen: ${zone}`, { skip }, async (t) => {
    await service.api('PATCH', APP, { zone });
    t.after(() => service.api('PATCH', APP, { zone: 'Europe/Berlin' }));
    await visit(`${APP}/why`, { zone: 'America/Los_Angeles' }, async (page) => {
      await page.waitForSelector('.entry .t');
      const [shown, title, moment] = await page.$eval('.entry .t', (node) => [node.textContent, '', node.closest('.entry').querySelector('button').id.slice(1)]).then(([a, b, c]) => [a, b, Number(c)]);
      const local = (offset) => new Date((moment + offset * 60) * 1000).toISOString().slice(11, 16);
      assert.equal(shown.slice(0, 5), local(minutes), title);
      await page.click('.foot label:has-text("My time")');
      await ready(page);
      await page.waitForFunction((was) => document.querySelector('.entry .t')?.textContent !== was, shown);
      const mine = await page.$eval('.entry .t', (node) => node.textContent);
      assert.ok([local(-480), local(-420)].includes(mine.slice(0, 5)), mine);
    });
  });
}

test('the week says which nights have another length, and by how much', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  await settled(page);
  const words = await page.textContent('#week-hint');
  assert.match(words, /Sunday \d+ March: 02:00 to 03:00 is skipped/);
  assert.match(words, /Sunday \d+ October: 02:00 to 03:00 comes twice/);
}));

test('by keyboard alone: skip link, tabs, marks by arrows, a chart read by the slider, a dialog left by Escape', { skip }, () => visit(APP, {}, async (page) => {
  await page.waitForSelector('#q-chart canvas');
  await page.waitForSelector('#lane2 .mark');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.keyboard.press('Enter');
  await page.focus('#lane2 .mark[tabindex="0"]');
  await page.waitForSelector('#lane2 .tip');
  const before = await page.textContent('#lane2 .tip');
  await page.keyboard.press('Home');
  assert.notEqual(await page.textContent('#lane2 .tip'), before);
  await page.focus('#scrub');
  const at = await page.getAttribute('#scrub', 'aria-valuetext');
  await page.keyboard.press('PageDown');
  await until('the slider reads another moment', async () => (await page.getAttribute('#scrub', 'aria-valuetext')) !== at);
  await page.focus('#pause');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#pause-box[open]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#pause-box', { state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pause');
}));

test('dragging across a chart looks closer at all of them, Escape goes back', { skip }, () => visit(APP, {}, async (page) => {
  const box = await (await page.waitForSelector('#q-chart .u-over')).boundingBox();
  await settled(page);
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await page.waitForSelector('#unzoom:not([hidden])');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#unzoom', { state: 'hidden' });
}));

test('many apps are found by a part of their name', { skip }, async () => {
  for (let i = 0; i < 8; i++) await service.api('POST', '/apps', { name: `many-${i}` });
  await visit('/', {}, async (page) => {
    await page.waitForSelector('#filter:not([hidden])');
    await page.fill('#words', 'ny-3');
    await page.waitForFunction(() => document.querySelectorAll('#apps .app').length === 1);
    await page.fill('#words', 'nothing like it');
    await page.waitForSelector('#apps :text("No app")');
  });
  for (let i = 0; i < 8; i++) await service.api('DELETE', `/apps/many-${i}`, { name: `many-${i}` });
});

test('a price makes money of hours', { skip }, () => visit(`${APP}/savings`, {}, async (page) => {
  await page.waitForSelector('#headline:has-text("dyno-hours")');
  await page.fill('#price [name=money]', '25');
  await page.click('#price button:has-text("Use it")');
  await page.waitForSelector('#headline:has-text("$")');
  const used = await service.api('GET', `${APP}/processes/web/usage?from=-7d&step=1800`);
  const hours = used.points.reduce((sum, point) => sum + point.dyno_s, 0) / 3600;
  const [, shown] = /It took \$(\d+\.\d\d)/.exec(await page.textContent('#headline'));
  assert.ok(Math.abs(Number(shown) - hours * 25 / 730) < 0.05, `${shown} ${hours}`);
}));

test('on paper there are neither buttons nor menus', { skip }, () => visit(APP, {}, async (page) => {
  await page.emulateMedia({ media: 'print' });
  for (const part of ['.top', '.tabs', '.controls', '.foot']) assert.equal(await page.isVisible(part), false, part);
  assert.equal(await page.isVisible('#now-title'), true);
}));
