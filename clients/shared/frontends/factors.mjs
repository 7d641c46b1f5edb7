// Two-step sign-in.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, it } from 'node:test';
import { databases } from '../database.mjs';
import { password } from '../server.mjs';
import { skipTotp, totp } from '../totp.mjs';
import { field, Frontend, screenshots, see } from './frontend.mjs';

export function factors(app, browser) {
  let f;
  afterEach(() => f?.close());

  const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
  const step = (page) => see(page.getByRole('heading', { name: 'One more step' }));
  const app6 = (page) => page.getByLabel('Code of your authenticator app');
  async function security(page) {
    await press(page, 'Security');
    await see(page.getByText('Two-step sign-in'));
  }
  async function signOut(page) {
    await press(page, 'Sign out');
    await see(page.getByRole('heading', { name: 'Sign in' }));
  }
  // first does the first step of a sign-in.
  async function first(page) {
    await page.getByLabel('E-mail or username').fill(f.user.email);
    await page.getByLabel('Password').fill(password);
    await press(page, 'Sign in');
    await step(page);
  }
  // enrol sets up an app without the page.
  async function enrol() {
    const { accessToken: token } = await f.register();
    const { beginTotp: { secret } } = (await f.server.graphql('mutation { beginTotp { secret } }', { token })).data;
    const confirm = 'mutation($code: String!) { confirmTotp(input: {code: $code}) { codes } }';
    const { confirmTotp: { codes } } = (await f.server.graphql(confirm, { token, variables: { code: totp(secret) } })).data;
    return { secret, codes };
  }

  for (const [database, skip] of Object.entries(databases)) {
    it(`sets up an authenticator app, and signs in with it and with recovery codes, on ${database}`, { skip: skip || skipTotp }, async () => {
      f = await Frontend.start(app, browser(), { database });
      await f.register();
      await f.context.grantPermissions(['clipboard-read', 'clipboard-write']);
      const page = await f.signIn();
      await security(page);
      await press(page, 'Set up an authenticator app');
      const image = page.getByAltText('QR code with the key');
      await see(image);
      assert.ok(await image.evaluate((one) => one.decode().then(() => one.naturalWidth > 0)));
      const secret = await page.locator('code').innerText();
      assert.ok((await page.getByRole('link', { name: 'open it on this device' }).getAttribute('href')).includes(secret));
      await page.screenshot({ path: join(screenshots, `${app}-totp.png`) });
      const now = totp(secret);
      await page.getByLabel('Code in the app').fill(now === '000000' ? '000001' : '000000');
      await press(page, 'Confirm');
      await see(field(page, 'Code in the app').getByRole('alert'));
      await page.getByLabel('Code in the app').fill(now);
      await press(page, 'Confirm');

      await see(page.getByText('Keep these recovery codes'));
      const codes = await page.locator('.codes code').allInnerTexts();
      assert.equal(new Set(codes).size, 10);
      const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Download the codes')]);
      assert.equal(readFileSync(await download.path(), 'utf8'), codes.join('\n'));
      await press(page, 'Copy the codes');
      await see(page.getByText('Copied.'));
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), codes.join('\n'));
      await press(page, 'I have kept them');
      await see(page.getByText('Recovery codes left: 10'));
      assert.equal(await page.locator('.codes').count(), 0);
      const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
      for (const one of [secret, ...codes]) assert.ok(!stored.includes(one));

      await signOut(page);
      await first(page);
      await app6(page).fill(now); // it confirmed the app, and works once
      await press(page, 'Continue');
      await see(field(page, 'Code of your authenticator app').getByRole('alert'));
      await app6(page).fill(totp(secret, 1));
      await press(page, 'Continue');
      await f.signedIn(page);

      await signOut(page);
      for (const [code, works] of [[codes[0], true], [codes[0], false], [codes[1].toLowerCase(), true]]) {
        await first(page);
        await press(page, 'Use a recovery code');
        await page.getByLabel('Recovery code').fill(code);
        await press(page, 'Continue');
        if (works) {
          await f.signedIn(page);
          await signOut(page);
        } else {
          await see(field(page, 'Recovery code').getByRole('alert'));
          await press(page, 'Start again');
        }
      }
    });

    it(`asks for the app too if the last proof is too old, on ${database}`, { skip: skip || skipTotp }, async () => {
      f = await Frontend.start(app, browser(), { database });
      const { secret, codes } = await enrol();
      const page = await f.open();
      await first(page);
      await app6(page).fill(totp(secret, 1));
      await press(page, 'Continue');
      await f.signedIn(page);
      await f.backdateProofs();
      await f.expiry(); // the next token contains the time of the last proof
      await security(page);
      await press(page, 'New recovery codes');
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Password').fill(password);
      await press(page, 'Confirm');
      await see(dialog.getByText('Enter a code of your authenticator app too.'));
      await press(page, 'Use a recovery code');
      await dialog.getByLabel('Recovery code').fill(codes[0]);
      await press(page, 'Confirm');
      await see(page.getByText('Keep these recovery codes'));
      const renewed = await page.locator('.codes code').allInnerTexts();
      assert.ok(renewed.every((code) => !codes.includes(code)));

      await press(page, 'Turn off');
      await see(page.getByRole('button', { name: 'Set up an authenticator app' }));
      await signOut(page);
      await f.signIn(); // without a second step
    });
  }
}
