// Apollo Client with Graphwarden's sessions. Copy it with shared/src/session.ts and, for subscriptions,
// shared/src/live.ts. docs/CLIENTS.md explains them.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { SetContextLink } from '@apollo/client/link/context';
import { ErrorLink } from '@apollo/client/link/error';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import type { Client as Live } from 'graphql-ws';
import { from, of, switchMap } from 'rxjs';
import { tokenRefusal, type Session } from 'shared/src/session';

// connect creates a client for one session. With trusted, it sends the hashes that graphql-codegen put into the
// documents instead of their text.
export function connect(session: Session, uri: string, live: Live, trusted: boolean): ApolloClient {
  const authenticate = new SetContextLink(async ({ headers }) => {
    const token = await session.token();
    return token ? { token, headers: { ...headers, Authorization: `Bearer ${token}` } } : {};
  });

  // ErrorLink does not handle what it forwards itself, so an operation is sent at most twice.
  const recover = new ErrorLink(({ error, result, operation, forward }) => {
    const reason = CombinedGraphQLErrors.is(error) && tokenRefusal(error.errors);
    const { token } = operation.getContext();
    if (!reason || !token) return;
    return from(session.recover(reason, token)).pipe(switchMap((again) => (again ? forward(operation) : of(result!))));
  });

  const request = ApolloLink.from([recover, authenticate, new HttpLink({ uri, credentials: 'include' })]);
  // The link would also send the text, printed differently from the text that was hashed.
  const subscribe = new GraphQLWsLink({
    ...live,
    subscribe: (payload, sink) => live.subscribe(trusted ? { ...payload, query: '' } : payload, sink),
  });
  const send = ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, subscribe, request);
  const hash = new PersistedQueryLink({ generateHash: (document: any) => document.__meta__.hash, retry: () => false });
  return new ApolloClient({ link: trusted ? hash.concat(send) : send, cache: new InMemoryCache() });
}
