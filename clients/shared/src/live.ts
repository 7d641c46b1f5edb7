// A WebSocket client for subscriptions that survive the expiry of access tokens. Copy this file beside session.ts.
// docs/CLIENTS.md explains both.
import { createClient, type Client } from 'graphql-ws';
import type { ErrorReason } from './gql/enums';
import type { Session } from './session';

// Close code of the server when the connection's token has expired or was revoked. The close reason is the error reason
// that an operation would get.
const FORBIDDEN = 4403;

class SignedOut extends Error {}

// connectLive connects when the first subscription starts, and disconnects after the last. If the connection is lost, it
// connects again and restarts the running subscriptions.
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
    // Reconnect immediately after an expiry. If the server is unreachable, back off with a random delay, so that clients
    // do not all return at the same moment.
    retryWait: (retries) => pause(retries === 0 && refused ? 0 : Math.min(30_000, 1000 * 2 ** retries) * (0.5 + Math.random())),
  });
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
