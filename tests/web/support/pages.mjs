// Every page, as the tests of all pages and the screenshots go through them: [name, path, options].
// `prepare(page)` brings it into the state that is looked at.

const APP = '/apps/shop-production';

export const PAGES = [
  ['apps', '/'],
  ['app', APP],
  ['app-worker', `${APP}?process=worker`],
  ['rules', `${APP}/rules`],
  ['rules-yaml', `${APP}/rules`, { prepare: async (page) => { await page.click('[data-how="yaml"]'); await page.waitForFunction(() => document.querySelector('#text').value); await page.evaluate(() => scrollTo(0, 0)); } }],
  ['rules-trial', `${APP}/rules`, { prepare: async (page) => {
    await page.click('#list button:has-text("default")');
    await page.fill('[aria-label="Add above, ms"]', '60');
    await page.click('#weeks button:has-text("October")');
    await page.click('#trial-go');
    await page.waitForSelector('#trial-result:not([hidden])');
    await page.evaluate(() => scrollTo(0, 0));
  } }],
  ['why', `${APP}/why`, { prepare: async (page) => { await page.click('.entry button'); await page.waitForSelector('.inside .sentence'); } }],
  ['savings', `${APP}/savings`],
  ['settings', `${APP}/settings`],
  ['people', '/people'],
  ['account', '/account'],
  ['new', '/new'],
  ['start', '/apps/waiting-app/start'],
  ['signin', '/signin', { signedIn: false, bare: true }],
  ['not-found', '/apps/nothing-here', { bare: true }],
  ['no-page', '/no/such/page', { bare: true, signedIn: false }],
];

// An app that waits for its first report, and people and tokens to show.
export async function furnish(service) {
  await service.api('POST', '/apps', { name: 'waiting-app', zone: 'America/New_York' });
  await service.api('POST', '/people', { name: 'ben', role: 'operate' });
  await service.api('POST', '/people', { name: 'carla@example.com', role: 'read' });
  await service.api('POST', '/tokens', { name: 'grafana', scope: 'read' });
}
