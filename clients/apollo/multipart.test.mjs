// Subscriptions of Apollo Client over HTTP: multipart/mixed;subscriptionSpec="1.0".
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { password, start } from '../shared/server.mjs';

const EVENTS = gql`subscription { securityEvents { action } }`;
const LOGIN = 'mutation($input: LoginInput!) { login(input: $input) { accessToken } }';

describe('multipart subscriptions with Apollo Client', () => {
  let server;
  before(async () => { server = await start(); });
  after(() => server.stop());

  it('yield events, and end with the reason when the session ends', async () => {
    const { accessToken, email } = await server.register();
    const link = new HttpLink({ uri: `${server.url}/graphql`, headers: { Authorization: `Bearer ${accessToken}` } });
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    const results = [];
    let arrived;
    const next = () => new Promise((resolve) => { arrived = resolve; });
    let waiting = next();
    client.subscribe({ query: EVENTS }).subscribe((result) => { results.push(result); arrived(); });

    // The subscription starts with the first bytes of the response, which the client does not report.
    const signIns = setInterval(() => server.graphql(LOGIN, { variables: { input: { email, password } } }), 300);
    await waiting;
    clearInterval(signIns);
    assert.equal(results[0].data.securityEvents.action, 'AUTHN_LOGIN_SUCCESS');

    await server.graphql('mutation { logout { endedSessions } }', { token: accessToken });
    while (!results.at(-1).error) await (waiting = next());
    const { error } = results.at(-1);
    assert.ok(CombinedGraphQLErrors.is(error), String(error));
    assert.equal(error.errors[0].extensions.reason, 'TOKEN_REVOKED');
  });
});
