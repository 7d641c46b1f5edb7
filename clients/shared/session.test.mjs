// session.ts outside a browser, as in React Native.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { transformWithOxc } from 'vite';
import { start } from './server.mjs';

describe('session.ts without a browser', () => {
  let server, folder, Session;
  before(async () => {
    server = await start();
    folder = mkdtempSync(join(tmpdir(), 'session-'));
    const source = new URL('src/session.ts', import.meta.url);
    const { code } = await transformWithOxc(readFileSync(source, 'utf8'), source.pathname);
    writeFileSync(join(folder, 'session.mjs'), code);
    ({ Session } = await import(join(folder, 'session.mjs')));
    for (const name of ['BroadcastChannel', 'localStorage', 'navigator', 'addEventListener']) delete globalThis[name];
    delete AbortSignal.timeout;
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await server.stop();
  });

  const payload = ({ accessToken, refreshToken, session }) => ({ accessToken, refreshToken, session });
  const works = async (session) => {
    const { data } = await server.graphql('{ me { id } }', { token: await session.token() });
    return data?.me !== undefined;
  };

  it('signs in and refreshes', async () => {
    const user = await server.register();
    const session = new Session(`${server.url}/graphql`, 'BODY');
    session.begin(payload(user));
    assert.equal(await session.recover('TOKEN_EXPIRED', user.accessToken), true);
    assert.notEqual(session.get().tokens.accessToken, user.accessToken);
    assert.ok(await works(session));
  });

  it('stays signed in after a restart with a storage', async () => {
    const kept = new Map();
    const storage = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
    const user = await server.register();
    new Session(`${server.url}/graphql`, 'BODY', storage).begin(payload(user));
    const next = new Session(`${server.url}/graphql`, 'BODY', storage);
    assert.deepEqual(next.get().tokens, { accessToken: user.accessToken, refreshToken: user.refreshToken, sessionId: user.session.id });
    assert.ok(await works(next));
  });

  it('reports why the session ended', async () => {
    const user = await server.register();
    const session = new Session(`${server.url}/graphql`, 'BODY');
    session.begin(payload(user));
    await server.graphql('mutation { logout { endedSessions } }', { token: user.accessToken });
    assert.equal(await session.recover('TOKEN_EXPIRED', user.accessToken), false);
    assert.deepEqual(session.get(), { tokens: null, ended: 'SESSION_REVOKED' });
  });
});
