// What happens to a page that is open: two tabs, a session that ends, a service that restarts, no
// reports any more, clocks of other zones, the keyboard alone, paper.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CONNECTED, Service, browser, missing, open, ready, settled, until } from './support/world.mjs';

const skip = missing() ?? false;
const APP = '/apps/shop-production';
let service, chromium;

before(async () => {
  if (skip) return;
  service = await Service.begin({ past: 4, more: 2, args: ['--tick-s', '1'] });
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
  const result = await body(page, context);
  await context.close();
  assert.deepEqual(faults, []);
  return result;
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

test('an app that there is not: the page says so, and nothing that it asks for fails', { skip }, async () => {
  for (const path of ['', '/rules', '/why', '/savings', '/settings', '/start']) {
    const { context, page, faults } = await open(chromium, service, {}), refused = [];
    page.on('response', (answer) => { if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.url()}`); });
    await page.goto(`${service.url}/apps/nothing-here${path}`);
    await page.waitForSelector('h1:has-text("There is no app nothing-here")');
    await settled(page);
    await context.close();
    assert.deepEqual([...refused, ...faults], []);
  }
  assert.equal((await fetch(`${service.url}/api/v1/apps/nothing-here`, { headers: { Cookie: service.cookie } })).status, 404);
});

test('who is the first, but not before the apps, comes to the apps', { skip }, async () => {
  const other = await Service.begin({});
  const { context, page, faults } = await open(chromium, other, { signedIn: false });
  other.run('app', 'add', 'shop');
  await page.goto(other.link);
  await page.fill('[name=name]', 'anna');
  await page.fill('[name=password]', 'correct horse battery');
  await page.click('#go');
  await page.waitForURL(`${other.url}/`);
  await page.waitForSelector('#apps a:has-text("shop")');
  await context.close();
  await other.end();
  assert.deepEqual(faults, []);
});

test('an app without a platform: the page says what to do, and that nothing is counted yet', { skip }, async () => {
  const { report_url: address } = await service.api('POST', '/apps', { name: 'homeless', zone: 'UTC' });
  await service.report(address, [[1, 12, 'web']]);
  await until('it was decided upon', async () => /no platform/.test((await service.api('GET', '/apps/homeless')).processes[0].sentence));
  await visit('/apps/homeless', {}, async (page) => {
    await page.waitForSelector('#next a:has-text("Set its platform")');
    assert.doesNotMatch(await page.textContent('.now'), /`|would would/);
    await page.click('#next a:has-text("Set its platform")');
    await page.waitForSelector('#platform-state:has-text("No platform is set")');
  });
  await visit('/apps/homeless/savings', {}, async (page) => {
    assert.match(await page.textContent('#headline'), /Nothing to count yet/);
  });
  await service.api('DELETE', '/apps/homeless', { name: 'homeless' });
});

test('of many queues the longest waits are shown, and all on demand', { skip }, async () => {
  const { report_url: address } = await service.api('POST', '/apps', { name: 'queues', zone: 'UTC' });
  const names = Array.from({ length: 30 }, (_, i) => `sidekiq:${'q'.repeat(i + 1)}`);
  await service.report(address, names.map((name, i) => [1, 1000 + 100 * i, name]), 'worker.1');
  await service.api('PUT', '/apps/queues/rules', { processes: { worker: { rules: [{ name: 'default', dynos: { min: 1, max: 5 } }] } } });
  await visit('/apps/queues', {}, async (page) => {
    await page.waitForSelector('#queue-rows button:has-text("Show all 30 queues")');
    assert.equal((await page.$$('#queue-rows h3')).length, 12);
    assert.equal(await page.textContent('#queue-rows h3'), names.at(-1));
    await page.click('#queue-rows button');
    await page.waitForFunction(() => document.querySelectorAll('#queue-rows h3').length === 30);
    assert.equal(await page.$('#queue-rows button'), null);
  });
  await service.api('DELETE', '/apps/queues', { name: 'queues' });
});

test('what happened is as long as the charts beside it, and tells no name that stands above', { skip }, () => visit(APP, {}, async (page) => {
  await settled(page);
  const [charts, list] = await Promise.all(['#charts', '.rail'].map(async (place) => (await page.$(place)).boundingBox()));
  assert.ok(Math.abs(charts.height - list.height) < 1, `${charts.height} and ${list.height} px`);
  assert.doesNotMatch(await page.textContent('#events'), /shop-production/);
}));

test('a change is told in words, with what it was before struck out', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  await page.click('#list button:has-text("default")');
  await page.fill('[aria-label="Add above, ms"]', '60');
  await page.waitForSelector('#changes ins');
  assert.match(await page.textContent('#changes .diff'), /^web, rule default: adds above 100 ms 60 ms$/);
  assert.equal(await page.textContent('#changes del'), '100 ms');
}));

