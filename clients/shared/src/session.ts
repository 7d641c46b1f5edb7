// Who is signed in, for all tabs of this browser. Copy this file into your application, beside the one
// for your GraphQL client; docs/CLIENTS.md explains it line by line.
import type { ErrorReason, TokenDelivery } from './gql/enums';

// What this tab knows of the session. With delivery COOKIE there is no refreshToken, and the accessToken
// of a page that was just loaded is '' until its first refresh.
export type Tokens = { accessToken: string; refreshToken: string | null; sessionId: string };
// ended says why there are no tokens; null before the first sign-in and after a sign-out.
export type State = { tokens: Tokens | null; ended: ErrorReason | null };
// KeyValues is the part of localStorage that is used. In React Native, pass a synchronous store such as MMKV.
export type KeyValues = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
type AuthPayload = { accessToken: string; refreshToken?: string | null; session: { id: string } };

// What an access token can be refused for: a refresh mends it, or tells that the session has ended.
const TOKEN_REFUSED: readonly unknown[] = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_INVALID', 'TOKEN_REVOKED'];
// What a refresh can be refused for that no later try changes; REQUIRED if the browser has dropped the cookie.
const FINAL: readonly unknown[] = ['SESSION_REVOKED', 'SESSION_EXPIRED', 'REFRESH_REUSED', 'REFRESH_INVALID', 'REQUIRED'];
// Letter for letter as graphql-codegen prints it: a server with trusted documents knows no other.
const REFRESH = /* GraphQL */ `mutation Refresh($input: RefreshTokenInput) { __typename refreshToken(input: $input) { __typename accessToken refreshToken session { __typename id } } }`;

// How long a refresh may take, and how long a tab waits for another tab's. A tab that waited in vain refreshes too:
// the server gives both the same pair.
const REFRESH_TIMEOUT = 10_000, LOCK_TIMEOUT = 5_000;

export class Session {
  // Where the refresh token goes: for the inputs of register and login.
  readonly delivery: TokenDelivery;
  readonly #url: string;
  // Names the stored state, the lock and the channel. It holds the URL, so that two applications on one origin with
  // different servers do not sign each other out.
  readonly #key: string;
  readonly #storage: KeyValues | undefined;
  readonly #tabs: BroadcastChannel | undefined;
  readonly #listeners = new Set<() => void>();
  #state: State = { tokens: null, ended: null };
  #stale = false; // the storage did not take the present state
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
    this.#mending ??= exclusively(this.#key, () => this.#mend(reason, used)).finally(() => { this.#mending = undefined; });
    return this.#mending;
  }

  async #mend(reason: ErrorReason, used: string): Promise<boolean> {
    this.#adopt(this.#newest()); // this tab may have slept through what the others said
    const { tokens } = this.#state;
    if (!tokens || tokens.accessToken !== used) return tokens !== null;
    if (reason === 'TOKEN_REVOKED') return this.end(reason), false;

    const before = this.#stored();
    const { data, errors } = await redeem(this.#url, this.refreshInput);
    if (this.#stored() !== before) return this.#mend(reason, used); // signed in or out meanwhile
    if (data) return this.begin(data.refreshToken), true;
    if (!errors?.[0]?.extensions) throw new Error('the answer is not from this server'); // but from a proxy, perhaps
    const { reason: why } = errors[0].extensions;
    if (!FINAL.includes(why)) throw new RefreshRefused(errors);
    return this.end(why), false;
  }

  // newest is the stored state, with this tab's own access token where none is stored. It is this tab's state where
  // the storage has nothing to say: denied, full, emptied, or overwritten with another application's value.
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

  // store leaves nothing behind where it fails: other tabs must not spend an old refresh token.
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
    // Beside a cookie, nothing that is stored signs anybody in.
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

// pageStorage is localStorage, if there is one and the browser does not deny it.
function pageStorage(): KeyValues | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

// channel is undefined in browsers without BroadcastChannel, such as Safari before 15.4, and where it is denied.
function channel(name: string): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel(name);
  } catch {
    return undefined;
  }
}

// exclusively runs work in one tab at a time, where it can: without Web Locks, which need https or localhost, and after
// LOCK_TIMEOUT, it runs work at once. A suspended tab would keep its lock forever. The lock is kept 300 ms longer than
// the caller waits: the new state reaches other tabs on another way than the lock, which may be faster.
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

// deadline is AbortSignal.timeout for Safari before 16 and React Native, which lack it.
function deadline(ms: number): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), ms);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

type GraphQLError = { message: string; extensions: { reason: ErrorReason } };
type Answer = { data?: { refreshToken: AuthPayload } | null; errors?: GraphQLError[] };

// redeem does without the GraphQL client, whose own recovery would come round to it.
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
