import { ApolloProvider, useMutation, useQuery } from '@apollo/client/react';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { useState } from 'react';
import { mount, type ConnectProps } from 'shared/src/app';
import type { Backend } from 'shared/src/backend';
import { Refusal } from 'shared/src/refusal';
import { connect } from './client';

function refusal(error: unknown): Refusal {
  return new Refusal(CombinedGraphQLErrors.is(error) ? error.errors : [], error);
}

const backend: Backend = {
  useQuery(document) {
    const { data, error, loading, refetch } = useQuery<any>(document, { fetchPolicy: 'cache-and-network' });
    return {
      data,
      refusal: error && refusal(error),
      loading,
      reload: () => void refetch().catch(() => {}), // the hook has the error too
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
};

function Connect({ session, children }: ConnectProps) {
  const [client] = useState(() => connect(session, '/graphql'));
  return <ApolloProvider client={client}>{children}</ApolloProvider>;
}

mount('Apollo Client', Connect, backend);
