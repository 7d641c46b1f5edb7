import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import type { Client as Live } from 'graphql-ws';
import { createContext, useContext } from 'react';
import type { Refusal } from './refusal';
import type { Session } from './session';

// Backend is the screens' interface to the GraphQL library.
export interface Backend {
  useQuery<D>(document: TypedDocumentNode<D, Record<string, never>>): Query<D>;
  // The returned function rejects with a Refusal.
  useMutation<D, V extends object>(document: TypedDocumentNode<D, V>): (variables: V) => Promise<D>;
  // Returns the reason why the subscription has ended.
  useSubscription<D>(document: TypedDocumentNode<D, Record<string, never>>, event: (data: D) => void): Refusal | undefined;
}

export type Query<D> = { data: D | undefined; refusal: Refusal | undefined; loading: boolean; reload(): void };

export const BackendContext = createContext<Backend | null>(null);

function useBackend(): Backend {
  return useContext(BackendContext)!;
}

export const useQuery: Backend['useQuery'] = (document) => useBackend().useQuery(document);
export const useMutation: Backend['useMutation'] = (document) => useBackend().useMutation(document);
export const useSubscription: Backend['useSubscription'] = (document, event) => useBackend().useSubscription(document, event);

// The WebSocket client of the subscriptions.
export const LiveContext = createContext<Live | null>(null);

export function useLive(): Live {
  return useContext(LiveContext)!;
}

// NoticeContext provides a function that shows a message above the screens, until the next sign-in.
export const NoticeContext = createContext<(text: string) => void>(() => {});

export function useNotice(): (text: string) => void {
  return useContext(NoticeContext);
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  return useContext(SessionContext)!;
}
