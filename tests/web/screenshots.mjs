// Writes every page in both schemes and two widths: node screenshots.mjs FOLDER [HOURS] [NAME...]

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Service, browser, missing, open, ready, settled, until } from './support/world.mjs';
import { PAGES, furnish } from './support/pages.mjs';

const README = new Set(['app-1440-light', 'rules-1440-light', 'savings-1440-dark']);
const [folder, hours = '26', ...names] = process.argv.slice(2);
const reason = missing();
if (!folder || reason) { console.error(reason ?? 'screenshots.mjs FOLDER [HOURS] [NAME...]'); process.exit(1); }
mkdirSync(folder, { recursive: true });
const service = await Service.begin({ past: Number(hours), more: 9 });
const chromium = await browser();
let failed = false;

// Reports of all apps but the one that waits, as long as this runs, so that the pages show a living
// service. Gives when each has a minute of them, and the platform has said what runs.
async function keepAlive() {
  const begun = Date.now() / 1000, { apps } = await service.api('GET', '/apps');
  const addresses = [];
  for (const { name } of apps) if (name !== 'waiting-app') addresses.push([name, (await service.api('POST', `/apps/${name}/report-token`, {})).report_url]);
  const send = () => Promise.all(addresses.map(([name, address], i) => {
    const rows = [];
    for (let ago = 1; ago <= 5; ago++) for (let n = 0; n < 8; n++) rows.push([ago, Math.round(12 + (i * 7) % 30 - 30 * Math.log(1 - Math.random() * 0.9)), 'web']);
    if (name === 'shop-production') for (const queue of ['default', 'mailers', 'low', 'reports']) rows.push([1, 400 + Math.round(Math.random() * 900), `sidekiq:${queue}`]);
    return service.report(address, rows).catch(() => {});
  }));
  await send();
  setInterval(send, 5000).unref();
  await until('an app is heard', async () => (await service.api('GET', '/apps/shop-production')).processes.every((one) => Number.isFinite(one.queue_time?.ms) && one.dynos?.ordered && one.decided > begun && !/no report|not known/i.test(one.sentence)));
}
try {
  await furnish(service);
  await keepAlive();
  for (const [scheme, width] of [['light', 1440], ['dark', 1440], ['light', 390], ['dark', 390]]) {
    for (const [name, path, { signedIn = true, bare = false, prepare } = {}] of PAGES) {
      if (names.length && !names.includes(name)) continue;
      const { context, page, faults } = await open(chromium, service, { scheme, width, signedIn });
      await page.goto(service.url + path);
      if (!bare) await ready(page);
      await prepare?.(page);
      await settled(page);
      await page.screenshot({ path: join(folder, `${name}-${width}-${scheme}.png`), fullPage: true });
      // What the README shows: the upper part alone.
      if (README.has(`${name}-${width}-${scheme}`)) await page.screenshot({ path: join(folder, `readme-${name}.png`), clip: { x: 72, y: 0, width: 1296, height: 760 } });
      for (const fault of faults) { failed = true; console.error(`${name} ${width} ${scheme}: ${fault}`); }
      await context.close();
    }
  }
} finally {
  await chromium.close();
  await service.end();
}
process.exit(failed ? 1 : 0);