test('a rule says what its least and its most take in a month', { skip }, async (t) => {
  const price = `${APP}/processes/web/price`;
  t.after(() => service.api('DELETE', price));
  const said = (page) => page.textContent('#takes');
  await visit(`${APP}/rules`, {}, async (page) => {
    await page.click('#list button:has-text("working hours")');
    assert.equal(await said(page), 'It counts for 55 of the 168 hours of a week. In these, 2 dynos take 478 dyno-hours a month, 6 dynos 1,434 dyno-hours.');
    await page.fill('[aria-label="At least so many dynos"]', '3');
    assert.match(await said(page), /3 dynos take 717 dyno-hours a month/);
  });
  await service.api('PUT', price, { cents_a_month: 2500, currency: 'USD' });
  await visit(`${APP}/rules`, {}, async (page) => {
    await page.click('#list button:has-text("working hours")');
    await page.waitForSelector('#takes:has-text("2 dynos cost $16.37 a month, 6 dynos $49.11")');
  });
});

test('days and parts of the week that nothing is known of are drawn as such', { skip }, () => visit(`${APP}/savings`, {}, async (page) => {
  await page.waitForSelector('#day-chart i.none');
  const known = await page.$$eval('#day-chart i:not(.none)', (bars) => bars.length), rows = await page.$$eval('#day-table tbody tr', (list) => list.length);
  assert.equal(known, rows);
  assert.match(await page.textContent('#day-sum'), /^Hatched: nothing is known\./);
  assert.ok((await page.$$('#heat td.none')).length >= 26);
}));

