// The page of a server that was built without the third-party files.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { build, repository, startBinary } from '../shared/server.mjs';
import { launch, skip } from './browser.mjs';
import { execute, open, response, signUp } from './page.mjs';

const explorer = join(repository, 'internal/explorer');
const cdn = 'https://cdn.jsdelivr.net/';

describe('the page without embedded files', { skip }, () => {
  let browser;
  let server;
  before(async () => {
    browser = await launch();
    server = await startBinary(buildBare());
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('loads the pinned files from the CDN and works', async () => {
    const { page, complaints, loaded } = await openThrough((file) => file);
    const email = await signUp(page);
    await execute(page);
    assert.equal((await response(page)).data.me.email, email);
    assert.equal(loaded.length, 4);
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('explains what to do if the CDN cannot be reached', async () => {
    const { page, loaded } = await openThrough(() => undefined);
    await page.getByText('GraphiQL could not be loaded').waitFor();
    assert.match(await page.locator('main').innerText(), /make assets[^]*curl http:\/\/127/);
    assert.ok(loaded.length > 0);
    await page.close();
  });

  it('does not run files that the CDN has changed', async () => {
    const { page, complaints } = await openThrough((file) => Buffer.concat([file, Buffer.from('\n;window.stolen = true;')]));
    await page.getByText('GraphiQL could not be loaded').waitFor();
    assert.equal(await page.evaluate(() => window.stolen), undefined);
    assert.ok(complaints.some((text) => text.includes('integrity')), complaints.join('\n'));
    await page.close();
  });

  // openThrough opens the page with a CDN that responds with change(file), or fails if that is undefined.
  async function openThrough(change) {
    const context = await browser.newContext();
    const loaded = [];
    await context.route(`${cdn}**`, (route) => {
      loaded.push(route.request().url());
      const body = change(trueFile(route.request().url()));
      if (body === undefined) return route.abort('connectionrefused');
      const contentType = route.request().url().endsWith('.css') ? 'text/css' : 'text/javascript';
      return route.fulfill({ body, contentType, headers: { 'Access-Control-Allow-Origin': '*' } });
    });
    return { ...await open({ newPage: () => context.newPage() }, server), loaded };
  }
});

// trueFile returns the original file for the URL, from the files of `make assets`.
function trueFile(url) {
  const assets = JSON.parse(readFileSync(join(explorer, 'assets.json')));
  const asset = assets.find((a) => url === `${cdn}npm/${a.package}@${a.version}/${a.path}`);
  assert.ok(asset, `the page requests ${url}, which is not pinned`);
  const extension = asset.path.slice(asset.path.lastIndexOf('.'));
  return gunzipSync(readFileSync(join(explorer, `assets/${asset.package}-${asset.version}${extension}.gz`)));
}

// buildBare compiles the server as if `make assets` had never run.
function buildBare() {
  const folder = mkdtempSync(join(tmpdir(), 'overlay-'));
  const hidden = readdirSync(join(explorer, 'assets')).filter((name) => name.endsWith('.gz'));
  const Replace = Object.fromEntries(hidden.map((name) => [join(explorer, 'assets', name), '']));
  writeFileSync(join(folder, 'overlay.json'), JSON.stringify({ Replace }));
  try {
    return build('-overlay', join(folder, 'overlay.json'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
