// The page at / with a mail server: links open it, because the public URL is their default.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { linkIn, Mailbox } from '../shared/mailbox.mjs';
import { password, start } from '../shared/server.mjs';
import { launch, skip } from './browser.mjs';
import { fill, open, stored } from './page.mjs';

describe('the page at / with a mail server', { skip }, () => {
  let browser, server, mailbox;
  before(async () => {
    browser = await launch();
    mailbox = await Mailbox.start();
    server = await start(...mailbox.flags, '--mail-pace-limit', '1000/1m');
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await mailbox?.close();
  });

  // linkFrom returns the link in a mail, on the port that the system chose for the server.
  const linkFrom = async (email, subject) => `${server.url}/${new URL(linkIn(await mailbox.next(email, subject))).hash}`;
  const press = (page, name) => page.locator('.account').getByRole('button', { name, exact: true }).last().click();

  it('registers, confirms the address and resets the password', async () => {
    const { page, requests, complaints } = await open(browser, server);
    const email = `user-${crypto.randomUUID()}@example.com`;
    await fill(page, 'Create account', email, password);
    await page.getByText('Check your e-mail to continue').waitFor();

    const link = await linkFrom(email, 'Confirm your e-mail address');
    await page.goto(link);
    await page.getByRole('heading', { name: 'Confirm your e-mail address' }).waitFor();
    const { hash } = new URL(link);
    const token = hash.split('=')[1];
    assert.ok(!(await stored(page)).includes(token));
    await page.getByLabel('Password').fill('not the password');
    await press(page, 'Confirm');
    await page.getByRole('alert').filter({ hasText: 'wrong' }).waitFor();
    await page.getByLabel('Password').fill(password);
    await press(page, 'Confirm');
    await page.getByText('Your e-mail address is confirmed.').waitFor();

    await press(page, 'Sign in');
    await press(page, 'Forgot your password?');
    await page.getByLabel('Address of the account').fill(email);
    await press(page, 'Send a link');
    await page.getByText('a link was sent to it').waitFor();
    await page.goto(await linkFrom(email, 'Reset your password'));
    await page.getByLabel('New password').fill('another horse battery');
    await press(page, 'Set password');
    await page.getByText('Your password was changed.').waitFor();
    await press(page, 'Sign in');
    await fill(page, 'Sign in', email, 'another horse battery');
    await page.getByRole('definition').filter({ hasText: email }).waitFor();
    assert.ok(requests.every((url) => !url.includes(token)));
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('does nothing with a link until the user confirms it', async () => {
    const { page } = await open(browser, server);
    const email = `user-${crypto.randomUUID()}@example.com`;
    await fill(page, 'Create account', email, password);
    const link = await linkFrom(email, 'Confirm your e-mail address');
    for (let i = 0; i < 2; i++) {
      await page.goto(link);
      await page.getByRole('heading', { name: 'Confirm your e-mail address' }).waitFor();
      await press(page, 'Not now');
      await page.getByText('Welcome').waitFor();
    }
    await page.goBack();
    assert.equal(new URL(page.url()).hash, '');
    await page.goto(link);
    await page.getByLabel('Password').fill(password);
    await press(page, 'Confirm');
    await page.getByText('Your e-mail address is confirmed.').waitFor();
    await page.close();
  });
});
