// Passkeys, with Chromium's virtual authenticator.
import { join } from 'node:path';
import { afterEach, it } from 'node:test';
import { attach } from '../authenticator.mjs';
import { databases } from '../database.mjs';
import { Frontend, screenshots, see, until } from './frontend.mjs';

// The authenticator accepts every passkey that a form offers, unless ignoresOffers is set, as for a user who prefers to
// press the button.
function ignoreOffers() {
  const get = navigator.credentials.get.bind(navigator.credentials);
  navigator.credentials.get = (options) => (window.ignoresOffers && options.mediation === 'conditional' ? new Promise(() => {}) : get(options));
}

export function passkeys(app, browser) {
  let f;
  afterEach(() => f.close());

  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
  const row = (page, text) => page.getByRole('listitem').filter({ hasText: text });
  async function start(options) {
    f = await Frontend.start(app, browser(), { passkeys: true, ...options });
    await f.context.addInitScript(ignoreOffers);
    await f.register();
  }
  const ignore = (page, ignores) => page.evaluate((value) => { window.ignoresOffers = value; }, ignores);
  // offered waits until the device has accepted the n-th offer of the sign-in form.
  async function offered(page, n) {
    await until(() => f.succeeded('LoginWithPasskey') === n);
    await f.signedIn(page);
  }
  // home signs in with the password and shows the passkeys.
  async function home() {
    const page = await f.signIn();
    await press(page, 'Security');
    await see(page.getByRole('heading', { name: 'Passkeys' }));
    return page;
  }
  async function add(page, name) {
    await page.getByLabel('Name of the passkey').fill(name);
    await press(page, 'Add a passkey');
  }
  async function signOut(page) {
    await press(page, 'Sign out');
    await see(page.getByRole('heading', { name: 'Sign in' }));
  }

  for (const [database, skip] of Object.entries(databases)) {
    it(`adds, renames and removes a passkey, and signs in with it, on ${database}`, { skip }, async () => {
      await start({ database });
      const page = await home();
      await attach(page);
      await add(page, 'Laptop');
      await see(row(page, 'never used'));
      await add(page, 'Again'); // the device has one already
      await see(page.getByRole('alert').filter({ hasText: 'No passkey was created' }));
      await press(page, 'Rename Laptop');
      await page.getByLabel('New name of Laptop').fill('Old laptop');
      await press(page, 'Save the name');
      await see(row(page, 'Old laptop'));
      await page.screenshot({ path: join(screenshots, `${app}-passkeys.png`) });

      await ignore(page, true);
      await signOut(page);
      await press(page, 'Use a passkey');
      await f.signedIn(page);
      await ignore(page, false);
      await press(page, 'Sign out');
      await offered(page, 2);

      await press(page, 'Security');
      await see(row(page, 'last used'));
      await press(page, 'Remove Old laptop');
      await row(page, 'Old laptop').waitFor({ state: 'detached' });
      await ignore(page, true);
      await signOut(page);
      await press(page, 'Use a passkey');
      await see(page.getByText('This passkey was removed from its account'));
    });
  }

  it('refuses a copy of a passkey, and a device that does not verify its user', async () => {
    await start();
    const page = await home();
    const weak = await attach(page, { verifies: false });
    await add(page, 'Key');
    await see(page.getByRole('alert').filter({ hasText: 'No passkey was created' }));
    await weak.remove();

    const device = await attach(page);
    await add(page, 'Laptop');
    await see(row(page, 'never used'));
    const [copy] = await device.credentials();
    await press(page, 'Sign out');
    await offered(page, 1);
    await ignore(page, true);
    await signOut(page);
    await device.clear();
    await device.add({ ...copy, signCount: 0 });
    await press(page, 'Use a passkey');
    await see(page.getByRole('alert'));
    await device.clear();
    const owner = await home();
    await see(owner.getByText('Passkey refused: it may be a copy'));
  });

  it('signs in without a password, and keeps the last way in', async () => {
    await start();
    const page = await home();
    await attach(page);
    await add(page, 'Laptop');
    await see(row(page, 'never used'));
    await press(page, 'Remove my password');
    await see(page.getByText('Your password is removed.'));
    await f.backdateProofs();
    await f.expiry(); // the next token contains the time of the last proof
    await press(page, 'Remove Laptop');
    await page.getByRole('dialog').getByRole('button', { name: 'Use a passkey' }).click();
    await see(page.getByText('This is the last way into your account'));
    const refused = await f.signIn('not the password', await browser().newContext());
    await see(refused.getByRole('alert'));
    await refused.context().close();
    await press(page, 'Sign out');
    await offered(page, 1);
  });
}
