// GraphQL over HTTP: the audits of the specification's reference implementation.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { serverAudits } from 'graphql-http';
import { start } from '../shared/server.mjs';

describe('GraphQL over HTTP', () => {
  let server;
  before(async () => { server = await start(); });
  after(() => server.stop());

  const audits = serverAudits({ url: () => `${server.url}/graphql` });

  it('is audited in full', () => assert.equal(audits.length, 61));

  for (const audit of audits) {
    it(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn();
      assert.equal(result.status, 'ok', result.reason);
    });
  }
});
