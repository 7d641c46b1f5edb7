// A new password's rating, and the deletion of an account.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, it } from 'node:test';
import { databases } from '../database.mjs';
import { password } from '../server.mjs';
import { field, Frontend, see } from './frontend.mjs';

export function account(app, browser) {
  let f;
  afterEach(() => f.close());

  it('rates a new password as the registration judges it', async () => {
    f = await Frontend.start(app, browser());
    const page = await f.open();
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByLabel('E-mail').fill('grace@example.com');
    const note = field(page, 'Password').getByRole('status');
    await see(note.filter({ hasText: 'At least 8 characters.' }));
    await page.getByLabel('Password').fill('password1');
    await see(note.filter({ hasText: 'too easy to guess' }));
    await page.getByLabel('Password').fill(password);
    await see(note.filter({ hasText: /Fair|Good|Strong/ }));
    await page.getByLabel('Password').fill('');
    await see(note.filter({ hasText: 'At least 8 characters.' }));
  });

  for (const [database, skip] of Object.entries(databases)) {
    it(`cancels a deletion by signing in, on ${database}`, { skip }, async () => {
      f = await Frontend.start(app, browser(), { database });
      await f.register();
      const page = await f.signIn();
      await page.getByLabel(/to confirm/).fill(f.user.email);
      await page.getByRole('button', { name: 'Delete account' }).click();
      await see(page.getByText(/will be deleted on .* Sign in before then to keep it/));
      const home = await f.signIn();
      await f.works(home);
      assert.equal(await home.getByText('will be deleted').count(), 0);
    });
  }

  it('downloads the data of the account', async () => {
    f = await Frontend.start(app, browser());
    await f.register();
    const page = await f.signIn();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
    assert.match(download.suggestedFilename(), /^account-\d{4}-\d\d-\d\d\.json$/);
    const text = readFileSync(await download.path(), 'utf8');
    assert.ok(JSON.stringify(JSON.parse(text)).includes(f.user.email));
    await see(page.getByText('Downloaded.'));
  });
}
