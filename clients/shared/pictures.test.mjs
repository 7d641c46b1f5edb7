// Pictures of all mails, as they arrive. With PICTURES, they are written to that folder; `make mail-pictures` does so for
// docs/mail.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { launch, skip } from '../graphiql/browser.mjs';
import { attach } from './authenticator.mjs';
import { newDatabase } from './database.mjs';
import { linkIn, Mailbox } from './mailbox.mjs';
import { freePort, password, repository, run, start } from './server.mjs';
import { skipTotp, totp } from './totp.mjs';

const folder = process.env.PICTURES ?? join(repository, 'clients/screenshots/mail');
const MAX = 40_000; // bytes
const WIDTH = 600; // pixels

// The subjects of all kinds except those about identities, which need another provider.
const subjects = {
  'account-deletion': 'will be deleted',
  'already-registered': 'already have an account',
  'email-change': 'Confirm your new e-mail address',
  'email-changed': 'account was changed',
  'email-changing': 'is being changed',
  'factor-changed': 'second factor',
  invitation: 'invited',
  'login-code': 'sign-in code',
  'new-sign-in': 'New sign-in',
  'passkey-added': 'passkey was added',
  'passkey-removed': 'passkey was removed',
  'password-changed': 'Your password for',
  'password-removed': 'was removed',
  'reset-password': 'Reset your password',
  test: 'Test mail',
  'verify-email': 'Confirm your e-mail address',
};

let browser, server, mailbox, database;
before(async () => {
  if (skip) return;
  mkdirSync(folder, { recursive: true });
  browser = await launch();
  mailbox = await Mailbox.start();
  database = await newDatabase();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await mailbox?.close();
  await database?.drop();
});

it('each kind of mail has a picture in the documents', { skip: skip || skipTotp }, async () => {
  const templates = readdirSync(join(repository, 'internal/mail/templates'));
  const kinds = templates.filter((name) => /^(?!layout|identity-).*\.html$/.test(name)).map((name) => name.replace('.html', ''));
  assert.deepEqual(Object.keys(subjects).sort(), kinds.sort());

  const flags = [
    ...mailbox.flags, '--mail-pace-limit', '1000/1m', '--mail-recipient-limit', '1000/1h', '--sign-in', 'password,code', '--register', 'silent',
    '--links-base', 'https://app.example.com/#{flow}={token}', '--database', database.url, '--secret', 'a secret for the pictures of the mails',
    '--listen', `127.0.0.1:${await freePort()}`, '--trusted-proxies', '127.0.0.1/32',
  ];
  server = await start(...flags);
  const [email, alan, mary, joan] = ['ada@example.com', 'alan@example.com', 'mary@example.com', 'joan@example.com'];
  for (const one of [email, alan, mary, joan]) await run(password, 'user', 'add', one, ...flags);
  await run('', 'user', 'invite', 'grace@example.com', '--message', 'Welcome to the team!', ...flags);
  await run('', 'mail', 'test', email, ...flags);

  const act = async (query, input, options) => {
    const { data, errors } = await server.graphql(query, { variables: { input }, ...options });
    assert.equal(errors, undefined, query);
    return data;
  };
  const login = async (input, headers) => (await act('mutation($input: LoginInput!) { login(input: $input) { accessToken } }', { email, password, ...input }, { headers })).login.accessToken;
  await act('mutation($input: RequestLoginCodeInput!) { requestLoginCode(input: $input) { challenge } }', { email });
  await act('mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { accepted } }', { email });
  await act('mutation($input: RegisterInput!) { register(input: $input) { auth { expiresIn } } }', { email, password });
  let token = await login();
  await login({}, { 'X-Forwarded-For': '192.0.2.7', 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0' });
  await act('mutation { requestEmailVerification { accepted } }', undefined, { token });
  const change = 'mutation($input: ChangePasswordInput!) { changePassword(input: $input) { accessToken } }';
  const newPassword = `${password} 2`;
  token = (await act(change, { currentPassword: password, newPassword }, { token })).changePassword.accessToken;
  const { id } = await addPasskey(token);
  await act('mutation($input: DeletePasskeyInput!) { deletePasskey(input: $input) { id } }', { id }, { token });
  token = await login({ password: newPassword });
  const { beginTotp: { secret } } = await act('mutation { beginTotp { secret } }', undefined, { token });
  await act('mutation($input: ConfirmTotpInput!) { confirmTotp(input: $input) { codes } }', { code: totp(secret) }, { token });
  token = await login({ email: alan });
  await addPasskey(token);
  await act('mutation { removePassword { id } }', undefined, { token });
  token = await login({ email: joan });
  await act('mutation($input: RequestEmailChangeInput!) { requestEmailChange(input: $input) { accepted } }', { newEmail: 'joan@example.org' }, { token });
  const mail = await mailbox.next('joan@example.org', subjects['email-change']);
  mailbox.mails.push(mail);
  const link = linkIn(mail).split('=')[1];
  await act('mutation($input: ConfirmEmailChangeInput!) { confirmEmailChange(input: $input) { accepted } }', { token: link }, { token });
  token = await login({ email: mary });
  await act('mutation($input: DeleteAccountInput!) { deleteAccount(input: $input) { deletesAt } }', { confirmEmail: mary }, { token });

  const page = await browser.newPage({ viewport: { width: WIDTH, height: 300 } });
  for (const [kind, subject] of Object.entries(subjects)) {
    await page.setContent((await mailbox.next(undefined, subject)).html);
    const path = join(folder, `${kind}.png`);
    await page.screenshot({ path, fullPage: true });
    assert.ok(statSync(path).size <= MAX, `${path} has ${statSync(path).size} bytes`);
    assert.ok(existsSync(join(repository, `docs/mail/${kind}.png`)), `run make mail-pictures, because docs/mail lacks ${kind}.png`);
  }
});

// addPasskey adds a passkey to an account by the browser.
async function addPasskey(token) {
  const page = await browser.newPage();
  await page.goto(server.url.replace('127.0.0.1', 'localhost'));
  await attach(page);
  const added = await page.evaluate(async (authorization) => {
    const post = async (query, variables) => (await (await fetch('/graphql', {
      method: 'POST', headers: { 'Content-Type': 'application/json', authorization }, body: JSON.stringify({ query, variables }),
    })).json()).data;
    const { beginPasskeyRegistration: { challenge, options } } = await post('mutation { beginPasskeyRegistration { challenge options } }');
    const credential = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
    const input = { challenge, response: credential.toJSON(), name: 'Laptop' };
    return post('mutation($input: FinishPasskeyRegistrationInput!) { finishPasskeyRegistration(input: $input) { id } }', { input });
  }, `Bearer ${token}`);
  await page.close();
  return added.finishPasskeyRegistration;
}
