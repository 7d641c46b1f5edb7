// A minimal page, served by Vite on another port, with a server in its default configuration.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { launch, skip } from '../graphiql/browser.mjs';
import { start } from '../shared/server.mjs';

describe('the first minute of a frontend', { skip }, () => {
  let browser, server, vite;
  before(async () => {
    server = await start();
    vite = await createServer({
      root: fileURLToPath(new URL('first-minute', import.meta.url)),
      configFile: false, logLevel: 'error', server: { host: 'localhost', port: 5173 },
    });
    await vite.listen();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await vite?.close();
    await server.stop();
  });

  it('signs in and reads me from http://localhost:5173', async () => {
    const page = await browser.newPage();
    const problems = [];
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(`${vite.resolvedUrls.local[0]}?api=${server.url}/graphql`);
    await page.getByText('signed in').waitFor({ timeout: 20_000 }).catch(() => assert.fail(problems.join('\n') || 'the page did not sign in'));
  });
});
