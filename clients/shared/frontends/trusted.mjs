// A server that runs only the documents that the build wrote.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { password } from '../server.mjs';
import { clients, Frontend, see, until } from './frontend.mjs';

const flags = ['--trusted-documents', join(clients, 'shared/src/gql/persisted-documents.json')];

export function trustedDocuments(app, browser) {
  let f;
  beforeEach(async () => { f = await Frontend.start(app, browser(), { flags, settings: { documents: 'trusted' } }); });
  afterEach(() => f.close());

  it('works and sends hashes', async () => {
    const page = await f.open();
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByLabel('E-mail').fill(f.user.email);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Register' }).click();
    await f.signedIn(page);
    await page.getByLabel('Name', { exact: true }).fill('Grace');
    await page.getByRole('button', { name: 'Save' }).click();
    await see(page.locator('.who', { hasText: /^Grace$/ }));
    await page.getByRole('button', { name: 'Security' }).click();
    await see(page.getByText('Profile changed'));
    const elsewhere = await browser().newContext();
    await f.signIn('not the password', elsewhere);
    await see(page.getByText('Sign-in refused')); // the subscription
    await elsewhere.close();
    await page.getByRole('button', { name: 'Account' }).click();

    const before = f.site.sent('Refresh').length;
    await until(async () => { // the token has expired
      await f.works(page);
      return f.site.sent('Refresh').length > before;
    });
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await see(page.getByRole('heading', { name: 'Sign in' }));

    for (const { operation, body, status } of f.site.requests) {
      const { query, extensions } = JSON.parse(body);
      assert.equal(!query, operation !== 'Refresh', `${operation} ${body}`);
      if (operation !== 'Refresh') assert.match(extensions.persistedQuery.sha256Hash, /^sha256:/);
      assert.notEqual(status, 400, body);
    }
  });

  it('refuses other documents', async () => {
    const { errors } = await f.server.graphql('{ me { id } }');
    assert.equal(errors[0].extensions.code, 'PERSISTED_QUERY_NOT_ALLOWED');
  });
}
