import { useEffect, useState } from 'react';
import { mount, type ConnectProps } from 'shared/src/app';
import type { Backend } from 'shared/src/backend';
import { Refusal } from 'shared/src/refusal';
import { RefreshRefused } from 'shared/src/session';
import { trusted, url } from 'shared/src/settings';
import { Provider, useMutation, useQuery, useSubscription, type CombinedError } from 'urql';
import { connect } from './client';

function refusal(error: CombinedError): Refusal {
  const { graphQLErrors, networkError } = error;
  return new Refusal(networkError instanceof RefreshRefused ? networkError.errors : graphQLErrors, error);
}

const backend: Backend = {
  useQuery(document) {
    const [{ data, error, fetching, stale }, execute] = useQuery({ query: document, variables: {}, requestPolicy: 'cache-and-network' });
    return {
      data,
      refusal: error && refusal(error),
      loading: fetching || stale,
      reload: () => execute({ requestPolicy: 'network-only' }),
    };
  },
  useMutation(document) {
    const [, mutate] = useMutation(document);
    return async (variables) => {
      const { data, error } = await mutate(variables);
      if (error) throw refusal(error);
      return data!;
    };
  },
  useSubscription(document, event) {
    const [{ data, error }] = useSubscription({ query: document, variables: {} });
    useEffect(() => { if (data) event(data); }, [data]);
    return error && refusal(error);
  },
};

function Connect({ session, live, children }: ConnectProps) {
  const [client] = useState(() => connect(session, url, live, trusted));
  return <Provider value={client}>{children}</Provider>;
}

mount('urql', Connect, backend);
