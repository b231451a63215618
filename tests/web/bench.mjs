// How soon the page of an app with 30 days behind it shows its first chart, cold: node bench.mjs
// [HOURS] [ROUNDS]. Says what the wait is made of; nothing is asserted, since times depend on the
// machine.

import { Service, browser, missing, open, ready } from './support/world.mjs';

const [hours = '720', rounds = '7'] = process.argv.slice(2), AIM_MS = 300;
const reason = missing();
if (reason) { console.error(reason); process.exit(1); }
const service = await Service.begin({ past: Number(hours) });
const chromium = await browser();

// Runs in the page: when its first chart is painted.
function watch() {
  globalThis.painted = new Promise((done) => {
    const look = new MutationObserver(() => {
      if (!document.querySelector('#q-chart canvas')) return;
      look.disconnect();
      requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = () => done(performance.now()); channel.port2.postMessage(0); });
    });
    look.observe(document, { childList: true, subtree: true });
  });
}

// Runs in the page: times from the begin of the navigation, ms, and bytes over the wire.
async function measured() {
  const painted = await globalThis.painted, list = performance.getEntriesByType('resource').filter((one) => one.responseEnd <= painted);
  const data = list.filter((one) => /\/(chart|events|series)\?/.test(one.name));
  return {
    painted, answered: Math.max(...data.map((one) => one.responseEnd)), asked: Math.min(...data.map((one) => one.requestStart)),
    data: data.reduce((sum, one) => sum + one.encodedBodySize, 0), points: data.length,
    assets: list.filter((one) => /\/assets\//.test(one.name)).reduce((sum, one) => sum + one.encodedBodySize, 0) + performance.getEntriesByType('navigation')[0].encodedBodySize,
  };
}

const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const found = [];
try {
  for (let round = 0; round < Number(rounds); round++) {
    const { context, page } = await open(chromium, service, {});
    await context.addInitScript(watch);
    await page.goto(`${service.url}/apps/shop-production#last=30d`);
    await ready(page);
    found.push(await page.evaluate(measured));
    await context.close();
  }
} finally {
  await chromium.close();
  await service.end();
}
const of = (pick) => found.map(pick), line = (words, values, unit) => console.log(`${words.padEnd(46)}${middle(values).toFixed(0).padStart(7)} ${unit}   (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`);
console.log(`${hours} hours of data, ${rounds} cold loads; the median, and from the least to the most`);
line('the answers to the chart, from asked to there', of((one) => one.answered - one.asked), 'ms');
line(`the first chart, from the answers to paint (aim: ${AIM_MS})`, of((one) => one.painted - one.answered), 'ms');
line('the whole, from the navigation to paint', of((one) => one.painted), 'ms');
line('the data of the charts, compressed', of((one) => one.data / 1000), 'KB');
line('the page and all it needs, compressed', of((one) => one.assets / 1000), 'KB');
