// The session of the signed-in user, shared by all tabs of this browser. Copy this file into your application, beside
// the one for your GraphQL client. docs/CLIENTS.md explains it line by line.
import type { ErrorReason, TokenDelivery } from './gql/enums';

// Tokens is this tab's view of the session. With delivery COOKIE, refreshToken is null, and accessToken is '' from the
// load of the page until its first refresh.
export type Tokens = { accessToken: string; refreshToken: string | null; sessionId: string };
// ended is the reason why there are no tokens. It is null before a sign-in and after a sign-out.
export type State = { tokens: Tokens | null; ended: ErrorReason | null };
// KeyValues is the used part of localStorage. In React Native, pass a synchronous store such as MMKV.
export type KeyValues = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
export type AuthPayload = { accessToken: string; refreshToken?: string | null; session: { id: string } };

// Reasons to refuse an access token. A refresh returns a new one, or shows that the session has ended.
const TOKEN_REFUSED: readonly unknown[] = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_INVALID', 'TOKEN_REVOKED'];
// Reasons to refuse a refresh that are final. REQUIRED means that the browser has deleted the cookie.
const FINAL: readonly unknown[] = ['SESSION_REVOKED', 'SESSION_EXPIRED', 'REFRESH_REUSED', 'REFRESH_INVALID', 'REQUIRED'];
// Exactly as graphql-codegen prints it: a server with trusted documents accepts no other text.
const REFRESH = /* GraphQL */ `mutation Refresh($input: RefreshTokenInput) { __typename refreshToken(input: $input) { __typename accessToken refreshToken session { __typename id } } }`;

// Maximum duration of a refresh, and of the wait for a refresh in another tab, in ms. A tab whose wait times out
// refreshes too: the server gives both the same pair.
const REFRESH_TIMEOUT = 10_000, LOCK_TIMEOUT = 5_000;

export class Session {
  // How the server delivers the refresh token; pass it to register and login.
  readonly delivery: TokenDelivery;
  readonly #url: string;
  // Name of the stored state, the lock and the channel. It contains the URL, so that two applications on one origin
  // with different servers do not sign each other out.
  readonly #key: string;
  readonly #storage: KeyValues | undefined;
  readonly #tabs: BroadcastChannel | undefined;
  readonly #listeners = new Set<() => void>();
  #state: State = { tokens: null, ended: null };
  #stale = false; // the storage rejected the current state
  #mending: Promise<boolean> | undefined;

  constructor(url: string, delivery: TokenDelivery, storage = pageStorage()) {
    this.#url = url;
    this.#key = `graphwarden ${url}`;
    this.delivery = delivery;
    this.#storage = storage;
    this.#state = this.#newest();
    this.#tabs = channel(this.#key);
    if (this.#tabs) this.#tabs.onmessage = ({ data }) => isState(data) && this.#adopt(data);
    else globalThis.addEventListener?.('storage', ({ key }) => key === this.#key && this.#adopt(this.#newest()));
  }

  // get and subscribe match React's useSyncExternalStore.
  get = (): State => this.#state;
  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  // refreshInput is the input of refreshToken and logout, undefined if the token is in a cookie.
  get refreshInput(): { refreshToken: string } | undefined {
    const refreshToken = this.#state.tokens?.refreshToken;
    return refreshToken ? { refreshToken } : undefined;
  }

  // token returns the access token to send, or undefined if no user is signed in. It rejects as recover does.
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

  // recover handles an operation whose access token, used, was refused. It returns whether to send the operation again.
  // It rejects if it cannot decide, for example because the server cannot be reached.
  recover(reason: ErrorReason, used: string): Promise<boolean> {
    this.#mending ??= exclusively(this.#key, () => this.#mend(reason, used)).finally(() => { this.#mending = undefined; });
    return this.#mending;
  }

  async #mend(reason: ErrorReason, used: string): Promise<boolean> {
    this.#adopt(this.#newest()); // this tab may have missed messages while it slept
    const { tokens } = this.#state;
    if (!tokens || tokens.accessToken !== used) return tokens !== null;
    if (reason === 'TOKEN_REVOKED') return this.end(reason), false;

    const before = this.#stored();
    const { data, errors } = await redeem(this.#url, this.refreshInput);
    if (this.#stored() !== before) return this.#mend(reason, used); // another tab has signed in or out
    if (data) return this.begin(data.refreshToken), true;
    if (!errors?.[0]?.extensions) throw new Error('the response is not from this server'); // but from a proxy, perhaps
    const { reason: why } = errors[0].extensions;
    if (!FINAL.includes(why)) throw new RefreshRefused(errors);
    return this.end(why), false;
  }

  // newest returns the stored state, with this tab's own access token if none is stored. It returns this tab's state if
  // the storage has no valid state: it is denied, full, cleared, or holds another application's value.
  #newest(): State {
    const state = this.#stale ? undefined : parse(this.#stored());
    if (!state) return this.#state;
    return state.tokens?.accessToken === '' && state.tokens.sessionId === this.#state.tokens?.sessionId ? this.#state : state;
  }

  #stored(): string | null {
    try {
      return this.#storage?.getItem(this.#key) ?? null;
    } catch {
      return null;
    }
  }

  // store deletes the old state first, so that a failure leaves no old refresh token for other tabs to spend.
  #store(state: State): void {
    try {
      this.#storage?.removeItem(this.#key);
      this.#storage?.setItem(this.#key, JSON.stringify(state));
      this.#stale = false;
    } catch {
      this.#stale = true;
    }
  }

