// Header mode, with both tokens in the page: registration, problems, expiry, tabs, step-up.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, it } from 'node:test';
import { password } from '../server.mjs';
import { field, Frontend, LOGIN, reload, revokeButtons, screenshots, see, until } from './frontend.mjs';

export function headerMode(app, browser) {
  let f;
  afterEach(() => f.close());

  async function start(options) {
    f = await Frontend.start(app, browser(), options);
    await f.register();
  }
  // eachSpentOnce checks that no refresh token was sent twice. The number of refreshes depends on the duration of the
  // test, but two simultaneous refreshes would send the same token.
  function eachSpentOnce() {
    const bodies = f.site.sent('Refresh').map(({ body }) => body);
    assert.ok(bodies.length > 0);
    assert.equal(new Set(bodies).size, bodies.length);
  }

  it('registers, shows problems at their fields, and saves changes', async () => {
    await start();
    const page = await f.open();
    await page.screenshot({ path: join(screenshots, `${app}-sign-in.png`) });
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByLabel('E-mail').fill('not an address');
    await page.getByLabel('Password').fill('short');
    await page.getByRole('button', { name: 'Register' }).click();
    await see(field(page, 'E-mail').getByText('not a valid e-mail address'));
    await see(field(page, 'Password').getByRole('alert'));
    const focused = page.getByRole('textbox', { name: 'E-mail', exact: true }).and(page.locator(':focus'));
    const note = await focused.getAttribute('aria-describedby');
    assert.match(await page.locator(`[id="${note}"]`).innerText(), /not a valid e-mail address/);
    await page.screenshot({ path: join(screenshots, `${app}-problems.png`) });

    await page.getByLabel('E-mail').fill(f.user.email);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Register' }).click();
    await see(field(page, 'E-mail').getByText('already an account'));

    await page.getByLabel('E-mail').fill('grace@example.com');
    await page.getByLabel('Name').fill('Grace Hopper');
    await page.getByRole('button', { name: 'Register' }).click();
    await see(page.locator('.who', { hasText: 'Grace Hopper' }));
    await page.getByLabel('Name', { exact: true }).fill('Grace');
    await page.getByLabel('Username').fill('Not Allowed');
    await page.getByRole('button', { name: 'Save' }).click();
    await see(field(page, 'Username').getByRole('alert'));
    await page.getByLabel('Username').fill('grace');
    await page.getByRole('button', { name: 'Save' }).click();
    await see(page.locator('.who', { hasText: /^Grace$/ }));
    await page.reload();
    await see(page.locator('.who', { hasText: /^Grace$/ }));
  });

  it('does not refresh after a wrong password', async () => {
    await start({ flags: ['--access-life', '15m'] }); // rules out a refresh because of an expiry
    const page = await f.signIn('not the password');
    await see(page.getByRole('alert').getByText('Check what you entered'));
    const home = await f.signIn();
    await home.getByLabel('Current password').fill('not the password');
    await home.getByLabel('New password').fill('a new horse battery');
    await home.getByRole('button', { name: 'Change password' }).click();
    await see(home.getByText('Check what you entered'));
    assert.equal(f.site.sent('Refresh').length, 0);
  });

  it('stays signed in after a reload', async () => {
    await start();
    const page = await f.signIn();
    await page.reload();
    await f.signedIn(page);
  });

  it('refreshes an expired token once for five simultaneous operations', async () => {
    await start();
    for (let i = 0; i < 4; i++) await f.login(); // the fifth is the session of register
    const page = await f.signIn();
    await see(page.getByText('this session'));
    assert.equal(await revokeButtons(page).count(), 5);
    await f.expiry();
    f.site.hold('RevokeSession', 5);
    await revokeButtons(page).evaluateAll((buttons) => buttons.forEach((button) => button.click()));
    await revokeButtons(page).first().waitFor({ state: 'detached' });
    await until(async () => (await page.getByRole('listitem').count()) === 1);
    assert.deepEqual(f.site.sent('RevokeSession').map(({ status }) => status).sort(), [...Array(5).fill(200), ...Array(5).fill(401)]);
    eachSpentOnce();
  });

  it('refreshes once for two simultaneous tabs', async () => {
    await start();
    const one = await f.signIn();
    const two = await f.another();
    await f.expiry();
    f.site.hold('Sessions', 2);
    await Promise.all([reload(one), reload(two)]);
    await until(() => f.site.sent('Sessions').filter(({ status }) => status === 401).length === 2);
    await Promise.all([f.works(one), f.works(two)]);
    eachSpentOnce();
  });

  it('stays signed in after a sleep during which another tab refreshed twice', async () => {
    await start();
    const awake = await f.signIn();
    const asleep = await f.context.newPage();
    await asleep.addInitScript(() => Object.defineProperty(BroadcastChannel.prototype, 'onmessage', { set() {} }));
    await asleep.goto(f.site.url);
    await see(asleep.locator('.who'));
    for (let i = 0; i < 2; i++) {
      const before = f.site.sent('Refresh').length;
      await f.expiry(); // takes longer than the grace period of two seconds
      await f.works(awake);
      assert.ok(f.site.sent('Refresh').length > before);
    }
    await f.works(asleep);
    await f.works(awake);
    eachSpentOnce();
  });

  it('shows the reason in every tab when the session is revoked on another device', async () => {
    await start();
    const page = await f.signIn();
    const other = await f.another();
    await f.revoke(page);
    await reload(page);
    await see(page.getByText('your session was ended'));
    await see(other.getByText('your session was ended'));
    await page.screenshot({ path: join(screenshots, `${app}-ended.png`) });
    await page.getByLabel('E-mail or username').fill(f.user.email);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await f.signedIn(other);
  });

  it('signs out all tabs', async () => {
    await start();
    const page = await f.signIn();
    const other = await f.another();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    for (const tab of [page, other]) await see(tab.getByRole('heading', { name: 'Sign in' }));
    assert.equal(await page.getByText('You were signed out').count(), 0);
    assert.equal(await page.evaluate(() => /eyJ|gwr_/.test(JSON.stringify(localStorage))), false);
  });

  it('keeps this session after a password change and ends the others', async () => {
    await start();
    const elsewhere = await f.login();
    const page = await f.signIn();
    const other = await f.another();
    await page.getByLabel('Current password').fill(password);
    await page.getByLabel('New password').fill('another horse battery');
    await page.getByRole('button', { name: 'Change password' }).click();
    await see(page.getByText('Changed.'));
    await f.works(page);
    await f.works(other);
    assert.equal(await f.active(elsewhere.accessToken), false);
  });

  it('asks for the password if its last proof is too old', async () => {
    await start({ flags: ['--delete-grace', '0s'] });
    const page = await f.signIn();
    await see(page.getByText('this session'));
    await f.backdateProofs();
    await f.expiry(); // the next token contains the time of the last proof
    await page.getByLabel(/to confirm/).fill(f.user.email);
    await page.getByRole('button', { name: 'Delete account' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Password').fill('not the password');
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await see(dialog.getByText('Check what you entered'));
    await page.screenshot({ path: join(screenshots, `${app}-step-up.png`) });

    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await see(page.getByRole('alert'));
    await page.getByRole('button', { name: 'Delete account' }).click();
    await dialog.getByLabel('Password').fill(password);
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await see(page.getByRole('heading', { name: 'Sign in' }));
    const answer = await f.server.graphql(LOGIN, { variables: { input: { email: f.user.email, password } } });
    assert.equal(answer.errors[0].extensions.reason, 'INVALID_CREDENTIALS');
  });

  it('continues after the server was unreachable', async () => {
    await start();
    const page = await f.signIn();
    await f.expiry();
    await f.server.stop();
    await reload(page);
    await see(page.getByText('cannot be reached'));
    await f.restart();
    await f.works(page);
    assert.equal(await page.getByText('cannot be reached').count(), 0);
  });

  it('stays signed in and shows the retry time when a refresh is rate-limited', async () => {
    await start({ flags: ['--refresh-limit', '1/1m'] }); // per minute
    const page = await f.signIn();
    await f.expiry();
    await f.works(page);
    await f.expiry();
    await reload(page);
    await see(page.getByRole('alert').getByText(/wait a while. Try again in \d+ s/));
    await see(page.locator('.who', { hasText: f.user.email }));
  });

  it('fits a phone and supports dark mode', async () => {
    await start();
    for (let i = 0; i < 2; i++) await f.login();
    const page = await f.signIn();
    await see(page.getByText('this session'));
    await page.screenshot({ path: join(screenshots, `${app}-home.png`), fullPage: true });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 844 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    const top = async (name) => (await page.getByRole('button', { name, exact: true }).boundingBox()).y;
    assert.equal(await top('Sign out'), await top('Security'), 'the header wraps');
    await page.screenshot({ path: join(screenshots, `${app}-phone-dark.png`), fullPage: true });
  });
}
