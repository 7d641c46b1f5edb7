// Invitations, from the administrator's form to the account.
import { afterEach, it } from 'node:test';
import { databases } from '../database.mjs';
import { password } from '../server.mjs';
import { field, Frontend, see } from './frontend.mjs';

export function invitations(app, browser) {
  let f;
  afterEach(() => f.close());

  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
  const state = (page, address, name) => see(page.getByRole('listitem').filter({ hasText: address }).getByText(name, { exact: true }));
  const newAddress = () => `guest-${crypto.randomUUID()}@example.com`;
  async function invite(page, address) {
    await page.getByLabel('Address to invite').fill(address);
    await press(page, 'Invite');
    await see(page.getByText('on its way'));
    await state(page, address, 'pending');
    return f.link('invited', address);
  }
  async function accept(page) {
    await page.getByLabel('Password').fill(password);
    await press(page, 'Create account');
  }

  for (const [database, skip] of Object.entries(databases)) {
    it(`creates an account by invitation only, on ${database}`, { skip }, async () => {
      f = await Frontend.start(app, browser(), { mail: true, flags: ['--register', 'invite'], database });
      await f.addUser(f.user.email, '--role', 'ADMIN');
      const admin = await f.signIn();
      const address = newAddress();
      await admin.getByLabel('Message').fill('Welcome to the team');
      const link = await invite(admin, address);

      const context = await browser().newContext();
      context.setDefaultTimeout(20_000);
      const page = await f.open(context, link);
      await page.getByLabel('Password').fill('short');
      await press(page, 'Create account');
      await see(field(page, 'Password').getByRole('alert'));
      await accept(page);
      await see(page.locator('.who', { hasText: address }));
      await admin.reload();
      await state(admin, address, 'accepted');
      await page.goto(link);
      await accept(page);
      await see(page.getByRole('alert').filter({ hasText: 'has expired or was used before' }));
      await context.close();
    });

    it(`sends an invitation again, and revokes it, on ${database}`, { skip }, async () => {
      f = await Frontend.start(app, browser(), { mail: true, flags: ['--register', 'invite'], database });
      await f.addUser(f.user.email, '--role', 'ADMIN');
      const admin = await f.signIn();
      const address = newAddress();
      await invite(admin, address);
      await press(admin, `Send the invitation of ${address} again`);
      const link = await f.link('invited', address);
      await press(admin, `Revoke the invitation of ${address}`);
      await state(admin, address, 'revoked');
      await admin.goto(link);
      await accept(admin);
      await see(admin.getByRole('alert').filter({ hasText: 'has expired or was used before' }));
    });
  }
}
