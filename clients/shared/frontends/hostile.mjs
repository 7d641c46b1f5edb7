// Browsers that lack or deny a feature, and proxies that answer instead of the server.
import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';
import { password } from '../server.mjs';
import { Frontend, reload, see } from './frontend.mjs';

const KEY = 'graphwarden /graphql'; // as in session.ts

// Scripts that run in every page before the page's own.
const denyStorage = () => Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } });
const fillStorage = () => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; };
const denyLocks = () => { navigator.locks.request = () => Promise.reject(new DOMException('denied', 'SecurityError')); };
const denyChannels = () => { window.BroadcastChannel = class { constructor() { throw new DOMException('denied', 'SecurityError'); } }; };
const removeAll = () => {
  delete AbortSignal.timeout;
  delete window.BroadcastChannel;
  delete Navigator.prototype.locks;
};

const kept = {
  'without AbortSignal.timeout, BroadcastChannel and Web Locks, as in Safari 15.3': removeAll,
  'that denies locks': denyLocks,
  'that denies channels': denyChannels,
};
const forgotten = {
  'that denies storage': denyStorage,
  'whose storage is full': fillStorage,
};

export function hostileBrowsers(app, browser) {
  let f;
  afterEach(() => f.close());

  async function start(script, options) {
    f = await Frontend.start(app, browser(), options);
    await f.register();
    if (script) await f.context.addInitScript(script);
  }

  for (const [name, script] of Object.entries({ ...kept, ...forgotten })) {
    it(`refreshes an expired token in a browser ${name}`, async () => {
      await start(script);
      const page = await f.signIn();
      await f.expiry();
      await f.works(page);
      await page.reload();
      if (name in forgotten) await see(page.getByRole('heading', { name: 'Sign in' }));
      else await f.signedIn(page);
    });
  }

  it('signs out other tabs without BroadcastChannel', async () => {
    await start(removeAll);
    const page = await f.signIn();
    const other = await f.another();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await see(other.getByRole('heading', { name: 'Sign in' }));
  });

  for (const [name, value] of Object.entries({ 'is not JSON': 'hello', 'has another shape': '{"tokens":7}', 'is null': 'null' })) {
    it(`signs in although the stored value ${name}`, async () => {
      await start();
      const page = await f.open();
      await page.evaluate(([key, text]) => localStorage.setItem(key, text), [KEY, value]);
      await page.close();
      const home = await f.signIn();
      await home.reload();
      await f.signedIn(home);
    });
  }

  it('does not affect the session of another server on the same origin', async () => {
    await start();
    const foreign = '{"tokens":{"accessToken":"a","refreshToken":"b","sessionId":"c"},"ended":null}';
    const page = await f.open();
    await page.evaluate((text) => localStorage.setItem('graphwarden /other/graphql', text), foreign);
    await page.close();
    const home = await f.signIn();
    await home.getByRole('button', { name: 'Sign out', exact: true }).click();
    await see(home.getByRole('heading', { name: 'Sign in' }));
    assert.equal(await home.evaluate(() => localStorage.getItem('graphwarden /other/graphql')), foreign);
  });

  it('continues although another tab never releases its lock', async () => {
    await start();
    const page = await f.signIn();
    const other = await f.another();
    await page.evaluate((key) => { navigator.locks.request(key, () => new Promise(() => {})); }, KEY);
    await f.expiry();
    await f.works(other);
  });

  it('stays signed in when a proxy answers a refresh with its own page', async () => {
    await start();
    const page = await f.signIn();
    await f.expiry();
    await f.context.route('**/graphql', (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }));
    await reload(page);
    await see(page.getByText('cannot be reached'));
    await f.context.unroute('**/graphql');
    await f.works(page);
  });

  it('shows a problem when a proxy answers a sign-in with its own JSON', async () => {
    await start();
    await f.context.route('**/graphql', (route) => route.fulfill({ status: 503, json: { message: 'no healthy upstream' } }));
    const page = await f.open();
    await page.getByLabel('E-mail or username').fill(f.user.email);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await see(page.getByRole('alert').getByText('cannot be reached'));
    await f.context.unroute('**/graphql');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await f.signedIn(page);
  });
}
