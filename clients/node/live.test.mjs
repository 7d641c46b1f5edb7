// Subscriptions with the two libraries that implement the server's protocols.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import WebSocket from 'ws';
import { start } from '../shared/server.mjs';
import { Client } from './client.mjs';
import { overEvents, overSocket } from './live.mjs';

const EVENTS = { query: 'subscription { securityEvents { action } }' };
const LOGIN = 'mutation($input: LoginInput!) { login(input: $input) { accessToken } }';
const REFRESH = 'mutation($input: RefreshTokenInput!) { refreshToken(input: $input) { accessToken refreshToken } }';
const LIMIT = 6; // refreshes per minute: one more every ten seconds, which is longer than a token is accepted

for (const [name, subscribe] of Object.entries({ 'graphql-ws': overSocket, 'graphql-sse': overEvents })) {
  describe(`a subscription with ${name}`, () => {
    let server, user, client, connections, events, done, ended;
    before(async () => { server = await start('--access-life', '1s', '--refresh-grace', '2s', '--refresh-limit', `${LIMIT}/1m`); });
    after(() => server.stop());

    beforeEach(async () => {
      user = await server.register();
      client = new Client(`${server.url}/graphql`, user);
      connections = 0;
      events = [];
      ended = undefined;
      done = follow();
      done.catch((error) => { ended = error; });
      await until(() => connections === 1);
    });

    async function follow() {
      // Node has its own WebSocket since version 22.
      const options = { on: { connected: () => { connections++; } }, ...(name === 'graphql-ws' && { webSocketImpl: WebSocket }) };
      for await (const data of subscribe(client, `${server.url}/graphql`, EVENTS, options)) events.push(data.securityEvents.action);
    }

    const login = () => server.graphql(LOGIN, { variables: { input: { email: user.email, password: user.password } } });

    it('continues over three expiries without an error', async () => {
      const tokens = new Set();
      for (let n = 1; n <= 4; n++) {
        await until(() => connections === n);
        tokens.add(client.tokens.accessToken);
        await until(async () => { // until the subscription is active, which the protocol does not confirm
          await login();
          return events.length >= n;
        });
        events.length = n;
      }
      assert.equal(tokens.size, 4);
      assert.equal(ended, undefined);
      assert.ok(events.every((action) => action === 'AUTHN_LOGIN_SUCCESS'), String(events));
      await server.graphql('mutation { logout { endedSessions } }', { token: client.tokens.accessToken });
      await assert.rejects(done);
    });

    it('survives a rate-limited refresh', async () => {
      let code;
      while (code !== 'RATE_LIMITED') {
        const { data, errors } = await server.graphql(REFRESH, { variables: { input: { refreshToken: client.tokens.refreshToken } } });
        if (data) await client.begin(data.refreshToken);
        code = errors?.[0].extensions.code;
      }
      await until(() => connections >= 2 || ended);
      await until(async () => {
        await login();
        return events.length > 0 || ended;
      });
      assert.equal(ended, undefined);
      await server.graphql('mutation { logout { endedSessions } }', { token: client.tokens.accessToken });
      await assert.rejects(done);
    });

    it('ends with the reason when its session is revoked', async () => {
      await server.graphql('mutation { logout(input: {scope: ALL}) { endedSessions } }', { token: client.tokens.accessToken });
      await assert.rejects(done, { reason: /^(TOKEN|SESSION)_REVOKED$/ });
    });
  });
}

async function until(condition) {
  for (const deadline = Date.now() + 30_000; !(await condition());) {
    assert.ok(Date.now() < deadline, `still waiting for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
