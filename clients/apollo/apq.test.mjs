// Automatic persisted queries, as Apollo Client sends them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { start } from '../shared/server.mjs';

const ME = gql`query Me { me { id email } }`;

describe('automatic persisted queries with Apollo Client', () => {
  let server;
  before(async () => { server = await start(); });
  after(() => server.stop());

  it('send the text once, then only its hash', async () => {
    const { accessToken, email } = await server.register();
    const sent = [];
    const http = new HttpLink({
      uri: `${server.url}/graphql`,
      headers: { Authorization: `Bearer ${accessToken}` },
      fetch: (url, request) => {
        sent.push(JSON.parse(request.body));
        return fetch(url, request);
      },
    });
    const hash = new PersistedQueryLink({ sha256: (text) => createHash('sha256').update(text).digest('hex') });
    const client = new ApolloClient({ link: hash.concat(http), cache: new InMemoryCache() });
    for (let i = 0; i < 2; i++) {
      const { data } = await client.query({ query: ME, fetchPolicy: 'network-only' });
      assert.equal(data.me.email, email);
    }
    assert.deepEqual(sent.map(({ query }) => !!query), [false, true, false]);
  });
});
