// Who is signed in, for all tabs of this browser. Copy this file into your application, beside the one
// for your GraphQL client; docs/CLIENTS.md explains it line by line.
import type { ErrorReason, TokenDelivery } from './gql/enums';

// What this tab knows of the session. With delivery COOKIE there is no refreshToken, and the accessToken
// of a page that was just loaded is '' until its first refresh.
export type Tokens = { accessToken: string; refreshToken: string | null; sessionId: string };
// ended says why there are no tokens; null if nobody signed in yet, or the user signed out.
export type State = { tokens: Tokens | null; ended: ErrorReason | null };
type AuthPayload = { accessToken: string; refreshToken?: string | null; session: { id: string } };

const KEY = 'graphwarden';
// What an access token can be refused for: a refresh mends it, or tells that the session has ended.
const TOKEN_REFUSED: readonly unknown[] = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_INVALID', 'TOKEN_REVOKED'];
// What a refresh can be refused for that no later try changes; REQUIRED if the browser has dropped the cookie.
const FINAL: readonly unknown[] = ['SESSION_REVOKED', 'SESSION_EXPIRED', 'REFRESH_REUSED', 'REFRESH_INVALID', 'REQUIRED'];
// Letter for letter as graphql-codegen prints it: a server with trusted documents knows no other.
const REFRESH = /* GraphQL */ `mutation Refresh($input: RefreshTokenInput) { __typename refreshToken(input: $input) { __typename accessToken refreshToken session { __typename id } } }`;

export class Session {
  // Where the refresh token goes: for the inputs of register and login.
  readonly delivery: TokenDelivery;
  readonly #url: string;
  #state = stored();
  #mending: Promise<boolean> | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #tabs = new BroadcastChannel(KEY);

  constructor(url: string, delivery: TokenDelivery) {
    this.#url = url;
    this.delivery = delivery;
    this.#tabs.onmessage = ({ data }) => this.#adopt(data);
  }

  // get and subscribe are what React's useSyncExternalStore asks for.
  get = (): State => this.#state;
  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  // refreshInput is what refreshToken and logout are told: nothing where the cookie says it.
  get refreshInput(): { refreshToken: string } | undefined {
    const refreshToken = this.#state.tokens?.refreshToken;
    return refreshToken ? { refreshToken } : undefined;
  }

  // token is the access token to send, if somebody is signed in. It rejects as recover does.
  async token(): Promise<string | undefined> {
    if (this.lacksToken) await this.recover('TOKEN_EXPIRED', '');
    return this.#state.tokens?.accessToken;
  }

  get lacksToken(): boolean {
    return this.#state.tokens?.accessToken === '';
  }

  begin({ accessToken, refreshToken, session }: AuthPayload): void {
    this.#publish({ tokens: { accessToken, refreshToken: refreshToken ?? null, sessionId: session.id }, ended: null });
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
    this.#adopt(this.#newest()); // this tab may have slept through what the others said
    const { tokens } = this.#state;
    if (!tokens || tokens.accessToken !== used) return tokens !== null;
    if (reason === 'TOKEN_REVOKED') return this.end(reason), false;

    const before = localStorage.getItem(KEY);
    const answer = await redeem(this.#url, this.refreshInput);
    if (localStorage.getItem(KEY) !== before) return this.#mend(reason, used); // signed in or out meanwhile
    if (answer.data) return this.begin(answer.data.refreshToken), true;
    const { reason: why } = answer.errors![0]!.extensions;
    if (!FINAL.includes(why)) throw new RefreshRefused(answer.errors!);
    return this.end(why), false;
  }

  // newest is what is stored, with this tab's own access token where none is.
  #newest(): State {
    const state = stored();
    return state.tokens?.accessToken === '' && state.tokens.sessionId === this.#state.tokens?.sessionId ? this.#state : state;
  }

  #publish(state: State): void {
    // Beside a cookie, nothing that is stored signs anybody in.
    const kept = state.tokens && this.delivery === 'COOKIE' ? { ...state, tokens: { ...state.tokens, accessToken: '' } } : state;
    localStorage.setItem(KEY, JSON.stringify(kept));
    this.#tabs.postMessage(state);
    this.#adopt(state);
  }

  #adopt(state: State): void {
    this.#state = state;
    this.#listeners.forEach((listener) => listener());
  }
}

// RefreshRefused is a refresh that may succeed later, when retryAfter of its errors says.
export class RefreshRefused extends Error {
  readonly errors: GraphQLError[];

  constructor(errors: GraphQLError[]) {
    super(errors[0]!.message);
    this.errors = errors;
  }
}

// tokenRefusal finds why an operation's access token was refused. Other errors, such as a wrong password
// at a sign-in (UNAUTHENTICATED as well), have nothing to do with tokens.
export function tokenRefusal(errors: readonly { extensions?: Record<string, unknown> }[]): ErrorReason | undefined {
  const refused = errors.find(({ extensions: e }) => e?.code === 'UNAUTHENTICATED' && TOKEN_REFUSED.includes(e.reason));
  return refused?.extensions?.reason as ErrorReason | undefined;
}

const stored = (): State => JSON.parse(localStorage.getItem(KEY) ?? '{"tokens":null,"ended":null}');

// exclusively runs work in one tab at a time. It keeps the lock a moment longer than its caller waits: what work
// stored reaches other tabs by another way than the lock, which may be faster. Where there are no locks (they need
// https or localhost), tabs may refresh at once: the server then gives all of them the same pair.
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  if (!navigator.locks) return work();
  return new Promise((resolve, reject) => {
    navigator.locks.request(KEY, async () => {
      await work().then(resolve, reject);
      await new Promise((over) => setTimeout(over, 300));
    }).catch(reject);
  });
}

type GraphQLError = { message: string; extensions: { reason: ErrorReason } };
type Answer = { data?: { refreshToken: AuthPayload } | null; errors?: GraphQLError[] };

// redeem does without the GraphQL client, whose own recovery would come round to it.
async function redeem(url: string, input: { refreshToken: string } | undefined): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    credentials: 'include', // the cookie, to another origin too
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query: REFRESH, operationName: 'Refresh', variables: { input } }),
    signal: AbortSignal.timeout(10_000), // the other tabs wait for the lock
  });
  return response.json();
}