test('on a phone the days of the savings stand beside each other, and cover none', { skip }, () => visit(`${APP}/savings`, { width: 390 }, async (page) => {
  // Numbers of every width, whatever the hours of this run: 9.96 is 10 once it is rounded.
  const hours = [9.96, 9.9, 0.1, 24, 200, 1234, 8888];
  await page.route('**/usage?*', async (route) => {
    const answer = await route.fetch(), used = await answer.json();
    const last = used.points.at(-1).t, noon = last - last % 86400 + 43200; // of each day, but today, noon: no change of the clock moves it to another
    used.points = hours.map((each, i) => ({ ...used.points[0], t: i ? noon - i * 86400 : last, dyno_s: each * 3600, known_s: 1800 }));
    await route.fulfill({ response: answer, json: used });
  });
  await page.reload();
  await page.waitForSelector('#day-chart b:has-text("8,888")');
  const [wide, said] = await page.$$eval('#day-chart > div', (days) => [days.filter((day) => [...day.children].some((part) => part.scrollWidth > day.clientWidth || part.offsetWidth > day.clientWidth)).map((day) => day.textContent), days.map((day) => day.querySelector('b').innerText).filter(Boolean)]);
  assert.deepEqual(wide, []);
  assert.deepEqual(said, ['8,888', '1,234', '200', '24', '0.1', '9.9', '10']);
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

test('who may only read finds the controls off, also while the charts are awaited', { skip }, async () => {
  await service.person('rita', 'read');
  const { context, page, faults } = await open(chromium, service, { signedIn: false });
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route('**/setup', async (route) => { await held; await route.continue(); });
  await page.route('**/chart?*', () => {}); // is never answered
  await page.goto(`${service.url}/signin?back=${APP}`);
  await page.fill('[name=name]', 'rita');
  await page.fill('[name=password]', 'correct horse battery');
  assert.equal(await page.isDisabled('#go'), true); // nothing would hear the form, so the browser would send it
  release();
  await page.click('#go');
  await page.waitForURL(`**${APP}`);
  await ready(page);
  for (const control of ['#pause', '#boost', '#switch']) assert.equal(await page.isDisabled(control), true, control);
  await context.close();
  assert.deepEqual(faults, []);
});

test('when the session has ended, one signs in and is back where one was', { skip }, async () => {
  await service.person('dora', 'admin');
  const { context, page, faults } = await open(chromium, service, { signedIn: false });
  const signIn = async () => {
    await page.fill('[name=name]', 'dora');
    await page.fill('[name=password]', 'correct horse battery');
    await page.click('#go');
  };
  await page.goto(`${service.url}${APP}/why`, { waitUntil: 'commit' }); // the page leads on at once
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
  await page.waitForSelector(CONNECTED, { state: 'attached' });
  await service.stop();
  await page.waitForSelector('#notice :text("lost its connection")');
  assert.match(await page.textContent('#now-title'), /dyno/);
  await service.start();
  await page.waitForSelector(CONNECTED, { state: 'attached' });
  await page.waitForSelector('#notice :text("lost its connection")', { state: 'detached' });
  await context.close();
});

test('no reports any more: the page says so, and that nothing is decided on it', { skip }, () => visit('/apps/api-2', {}, async (page) => {
  await page.waitForSelector('#notice :text("No report for")');
  assert.match(await page.textContent('#notice'), /Nothing is decided on what is not known/);
}));

for (const [zone, minutes] of [['America/St_Johns', -210], ['Asia/Kolkata', 330], ['Pacific/Honolulu', -600]]) {
  test(`times are those of the app's zone, or of the reader's where so chosen: ${zone}`, { skip }, async (t) => {
    await service.api('PATCH', APP, { zone });
    t.after(() => service.api('PATCH', APP, { zone: 'Europe/Berlin' }));
    await visit(`${APP}/why`, { zone: 'America/Los_Angeles' }, async (page) => {
      await page.waitForSelector('.entry .t');
      const moment = Number(await page.$eval('.entry button', (node) => node.id.slice(1))), clock = `#e${moment} .t`;
      const local = (offset) => new Date((moment + offset * 60) * 1000).toISOString().slice(11, 16);
      const shown = await page.textContent(clock);
      assert.equal(shown.slice(0, 5), local(minutes));
      await page.click('.foot label:has-text("My time")');
      await page.waitForFunction(([where, was]) => { const now = document.querySelector(where)?.textContent; return now && now !== was; }, [clock, shown]);
      const mine = await page.textContent(clock);
      assert.ok([local(-480), local(-420)].includes(mine.slice(0, 5)), mine);
    });
  });
}

test('the calendar draws the hour that is skipped, and the one that comes twice, where they are', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  for (const [month, kind, words] of [['March', 'lost', /Sunday \d+ March: 02:00 to 03:00 is skipped/], ['October', 'twice', /Sunday \d+ October: 02:00 to 03:00 comes twice/]]) {
    await page.click(`#weeks button:has-text("${month}")`);
    assert.match(await page.textContent('#week-hint'), words);
    const [day, hour] = [await (await page.$('#week .day:last-of-type')).boundingBox(), await (await page.$(`#week .day:last-of-type .${kind}`)).boundingBox()];
    assert.ok(Math.abs((hour.y - day.y) / day.height * 24 - 2) < 0.2, `${month}: at ${(hour.y - day.y) / day.height * 24} h`);
    assert.ok(Math.abs(hour.height / day.height * 24 - 1) < 0.2, `${month}: ${hour.height / day.height * 24} h long`);
  }
  await page.click('#weeks button:has-text("Any week")');
  assert.equal(await page.$('#week .lost, #week .twice'), null);
  assert.ok(await page.$('#week .nowline'));
}));

test('a rule that is covered by another is drawn at its side, and named in the list', { skip }, async (t) => {
  const rules = await service.api('GET', `${APP}/rules`);
  t.after(() => service.api('PUT', `${APP}/rules`, rules));
  const changed = structuredClone(rules);
  changed.processes.web.rules.unshift({ name: 'on top', days: ['tue'], from: '10:00', to: '12:00', dynos: { min: 1, max: 2 } });
  await service.api('PUT', `${APP}/rules`, changed);
  await visit(`${APP}/rules`, {}, async (page) => {
    assert.equal((await page.$$('#week .under')).length, 1);
    await page.click('summary:has-text("The same as a list")');
    const [row] = await page.$$eval('#week-table tr', (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)).filter((cells) => cells[2] === 'on top'));
    assert.deepEqual(row, ['Tuesday', '10:00 to 12:00', 'on top', '1 to 2', 'working hours']);
  });
});

