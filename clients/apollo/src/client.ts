// Apollo Client with Graphwarden's sessions: copy it with shared/src/session.ts. docs/CLIENTS.md explains both.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { SetContextLink } from '@apollo/client/link/context';
import { ErrorLink } from '@apollo/client/link/error';
import { from, of, switchMap } from 'rxjs';
import { tokenRefusal, type Session } from 'shared/src/session';

export function connect(session: Session, uri: string): ApolloClient {
  const authenticate = new SetContextLink(({ headers }) => {
    const token = session.get().tokens?.accessToken;
    return token ? { token, headers: { ...headers, Authorization: `Bearer ${token}` } } : {};
  });

  // What is forwarded from here does not come back here: an operation is sent twice at most.
  const recover = new ErrorLink(({ error, result, operation, forward }) => {
    const reason = CombinedGraphQLErrors.is(error) && tokenRefusal(error.errors);
    const { token } = operation.getContext();
    if (!reason || !token) return;
    return from(session.recover(reason, token)).pipe(switchMap((again) => (again ? forward(operation) : of(result!))));
  });

  return new ApolloClient({
    link: ApolloLink.from([recover, authenticate, new HttpLink({ uri })]),
    cache: new InMemoryCache(),
  });
}
