// Live events of the account.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { Frontend, screenshots, see, until } from './frontend.mjs';

export function security(app, browser) {
  let f, page, sockets;
  beforeEach(async () => {
    f = await Frontend.start(app, browser());
    await f.register();
    page = await f.signIn();
    sockets = 0;
    page.on('websocket', () => { sockets++; });
    await page.getByRole('button', { name: 'Security' }).click();
    await see(events('Account created'));
    await until(() => sockets > 0);
  });
  afterEach(() => f.close());

  const events = (name) => page.getByRole('listitem').filter({ hasText: name });

  it('shows a sign-in on another device live, also after the token has expired', async () => {
    assert.equal(await events('Signed in').count(), 1);
    await f.login();
    await until(async () => (await events('Signed in').count()) === 2);
    await page.screenshot({ path: join(screenshots, `${app}-security.png`) });
    await until(() => sockets >= 3); // the token of the second has expired too
    await f.login();
    await until(async () => (await events('Signed in').count()) === 3);
    assert.equal(await page.getByRole('alert').count(), 0);
  });

  it('signs out immediately when its session is revoked', async () => {
    await f.revoke(page);
    await see(page.getByText('your session was ended'));
  });

  it('shows events from while the page was disconnected', async () => {
    await f.server.stop();
    await f.restart();
    await f.login();
    await until(async () => (await events('Signed in').count()) === 2);
    assert.equal(await page.getByRole('alert').count(), 0);
  });
}
