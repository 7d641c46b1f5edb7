// The flows that send mail, from the form to the link in the mail that arrived.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, it } from 'node:test';
import { databases } from '../database.mjs';
import { password } from '../server.mjs';
import { field, Frontend, LOGIN, reload, screenshots, see, until } from './frontend.mjs';

const newPassword = 'another horse battery';

export function mails(app, browser) {
  let f, urls;
  afterEach(() => f.close());

  async function start(options) {
    f = await Frontend.start(app, browser(), { mail: true, ...options });
    urls = [];
    watch(f.context);
  }
  // watch records the URLs that leave the browser: those of requests, and of pages in Referer.
  function watch(context) {
    context.on('request', (request) => urls.push(request.url(), request.headers().referer ?? ''));
  }
  async function press(page, name) { await page.getByRole('button', { name, exact: true }).click(); }

  // elsewhere opens a link in another browser.
  async function elsewhere(link) {
    const context = await browser().newContext();
    context.setDefaultTimeout(20_000);
    watch(context);
    return f.open(context, link);
  }
  async function forgot(page) {
    await press(page, 'Forgot your password?');
    await page.getByLabel('E-mail').fill(f.user.email);
    await press(page, 'Send a link');
    await see(page.getByText('we have sent a link'));
    return f.link('Reset your password');
  }
  const tokenOf = (link) => new URL(link).hash.split('=')[1];
  const problem = (page) => see(page.getByRole('alert').filter({ hasText: 'has expired or was used before' }));
  const welcome = (page) => see(page.getByRole('heading', { name: 'Sign in' }));

  it('registers an account whose address is confirmed by a link', async () => {
    await start({ flags: ['--register', 'silent'] });
    const page = await f.open();
    await press(page, 'Create an account');
    await page.getByLabel('E-mail').fill(f.user.email);
    await page.getByLabel('Password').fill(password);
    await press(page, 'Register');
    await see(page.getByRole('status').filter({ hasText: 'Check your mail' }));
    const link = await f.link('Confirm your e-mail address');

    const scanner = await elsewhere(link); // opens links and confirms nothing
    await see(scanner.getByRole('heading', { name: 'Confirm your e-mail address' }));
    await scanner.context().close();

    const opened = await f.open(f.context, link);
    await opened.getByLabel('Password').fill('not the password');
    await press(opened, 'Confirm');
    await see(field(opened, 'Password').getByRole('alert'));
    await opened.getByLabel('Password').fill(password);
    await opened.keyboard.press('Enter');
    await see(opened.getByRole('status').filter({ hasText: 'is confirmed' }));
    await welcome(opened);

    const home = await f.signIn();
    assert.equal(await home.getByText('is not confirmed').count(), 0);
    const again = await elsewhere(link);
    await again.getByLabel('Password').fill(password);
    await press(again, 'Confirm');
    await problem(again);
    await again.context().close();
  });

  it('answers a registration with a taken address alike, and mails its owner', async () => {
    await start({ flags: ['--register', 'silent'] });
    await f.addUser();
    const page = await f.open();
    await press(page, 'Create an account');
    await page.getByLabel('E-mail').fill(f.user.email);
    await page.getByLabel('Password').fill(newPassword);
    await press(page, 'Register');
    await see(page.getByRole('status').filter({ hasText: 'Check your mail' }));
    await f.mailbox.next(f.user.email, 'already have an account');
  });

  it('confirms the address of a signed-in user without the password', async () => {
    await start();
    await f.register();
    const page = await f.signIn();
    await see(page.getByText('is not confirmed'));
    await f.link('Confirm your e-mail address'); // of the registration
    await press(page, 'Send a link');
    await see(page.getByText('Check your mail.'));
    await page.goto(await f.link('Confirm your e-mail address'));
    await press(page, 'Confirm');
    await see(page.getByRole('status').filter({ hasText: 'is confirmed' }));
    await until(async () => (await page.getByText('is not confirmed').count()) === 0);
    await f.signedIn(page);
    await f.works(page);
  });

  for (const [database, skip] of Object.entries(databases)) {
    it(`resets a password, on ${database}`, { skip }, async () => {
      await start({ database });
      await f.register();
      const open = await f.signIn();
      const session = await f.accessToken();
      const page = await elsewhere(f.site.url);
      await page.goto(await forgot(page));
      await page.getByLabel('New password').fill('short');
      await press(page, 'Set password');
      await see(field(page, 'New password').getByRole('alert'));
      await page.screenshot({ path: join(screenshots, `${app}-reset.png`) });
      await page.getByLabel('New password').fill(newPassword);
      await press(page, 'Set password');
      await see(page.getByRole('status').filter({ hasText: 'Your password was changed' }));
      await welcome(page);
      await f.mailbox.next(f.user.email, 'password');
      assert.equal(await f.active(session), false);
      await reload(open);
      await see(open.getByText('your session was ended on another device, by a link in a mail'));
      const old = await f.server.graphql(LOGIN, { variables: { input: { email: f.user.email, password } } });
      assert.equal(old.errors[0].extensions.reason, 'INVALID_CREDENTIALS');
      await page.getByLabel('E-mail or username').fill(f.user.email);
      await page.getByLabel('Password').fill(newPassword);
      await press(page, 'Sign in');
      await f.signedIn(page);
      await page.context().close();
    });
  }

  it('leads a user who must choose a new password to the link in the mail', async () => {
    await start();
    const { user } = await f.register();
    await f.administer('mutation($id: ID!) { requirePasswordChange(input: {id: $id}) { id } }', { id: user.id });
    const page = await f.signIn('not the password');
    await see(page.getByText('The credentials are wrong'));
    await page.getByLabel('Password').fill(password);
    await press(page, 'Sign in');
    await see(page.getByRole('status').filter({ hasText: 'You have to choose a new password' }));
    await see(page.getByRole('heading', { name: 'Reset your password' }));
    await page.goto(await f.link('Reset your password'));
    await page.getByLabel('New password').fill(newPassword);
    await press(page, 'Set password');
    await welcome(page);
    await page.getByLabel('E-mail or username').fill(f.user.email);
    await page.getByLabel('Password').fill(newPassword);
    await press(page, 'Sign in');
    await f.signedIn(page);
  });

  it('changes an address and undoes the change by the mail to the previous one', async () => {
    await start();
    await f.register();
    const page = await f.signIn();
    const address = `new-${f.user.email}`;
    await page.getByLabel('New address').fill(address);
    await press(page, 'Change address');
    await see(page.getByText('Check the mail at the new address.'));
    const undo = await f.link('being changed');
    await page.goto(await f.link('Confirm', address));
    await press(page, 'Confirm');
    await see(page.locator('.who', { hasText: address }));

    const owner = await elsewhere(undo);
    await press(owner, 'Keep my address');
    await see(owner.getByRole('status').filter({ hasText: 'keeps this e-mail address' }));
    await owner.context().close();
    await page.reload();
    await see(page.getByText('You were signed out'));
    await f.signIn();
  });

  it('signs in with a code', async () => {
    await start();
    await f.register();
    const page = await f.open();
    await press(page, 'Get a code by mail');
    await page.getByLabel('E-mail').fill(f.user.email);
    await press(page, 'Send a code');
    const [code] = /\b\d{6}\b/.exec((await f.mailbox.next(f.user.email, 'code')).text);
    await page.getByLabel('Code').fill(String((Number(code) + 1) % 1_000_000).padStart(6, '0'));
    await press(page, 'Sign in');
    await see(field(page, 'Code').getByRole('alert'));
    await page.getByLabel('Code').fill(code);
    await press(page, 'Sign in');
    await f.signedIn(page);
  });

  it('refuses links that have expired or were cut', async () => {
    await start();
    await f.register();
    const page = await f.open();
    const link = await forgot(page);
    await page.goto(link.slice(0, -5));
    await page.getByLabel('New password').fill(newPassword);
    await press(page, 'Set password');
    await problem(page);
    await f.database.execute('UPDATE challenges SET expires_at = 1');
    await page.goto(link);
    await page.getByLabel('New password').fill(newPassword);
    await press(page, 'Set password');
    await problem(page);
    assert.ok(await f.login());
  });

  it('keeps the token of a link out of the address bar, the history, requests and the storage', async () => {
    await start();
    await f.register();
    const page = await f.open();
    const link = await forgot(page);
    const token = tokenOf(link);
    await page.goto(link); // a navigation within the open page
    const heading = page.getByRole('heading', { name: 'Choose a new password' });
    await see(heading);
    const shown = () => page.evaluate(() => window.location.href + JSON.stringify([history.state, { ...localStorage }, { ...sessionStorage }]));
    assert.ok(!(await shown()).includes(token));
    await press(page, 'Not now');
    await welcome(page);
    await page.goBack();
    await page.goForward();
    await page.reload();
    await welcome(page);
    assert.equal(await heading.count(), 0);
    assert.ok(!(await shown()).includes(token));

    const fresh = await elsewhere(link);
    await see(fresh.getByRole('heading', { name: 'Choose a new password' }));
    await fresh.reload(); // forgets the link
    await welcome(fresh);
    await fresh.context().close();
    assert.ok(urls.length > 4);
    assert.ok(urls.every((url) => !url.includes(token)));
    assert.ok(f.site.requests.every(({ body }) => !body.includes(token)));
  });
}
