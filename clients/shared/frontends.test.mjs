// The applications in a real browser, with the real server.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { launch, skip } from '../graphiql/browser.mjs';
import { account } from './frontends/account.mjs';
import { cookieMode } from './frontends/cookie.mjs';
import { factors } from './frontends/factors.mjs';
import { clients, screenshots } from './frontends/frontend.mjs';
import { headerMode } from './frontends/header.mjs';
import { hostileBrowsers } from './frontends/hostile.mjs';
import { invitations } from './frontends/invitations.mjs';
import { mails } from './frontends/mails.mjs';
import { passkeys } from './frontends/passkeys.mjs';
import { security } from './frontends/security.mjs';
import { trustedDocuments } from './frontends/trusted.mjs';

const APPS = ['apollo', 'urql'];

for (const app of APPS) {
  // Also generates the application's types from the schema.
  it(`the ${app} application compiles`, () => {
    const run = spawnSync('npm', ['run', 'build', '--workspace', app], { cwd: clients, encoding: 'utf8' });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  });
}

// Suites run in parallel: most of the time they wait for tokens to expire.
describe('in a browser', { skip, concurrency: APPS.length }, () => {
  for (const app of APPS) {
    describe(`the ${app} application`, { concurrency: 3 }, () => {
      let browser;
      before(async () => {
        mkdirSync(screenshots, { recursive: true });
        browser = await launch();
      });
      after(() => browser?.close());

      for (const [name, tests] of Object.entries({ headerMode, cookieMode, hostileBrowsers, trustedDocuments, security, account, mails, factors, invitations, passkeys })) {
        describe(name, { concurrency: 1 }, () => tests(app, () => browser));
      }
    });
  }
});
