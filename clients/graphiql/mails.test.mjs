// The page at / with a mail server: links open it, because the public URL is their default.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { databases, newDatabase } from '../shared/database.mjs';
import { linkIn, Mailbox } from '../shared/mailbox.mjs';
import { password, run, start } from '../shared/server.mjs';
import { launch, skip } from './browser.mjs';
import { fill, open, press, section, stored } from './page.mjs';

for (const [kind, skipDatabase] of Object.entries(databases)) {
  describe(`the page at / with a mail server, on ${kind}`, { skip: skip || skipDatabase }, () => pageWithMails(kind));
}

function pageWithMails(kind) {
  let browser, server, mailbox, database, flags;
  before(async () => {
    browser = await launch();
    mailbox = await Mailbox.start();
    database = await newDatabase(kind);
    flags = [
      ...mailbox.flags, '--mail-pace-limit', '1000/1m', '--sign-in', 'password,code',
      '--database', database.url, '--secret', 'a secret for the tests of the page',
    ];
    server = await start(...flags);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await mailbox?.close();
    await database?.drop();
  });

  // linkFrom returns the link in a mail, on the port that the system chose for the server.
  const linkFrom = async (email, subject) => `${server.url}/${new URL(linkIn(await mailbox.next(email, subject))).hash}`;
  const newAddress = () => `user-${crypto.randomUUID()}@example.com`;
  // addUser creates an account on the command line and returns its address.
  async function addUser() {
    const email = newAddress();
    await run(password, 'user', 'add', email, ...flags);
    return email;
  }
  const signedIn = (page, email) => page.getByRole('definition').filter({ hasText: email }).waitFor();

  it('registers, confirms the address and resets the password', async () => {
    const { page, requests, complaints } = await open(browser, server);
    const email = newAddress();
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
    await signedIn(page, email);
    assert.ok(requests.every((url) => !url.includes(token)));
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('does nothing with a link until the user confirms it', async () => {
    const { page } = await open(browser, server);
    const email = newAddress();
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

  // home signs in a new user and returns the page.
  async function home() {
    const email = await addUser();
    const { page, complaints } = await open(browser, server);
    await press(page, 'Sign in');
    await fill(page, 'Sign in', email, password);
    await signedIn(page, email);
    return { page, email, complaints };
  }

  it('creates the account of an invitation', async () => {
    const email = newAddress();
    await run('', 'user', 'invite', email, '--public-url', server.url, ...flags);
    const { page, complaints } = await open(browser, server);
    await page.goto(await linkFrom(email, 'invited'));
    await page.getByLabel('Password').fill('short');
    await press(page, 'Create account');
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Name').fill('Grace');
    await page.getByLabel('Password').fill(password);
    await press(page, 'Create account');
    await signedIn(page, email);
    await page.getByText('Your account was created.').waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('rates a new password', async () => {
    const { page } = await open(browser, server);
    const rating = page.locator('.account-field').getByRole('status');
    await page.getByLabel('Password').fill('password1');
    await rating.filter({ hasText: 'easy to guess' }).waitFor();
    await page.getByLabel('Password').fill(password);
    await rating.filter({ hasText: /Fair|Good|Strong/ }).waitFor();
    await page.getByLabel('Password').fill('');
    await rating.filter({ hasText: 'Several words are best' }).waitFor();
    await page.close();
  });

  it('signs in with a code', async () => {
    const email = await addUser();
    const { page, complaints } = await open(browser, server);
    await press(page, 'Sign in');
    await press(page, 'Get a code by mail');
    await page.getByLabel('Address of the account').fill(email);
    await press(page, 'Send a code');
    const [code] = /\b\d{6}\b/.exec((await mailbox.next(email, 'code')).text);
    await page.getByLabel('Code').fill(String((Number(code) + 1) % 1_000_000).padStart(6, '0'));
    await press(page, 'Sign in with the code');
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Code').fill(code);
    await press(page, 'Sign in with the code');
    await signedIn(page, email);
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('changes the address, which the previous address can undo', async () => {
    const { page, email, complaints } = await home();
    const address = newAddress();
    await section(page, 'E-mail address');
    await page.getByLabel('New address').fill(address);
    await press(page, 'Change address');
    await page.getByText('Check the mail at the new address').waitFor();
    const undo = await linkFrom(email, 'being changed');
    await page.goto(await linkFrom(address, 'Confirm'));
    await page.getByLabel('Password').fill(password);
    await press(page, 'Confirm');
    await page.getByText('Your e-mail address was changed.').waitFor();
    await page.goto(undo);
    await press(page, 'Keep my address');
    await page.getByText('Your account keeps this e-mail address').waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('asks for the password before it exports the data, if the last proof is too old', async () => {
    const { page, email, complaints } = await home();
    await database.execute('UPDATE sessions SET auth_time = auth_time - 400000000');
    await press(page, 'Renew now'); // the next token contains the time of the last proof
    await page.getByText('so far once').waitFor();
    await section(page, 'Your data');
    await press(page, 'Download');
    await page.getByLabel('Your password').waitFor();
    await press(page, 'Cancel');
    await page.getByRole('alert').filter({ hasText: 'not confirmed' }).waitFor();
    await press(page, 'Download');
    await page.getByLabel('Your password').fill('not the password');
    await press(page, 'Confirm');
    await page.getByRole('alert').filter({ hasText: 'wrong' }).waitFor();
    await page.getByLabel('Your password').fill(password);
    const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Confirm')]);
    assert.match(download.suggestedFilename(), /^account-\d{4}-\d\d-\d\d\.json$/);
    assert.ok(JSON.stringify(JSON.parse(readFileSync(await download.path(), 'utf8'))).includes(email));
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('keeps an account whose deletion is scheduled if its user signs in', async () => {
    const { page, email } = await home();
    await section(page, 'Delete account');
    await page.getByLabel('to confirm').fill('someone-else@example.com');
    await press(page, 'Delete this account');
    await page.getByRole('alert').filter({ hasText: 'not the e-mail address of your account' }).waitFor();
    await page.getByLabel('to confirm').fill(email);
    await press(page, 'Delete this account');
    await page.getByText(/Your account will be deleted on .* Sign in before then to keep it/).waitFor();
    await press(page, 'Sign in');
    await fill(page, 'Sign in', email, password);
    await signedIn(page, email);
    const { data } = await server.graphql('mutation ($input: LoginInput!) { login(input: $input) { user { securityLog { nodes { action } } } } }', { variables: { input: { email, password } } });
    assert.ok(data.login.user.securityLog.nodes.some(({ action }) => action === 'USER_DELETION_CANCELED'));
    await page.close();
  });
}
