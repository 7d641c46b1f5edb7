// The applications in a real browser, over the real server.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { password, start } from './server.mjs';
import { serve } from './site.mjs';

const clients = fileURLToPath(new URL('..', import.meta.url));
const screenshots = join(clients, 'screenshots');
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browserMissing = !existsSync(executablePath) && !process.env.CI && `no browser at ${executablePath}`;

// Tokens that live a second are refused after six: verifiers allow for clocks that are five seconds off.
const SHORT = ['--access-life', '1s', '--refresh-grace', '2s'];
const TOKEN = 'query($token: String!) { verifyToken(token: $token) { active } }';
const LOGIN = 'mutation($input: LoginInput!) { login(input: $input) { accessToken session { id } } }';

const APPS = ['apollo', 'urql'];

for (const app of APPS) {
  // Generates its types from the schema, too.
  it(`the ${app} application compiles`, () => npm('run', 'build', '--workspace', app));
}

for (const app of APPS) {
  describe(`the ${app} application`, { skip: browserMissing }, () => {
    let browser, folder, server, site, context, user;

    before(async () => {
      mkdirSync(screenshots, { recursive: true });
      browser = await chromium.launch({
        executablePath,
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
          '--disable-background-networking', '--disable-component-update', '--disable-sync'],
      });
    });
    after(() => browser?.close());

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'frontend-'));
      server = await start(...SHORT, '--database', `sqlite:${folder}/test.db`);
      site = await serve(join(clients, app, 'dist'), server.url);
      context = await browser.newContext();
      context.setDefaultTimeout(10_000);
      user = await server.register();
    });
    afterEach(async () => {
      await context.close();
      await site.close();
      await server.stop();
      rmSync(folder, { recursive: true });
    });

    it('registers, shows problems at their fields, and keeps what is saved', async () => {
      const page = await context.newPage();
      await page.goto(site.url);
      await page.screenshot({ path: join(screenshots, `${app}-sign-in.png`) });
      await page.getByRole('button', { name: /I am new here/ }).click();
      await page.getByLabel('E-mail').fill('not an address');
      await page.getByLabel('Password').fill('short');
      await page.getByRole('button', { name: 'Register' }).click();
      await see(field(page, 'E-mail').getByText('not an e-mail address'));
      await see(field(page, 'Password').getByRole('alert'));
      await page.screenshot({ path: join(screenshots, `${app}-problems.png`) });

      await page.getByLabel('E-mail').fill(user.email);
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

    it('takes a wrong password for what it is, and does not refresh', async () => {
      const page = await signIn('not the password');
      await see(page.getByRole('alert').getByText('check what you typed'));
      const home = await signIn();
      await home.getByLabel('Current password').fill('not the password');
      await home.getByLabel('New password').fill('a new horse battery');
      await home.getByRole('button', { name: 'Change password' }).click();
      await see(home.getByText('check what you typed'));
      assert.equal(site.sent('Refresh').length, 0);
    });

    it('stays signed in over a reload', async () => {
      const page = await signIn();
      await page.reload();
      await see(page.locator('.who', { hasText: user.email }));
    });

    it('renews an expired token once while five operations are in flight', async () => {
      for (let i = 0; i < 4; i++) await login(); // the fifth is the one of register
      const page = await signIn();
      await see(page.getByText('this one'));
      assert.equal(await revokeButtons(page).count(), 5);
      await expiry(page);
      const before = site.sent('Refresh').length;
      site.hold('RevokeSession', 5);
      await revokeButtons(page).evaluateAll((buttons) => buttons.forEach((button) => button.click()));
      await revokeButtons(page).first().waitFor({ state: 'detached' });
      await until(async () => (await page.getByRole('listitem').count()) === 1);
      assert.deepEqual(site.sent('RevokeSession').map(({ status }) => status).sort(), [...Array(5).fill(200), ...Array(5).fill(401)]);
      assert.equal(site.sent('Refresh').length - before, 1);
    });

    it('renews once for two tabs at once', async () => {
      const one = await signIn();
      const two = await another();
      await expiry(one);
      const before = site.sent('Refresh').length;
      site.hold('Sessions', 2);
      await Promise.all([reload(one), reload(two)]);
      await until(() => site.sent('Sessions').filter(({ status }) => status === 401).length === 2);
      await Promise.all([works(one), works(two)]);
      assert.equal(site.sent('Refresh').length - before, 1);
      assert.equal(await accessToken(one), await accessToken(two));
    });

    it('is still signed in after a sleep in which another tab renewed twice', async () => {
      const awake = await signIn();
      const asleep = await context.newPage();
      await asleep.addInitScript(() => Object.defineProperty(BroadcastChannel.prototype, 'onmessage', { set() {} }));
      await asleep.goto(site.url);
      await see(asleep.locator('.who'));
      for (let i = 0; i < 2; i++) {
        const before = site.sent('Refresh').length;
        await expiry(awake); // takes longer than the grace of two seconds
        await works(awake);
        assert.equal(site.sent('Refresh').length - before, 1);
      }
      await works(asleep);
      await works(awake);
    });

    it('says why it is signed out when the session is revoked elsewhere, in every tab', async () => {
      const page = await signIn();
      const other = await another();
      const elsewhere = await login();
      const { id } = await page.evaluate(() => ({ id: JSON.parse(localStorage.graphwarden).tokens.sessionId }));
      await server.graphql('mutation($id: ID!) { revokeSession(input: {id: $id}) { id } }', { variables: { id }, token: elsewhere.accessToken });
      await reload(page);
      await see(page.getByText('ended from elsewhere'));
      await see(other.getByText('ended from elsewhere'));
      await page.screenshot({ path: join(screenshots, `${app}-ended.png`) });
      await page.getByLabel('E-mail or username').fill(user.email);
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await see(other.locator('.who', { hasText: user.email }));
    });

    it('signs out all tabs', async () => {
      const page = await signIn();
      const other = await another();
      await page.getByRole('button', { name: 'Sign out', exact: true }).click();
      for (const tab of [page, other]) await see(tab.getByRole('heading', { name: 'Sign in' }));
      assert.equal(await page.getByText('You were signed out').count(), 0);
      assert.equal(await page.evaluate(() => /eyJ|gwr_/.test(JSON.stringify(localStorage))), false);
    });

    it('keeps this session over a change of password, and ends the others', async () => {
      const elsewhere = await login();
      const page = await signIn();
      const other = await another();
      await page.getByLabel('Current password').fill(password);
      await page.getByLabel('New password').fill('another horse battery');
      await page.getByRole('button', { name: 'Change password' }).click();
      await see(page.getByText('Changed.'));
      await works(page);
      await works(other);
      assert.equal(await active(elsewhere.accessToken), false);
    });

    it('asks for the password where the last proof of it is too old', async () => {
      const page = await signIn();
      await see(page.getByText('this one'));
      await backdateProofs();
      await expiry(page); // the next token says when the password was last proved
      await page.getByLabel(/to confirm/).fill(user.email);
      await page.getByRole('button', { name: 'Delete account' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Password').fill('not the password');
      await dialog.getByRole('button', { name: 'Confirm' }).click();
      await see(dialog.getByText('check what you typed'));
      await page.screenshot({ path: join(screenshots, `${app}-step-up.png`) });

      await dialog.getByRole('button', { name: 'Cancel' }).click();
      await see(page.getByRole('alert'));
      await page.getByRole('button', { name: 'Delete account' }).click();
      await dialog.getByLabel('Password').fill(password);
      await dialog.getByRole('button', { name: 'Confirm' }).click();
      await see(page.getByRole('heading', { name: 'Sign in' }));
      const answer = await server.graphql(LOGIN, { variables: { input: { email: user.email, password } } });
      assert.equal(answer.errors[0].extensions.reason, 'INVALID_CREDENTIALS');
    });

    it('goes on after the server was away', async () => {
      const page = await signIn();
      await expiry(page);
      await server.stop();
      await reload(page);
      await see(page.getByText('cannot be reached'));
      server = await start(...SHORT, '--database', `sqlite:${folder}/test.db`, '--public-url', server.url);
      site.target = server.url;
      await works(page);
      assert.equal(await page.getByText('cannot be reached').count(), 0);
    });

    it('fits a phone, and the dark', async () => {
      for (let i = 0; i < 2; i++) await login();
      const page = await signIn();
      await see(page.getByText('this one'));
      await page.screenshot({ path: join(screenshots, `${app}-home.png`), fullPage: true });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.setViewportSize({ width: 390, height: 844 });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
      await page.screenshot({ path: join(screenshots, `${app}-phone-dark.png`), fullPage: true });
    });

    // signIn signs the user in, in a new tab; with a right password it waits for that.
    async function signIn(given) {
      const page = await context.newPage();
      await page.goto(site.url);
      await page.getByLabel('E-mail or username').fill(user.email);
      await page.getByLabel('Password').fill(given ?? password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      if (!given) await see(page.locator('.who', { hasText: user.email }));
      return page;
    }

    // another opens a second tab of the signed-in user.
    async function another() {
      const page = await context.newPage();
      await page.goto(site.url);
      await see(page.locator('.who', { hasText: user.email }));
      return page;
    }

    // login signs the user in elsewhere.
    async function login() {
      return (await server.graphql(LOGIN, { variables: { input: { email: user.email, password } } })).data.login;
    }

    async function active(token) {
      return (await server.graphql(TOKEN, { variables: { token } })).data.verifyToken.active;
    }

    // expiry waits until the server refuses the page's access token.
    async function expiry(page) {
      const token = await accessToken(page);
      await until(async () => !(await active(token)));
    }

    // works shows that a guarded operation of the page succeeds.
    async function works(page) {
      const before = site.sent('Sessions').filter(({ status }) => status === 200).length;
      await reload(page);
      await until(() => site.sent('Sessions').filter(({ status }) => status === 200).length > before);
      await see(page.getByText('this one'));
    }

    // backdateProofs makes the last proof of every session's credential an old one.
    async function backdateProofs() {
      const path = `${folder}/test.db`;
      const sql = 'UPDATE sessions SET auth_time = auth_time - 400000000';
      const { DatabaseSync } = await import('node:sqlite').catch(() => ({}));
      if (DatabaseSync) return new DatabaseSync(path).exec(sql);
      // Older Nodes have no driver, but nearly every machine has this one.
      const script = 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])';
      const python = spawnSync('python3', ['-c', script, path, sql], { encoding: 'utf8' });
      assert.equal(python.status, 0, python.stderr);
    }
  });
}

const see = (locator) => locator.first().waitFor();
const field = (page, label) => page.locator('label', { has: page.getByText(label, { exact: true }) });
const reload = (page) => page.getByRole('button', { name: 'Reload' }).click();
const revokeButtons = (page) => page.getByRole('button', { name: 'Revoke' });
const accessToken = (page) => page.evaluate(() => JSON.parse(localStorage.graphwarden).tokens.accessToken);

async function until(condition) {
  for (const deadline = Date.now() + 10_000; !(await condition());) {
    assert.ok(Date.now() < deadline, `still waiting for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function npm(...args) {
  const run = spawnSync('npm', args, { cwd: clients, encoding: 'utf8' });
  assert.equal(run.status, 0, run.stdout + run.stderr);
}
