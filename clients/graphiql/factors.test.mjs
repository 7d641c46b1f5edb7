// Second factors on the page at /.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { attach } from '../shared/authenticator.mjs';
import { databases, newDatabase } from '../shared/database.mjs';
import { freePort, password, start } from '../shared/server.mjs';
import { skipTotp, totp } from '../shared/totp.mjs';
import { launch, skip } from './browser.mjs';
import { fill, open, press, section, signUp, stored } from './page.mjs';

for (const [kind, skipDatabase] of Object.entries(databases)) {
  describe(`second factors on the page at /, on ${kind}`, { skip: skip || skipDatabase }, () => factors(kind));
}

function factors(kind) {
  let browser, server, database;
  before(async () => {
    browser = await launch();
    database = await newDatabase(kind);
    // Passkeys need the public URL, which contains the port.
    server = await start('--database', database.url, '--secret', 'a secret for the tests of the page', '--listen', `127.0.0.1:${await freePort()}`);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await database?.drop();
  });

  const codeField = (page) => page.getByLabel('Code of your authenticator app');

  it('sets up an app, signs in with it and with a recovery code, and turns it off after a proof', { skip: skipTotp }, async () => {
    const { page, complaints } = await open(browser, server);
    const email = await signUp(page);
    const signIn = async () => {
      await press(page, 'Log out');
      await press(page, 'Sign in');
      await fill(page, 'Sign in', email, password);
      await page.getByRole('heading', { name: 'One more step' }).waitFor();
    };
    const signedIn = () => page.getByRole('definition').filter({ hasText: email }).waitFor();
    await section(page, 'Two-step sign-in');
    await press(page, 'Set up an authenticator app');
    const image = page.getByAltText('QR code with the key');
    await image.waitFor();
    assert.ok(await image.evaluate((one) => one.decode().then(() => one.naturalWidth > 0)));
    const secret = await page.locator('.account form code').innerText();
    await page.getByLabel('Code in the app').fill('1');
    await press(page, 'Confirm the code');
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Code in the app').fill(totp(secret));
    await press(page, 'Confirm the code');
    await page.getByText('Keep these recovery codes').waitFor();
    const codes = await page.locator('.account-codes code').allInnerTexts();
    assert.equal(new Set(codes).size, 10);
    const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Download the codes')]);
    assert.equal(readFileSync(await download.path(), 'utf8'), codes.join('\n'));
    await press(page, 'I have kept them');
    await page.getByText('Recovery codes left: 10').waitFor();
    const kept = await stored(page);
    for (const one of [secret, ...codes]) assert.ok(!kept.includes(one));

    await signIn();
    await codeField(page).fill('1');
    await press(page, 'Continue');
    await page.getByRole('alert').waitFor();
    await codeField(page).fill(totp(secret, 1));
    await press(page, 'Continue');
    await signedIn();

    await signIn();
    await press(page, 'Use a recovery code');
    await page.getByLabel('Recovery code').fill(codes[0]);
    await press(page, 'Continue');
    await signedIn();

    await database.execute('UPDATE sessions SET auth_time = auth_time - 400000000');
    await press(page, 'Renew now'); // the next token contains the time of the last proof
    await page.getByText('so far once').waitFor();
    await section(page, 'Two-step sign-in');
    await page.getByText('Recovery codes left: 9').waitFor();
    await press(page, 'Turn off');
    await page.getByLabel('Your password').fill(password);
    await press(page, 'Use a recovery code');
    await page.getByLabel('Recovery code').fill(codes[1]);
    await press(page, 'Confirm');
    await page.getByRole('button', { name: 'Set up an authenticator app' }).waitFor();
    await press(page, 'Log out');
    await press(page, 'Sign in');
    await fill(page, 'Sign in', email, password);
    await signedIn();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('adds, renames and removes a passkey, and signs in with it', async () => {
    const url = server.url.replace('127.0.0.1', 'localhost'); // passkeys belong to names, not to addresses
    const { page, complaints } = await open(browser, { url });
    const email = await signUp(page);
    await attach(page);
    await section(page, 'Passkeys');
    await page.getByLabel('Name of the passkey').fill('Laptop');
    await press(page, 'Add a passkey');
    await page.getByText('never used').waitFor();
    await press(page, 'Add a passkey'); // the device has one already
    await page.getByRole('alert').filter({ hasText: 'No passkey was created' }).waitFor();
    await press(page, 'Rename Laptop');
    await page.getByLabel('New name of Laptop').fill('Old laptop');
    await press(page, 'Save the name');
    await page.getByText('Old laptop').first().waitFor();

    await press(page, 'Log out');
    await press(page, 'Sign in');
    await press(page, 'Use a passkey');
    await page.getByRole('definition').filter({ hasText: email }).waitFor();
    await section(page, 'Passkeys');
    await page.getByText('last used').waitFor();
    await database.execute('UPDATE sessions SET auth_time = auth_time - 400000000');
    await press(page, 'Renew now'); // the next token contains the time of the last proof
    await page.getByText('so far once').waitFor();
    await press(page, 'Remove Old laptop');
    await page.locator('.account-proof').getByRole('button', { name: 'Use a passkey' }).click();
    await page.getByText('Old laptop').first().waitFor({ state: 'detached' });
    await press(page, 'Log out');
    await press(page, 'Sign in');
    await press(page, 'Use a passkey');
    await page.getByRole('alert').waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });
}
