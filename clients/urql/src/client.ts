// urql with Graphwarden's sessions. Copy it with shared/src/session.ts and, for subscriptions, shared/src/live.ts.
// docs/CLIENTS.md explains them.
import { authExchange } from '@urql/exchange-auth';
import { persistedExchange } from '@urql/exchange-persisted';
import type { Client as Live } from 'graphql-ws';
import { tokenRefusal, type Session } from 'shared/src/session';
import { cacheExchange, Client, fetchExchange, makeOperation, subscriptionExchange } from 'urql';

// connect creates a client for one session. With trusted, it sends the hashes that graphql-codegen put into the
// documents instead of their text.
export function connect(session: Session, url: string, live: Live, trusted: boolean): Client {
  const authenticate = authExchange(async ({ appendHeaders }) => {
    let refused: Parameters<Session['recover']>;
    return {
      addAuthToOperation(operation) {
        const token = session.get().tokens?.accessToken;
        if (!token) return operation;
        const noted = makeOperation(operation.kind, operation, { ...operation.context, token });
        return appendHeaders(noted, { Authorization: `Bearer ${token}` });
      },
      // In cookie mode, a page has no access token until its first refresh.
      willAuthError() {
        if (!session.lacksToken) return false;
        refused = ['TOKEN_EXPIRED', ''];
        return true;
      },
      // The exchange ignores the result for an operation that was already sent again.
      didAuthError({ graphQLErrors }, { context: { token } }) {
        const reason = tokenRefusal(graphQLErrors);
        if (!reason || !token) return false;
        refused = [reason, token];
        return true;
      },
      // Called right after one of these two. New operations wait for it.
      async refreshAuth() {
        if (!(await session.recover(...refused))) throw new Error('signed out');
      },
    };
  });
  const hash = persistedExchange({
    enforcePersistedQueries: true,
    preferGetForPersistedQueries: false, // as below
    enableForMutation: true,
    enableForSubscriptions: true,
    generateHash: async (_, document: any) => document.__meta__.hash,
  });
  const subscribe = subscriptionExchange({
    forwardSubscription: ({ query = '', ...request }) => ({
      subscribe: (sink) => ({ unsubscribe: live.subscribe({ query, ...request }, sink as Parameters<Live['subscribe']>[1]) }),
    }),
  });

  // Send queries by POST too: the URL of a GET is logged together with its variables.
  return new Client({
    url,
    preferGetMethod: false,
    fetchOptions: { credentials: 'include' },
    exchanges: [cacheExchange, authenticate, ...(trusted ? [hash] : []), subscribe, fetchExchange],
  });
}
