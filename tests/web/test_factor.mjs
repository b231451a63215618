// The second factor in a real browser: set up, asked for at sign-in, required of everybody, reset.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { PASSWORD, Service, browser, missing, open, ready } from './support/world.mjs';

const skip = missing() ?? false;
let service, chromium;

before(async () => {
  if (skip) return;
  service = await Service.begin({});
  chromium = await browser();
});
after(async () => {
  await chromium?.close();
  await service?.end();
});

// What an authenticator app shows (RFC 6238), `ahead` steps of 30 s later than now.
function codeOf(secret, ahead = 0) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const made = createHmac('sha1', key).update(step).digest(), offset = made[19] & 15;
  return String((made.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

async function again(page, code) {
  await page.fill('#again-box [name=current]', PASSWORD);
  if (code) await page.fill('#again-box [name=code]', code);
  await page.click('#again-box button[value=yes]');
}

test('a second factor is set up, asked for, required of others, and reset', { skip }, async (t) => {
  const { page, faults } = await open(chromium, service);
  let secret, recovery;

  await t.test('the account page shows the secret once, as a picture and as text, and recovery codes', async () => {
    await page.goto(`${service.url}/account`);
    await page.click('text=Set it up');
    await again(page);
    await page.waitForSelector('.qr path');
    secret = (await page.textContent('.factor .copy pre')).trim();
    assert.match(await page.getAttribute('.factor a', 'href'), new RegExp(`^otpauth://totp/.*secret=${secret}`));
    await page.fill('.factor [name=code]', codeOf(secret));
    await page.click('text=Switch it on');
    await page.waitForSelector('text=Keep these recovery codes.');
    recovery = (await page.textContent('#factor-box .copy pre')).trim().split('\n');
    assert.equal(recovery.length, 10);
    await page.waitForSelector('text=Recovery codes left: 10');
  });

  await t.test('signing in asks for the code once the password is right', async () => {
    const other = await open(chromium, service, { signedIn: false });
    await other.page.goto(`${service.url}/signin`);
    await other.page.fill('[name=name]', 'anna');
    await other.page.fill('[name=password]', PASSWORD);
    assert.equal(await other.page.isVisible('[name=code]'), false);
    await other.page.click('#go');
    await other.page.waitForSelector('[name=code]:focus');
    await other.page.fill('[name=code]', '000000');
    await other.page.click('#go');
    await other.page.waitForSelector('text=is wrong, or was used');
    await other.page.fill('[name=code]', recovery[0]);
    await other.page.click('#go');
    await other.page.waitForURL((url) => url.pathname !== '/signin');
    assert.deepEqual(other.faults, []);
    await other.context.close();
  });

  await t.test('where it is required, a person without one is led to set it up', async () => {
    await service.person('ben', 'read');
    await page.goto(`${service.url}/people`);
    await ready(page);
    await page.check('#required');
    await page.waitForSelector('#log >> text=required for everybody');
    const other = await open(chromium, service, { signedIn: false });
    await other.page.goto(`${service.url}/signin`);
    await other.page.fill('[name=name]', 'ben');
    await other.page.fill('[name=password]', PASSWORD);
    await other.page.click('#go');
    await other.page.waitForURL(`${service.url}/account`);
    await other.page.waitForSelector('text=A second factor is required here.');
    await other.page.goto(`${service.url}/`, { waitUntil: 'commit' }); // the page leads on at once
    await other.page.waitForURL(`${service.url}/account`);
    await other.context.close();
  });

  await t.test('an admin ends the sessions of somebody, and sees who has a second factor', async () => {
    page.once('dialog', (dialog) => dialog.accept());
    await page.click('[aria-label="End the sessions of ben"]');
    await page.waitForSelector('#log >> text=ended the sessions of ben');
    assert.equal(await page.isVisible('#people tr:has-text("anna") .tag:has-text("second factor")'), true);
  });

  await t.test('it is switched off by the password and a code', async () => {
    await page.uncheck('#required');
    await page.waitForSelector('#log >> text=made the second factor optional');
    await page.goto(`${service.url}/account`);
    await page.click('text=Switch it off');
    await again(page, codeOf(secret, 1));
    await page.waitForSelector('text=The second factor is off.');
  });

  assert.deepEqual(faults, []);
});
