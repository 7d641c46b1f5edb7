// The page at /, in a real browser.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { password, start } from '../shared/server.mjs';
import { launch, skip } from './browser.mjs';
import { clear, execute, fill, inView, open, openTab, request, response, result, setEditor, signUp, stored } from './page.mjs';

const screenshots = fileURLToPath(new URL('../screenshots/', import.meta.url));

describe('the page at /', { skip }, () => {
  let browser;
  before(async () => {
    mkdirSync(screenshots, { recursive: true });
    browser = await launch();
  });
  after(() => browser?.close());

  describe('on a server with default settings', () => {
    let server;
    before(async () => { server = await start(); });
    after(() => server?.stop());

    it('sends no request to other servers and causes no errors in the browser', async () => {
      const { page, requests, complaints } = await open(browser, server);
      await page.getByText('Welcome').waitFor();
      await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
      await page.getByRole('link', { name: 'Mutation' }).waitFor();
      await page.getByRole('link', { name: 'Mutation' }).click();
      await page.getByRole('button', { name: 'Open settings dialog' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Dark' }).click();
      await page.keyboard.press('Escape');
      await page.getByRole('region', { name: 'Query Editor' }).click();
      await page.keyboard.press('Control+Space');
      assert.ok(requests.length > 8, `only ${requests.length} requests were recorded`);
      assert.deepEqual(requests.filter((url) => !url.startsWith(`${server.url}/`)), []);
      assert.deepEqual(complaints, []);
      await page.close();
    });

    it('registers an account and runs me with the mouse', async () => {
      const { page, complaints } = await open(browser, server);
      const email = await signUp(page, 'ada@example.com');
      await execute(page);
      const { data } = await response(page);
      assert.equal(data.me.email, email);
      assert.equal(data.me.sessions.nodes[0].current, true);
      await page.screenshot({ path: `${screenshots}light.png` });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.screenshot({ path: `${screenshots}dark.png` });
      assert.deepEqual(complaints, []);
      await page.close();
    });

    it('works in a browser that denies storage', async () => {
      const denied = () => Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } });
      const { page } = await open(browser, server, {}, denied);
      const email = await signUp(page);
      await execute(page);
      assert.equal((await response(page)).data.me.email, email);
      await page.close();
    });

    it('shows the response on a phone, with and without a sign-in', async () => {
      const { page } = await open(browser, server, { viewport: { width: 390, height: 844 } });
      await page.screenshot({ path: `${screenshots}phone-welcome.png` });
      await execute(page);
      assert.equal((await response(page)).errors[0].extensions.reason, 'TOKEN_MISSING');
      await inView(page.locator('.graphiql-response'));

      await page.getByRole('button', { name: 'Show Account' }).click();
      const email = await signUp(page);
      await execute(page);
      assert.equal((await response(page)).data.me.email, email);
      for (const part of ['.graphiql-response', '.graphiql-execute-button', '.account-who']) await inView(page.locator(part));
      await page.screenshot({ path: `${screenshots}phone.png` });

      await page.setViewportSize({ width: 667, height: 375 }); // landscape
      await execute(page);
      await inView(page.locator('.graphiql-response'));
      await page.getByRole('button', { name: 'Show Account' }).click();
      await page.getByRole('definition').filter({ hasText: email }).waitFor();
      await page.setViewportSize({ width: 320, height: 568 });
      const bottom = (part) => page.locator(part).evaluate((element) => element.getBoundingClientRect().bottom);
      assert.ok(await bottom('.graphiql-editor-tools') <= await bottom('.graphiql-editors'), 'the editor covers the response');
      await inView(page.locator('.account-who'));
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, 'the page scrolls horizontally');
      await page.close();
    });

    it('works with the keyboard only', async () => {
      const { page } = await open(browser, server);
      const email = `user-${crypto.randomUUID()}@example.com`;
      await page.getByRole('textbox', { name: 'E-mail', exact: true }).focus();
      await page.keyboard.type(email);
      await page.keyboard.press('Tab');
      await page.keyboard.type(password);
      await page.keyboard.press('Enter');
      await page.getByRole('definition').filter({ hasText: email }).waitFor();
      await page.waitForFunction(() => document.activeElement.matches('.graphiql-execute-button'));
      await page.keyboard.press('Shift+Tab'); // into the editor and out again
      await page.keyboard.press('Tab');
      await page.waitForFunction(() => document.activeElement.matches('.graphiql-execute-button'));
      await page.keyboard.press('Enter');
      await page.waitForFunction((text) => document.querySelector('.result-window .CodeMirror').CodeMirror.getValue().includes(text), email);
      await page.close();
    });

    it('shows why an anonymous caller is refused', async () => {
      const { page } = await open(browser, server);
      const [sent] = await Promise.all([request(page, 'Me'), execute(page)]);
      assert.equal(sent.headers().authorization, undefined);
      assert.equal((await response(page)).errors[0].extensions.reason, 'TOKEN_MISSING');
      await page.close();
    });

    it('shows why a registration or a sign-in is refused', async () => {
      const { page } = await open(browser, server);
      const { email } = await server.register();
      const problem = page.getByRole('alert');

      await fill(page, 'Create account', email, 'short');
      await problem.filter({ hasText: 'at least 8 characters' }).waitFor();
      await page.screenshot({ path: `${screenshots}refused.png` });

      await page.getByRole('button', { name: 'Sign in' }).first().click();
      await fill(page, 'Sign in', email, 'not the password');
      await problem.filter({ hasText: 'wrong' }).waitFor();
      assert.equal(await page.getByText('Access token').count(), 0);

      await fill(page, 'Sign in', email, password);
      await page.getByRole('definition').filter({ hasText: email }).waitFor();
      await page.close();
    });

    it('logs out on the page and on the server', async () => {
      const { page } = await open(browser, server);
      await signUp(page);
      const [sent] = await Promise.all([request(page, 'Me'), execute(page)]);
      const token = sent.headers().authorization.replace('Bearer ', '');
      assert.ok((await server.graphql('{ me { id } }', { token })).data.me.id);

      await Promise.all([
        page.waitForResponse((r) => r.request().postData()?.includes('logout(')),
        page.getByRole('button', { name: 'Log out', exact: true }).click(),
      ]);
      await page.getByText('You are signed out.').waitFor();
      await page.getByText('Welcome').waitFor();
      assert.equal((await server.graphql('{ me { id } }', { token })).errors[0].extensions.reason, 'TOKEN_REVOKED');
      await page.close();
    });

    it('notices that its session was ended on another device', async () => {
      const { page } = await open(browser, server);
      const email = await signUp(page);
      const login = await server.graphql('mutation ($input: LoginInput!) { login(input: $input) { accessToken } }', { variables: { input: { email, password } } });
      await server.graphql('mutation { logout(input: {scope: OTHERS}) { endedSessions } }', { token: login.data.login.accessToken });
      await execute(page);
      await page.getByText('You were signed out').waitFor();
      await page.close();
    });

    it('adopts the tokens of a refresh in a tab, so that its next renewal is not a reuse', async () => {
      const { page } = await open(browser, server);
      await signUp(page);
      await openTab(page, 'Refresh');
      await execute(page);
      const { data } = await response(page);
      const [renewal] = await Promise.all([
        page.waitForRequest((r) => r.postData()?.includes('gwr_')),
        page.getByRole('button', { name: 'Renew now' }).click(),
      ]);
      assert.equal(renewal.postDataJSON().variables.input.refreshToken, data.refreshToken.refreshToken);
      await page.getByText('so far once').waitFor();
      await page.close();
    });

    it('stores no token and no password, even from tabs and history', async () => {
      const { page } = await open(browser, server);
      await signUp(page);
      const [sent] = await Promise.all([request(page, 'Me'), execute(page)]);
      const { authorization } = sent.headers();
      await setEditor(page, 'Query Editor', `query Verify { verifyToken(token: ${JSON.stringify(authorization.slice(7))}) { active } }`);
      await page.getByRole('tab', { name: 'Verify' }).waitFor(); // the tab shows the operation's name after a delay
      await setEditor(page, 'Headers', JSON.stringify({ authorization }));
      await execute(page);
      assert.equal((await response(page)).data.verifyToken.active, true);

      const secret = 'a secret "quoted" password';
      await openTab(page, 'Register');
      await setEditor(page, 'Query Editor', `mutation Literal { register(input: {email: "x@example.com", password: ${JSON.stringify(secret)}}) { auth { accessToken refreshToken } } }`);
      await page.getByRole('tab', { name: 'Literal' }).waitFor();
      await execute(page);
      const { refreshToken } = (await response(page)).data.register.auth;

      await openTab(page, 'Refresh');
      await page.getByRole('button', { name: 'Variables' }).click();
      await setEditor(page, 'Variables', JSON.stringify({ input: { refreshToken } }));
      await execute(page);
      assert.match(JSON.stringify(await response(page)), /eyJ.*gwr_/);
      await page.getByRole('button', { name: 'New tab' }).click(); // stores the tabs
      await page.waitForFunction(() => JSON.parse(localStorage['graphiql:tabState']).activeTabIndex === 5);

      const kept = await stored(page);
      for (const name of ['Verify', 'Literal', 'Refresh']) assert.ok(kept.includes(name), `${name} is not stored`);
      for (const part of ['eyJ', 'gwr_', 'secret', 'quoted', password]) assert.ok(!kept.includes(part), `${part} is in ${kept}`);
      await page.reload();
      await page.getByText('Welcome').waitFor();
      await page.getByRole('tab', { name: 'Literal' }).waitFor();
      await page.close();
    });
  });

  it('renews the token before it expires', async (t) => {
    const server = await start('--access-life', '4s');
    t.after(() => server.stop());
    const { page, complaints } = await open(browser, server);
    await signUp(page);
    const [first] = await Promise.all([request(page, 'Me'), execute(page)]);
    await page.getByText('so far twice').or(page.getByText('so far 2 times')).waitFor();
    const [second] = await Promise.all([request(page, 'Me'), execute(page)]);
    assert.ok((await response(page)).data.me.email);
    assert.notEqual(second.headers().authorization, first.headers().authorization);
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('stays signed in while the token cannot be renewed, and continues afterwards', async (t) => {
    const server = await start('--refresh-limit', '20/1m'); // per minute: one more every three seconds
    t.after(() => server.stop().catch(() => {})); // already stopped
    const { page } = await open(browser, server);
    const email = await signUp(page);
    const renew = page.getByRole('button', { name: 'Renew now' });
    const renewed = (n) => page.locator(`[data-renewals="${n}"]`).waitFor();
    const refused = page.getByText(/Trying again: too many attempts: wait a while \(\d s\)/).waitFor().then(() => true);
    let n = 0;
    do { // a slow machine regains some of the twenty meanwhile
      await renew.click();
    } while (!(await Promise.race([refused, renewed(n + 1).then(() => { n++; }, () => {})])));
    assert.ok(n >= 20);
    await renewed(n + 1);
    await server.stop();
    await renew.click();
    await page.getByText('the server cannot be reached').waitFor();
    await page.getByRole('definition').filter({ hasText: email }).waitFor();
    await page.close();
  });

  it('runs a subscription as the signed-in user, and continues after the token has expired', async (t) => {
    const server = await start('--access-life', '3s');
    t.after(() => server.stop());
    const { page, complaints } = await open(browser, server);
    const sockets = [];
    page.on('websocket', (socket) => sockets.push(socket));
    const email = await signUp(page);
    await openTab(page, 'Security');
    await page.getByRole('button', { name: /^Execute query/ }).click();
    const login = () => server.graphql('mutation ($input: LoginInput!) { login(input: $input) { expiresIn } }', { variables: { input: { email, password } } });
    for (const connections of [1, 2]) {
      while (sockets.length < connections) await page.waitForEvent('websocket');
      await clear(page);
      for (let shown = ''; !shown.includes('AUTHN_LOGIN_SUCCESS'); shown = await result(page)) await login();
    }
    await page.screenshot({ path: `${screenshots}subscription.png` });
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('reads the schema after the sign-in if anonymous callers cannot', async (t) => {
    const server = await start('--introspection', 'authenticated');
    t.after(() => server.stop());
    const { page } = await open(browser, server);
    await signUp(page);
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await page.getByRole('link', { name: 'Mutation' }).waitFor();
    await page.close();
  });
});

describe('in production', () => {
  const production = ['--production', '--secret', 'a secret for the test of the page', '--public-url', 'https://api.example.com', '--bcrypt-cost', '12'];

  for (const { flags, status } of [{ flags: [], status: 404 }, { flags: ['--explorer', '--insecure-explorer'], status: 200 }]) {
    it(`the page responds with ${status} ${flags.length ? `with ${flags}` : 'by default'}`, async (t) => {
      const server = await start(...production, ...flags);
      t.after(() => server.stop());
      assert.equal((await fetch(`${server.url}/`)).status, status);
    });
  }
});
