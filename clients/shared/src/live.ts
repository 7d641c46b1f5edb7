// A WebSocket for subscriptions that outlives its access tokens. Copy this file beside session.ts, which says who is
// signed in; docs/CLIENTS.md explains both.
import { createClient, type Client } from 'graphql-ws';
import type { ErrorReason } from './gql/enums';
import type { Session } from './session';

// The server closes with this code when the token of a connection has expired or was revoked; the reason
// is that of the error which an operation would get.
const FORBIDDEN = 4403;

class SignedOut extends Error {}

// connectLive connects when the first subscription starts, and ends with the last. Where the connection is
// lost, it connects again and starts what was under way once more.
export function connectLive(session: Session, url: string): Client {
  let used = ''; // the token of this connection
  let refused: ErrorReason | undefined; // why the last one was closed

  return createClient({
    url: new URL(url, window.location.href).href.replace(/^http/, 'ws'),
    async connectionParams() {
      if (refused && !(await session.recover(refused, used))) throw new SignedOut(refused);
      refused = undefined;
      used = (await session.token()) ?? '';
      return { Authorization: `Bearer ${used}` };
    },
    on: {
      closed(event) {
        const { code, reason } = event as CloseEvent;
        if (code === FORBIDDEN) refused = reason as ErrorReason;
      },
    },
    retryAttempts: Infinity,
    shouldRetry: (error) => !(error instanceof SignedOut),
    // An expired token is nobody's trouble and needs no patience; a server that is away does, and not
    // everybody's at the same moment.
    retryWait: (retries) => pause(retries === 0 && refused ? 0 : Math.min(30_000, 1000 * 2 ** retries) * (0.5 + Math.random())),
  });
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
