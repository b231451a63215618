// Writes every page in both schemes and two widths: node screenshots.mjs FOLDER [HOURS] [NAME...]

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Service, browser, missing, open, ready, settled } from './support/world.mjs';
import { PAGES, furnish } from './support/pages.mjs';

const [folder, hours = '26', ...names] = process.argv.slice(2);
const reason = missing();
if (!folder || reason) { console.error(reason ?? 'screenshots.mjs FOLDER [HOURS] [NAME...]'); process.exit(1); }
mkdirSync(folder, { recursive: true });
const service = await Service.begin({ past: Number(hours), more: 9 });
const chromium = await browser();
let failed = false;
try {
  await furnish(service);
  for (const [scheme, width] of [['light', 1440], ['dark', 1440], ['light', 390], ['dark', 390]]) {
    for (const [name, path, { signedIn = true, bare = false, prepare } = {}] of PAGES) {
      if (names.length && !names.includes(name)) continue;
      const { context, page, faults } = await open(chromium, service, { scheme, width, signedIn });
      await page.goto(service.url + path);
      if (!bare) await ready(page);
      await prepare?.(page);
      await settled(page);
      await page.screenshot({ path: join(folder, `${name}-${width}-${scheme}.png`), fullPage: true });
      for (const fault of faults) { failed = true; console.error(`${name} ${width} ${scheme}: ${fault}`); }
      await context.close();
    }
  }
} finally {
  await chromium.close();
  await service.end();
}
process.exit(failed ? 1 : 0);
