// The client without a framework, with the real server.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { start } from '../shared/server.mjs';
import { Client, Refusal } from './client.mjs';

const ME = '{ me { email } }';
const LOGIN = 'mutation($input: LoginInput!) { login(input: $input) { accessToken refreshToken user { email } } }';
const RENAME = 'mutation($name: String) { updateProfile(input: {name: $name}) { name } }';

describe('the client without a framework', () => {
  let server;
  before(async () => { server = await start('--access-life', '1s'); });
  after(() => server.stop());

  it('signs in and calls a guarded field', async () => {
    const { email, password } = await server.register();
    const client = new Client(`${server.url}/graphql`);
    await client.begin((await client.run(LOGIN, { input: { email, password } })).login);
    assert.equal((await client.run(ME)).me.email, email);
  });

  it('throws the error of the server', async () => {
    const client = new Client(`${server.url}/graphql`, await server.register());
    await assert.rejects(client.run(LOGIN, { input: { email: 'nobody@example.com', password: 'wrong' } }),
      (error) => error instanceof Refusal && error.code === 'UNAUTHENTICATED' && error.reason === 'INVALID_CREDENTIALS');
  });

  it('renews an expired token once for simultaneous operations, and stores the pair before it is used', async () => {
    const user = await server.register();
    const kept = [];
    const client = new Client(`${server.url}/graphql`, user, async (tokens) => { kept.push(tokens); });
    await expiry(user.accessToken);
    const names = ['a', 'b', 'c', 'd', 'e'];
    const answers = await Promise.all(names.map((name) => client.run(RENAME, { name })));
    assert.deepEqual(answers.map((answer) => answer.updateProfile.name), names);
    assert.equal(kept.length, 1);
    assert.deepEqual(kept[0], client.tokens);

    const later = new Client(`${server.url}/graphql`, kept[0]); // the next run of the same script
    assert.equal((await later.run(ME)).me.email, user.email);
  });

  it('reports why a session cannot be renewed', async () => {
    const user = await server.register();
    const client = new Client(`${server.url}/graphql`, user);
    await server.graphql('mutation { logout { endedSessions } }', { token: user.accessToken });
    await assert.rejects(client.run(ME), { reason: 'TOKEN_REVOKED' });
    client.tokens.accessToken += 'x'; // refused with TOKEN_INVALID, after which the client refreshes
    await assert.rejects(client.run(ME), { reason: 'SESSION_REVOKED' });
  });

  async function expiry(token) {
    for (let active = true; active;) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      active = (await server.graphql('query($token: String!) { verifyToken(token: $token) { active } }', { variables: { token } })).data.verifyToken.active;
    }
  }
});
