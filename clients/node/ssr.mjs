// Server-side rendering in cookie mode: a renderer, such as a Next.js middleware, calls the API on behalf of the user
// whose browser requests a page. Copy it. docs/CLIENTS.md explains it. It needs only fetch and standard Requests.

const REFRESH = 'mutation Refresh { refreshToken { accessToken } }';

/**
 * refreshFor redeems the refresh cookie of a page request. Send every returned cookie to the browser before you use the
 * access token: a browser that misses the new cookie presents a spent one next time, and is signed out. It returns null
 * without a session, and throws if the API cannot be reached.
 * @param {Request} request of the browser
 * @param {{ url: string, origin: string, address?: string, cookie?: string }} api its /graphql; an allowed origin (the
 *   page's own); the browser's address, if the API lists this renderer in --trusted-proxies; and the name of the cookie,
 *   if the public URL of the API has a path
 * @returns {Promise<{ accessToken: string, cookies: string[] } | null>}
 */
export async function refreshFor(request, { url, origin, address, cookie: name = '__Host-graphwarden_refresh' }) {
  const cookie = (request.headers.get('Cookie') ?? '').split(/;\s*/).find((one) => one.startsWith(`${name}=`));
  if (!cookie) return null;
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/graphql-response+json',
      Cookie: cookie,
      Origin: origin,
      // The session list shows the browser, not the renderer.
      'User-Agent': request.headers.get('User-Agent') ?? '',
      ...(address && { 'X-Forwarded-For': address }),
    },
    body: JSON.stringify({ query: REFRESH }),
    signal: AbortSignal.timeout(10_000),
  });
  const { data, errors } = /** @type {any} */ (await response.json());
  if (data) return { accessToken: data.refreshToken.accessToken, cookies: response.headers.getSetCookie() };
  if (errors?.[0]?.extensions?.code === 'UNAUTHENTICATED') return null; // the session has ended: show the sign-in page
  throw new Error(errors?.[0]?.message ?? 'the API did not return a GraphQL response');
}