test('a rule that finds the number by itself is set by its goal', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  await page.click('#form button:has-text("By itself")');
  await page.fill('[aria-label="Goal, ms"]', '150');
  await page.fill('[aria-label="Share that may wait longer, in percent"]', '2.5');
  await page.waitForSelector('#changes :text("method")');
  await page.waitForSelector('#c-sum:has-text("above 150 ms")');
  await page.click('[data-how="yaml"]');
  await page.waitForFunction(() => /goal_ms: 150/.test(document.querySelector('#text').value) && /share: 2\.5/.test(document.querySelector('#text').value));
  await page.click('#discard');
  await page.waitForSelector('#save', { state: 'hidden' });
}));

test('rules are tried on the past before they are saved: both side by side, how sure it is; more edits make it old', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  await page.click('#list button:has-text("default")');
  await page.fill('[aria-label="At most so many dynos"]', '1');
  await page.waitForSelector('#changes :text("max")');
  // What the page was told: a trial that is made again may be of another minute.
  let told;
  await page.route('**/trial', async (route) => {
    const response = await route.fetch();
    told = await response.text();
    await route.fulfill({ response, body: told });
  });
  const [asked] = await Promise.all([page.waitForRequest('**/trial'), page.click('#save-trial')]);
  await page.waitForSelector('#trial-result:not([hidden])');
  const { rules, days } = asked.postDataJSON(), result = JSON.parse(/^event: result\ndata: (.*)$/m.exec(told)[1]);
  assert.equal(days, 7);
  assert.equal(rules.processes.web.rules.at(-1).dynos.max, 1);
  assert.equal(await page.$$eval('#trial-table tbody tr', (rows) => rows.length), result.price ? 5 : 4);
  const numbers = (key) => [result.in_force[key], result.proposed[key]].map((found) => found && Math.round(found.value).toLocaleString('en-US'));
  assert.deepEqual(await page.$$eval('#trial-table tr:has-text("Scalings") .big', (list) => list.map((node) => node.textContent)), numbers('scalings'));
  assert.match(await page.textContent('#trial-verdict'), /\w+ .*\.$/);
  assert.match(await page.textContent('#trial-sure'), /How sure is this\?/);
  assert.equal(await page.isVisible('#trial-chart canvas'), true);
  await page.fill('[aria-label="At most so many dynos"]', '2');
  await page.waitForSelector('#trial-notice :text("you changed the rules again")');
  assert.equal((await service.api('GET', `${APP}/rules`)).processes.web.rules.at(-1).dynos.max, 4, 'nothing is saved by it');
}));

test('rules of workers are tried on the jobs that were: worker-hours, and jobs that begin late', { skip }, () => visit(`${APP}/rules?process=worker`, {}, async (page) => {
  await Promise.all([page.waitForRequest('**/processes/worker/trial'), page.click('#trial-go')]);
  await page.waitForSelector('#trial-result:not([hidden])');
  for (const name of ['Late minutes', 'Jobs that begin late', 'Worker-hours', 'Scalings'])
    assert.match(await page.textContent(`#trial-table tr:has-text("${name}") .yours .big`), /^\d/, name);
  assert.match(await page.textContent('#trial-sum'), /workers? with your change/);
}));

