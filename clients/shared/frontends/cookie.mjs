// Cookie mode, with the refresh token in a cookie that scripts cannot read.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { password } from '../server.mjs';
import { Frontend, reload, see, until } from './frontend.mjs';

const settings = { delivery: 'COOKIE' };

export function cookieMode(app, browser) {
  let f;
  afterEach(() => f.close());

  async function start(options) {
    f = await Frontend.start(app, browser(), { settings, ...options });
    await f.register();
  }
  const cookies = async () => (await f.context.cookies()).filter(({ name }) => name === '__Host-graphwarden_refresh');

  it('hides the refresh token from scripts, and refreshes silently after a reload', async () => {
    await start();
    const page = await f.signIn();
    assert.deepEqual((await cookies()).map(({ httpOnly, secure, sameSite }) => ({ httpOnly, secure, sameSite })), [{ httpOnly: true, secure: true, sameSite: 'Strict' }]);
    const readable = () => page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
    assert.match(await readable(), /sessionId/);
    assert.doesNotMatch(await readable(), /eyJ|gwr_/);
    await page.reload();
    await f.signedIn(page);
    await f.works(page);
    assert.doesNotMatch(await readable(), /eyJ|gwr_/);
    assert.ok(f.site.sent('Refresh').length >= 1);
    assert.ok(f.site.requests.every(({ body }) => !body.includes('gwr_')));
    assert.ok(f.site.sent('Me').every(({ token }) => token), 'an operation was sent without a token');
  });

  it('refreshes an expired token', async () => {
    await start();
    const page = await f.signIn();
    await f.expiry();
    const before = await cookies();
    await f.works(page);
    assert.notEqual((await cookies())[0].value, before[0].value);
  });

  it('works in two tabs', async () => {
    await start();
    const one = await f.signIn();
    const two = await f.another();
    await f.expiry();
    f.site.hold('Sessions', 2);
    await Promise.all([reload(one), reload(two)]);
    for (const tab of [one, two, one]) await f.works(tab);
    assert.ok(f.site.sent('Refresh').every(({ status }) => status === 200));
  });

  it('signs out all tabs permanently', async () => {
    await start();
    const page = await f.signIn();
    const other = await f.another();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    for (const tab of [page, other]) await see(tab.getByRole('heading', { name: 'Sign in' }));
    assert.deepEqual(await cookies(), []);
    const before = f.site.sent('Refresh').length;
    await page.reload();
    await see(page.getByRole('heading', { name: 'Sign in' }));
    assert.equal(f.site.sent('Refresh').length, before);
  });

  it('signs out when the browser has deleted the expired cookie', async () => {
    await start();
    const page = await f.signIn();
    await f.context.clearCookies();
    await page.reload();
    await see(page.getByRole('heading', { name: 'Sign in' }));
    await see(page.getByRole('status').getByText('You were signed out'));
  });

  it('stays signed in after a reload while the server is unreachable', async () => {
    await start();
    const page = await f.signIn();
    await f.server.stop();
    await page.reload();
    await see(page.getByText('cannot be reached'));
    await f.restart();
    await page.getByRole('button', { name: 'Try again' }).click();
    await f.signedIn(page);
  });

  describe('from another origin', () => {
    it('works for a listed origin', async () => {
      await start({ direct: true });
      const page = await f.signIn();
      await page.reload();
      await f.signedIn(page);
      await page.getByRole('button', { name: 'Security' }).click();
      await see(page.getByText('Signed in'));
      await f.server.graphql('mutation($input: LoginInput!) { login(input: $input) { accessToken } }', { variables: { input: { email: f.user.email, password: 'wrong' } } });
      await see(page.getByText('Sign-in refused')); // over the WebSocket
      assert.deepEqual(f.site.requests, []); // the page's own origin served only files
      await page.getByRole('button', { name: 'Sign out', exact: true }).click();
      await see(page.getByRole('heading', { name: 'Sign in' }));
      await until(async () => (await cookies()).length === 0);
    });

    it('is refused for an unlisted origin, although the browser sends the cookie', async () => {
      // Outside production, pages of this machine may call without cookies.
      await start({ flags: ['--production', '--insecure-http', '--insecure-secret-file', '--insecure-bcrypt-cost'] });
      await f.signIn();
      const before = await cookies();
      const foreign = await Frontend.start(app, browser(), { settings: { ...settings, url: `${f.server.url}/graphql` } });
      try {
        const page = await f.context.newPage(); // another port is the same site, so SameSite does not help
        await page.goto(foreign.site.url);
        await page.getByLabel('E-mail or username').fill(f.user.email);
        await page.getByLabel('Password').fill(password);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await see(page.getByText('cannot be reached')); // the browser reveals no more
        const closed = await page.evaluate((url) => new Promise((resolve) => {
          const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
          socket.onopen = () => resolve('open');
          socket.onerror = () => resolve('refused');
        }), `${f.server.url}/graphql`);
        assert.equal(closed, 'refused');
        assert.deepEqual(await cookies(), before);
      } finally {
        await foreign.close();
      }
    });
  });
}
