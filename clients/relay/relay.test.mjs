// Relay's compiler with the schema, and its documents with the real server, which trusts no others.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import compiler from 'relay-compiler';
import { binary, password, start } from '../shared/server.mjs';

describe('a Relay application', () => {
  let folder, hashes, server;

  // Compiles the application into a file of documents, keyed by hash.
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'relay-'));
    const write = (name, text) => writeFileSync(join(folder, name), text);
    cpSync(fileURLToPath(new URL('src', import.meta.url)), join(folder, 'src'), { recursive: true });
    mkdirSync(join(folder, 'generated'));
    write('schema.graphql', spawnSync(binary(), ['schema', 'print'], { encoding: 'utf8' }).stdout);
    write('documents.json', '{}');
    write('relay.config.json', JSON.stringify({
      src: './src', schema: './schema.graphql', artifactDirectory: './generated', language: 'javascript',
      persistConfig: { file: './documents.json', algorithm: 'SHA256' },
    }));
    const run = spawnSync(compiler, ['relay.config.json'], { cwd: folder, encoding: 'utf8' });
    assert.equal(run.status, 0, run.stdout + run.stderr);
    const documents = Object.entries(JSON.parse(readFileSync(join(folder, 'documents.json'), 'utf8')));
    hashes = Object.fromEntries(documents.map(([hash, text]) => [/^(?:query|mutation) (\w+)/m.exec(text)[1], hash]));
    server = await start('--trusted-documents', join(folder, 'documents.json'));
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  });

  async function fetchQuery(name, variables, token) {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ documentId: hashes[name], variables }),
    });
    const { data, errors } = await response.json();
    assert.equal(errors, undefined);
    return data;
  }

  it('refetches the caller and a session by id', async () => {
    const input = { email: 'ada@example.com', password };
    const { accessToken, user, session } = (await fetchQuery('accountRegisterMutation', { input })).register.auth;
    for (const [name, id] of [['accountRefetchQuery', user.id], ['accountSessionRefetchQuery', session.id]]) {
      assert.equal((await fetchQuery(name, { id }, accessToken)).node.id, id);
    }
  });
});