test('a replay shows how far it is, and is stopped', { skip }, () => visit(`${APP}/rules`, {}, async (page) => {
  await page.route('**/trial', () => {}); // never answered
  await page.click('#trial-days [data-days="30"]');
  await page.click('#trial-go');
  await page.waitForSelector('#trial-progress :text("of 30 days")');
  await page.click('#trial-stop');
  await page.waitForSelector('#trial-notice :text("Stopped. Nothing was changed.")');
  assert.equal(await page.isVisible('#trial-go'), true);
}));

test('the page of a worker has its queues by name, those that count first', { skip }, () => visit(`${APP}?process=worker`, {}, async (page) => {
  await page.waitForSelector('#queue-rows .queue');
  const rows = await page.$$eval('#queue-rows .queue', (list) => list.map((row) => [row.querySelector('h3').textContent, row.querySelector('.state').textContent]));
  assert.deepEqual(rows.map(([, state]) => state), ['counts', 'counts', 'is only shown', 'is only shown']);
  assert.deepEqual(rows.map(([name]) => name).slice(0, 2).sort(), ['sidekiq:default', 'sidekiq:mailers']);
  assert.equal((await page.$$('#charts h2:has-text("Queue time of sidekiq:")')).length, 2);
  await page.click('#numbers summary');
  assert.match(await page.textContent('#numbers thead'), /p95 of sidekiq:default/);
}));

test('how busy the dynos are is shown where the agents tell it', { skip }, async () => {
  await visit(APP, {}, async (page) => {
    await page.waitForSelector('#b-chart canvas');
    assert.match(await page.textContent('#b-sum'), /\d+ % of the places for requests taken on average/);
    assert.match(await page.textContent('#b-read'), /of about \d+/);
  });
  await visit('/apps/blog', {}, async (page) => {
    await settled(page);
    assert.equal(await page.isVisible('#load'), false);
  });
});

for (const width of [1440, 360]) {
  test(`marks that are crowded become one, and none covers another: ${width} px`, { skip }, () => visit(`${APP}?process=worker`, { width }, async (page) => {
    await page.waitForSelector('#lane2 .mark');
    await settled(page);
    for (const lane of ['#lane', '#lane2']) {
      const boxes = await page.$$eval(`${lane} .mark > span:first-child`, (list) => list.map((node) => node.getBoundingClientRect()).map(({ left, right }) => ({ left, right })));
      boxes.slice(1).forEach((box, i) => assert.ok(box.left >= boxes[i].right - 0.5, `${lane}: ${JSON.stringify([boxes[i], box])}`));
      assert.ok(boxes.every(({ left, right }) => left >= 0 && right <= width), lane);
    }
  }));
}

test('more than twelve dynos are a bar that says its length', { skip }, () => visit('/apps/api-2', {}, async (page) => {
  assert.match(await page.getAttribute('#now-pips .pips', 'aria-label'), /the rule allows 1 to 30/);
  assert.match(await page.textContent('#now-pips'), /of 30/);
}));

test('a decision is decided again, and is the same', { skip }, () => visit(`${APP}/why`, {}, async (page) => {
  await page.click('.entry button');
  await page.click('.inside button:has-text("Decide it again")');
  await page.waitForSelector('.inside :text("the same, to the bit")');
}));

test('from what happened, one click leads to why; the address keeps the range', { skip }, () => visit(APP, {}, async (page) => {
  await page.click('#range [data-range="604800"]');
  await page.waitForURL('**#last=7d');
  await page.reload();
  await ready(page);
  assert.equal(await page.getAttribute('#range [data-range="604800"]', 'aria-pressed'), 'true');
  await page.waitForSelector('#events a');
  const [said, why] = await page.$eval('#events li:has(a)', (li) => [li.querySelector('.what').textContent, li.querySelector('a').getAttribute('href')]);
  await page.click(`#events a[href="${why}"]`);
  await page.waitForURL('**/why?process=web#at=*');
  await page.waitForSelector(`.inside .sentence:has-text("${said}")`);
  await page.waitForSelector('.entry button[aria-expanded=true]');
}));

