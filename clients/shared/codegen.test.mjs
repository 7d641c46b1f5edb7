// The generated code does not depend on the source of the schema, and its types compile.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binary, start } from './server.mjs';

const shared = fileURLToPath(new URL('.', import.meta.url));
const programs = join(shared, '../node_modules/.bin');

describe('code generated from the schema', () => {
  let server, folder, fromFiles;
  before(async () => {
    server = await start();
    folder = mkdtempSync(join(tmpdir(), 'codegen-'));
    writeFileSync(join(folder, 'schema.graphql'), run(binary(), ['schema', 'print']));
    fromFiles = generate('files', '../../schema/*.graphqls');
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  it('is equal from the files, the command line, the URL and introspection', () => {
    assert.deepEqual(Object.keys(fromFiles).sort(), ['enums.ts', 'gql.ts', 'graphql.ts', 'index.ts', 'persisted-documents.json']);
    assert.match(fromFiles['enums.ts'], /'REFRESH_REUSED'/);
    assert.deepEqual(generate('print', join(folder, 'schema.graphql')), fromFiles);
    assert.deepEqual(generate('url', `${server.url}/schema.graphql`), fromFiles);
    assert.deepEqual(generate('introspection', `${server.url}/graphql`), fromFiles);
  });

  it('is not needed for gql.tada, which infers the types', () => {
    const tada = join(shared, 'tada');
    writeFileSync(join(tada, 'schema.graphql'), readFileSync(join(folder, 'schema.graphql')));
    run(join(programs, 'gql.tada'), ['generate-output'], tada);
    run(join(programs, 'tsc'), ['-p', tada]);
  });

  it('is not needed for the client without a framework, whose own types compile', () => {
    run(join(programs, 'tsc'), ['-p', join(shared, '../node')]);
  });

  for (const library of ['apollo', 'urql']) {
    it(`is all that the copied files for ${library} need`, () => {
      const page = readFileSync(join(shared, '../../docs/CLIENTS.md'), 'utf8').match(/```tsx\n([^]*?)```/)[1];
      const copied = mkdtempSync(join(shared, 'copied-')); // below node_modules, so that imports resolve
      try {
        for (const file of ['session.ts', 'live.ts']) copyFileSync(join(shared, 'src', file), join(copied, file));
        const client = readFileSync(join(shared, '..', library, 'src/client.ts'), 'utf8');
        writeFileSync(join(copied, 'client.ts'), client.replace("'shared/src/session'", "'./session'"));
        writeFileSync(join(copied, 'main.tsx'), library === 'apollo' ? page : page
          .replace("{ ApolloProvider } from '@apollo/client/react'", "{ Provider } from 'urql'")
          .replace('<ApolloProvider client={client}>', '<Provider value={client}>').replace('</ApolloProvider>', '</Provider>'));
        mkdirSync(join(copied, 'gql'));
        writeFileSync(join(copied, 'gql/enums.ts'), fromFiles['enums.ts']);
        writeFileSync(join(copied, 'tsconfig.json'), JSON.stringify({ extends: '../tsconfig.base.json', include: ['.'] }));
        run(join(programs, 'tsc'), ['-p', copied]);
      } finally {
        rmSync(copied, { recursive: true });
      }
    });
  }

  // generate returns the files that graphql-codegen writes, by name.
  function generate(name, schema) {
    const out = `${join(folder, name)}/`;
    run(join(programs, 'graphql-codegen'), ['--config', 'codegen.ts'], shared, { SCHEMA: schema, OUT: out });
    return Object.fromEntries(readdirSync(out).map((file) => [file, readFileSync(join(out, file), 'utf8')]));
  }
});

function run(program, args, cwd = shared, env = {}) {
  const done = spawnSync(program, args, { cwd, env: { ...process.env, ...env }, encoding: 'utf8' });
  assert.equal(done.status, 0, `${program}: ${done.error ?? done.stdout + done.stderr}`);
  return done.stdout;
}
