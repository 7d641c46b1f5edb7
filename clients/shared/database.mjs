// The databases of tests: SQLite, and the Postgres server of TEST_POSTGRES_URL, which `make` starts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

const postgres = process.env.TEST_POSTGRES_URL;

// The kinds of databases, with the reason why their tests are skipped, or false. In CI they are never skipped: connecting
// fails instead.
export const databases = {
  SQLite: false,
  Postgres: postgres || process.env.CI === 'true' ? false : 'NOT TESTED ON POSTGRES: TEST_POSTGRES_URL is not set',
};

// newDatabase returns a new, empty database: its url, and functions to execute SQL and to drop it.
export const newDatabase = (kind = 'SQLite') => (kind === 'SQLite' ? newFile() : newSchema());

function newFile() {
  const folder = mkdtempSync(join(tmpdir(), 'database-'));
  const path = `${folder}/test.db`;
  return {
    url: `sqlite:${path}`,
    execute: async (sql) => {
      const { DatabaseSync } = await import('node:sqlite').catch(() => ({}));
      if (DatabaseSync) return new DatabaseSync(path).exec(sql);
      // Older versions of Node have no SQLite driver; Python has one.
      const script = 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])';
      const python = spawnSync('python3', ['-c', script, path, sql], { encoding: 'utf8' });
      assert.equal(python.status, 0, python.stderr);
    },
    drop: async () => rmSync(folder, { recursive: true }),
  };
}

async function newSchema() {
  const client = new pg.Client(postgres);
  await client.connect();
  const name = `t_${crypto.randomUUID().replaceAll('-', '')}`;
  await client.query(`CREATE SCHEMA ${name}; SET search_path TO ${name}`);
  const url = new URL(postgres);
  url.searchParams.set('search_path', name);
  return {
    url: url.href,
    execute: (sql) => client.query(sql),
    drop: async () => {
      await client.query(`DROP SCHEMA ${name} CASCADE`);
      await client.end();
    },
  };
}