test('the queues that count are picked by name', { skip }, () => visit(`${APP}/rules?process=worker`, {}, async (page) => {
  const pressed = () => page.$$eval('.queues [aria-pressed=true]', (list) => list.map((node) => node.textContent).sort());
  await page.waitForSelector('.queues [aria-pressed=true]'); // their names are asked for beside the rules
  assert.deepEqual(await pressed(), ['sidekiq:default', 'sidekiq:mailers']);
  await page.click('.queues button:has-text("sidekiq:low")');
  await page.click('.queues button:has-text("sidekiq:mailers")');
  assert.deepEqual(await pressed(), ['sidekiq:default', 'sidekiq:low']);
  assert.equal(await page.inputValue('[aria-label^="Queues that count"]'), 'sidekiq:default, sidekiq:low');
  await page.waitForSelector('#changes :text("queues")');
  await page.fill('[aria-label^="Queues that count"]', 'sidekiq:*s');
  assert.deepEqual(await pressed(), ['sidekiq:mailers', 'sidekiq:reports']);
  await page.click('.queues button:has-text("sidekiq:mailers")');
  assert.equal(await page.inputValue('[aria-label^="Queues that count"]'), 'sidekiq:*s, -sidekiq:mailers');
  assert.deepEqual(await pressed(), ['sidekiq:reports']);
  await page.click('.queues button:has-text("sidekiq:mailers")');
  assert.deepEqual(await pressed(), ['sidekiq:mailers', 'sidekiq:reports']);
}));

test('a service that does not answer for long: the page says from when it is, and goes on by itself', { skip }, async () => {
  const { context, page, faults } = await open(chromium, service, {});
  await page.clock.install();
  await context.addInitScript(() => {
    globalThis.heard = 0;
    globalThis.EventSource = class extends EventSource { constructor(...given) { super(...given); this.addEventListener('app', () => { globalThis.heard++; }); } };
  });
  await page.goto(service.url + APP);
  await ready(page);
  await page.waitForFunction(() => globalThis.heard >= 2);
  service.program.process.kill('SIGSTOP');
  try {
    await page.clock.fastForward('02:00');
    await page.waitForSelector('#notice :text("Nothing new since")');
    assert.match(await page.textContent('#now-title'), /dyno/);
  } finally {
    service.program.process.kill('SIGCONT');
  }
  await page.waitForSelector(CONNECTED, { state: 'attached' });
  await page.waitForSelector('#notice :text("Nothing new since")', { state: 'detached' });
  await context.close();
  assert.deepEqual(faults, []);
});

// What the form of a platform sends, filled in by `fill`.
const platformSent = (kind, fill) => visit(`${APP}/settings`, {}, async (page) => {
  let sent;
  await page.route('**/platform', async (route) => {
    if (route.request().method() !== 'PUT') return route.continue();
    sent = route.request().postDataJSON();
    return route.fulfill({ json: { kind: sent.kind, result: 'ok', test: [] } });
  });
  await page.waitForSelector('#platform-form details', { state: 'attached' });
  await page.evaluate(() => { document.querySelector('#platform-form details').open = true; });
  await page.selectOption('#platform-form [name=kind]', kind);
  await fill(page);
  await page.click('#platform-form form:has([name=kind]) button');
  return until('it is sent', () => sent);
});

test('a platform is set with the fields that it has', { skip }, async () => {
  assert.deepEqual(await platformSent('kubernetes', async (page) => {
    await page.fill('[name=set-namespace]', 'prod');
    await page.fill('[name=set-server]', 'https://cluster.example:6443');
    await page.fill('#platform-form [name=names]', 'web=shop-web worker=statefulset/jobs');
    await page.fill('#platform-form form:has([name=kind]) [name=key]', 'a-token');
  }), {
    kind: 'kubernetes', secret: 'a-token',
    settings: { processes: { web: 'shop-web', worker: 'statefulset/jobs' }, namespace: 'prod', server: 'https://cluster.example:6443' },
  });
});