  #publish(state: State): void {
    // In cookie mode, the access token is not stored.
    const kept = state.tokens && this.delivery === 'COOKIE' ? { ...state, tokens: { ...state.tokens, accessToken: '' } } : state;
    this.#store(kept);
    this.#tabs?.postMessage(state);
    this.#adopt(state);
  }

  #adopt(state: State): void {
    this.#state = state;
    this.#listeners.forEach((listener) => listener());
  }
}

// RefreshRefused is the error of a refresh that may succeed later, after retryAfter of its errors.
export class RefreshRefused extends Error {
  readonly errors: GraphQLError[];

  constructor(errors: GraphQLError[]) {
    super(errors[0]!.message);
    this.errors = errors;
  }
}

// tokenRefusal returns the reason why an operation's access token was refused. It ignores other errors, such as a wrong
// password at a sign-in, which is UNAUTHENTICATED as well.
export function tokenRefusal(errors: readonly { extensions?: Record<string, unknown> }[]): ErrorReason | undefined {
  const refused = errors.find(({ extensions: e }) => e?.code === 'UNAUTHENTICATED' && TOKEN_REFUSED.includes(e.reason));
  return refused?.extensions?.reason as ErrorReason | undefined;
}

function parse(text: string | null): State | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return isState(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isState(value: any): value is State {
  const tokens = value?.tokens;
  return tokens === null || (typeof tokens?.accessToken === 'string' && typeof tokens.sessionId === 'string');
}

// pageStorage returns localStorage, or undefined if it does not exist or the browser denies it.
function pageStorage(): KeyValues | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

// channel returns undefined if BroadcastChannel is missing, as in Safari before 15.4, or denied.
function channel(name: string): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel(name);
  } catch {
    return undefined;
  }
}

// exclusively runs work in one tab at a time. Without Web Locks, which need https or localhost, and after LOCK_TIMEOUT,
// it runs work immediately, because a suspended tab would keep its lock forever. It holds the lock for 300 ms after work
// has ended: the lock can reach other tabs faster than the new state.
function exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return work();
  return new Promise((resolve, reject) => {
    const { signal, clear } = deadline(LOCK_TIMEOUT);
    const locked = locks.request(name, { signal }, async () => {
      clear();
      await work().then(resolve, reject);
      await new Promise((over) => setTimeout(over, 300));
    });
    locked.catch(() => work().then(resolve, reject));
  });
}

// deadline replaces AbortSignal.timeout, which Safari before 16 and React Native lack.
function deadline(ms: number): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), ms);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

type GraphQLError = { message: string; extensions: { reason: ErrorReason } };
type Answer = { data?: { refreshToken: AuthPayload } | null; errors?: GraphQLError[] };

// redeem does not use the GraphQL client, whose recovery would call it again.
async function redeem(url: string, input: { refreshToken: string } | undefined): Promise<Answer> {
  const { signal, clear } = deadline(REFRESH_TIMEOUT); // the other tabs wait for the lock
  try {
    const response = await fetch(url, {
      method: 'POST',
      credentials: 'include', // the cookie, to another origin too
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: REFRESH, operationName: 'Refresh', variables: { input } }),
      signal,
    });
    return await response.json() as Answer;
  } finally {
    clear();
  }
}
