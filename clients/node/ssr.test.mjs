// A page renderer with its own origin, in front of the real server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { password, start } from '../shared/server.mjs';
import { refreshFor } from './ssr.mjs';

const LOGIN = 'mutation($input: LoginInput!) { login(input: $input) { accessToken refreshToken } }';
const ME = '{ me { email sessions { nodes { userAgent } } } }';
const AGENT = 'Browser/1.0';

describe('server-side rendering in cookie mode', () => {
  let server, renderer, site;

  // render responds with the user's e-mail address, or with a sign-in page.
  async function render(incoming, outgoing) {
    const request = new Request(`${site}${incoming.url}`, { headers: incoming.headers });
    try {
      const signedIn = await refreshFor(request, { url: `${server.url}/graphql`, origin: site });
      if (!signedIn) return outgoing.end('sign in');
      outgoing.setHeader('Set-Cookie', signedIn.cookies);
      const { data } = await server.graphql(ME, { token: signedIn.accessToken });
      outgoing.end(JSON.stringify(data.me));
    } catch (error) {
      outgoing.writeHead(503).end(error.message);
    }
  }

  before(async () => {
    renderer = createServer(render);
    renderer.listen(0, '127.0.0.1');
    await once(renderer, 'listening');
    site = `http://127.0.0.1:${renderer.address().port}`;
    server = await start('--allowed-origins', site);
  });
  after(async () => {
    renderer.close();
    await server.stop();
  });

  const cookieOf = (headers) => headers.getSetCookie()[0]?.split(';')[0];

  // signIn returns the cookie that a browser on the site would store.
  async function signIn() {
    const { email } = await server.register();
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Origin: site },
      body: JSON.stringify({ query: LOGIN, variables: { input: { email, password, delivery: 'COOKIE' } } }),
    });
    const { data } = await response.json();
    return { email, cookie: cookieOf(response.headers), accessToken: data.login.accessToken };
  }
  const page = (cookie) => fetch(`${site}/`, { headers: { Cookie: `theme=dark; ${cookie}`, 'User-Agent': AGENT } });

  it('renders for the user of the cookie and forwards the new cookie', async () => {
    let { email, cookie } = await signIn();
    for (let visit = 1; visit <= 3; visit++) {
      const response = await page(cookie);
      const me = await response.json();
      assert.equal(me.email, email);
      assert.ok(me.sessions.nodes.some(({ userAgent }) => userAgent === AGENT));
      const next = cookieOf(response.headers);
      assert.match(next, /^__Host-graphwarden_refresh=gwr_/);
      assert.notEqual(next, cookie);
      cookie = next;
    }
  });

  it('renders simultaneous pages', async () => {
    const { email, cookie } = await signIn();
    const responses = await Promise.all([page(cookie), page(cookie), page(cookie)]);
    for (const response of responses) assert.equal((await response.json()).email, email);
    assert.equal(new Set(responses.map(({ headers }) => cookieOf(headers))).size, 1);
  });

  it('shows the sign-in page without a session', async () => {
    const { cookie, accessToken } = await signIn();
    await server.graphql('mutation { logout { endedSessions } }', { token: accessToken });
    assert.equal(await (await page(cookie)).text(), 'sign in');
    assert.equal(await (await fetch(site)).text(), 'sign in');
  });

  it('is refused by an API that does not list its origin', async () => {
    const { cookie } = await signIn();
    const request = new Request(site, { headers: { Cookie: cookie } });
    const elsewhere = { url: `${server.url}/graphql`, origin: 'https://elsewhere.example.com' };
    await assert.rejects(refreshFor(request, elsewhere), /origin/);
    assert.equal((await page(cookie)).status, 200, 'the cookie was spent');
  });
});