test('a scaler that asks for the number is a platform without fields, and is told where to ask', { skip }, async () => {
  assert.deepEqual(await platformSent('pull', async (page) => {
    await page.waitForSelector(`#platform-form code:has-text("/api/v1${APP}/processes/TYPE/wanted")`);
    assert.equal(await page.locator('#platform-form form:has([name=kind]) input').count(), 0);
  }), { kind: 'pull', settings: {} });
});

test('an export shows how far it is, can be stopped, and holds everything', { skip }, () => visit(`${APP}/settings`, {}, async (page) => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
  const lines = readFileSync(await download.path(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  for (const kind of ['app', 'rules', 'audit', 'series', 'decision']) assert.ok(lines.some((line) => line.kind === kind), kind);
  let release;
  await page.route('**/export?day=*', async (route) => { await new Promise((done) => { release = done; }); await route.continue().catch(() => {}); });
  await page.click('#export');
  await page.waitForSelector('#export:has-text("Day 1 of")');
  await until('the first day is asked for', () => release);
  await page.click('#export:has-text("Stop")');
  release();
  await page.waitForSelector('#export:has-text("Export everything")');
}));

test('by keyboard alone: skip link, tabs, marks by arrows, a chart read by the slider, a dialog left by Escape', { skip }, () => visit(APP, {}, async (page) => {
  await page.waitForSelector('#lane2 .mark');
  await settled(page);
  await page.keyboard.press('Tab');
  await page.waitForSelector('.skip:focus');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#main:focus');
  await page.focus('#lane2 .mark[tabindex="0"]');
  const before = await page.textContent('#lane2 .tip');
  await page.keyboard.press('Home');
  await page.waitForSelector('#lane2 .mark:first-of-type:focus');
  await page.waitForFunction((was) => ![was, undefined].includes(document.querySelector('#lane2 .tip')?.textContent), before);
  await page.focus('#scrub');
  const at = await page.getAttribute('#scrub', 'aria-valuetext');
  await page.keyboard.press('PageDown');
  await page.waitForFunction((was) => document.querySelector('#scrub').getAttribute('aria-valuetext') !== was, at);
  await page.focus('#pause');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#pause-box[open]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#pause-box', { state: 'hidden' });
  await page.waitForSelector('#pause:focus');
}));

test('news leave the focus where it is, and the moment that is read', { skip }, async () => {
  const { context, page, faults } = await open(chromium, service, {});
  await page.clock.install();
  await page.goto(service.url + APP);
  await page.waitForSelector('#lane2 .mark');
  await settled(page);
  // After a minute the charts of a day are asked for again with the next event; the card above them is
  // built again with each.
  const news = async () => {
    await page.evaluate(() => { globalThis.old = ['#events li', '#next li'].map((place) => document.querySelector(place)); });
    await page.clock.fastForward('01:01');
    await page.waitForFunction(() => globalThis.old.every((node) => !node.isConnected));
    await settled(page);
  };
  for (const place of ['#next a', '#processes a[aria-current]', '#events a', '#lane2 .mark:first-of-type']) {
    await page.focus(place);
    await news();
    await page.waitForSelector(`${place}:focus`);
  }
  await page.waitForSelector('#lane2 .tip');
  await page.focus('#scrub');
  await page.keyboard.press('PageDown');
  const read = () => page.$eval('#scrub', (slider) => [slider.value, slider.getAttribute('aria-valuetext')]);
  const before = await read();
  await news();
  assert.deepEqual(await read(), before);
  await context.close();
  assert.deepEqual(faults, []);
});

test('dragging across a chart looks closer at all of them, Escape goes back', { skip }, () => visit(APP, {}, async (page) => {
  const chart = page.locator('#q-chart .u-over'), { width } = await chart.boundingBox();
  await chart.hover({ position: { x: width * 0.3, y: 40 } });
  await page.mouse.down();
  await chart.hover({ position: { x: width * 0.6, y: 40 } });
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
    await page.fill('#words', '');
    await page.click('#kinds button:has-text("No report yet 8")');
    await page.waitForFunction(() => document.querySelectorAll('#apps .app').length === 8);
  });
  for (let i = 0; i < 8; i++) await service.api('DELETE', `/apps/many-${i}`, { name: `many-${i}` });
});

