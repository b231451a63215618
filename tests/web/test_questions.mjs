// Questions that people ask about an app, each answered by few clicks from its page, or from the list of
// all apps. What they read is compared with what the API says; docs/questions.md lists where each
// answer stands.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service, browser, missing, open, ready, settled, until } from './support/world.mjs';

const skip = missing() ?? false;
const APP = '/apps/shop-production', WEB = `${APP}/processes/web`, MOST_CLICKS = 3, HOUR = 3600;
let service, chromium, page, faults;

before(async () => {
  if (skip) return;
  service = await Service.begin({ past: 12 });
  chromium = await browser();
  await service.signIn();
  await service.api('PUT', `${WEB}/price`, { cents_a_month: 2500, currency: 'USD' });
  ({ page, faults } = await open(chromium, service, { zone: 'Europe/Berlin' }));
  await page.goto(service.url + APP);
});
after(async () => {
  await chromium?.close();
  await service?.end();
});

// Asks on the app's page, or another: `answer(click)` finds what it looks for. Typing is no click.
function question(words, most, answer, start = APP) {
  test(`${words} (${most} ${most === 1 ? 'click' : 'clicks'})`, { skip }, async () => {
    assert.ok(most <= MOST_CLICKS);
    let clicks = 0;
    if (page.url() !== service.url + start) await page.goto(service.url + start);
    await ready(page);
    await settled(page);
    await answer(async (place) => { clicks++; await page.click(place); });
    assert.equal(clicks, most);
    assert.deepEqual(faults, []);
  });
}

const sentenceOf = (text) => text[0].toUpperCase() + text.slice(1);
const inBerlin = (t, options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hourCycle: 'h23', ...options }).format(t * 1000);
const now = () => Math.floor(Date.now() / 1000);

// After a start the number is not known until the platform has answered.
question('What is it doing, and why?', 0, async () => {
  await until('the page says what the API says', async () => {
    const { processes } = await service.api('GET', APP);
    const { ordered } = processes.find(({ process }) => process === 'web').dynos;
    return ordered && (await page.textContent('#now-title')).includes(` ${ordered} dyno`);
  });
  assert.ok((await page.textContent('#now-because')).length > 10);
});

question('What would make it act next, and until when does the rule count?', 0, async () => {
  const { processes } = await service.api('GET', APP);
  const { rule } = processes.find(({ process }) => process === 'web');
  assert.match(await page.textContent('#next'), new RegExp(`“${rule.name}” counts (until|always)`));
});

question('Who changed the maximum, when, from what?', 1, async (click) => {
  await click('#tabs a:has-text("Rules")');
  const entry = page.locator('#history li:has-text("maximum 6")');
  await entry.waitFor();
  assert.match(await entry.textContent(), /anna version \d/);
  assert.match(await entry.locator('.diff', { hasText: 'maximum' }).textContent(), /6\W+8/);
  assert.ok(await entry.locator('time').getAttribute('datetime'));
});

question('Who set it to 6 dynos?', 0, async () => {
  const { events } = await service.api('GET', `${APP}/events?from=${now() - 24 * HOUR}&to=${now() + 60}`);
  const outside = events.filter(({ kind, process }) => kind === 'outside' && process === 'web');
  assert.ok(outside.length);
  for (const { t, dynos } of outside) assert.match(await page.textContent(`#events [data-t="${t}"]`), new RegExp(`omebody else set ${dynos} dynos`));
});

question('How slow was it at worst, and did that come with a release?', 0, async () => {
  assert.match(await page.textContent('#q-sum'), /the worst .*had [\d.]+ m?s, at .*\d\d:\d\d/);
  const { events } = await service.api('GET', `${APP}/events?from=${now() - 24 * HOUR}&to=${now() + 60}`);
  const releases = events.filter(({ kind }) => kind === 'release');
  assert.ok(releases.length);
  for (const { t } of releases) assert.match(await page.textContent(`#events [data-t="${t}"]`), /release/i);
});

// A moment at which it held, as people say it: by the clock on the wall.
question('Why did it not scale down at 10:42?', 1, async (click) => {
  const { ticks } = await service.api('GET', `${WEB}/ledger?from=${now() - 6 * HOUR}&to=${now()}&limit=5000`);
  const held = ticks.filter(({ action, t }) => action === 'hold' && t % 60 === 0).at(-30);
  await click('#tabs a:has-text("Why")');
  await page.fill('#goto', inBerlin(held.t, { hour: '2-digit', minute: '2-digit' }));
  await page.waitForSelector('.inside .sentence');
  const shown = Date.parse(await page.getAttribute('.inside .when time', 'datetime')) / 1000;
  assert.ok(Math.abs(shown - held.t) < 60, `${shown} ${held.t}`);
  assert.equal(await page.textContent('.inside .sentence'), sentenceOf(ticks.find(({ t }) => t === shown).sentence));
});

