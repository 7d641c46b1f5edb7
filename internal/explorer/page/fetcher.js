// GraphiQL's requests to the server.

// makeFetcher replaces placeholders in headers and variables with the session's tokens.
export function makeFetcher(session, path) {
  const url = new URL(path, window.location);
  const subscriptionUrl = new URL(url);
  subscriptionUrl.protocol = url.protocol.replace('http', 'ws');
  const send = window.GraphiQL.createFetcher({
    url: url.href,
    subscriptionUrl: subscriptionUrl.href,
    enableIncrementalDelivery: false, // the server has no @defer
    // GraphiQL adds a copy of the tab's headers. JSON.stringify calls toJSON whenever the subscription connects, also
    // after its token has expired.
    wsConnectionParams: {
      toJSON() {
        const { toJSON, ...tab } = this;
        return fillHeaders(tab, session);
      },
    },
  });
  return async (operation, options) => {
    await session.fresh();
    const answer = await send(
      { ...operation, variables: fill(operation.variables, session) },
      { ...options, headers: isSubscription(operation, options) ? options.headers : fillHeaders(options?.headers, session) },
    );
    session.observe(answer).catch(() => {}); // the response is shown anyway
    return answer;
  };
}

const isSubscription = ({ operationName }, options) => options?.documentAST?.definitions.some(
  ({ operation, name }) => operation === 'subscription' && name?.value === operationName);

const placeholder = /\{\{\s*(accessToken|refreshToken)\s*\}\}/g;

function fill(value, session) {
  if (typeof value === 'string') return value.replace(placeholder, (_, name) => session[name] ?? '');
  if (Array.isArray(value)) return value.map((item) => fill(item, session));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fill(item, session)]));
}

// Drops headers whose token is missing, so that anonymous requests have none.
function fillHeaders(headers, session) {
  const missing = (value) => [...String(value).matchAll(placeholder)].some(([, name]) => !session[name]);
  return fill(Object.fromEntries(Object.entries(headers ?? {}).filter(([, value]) => !missing(value))), session);
}
