// Databases on the Postgres server of TEST_POSTGRES_URL, which `make` starts.
import pg from 'pg';

const url = process.env.TEST_POSTGRES_URL;

// The reason why tests on Postgres are skipped, or false. In CI they are never skipped: connecting fails instead.
export const skipPostgres = url || process.env.CI === 'true' ? false : 'NOT TESTED ON POSTGRES: TEST_POSTGRES_URL is not set';

// newSchema returns the URL of a new schema, and a function that drops it.
export async function newSchema() {
  const client = new pg.Client(url);
  await client.connect();
  const name = `t_${crypto.randomUUID().replaceAll('-', '')}`;
  await client.query(`CREATE SCHEMA ${name}`);
  const place = new URL(url);
  place.searchParams.set('search_path', name);
  return {
    url: place.href,
    drop: async () => {
      await client.query(`DROP SCHEMA ${name} CASCADE`);
      await client.end();
    },
  };
}
