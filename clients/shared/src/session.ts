// Who is signed in, for all tabs of this browser. Copy this file into your application, beside the one
// for your GraphQL client; docs/CLIENTS.md explains it line by line.
import type { ErrorReason } from './gql/enums';

export type Tokens = { accessToken: string; refreshToken: string; sessionId: string };
// ended says why there are no tokens; null if nobody signed in yet, or the user signed out.
export type State = { tokens: Tokens | null; ended: ErrorReason | null };
type AuthPayload = { accessToken: string; refreshToken?: string | null; session: { id: string } };

const KEY = 'graphwarden';
// What an access token can be refused for: a refresh mends it, or tells that the session has ended.
const TOKEN_REFUSED: readonly unknown[] = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_INVALID', 'TOKEN_REVOKED'];
// What a refresh can be refused for that no later try changes.
const FINAL: readonly unknown[] = ['SESSION_REVOKED', 'SESSION_EXPIRED', 'REFRESH_REUSED', 'REFRESH_INVALID'];
const REFRESH = /* GraphQL */ `mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) { accessToken refreshToken session { id } }
}`;

export class Session {
  #state = stored();
  #mending: Promise<boolean> | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #tabs = new BroadcastChannel(KEY);

  constructor(private readonly url: string) {
    this.#tabs.onmessage = ({ data }) => this.#adopt(data);
  }

  // get and subscribe are what React's useSyncExternalStore asks for.
  get = (): State => this.#state;
  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  begin({ accessToken, refreshToken, session }: AuthPayload): void {
    this.#publish({ tokens: { accessToken, refreshToken: refreshToken!, sessionId: session.id }, ended: null });
  }

  end(reason: ErrorReason | null): void {
    this.#publish({ tokens: null, ended: reason });
  }

  // recover deals with an operation whose access token, used, was refused; it tells whether to send the
  // operation once more. It rejects where that cannot be told now, such as without a server.
  recover(reason: ErrorReason, used: string): Promise<boolean> {
    this.#mending ??= exclusively(() => this.#mend(reason, used)).finally(() => { this.#mending = undefined; });
    return this.#mending;
  }

  async #mend(reason: ErrorReason, used: string): Promise<boolean> {
    this.#adopt(stored()); // this tab may have slept through what the others said
    const { tokens } = this.#state;
    if (!tokens || tokens.accessToken !== used) return tokens !== null;
    if (reason === 'TOKEN_REVOKED') return this.end(reason), false;

    const answer = await redeem(this.url, tokens.refreshToken);
    if (stored().tokens?.refreshToken !== tokens.refreshToken) return this.#mend(reason, used); // signed in or out meanwhile
    if (answer.data) return this.begin(answer.data.refreshToken), true;
    const refusal = answer.errors![0]!;
    if (!FINAL.includes(refusal.extensions.reason)) throw new Error(refusal.message);
    return this.end(refusal.extensions.reason), false;
  }

  #publish(state: State): void {
    localStorage.setItem(KEY, JSON.stringify(state));
    this.#tabs.postMessage(state);
    this.#adopt(state);
  }

  #adopt(state: State): void {
    this.#state = state;
    this.#listeners.forEach((listener) => listener());
  }
}

// tokenRefusal finds why an operation's access token was refused. Other errors, such as a wrong password
// (UNAUTHENTICATED as well), have nothing to do with tokens.
export function tokenRefusal(errors: readonly { extensions?: Record<string, unknown> }[]): ErrorReason | undefined {
  const refused = errors.find(({ extensions: e }) => e?.code === 'UNAUTHENTICATED' && TOKEN_REFUSED.includes(e.reason));
  return refused?.extensions?.reason as ErrorReason | undefined;
}

const stored = (): State => JSON.parse(localStorage.getItem(KEY) ?? '{"tokens":null,"ended":null}');

// exclusively runs work in one tab at a time. Where there are no locks (they need https or localhost),
// tabs may refresh at once: the server then gives all of them the same pair.
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(KEY, work) : work();
}

type Answer = {
  data?: { refreshToken: AuthPayload };
  errors?: { message: string; extensions: { reason: ErrorReason } }[];
};

// redeem does without the GraphQL client, whose own recovery would come round to it.
async function redeem(url: string, refreshToken: string): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query: REFRESH, operationName: 'Refresh', variables: { input: { refreshToken } } }),
    signal: AbortSignal.timeout(10_000), // the other tabs wait for the lock
  });
  return response.json();
}