// Of the past that is there: a part of the week in which something ran.
question('What does Tuesday night cost?', 1, async (click) => {
  const t = now() - 6 * HOUR, hour = Number(inBerlin(t, { hour: '2-digit' }));
  const part = ['Night', 'Morning', 'Afternoon', 'Evening'][Math.floor(hour / 6)];
  await click('#tabs a:has-text("Savings")');
  await page.waitForSelector('#heat tbody tr');
  const column = await page.$$eval('#heat thead th', (cells, name) => cells.findIndex((cell) => cell.textContent.startsWith(name)), part);
  const cell = await page.textContent(`#heat tr:has(th:has-text("${inBerlin(t, { weekday: 'long' })}")) > :nth-child(${column + 1})`);
  assert.match(cell, /^\$\d+\.\d\d$/);
});

question('Which rule counts on Tuesday night?', 2, async (click) => {
  await click('#tabs a:has-text("Rules")');
  await click('summary:has-text("The same as a list")');
  const rows = await page.$$eval('#week-table tbody tr', (list) => list.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(rows.filter(([day]) => day === 'Tuesday').map(([, , rule]) => rule), ['default', 'working hours', 'campaign', 'default']);
});

question('What if it added dynos above 60 ms: how many slow minutes, how much money?', 3, async (click) => {
  await click('#tabs a:has-text("Rules")');
  await click('#list button:has-text("default")');
  await page.fill('[aria-label="Add above, ms"]', '60');
  await click('#trial-go');
  await page.waitForSelector('#trial-result:not([hidden])');
  for (const line of ['Slow minutes', 'Money']) assert.match(await page.textContent(`#trial-table tr:has-text("${line}")`), /\d/);
});

question('Does the platform answer, and when was the last report?', 1, async (click) => {
  await click('#tabs a:has-text("Settings")');
  await page.waitForSelector('#platform-state :text("It works")');
  assert.match(await page.textContent('main'), /[Ll]ast report/);
});

// ---------------------------------------------------------------- from the list of all apps

const OPEN = '#apps a:has-text("shop-production")';
const fromApps = (words, most, answer) => question(words, most, async (click) => {
  await click(OPEN);
  await page.waitForURL(`**${APP}`);
  await ready(page);
  await settled(page);
  await answer(click);
}, '/');

fromApps('Which rule was in force at a moment of the past?', 2, async (click) => {
  const { ticks } = await service.api('GET', `${WEB}/ledger?from=${now() - 7 * HOUR}&to=${now() - 6 * HOUR}&limit=5000`), { t } = ticks.find((tick) => tick.t % 60 === 0);
  const { rule_in_force: rule, rules_version: version } = await service.api('GET', `${WEB}/explain?at=${t}`);
  await click('#tabs a:has-text("Why")');
  await page.fill('#date', inBerlin(t, { year: 'numeric', month: '2-digit', day: '2-digit' }).split('/').reverse().join('-'));
  await page.fill('#goto', inBerlin(t, { hour: '2-digit', minute: '2-digit' }));
  await page.waitForSelector(`.inside dd:text-is("${rule.name}, version ${version}")`);
});

fromApps('When was the last release, and did it slow anything?', 1, async () => {
  const { events } = await service.api('GET', `${APP}/events?from=${now() - 24 * HOUR}&to=${now() + 60}`);
  const { t } = events.findLast(({ kind }) => kind === 'release');
  assert.match(await page.textContent(`#events [data-t="${t}"]`), /A release.*p95 was mostly [\d.]+ m?s in the 30 min before, [\d.]+ m?s in those after/);
});

fromApps('What would a minimum of 3 cost a month?', 3, async (click) => {
  await click('#tabs a:has-text("Rules")');
  await click('#list button:has-text("default")');
  await page.fill('[aria-label="At least so many dynos"]', '3');
  await page.waitForSelector('#takes:has-text("3 dynos cost $")');
});

fromApps('Is anybody else scaling this app?', 1, async () => {
  assert.match(await page.textContent('#e-sum'), /, 1 from outside\./);
});

fromApps('How long does a dyno take to start?', 1, async () => {
  await page.locator('#d-sum', { hasText: /A dyno takes \d+ s to start/ }).waitFor();
});

fromApps('When is it busiest?', 1, async () => {
  assert.match(await page.textContent('#r-sum'), /a second on average, [\d.]+ at most, at (\w+ \d+ \w+, )?\d\d:\d\d\./);
});

fromApps('Who paused it, and when?', 1, async () => {
  const paused = page.locator('#events li:has-text("Ben paused scaling down of web")');
  await paused.waitFor();
  assert.ok(await paused.locator('time').getAttribute('datetime'));
});

fromApps('What did each of the last days cost?', 2, async (click) => {
  await click('#tabs a:has-text("Savings")');
  await page.waitForSelector('#day-chart b:has-text("$")');
});

question('Who may change the rules?', 1, async (click) => {
  await click('.end a:has-text("People")');
  await page.waitForSelector('#people tr:has-text("anna"):has(option:checked:text-is("admin"))', { state: 'attached' });
}, '/');

fromApps('Which job queue is the oldest?', 2, async (click) => {
  const { report_url: address } = await service.api('POST', `${APP}/report-token`, {});
  await service.report(address, [[1, 90_000, 'sidekiq:mailers'], [1, 500, 'sidekiq:default'], [1, 120_000, 'sidekiq:low']], 'worker.1');
  await click('#processes a:has-text("worker")');
  await page.waitForSelector('#queue-rows li:first-child:has-text("sidekiq:mailers"):has-text("90 s")');
});
