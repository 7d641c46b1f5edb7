// urql with Graphwarden's sessions: copy it with shared/src/session.ts. docs/CLIENTS.md explains both.
import { authExchange } from '@urql/exchange-auth';
import { tokenRefusal, type Session } from 'shared/src/session';
import { cacheExchange, Client, fetchExchange, makeOperation } from 'urql';

export function connect(session: Session, url: string): Client {
  const authenticate = authExchange(async ({ appendHeaders }) => {
    let refused: Parameters<Session['recover']>;
    return {
      addAuthToOperation(operation) {
        const token = session.get().tokens?.accessToken;
        if (!token) return operation;
        const noted = makeOperation(operation.kind, operation, { ...operation.context, token });
        return appendHeaders(noted, { Authorization: `Bearer ${token}` });
      },
      // Of an operation that was sent again already, the exchange ignores the answer.
      didAuthError({ graphQLErrors }, { context: { token } }) {
        const reason = tokenRefusal(graphQLErrors);
        if (!reason || !token) return false;
        refused = [reason, token];
        return true;
      },
      // Called right after didAuthError; operations that start meanwhile wait for it.
      async refreshAuth() {
        if (!(await session.recover(...refused))) throw new Error('signed out');
      },
    };
  });

  // Queries go by POST as well: the URL of a GET ends up in logs with its variables.
  return new Client({ url, preferGetMethod: false, exchanges: [cacheExchange, authenticate, fetchExchange] });
}
