// An application in a browser with its own server, and its user.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newDatabase } from '../database.mjs';
import { linkIn, Mailbox } from '../mailbox.mjs';
import { password, run, start } from '../server.mjs';
import { serve } from '../site.mjs';

export const clients = fileURLToPath(new URL('../..', import.meta.url));
export const screenshots = join(clients, 'screenshots');

// A token with a life of one second is refused after six: the server allows a leeway of five seconds.
const SHORT = ['--access-life', '1s', '--refresh-grace', '2s'];
// Many mails to one address.
const MAILS = ['--register', 'open', '--sign-in', 'password,code', '--mail-pace-limit', '1000/1m', '--mail-recipient-limit', '1000/1h'];
const TOKEN = 'query($token: String!) { verifyToken(token: $token) { active } }';
export const LOGIN = 'mutation($input: LoginInput!) { login(input: $input) { accessToken session { id } } }';

export class Frontend {
  // start serves the application with the given page settings, and starts a server with additional flags. With direct,
  // the page calls the server directly, at another origin. With mail, the server sends mails with links to the page. With
  // passkeys, the page is at localhost, because passkeys belong to names and not to addresses.
  static async start(app, browser, { flags = [], settings = {}, direct = false, mail = false, passkeys = false, database } = {}) {
    const f = new Frontend();
    f.site = await serve(join(clients, app, 'dist'), '', settings);
    f.url = passkeys ? f.site.url.replace('127.0.0.1', 'localhost') : f.site.url;
    f.database = await newDatabase(database);
    f.mailbox = mail ? await Mailbox.start() : undefined;
    f.flags = [
      ...SHORT,
      '--database', f.database.url, '--secret', 'a secret for the tests of the applications',
      ...(mail ? [...f.mailbox.flags, ...MAILS, '--links-base', `${f.site.url}/#{flow}={token}`] : []),
      ...(passkeys ? ['--webauthn-rp-id', 'localhost', '--webauthn-origins', f.url] : []),
      ...flags,
      ...(direct ? ['--allowed-origins', f.site.url] : []),
    ];
    f.server = await start(...f.flags);
    f.site.target = f.server.url;
    if (direct) f.site.settings = { ...settings, url: `${f.server.url}/graphql` };
    f.context = await browser.newContext();
    f.context.setDefaultTimeout(20_000);
    f.user = { email: `user-${crypto.randomUUID()}@example.com`, password };
    return f;
  }

  async close() {
    await this.context.close();
    await this.site.close();
    await this.server.stop();
    await this.mailbox?.close();
    await this.database.drop();
  }

  // restart starts a stopped server again, on another port. Its tokens are still valid.
  async restart() {
    this.server = await start(...this.flags, '--public-url', this.server.url);
    this.site.target = this.server.url;
  }

  // register creates the user's account without the page.
  register() { return this.server.register(this.user.email); }

  // addUser creates an account on the command line, which works with every mode of registration.
  addUser(email = this.user.email, ...flags) { return run(password, 'user', 'add', email, ...this.flags, ...flags); }

  // administer runs a mutation as a new administrator.
  async administer(query, variables) {
    const email = `admin-${crypto.randomUUID()}@example.com`;
    await this.addUser(email, '--role', 'ADMIN');
    const { accessToken } = (await this.server.graphql(LOGIN, { variables: { input: { email, password } } })).data.login;
    const { data, errors } = await this.server.graphql(query, { variables, token: accessToken });
    assert.equal(errors, undefined);
    return data;
  }

  async open(context = this.context, url = this.url) {
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }

  // link waits for a mail to the address and returns its link.
  async link(subject, address = this.user.email) { return linkIn(await this.mailbox.next(address, subject)); }

  // signIn signs in the user in a new tab. With the right password, it waits until the user is signed in.
  async signIn(given, context) {
    const page = await this.open(context);
    await page.getByLabel('E-mail or username').fill(this.user.email);
    await page.getByLabel('Password').fill(given ?? password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    if (!given) await this.signedIn(page);
    return page;
  }

  signedIn(page) { return see(page.locator('.who', { hasText: this.user.email })); }

  // another opens another tab of the signed-in user.
  async another() {
    const page = await this.open();
    await this.signedIn(page);
    return page;
  }

  // login signs in the user on another device.
  async login() {
    return (await this.server.graphql(LOGIN, { variables: { input: { email: this.user.email, password } } })).data.login;
  }

  // revoke ends the session of a page from another device.
  async revoke(page) {
    const { accessToken } = await this.login();
    const id = await page.evaluate(() => JSON.parse(localStorage.getItem('graphwarden /graphql')).tokens.sessionId);
    await this.server.graphql('mutation($id: ID!) { revokeSession(input: {id: $id}) { id } }', { variables: { id }, token: accessToken });
  }

  async active(token) {
    return (await this.server.graphql(TOKEN, { variables: { token } })).data.verifyToken.active;
  }

  // accessToken returns the last one that a page has sent.
  async accessToken() { return this.site.requests.findLast(({ token }) => token).token; }

  // expiry waits until the server refuses the page's access token.
  async expiry() {
    const token = await this.accessToken();
    await until(async () => !(await this.active(token)));
  }

  // works checks that a guarded operation of the page succeeds.
  async works(page) {
    const before = this.succeeded('Sessions');
    await reload(page);
    await until(() => this.succeeded('Sessions') > before);
    await see(page.getByText('this session'));
  }

  succeeded(operation) { return this.site.sent(operation).filter(({ status }) => status === 200).length; }

  // backdateProofs makes the last proof of a credential old in every session.
  backdateProofs() { return this.database.execute('UPDATE sessions SET auth_time = auth_time - 400000000'); }
}

export const see = (locator) => locator.first().waitFor();
export const field = (page, label) => page.locator('label', { has: page.getByText(label, { exact: true }) });
export const reload = (page) => page.getByRole('button', { name: 'Reload' }).click();
export const revokeButtons = (page) => page.getByRole('button', { name: 'Revoke' });

export async function until(condition) {
  for (const deadline = Date.now() + 20_000; !(await condition());) {
    assert.ok(Date.now() < deadline, `still waiting for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
