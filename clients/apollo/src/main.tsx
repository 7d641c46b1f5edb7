import { ApolloProvider, useMutation, useQuery, useSubscription } from '@apollo/client/react';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { useState } from 'react';
import { mount, type ConnectProps } from 'shared/src/app';
import type { Backend } from 'shared/src/backend';
import { Refusal } from 'shared/src/refusal';
import { RefreshRefused } from 'shared/src/session';
import { trusted, url } from 'shared/src/settings';
import { connect } from './client';

function refusal(error: unknown): Refusal {
  const answered = CombinedGraphQLErrors.is(error) || error instanceof RefreshRefused;
  return new Refusal(answered ? error.errors : [], error);
}

const backend: Backend = {
  useQuery(document) {
    const { data, error, loading, refetch } = useQuery<any>(document, { fetchPolicy: 'cache-and-network' });
    return {
      data,
      refusal: error && refusal(error),
      loading,
      reload: () => void refetch().catch(() => {}), // the hook reports the error too
    };
  },
  useMutation(document) {
    const [mutate] = useMutation<any, any>(document);
    return async (variables) => {
      try {
        return (await mutate({ variables })).data;
      } catch (error) {
        throw refusal(error);
      }
    };
  },
  useSubscription(document, event) {
    const { error } = useSubscription<any>(document, { onData: ({ data: { data } }) => data && event(data) });
    return error && refusal(error);
  },
};

function Connect({ session, live, children }: ConnectProps) {
  const [client] = useState(() => connect(session, url, live, trusted));
  return <ApolloProvider client={client}>{children}</ApolloProvider>;
}

mount('Apollo Client', Connect, backend);