test('the charts are drawn before it is told what happened; the marks come then', { skip }, async () => {
  const { context, page, faults } = await open(chromium, service);
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route('**/events?from=*', async (route) => { await held; await route.continue(); });
  await page.goto(`${service.url}${APP}#last=30d`);
  await page.waitForSelector('#q-chart canvas');
  await page.waitForSelector('#d-sum:has-text("dyno-hours")');
  assert.equal(await page.locator('#events li').count(), 0);
  release();
  await page.waitForSelector('#events li');
  await page.waitForSelector('#lane2 .mark');
  assert.deepEqual(faults, []);
  await context.close();
});

test('the best fixed number is one that the rules allow, where somebody ran more', { skip }, async () => {
  const { context, page, faults } = await open(chromium, service);
  let most;
  await page.route('**/usage?*', async (route) => {
    const answer = await route.fetch(), used = await answer.json();
    ({ most } = used);
    used.by_dynos.push({ dynos: most + 4, seconds: 1e6, slow_s: 0 });
    await route.fulfill({ response: answer, json: used });
  });
  await page.goto(`${service.url}${APP}/savings`);
  await ready(page);
  const best = page.locator('#alts li', { hasText: 'the best fixed number' });
  await best.waitFor();
  assert.equal(await best.locator('h3').textContent(), `Always ${most} dynos`);
  assert.match(await best.locator('.hint').textContent(), /the largest that the rules allow/);
  assert.deepEqual(faults, []);
  await context.close();
});

test('what a platform refuses stands first, in its words, in the list of apps and on the app’s page', { skip }, async () => {
  const { name, report_url: address } = await service.api('POST', '/apps', { name: 'refused' });
  const program = join(service.folder, 'refuses');
  writeFileSync(program, '#!/bin/sh\necho "the credential was revoked" >&2\nexit 1\n', { mode: 0o700 });
  service.run('platform', 'set', name, 'command', '--', program);
  await service.report(address, [[1, 20, 'web']]);
  await until('it is in trouble', async () => (await service.api('GET', `/apps/${name}`)).state === 'trouble');
  await visit('/', { width: 390 }, async (page) => {
    const first = page.locator('#apps .app').first();
    assert.match(await first.textContent(), /refused.*Needs you.*The platform says: .*the credential was revoked/);
    assert.notEqual(await first.evaluate((row) => getComputedStyle(row).backgroundImage), 'none');
  });
  await visit(`/apps/${name}`, {}, (page) => page.waitForSelector('.now:has-text("the credential was revoked")'));
  await service.api('DELETE', `/apps/${name}`, { name });
});

test('on a phone an app that works takes two lines of the list', { skip }, async () => {
  // Its own: of the others no report has come since this file began, which may be long ago.
  const { name, report_url: address } = await service.api('POST', '/apps', { name: 'works' });
  await service.api('PUT', `/apps/${name}/rules`, { processes: { web: { rules: [{ name: 'default', dynos: { min: 1, max: 5 } }] } } });
  service.platform(name, 'web');
  await until('it works', async () => {
    await service.report(address, [[1, 12, 'web']]);
    return (await service.api('GET', `/apps/${name}`)).state === 'ok';
  });
  await visit('/', { width: 390 }, async (page) => {
    await page.waitForSelector(`#apps .app.ok[data-app="${name}"]`);
    const heights = await page.$$eval('#apps .app.ok', (rows) => rows.map((row) => [row.dataset.app, row.offsetHeight]));
    for (const [app, height] of heights) assert.ok(height <= 75, `${app} ${height}`);
  });
  await service.api('DELETE', `/apps/${name}`, { name });
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
  await page.waitForSelector('#now-title'); // the charts may be awaited still
}));
