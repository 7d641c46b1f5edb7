// Who is signed in on this page.

const pair = 'accessToken refreshToken';
const queries = {
  me: 'query { me { id email username name roles createdAt } }',
  register: `mutation ($input: RegisterInput!) { register(input: $input) { auth { ${pair} } } }`,
  login: `mutation ($input: LoginInput!) { login(input: $input) { ${pair} } }`,
  refresh: `mutation ($input: RefreshTokenInput!) { refreshToken(input: $input) { ${pair} } }`,
  logout: 'mutation ($input: LogoutInput!) { logout(input: $input) { endedSessions } }',
};

// The share of its life after which a token is renewed.
const renewAt = 0.8;
const retryIn = 5; // s, unless the server names a time

// Reasons for which a token that was good is refused, and that a refresh cures or explains.
const outdated = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_REVOKED'];

// A fault is what the server refused, in its own words.
export class Fault extends Error {
  constructor(errors) {
    const fields = errors.flatMap((e) => e.extensions?.fields ?? []);
    const { code, retryAfter } = errors[0]?.extensions ?? {};
    const when = retryAfter ? ` (${retryAfter} s)` : '';
    super((fields.length > 0 ? fields : errors).map((e) => e.message).join('\n') + when);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

// Session holds the tokens in memory and nowhere else: what a page stores, every script of its origin
// can read, and so can whoever uses the browser next.
export class Session {
  #url;
  #tokens; // {access, refresh, life, expires}; times in ms, undefined when nobody is signed in
  #timer;
  #renewal;
  #listeners = new Set();
  #state = { account: undefined, expires: undefined, life: undefined, renewals: 0, notice: '' };

  constructor(url) { this.#url = url; }

  // For React.useSyncExternalStore.
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  state = () => this.#state;

  get accessToken() { return this.#tokens?.access; }

  get refreshToken() { return this.#tokens?.refresh; }

  async register(input) { await this.#begin(await this.#call(queries.register, { input })); }

  async login(input) { await this.#begin(await this.#call(queries.login, { input })); }

  // logout ends sessions here whatever the server says: a token that it cannot end runs out soon.
  async logout(scope) {
    const refreshToken = this.refreshToken;
    this.#end('You are signed out.');
    await this.#call(queries.logout, { input: { scope, refreshToken } });
  }

  // whoAmI asks the server for the account behind the token.
  async whoAmI() {
    const access = this.accessToken;
    const { me } = await this.#call(queries.me, undefined, access);
    if (this.accessToken === access) this.#set({ account: me });
  }

  // renew gets new tokens for the same session. However many ask at once, the token is redeemed once.
  renew() {
    this.#renewal ??= this.#redeem().finally(() => { this.#renewal = undefined; });
    return this.#renewal;
  }

  // fresh waits until the token is good for one more request: timers of a page in the background, or of
  // a sleeping computer, are late.
  async fresh() {
    if (this.#tokens && this.#tokens.expires - Date.now() < this.#tokens.life * (1 - renewAt) / 2) await this.renew();
  }

  // observe looks at what an operation in a tab was answered. Tokens that it got are taken up: those that
  // the page holds may have been spent for them.
  async observe(answer) {
    const found = findPair(answer?.data);
    if (found) {
      this.#take(found);
      await this.whoAmI();
    } else if (this.#tokens && answer?.errors?.some((e) => outdated.includes(e.extensions?.reason))) {
      await this.renew();
    }
  }

  async #begin(data) {
    const found = findPair(data);
    if (!found) { // the address is to be verified first
      this.#set({ notice: 'The account was made. A mail says how to go on.' });
      return;
    }
    this.#take(found);
    this.#set({ renewals: 0 });
    await this.whoAmI();
  }

  async #redeem() {
    const tokens = this.#tokens;
    if (!tokens) return;
    try {
      const data = await this.#call(queries.refresh, { input: { refreshToken: tokens.refresh } });
      if (this.#tokens !== tokens) return; // signed out, or in as somebody else, meanwhile
      this.#take(findPair(data));
      this.#set({ renewals: this.#state.renewals + 1, notice: '' });
    } catch (error) {
      if (this.#tokens !== tokens) return;
      if (error.code === 'UNAUTHENTICATED') {
        this.#end(`You were signed out: ${error.message}`);
      } else {
        this.#set({ notice: `Renewing the token failed and is tried again: ${error.message}` });
        this.#schedule((error.retryAfter ?? retryIn) * 1000);
      }
    }
  }

  #take({ accessToken, refreshToken }) {
    const { exp, iat } = claims(accessToken);
    const life = (exp - iat) * 1000; // by the server's clock alone: this computer's may be off
    const expires = Date.now() + life;
    this.#tokens = { access: accessToken, refresh: refreshToken, life, expires };
    this.#set({ expires, life, notice: '' });
    this.#schedule(life * renewAt);
  }

  #end(notice) {
    clearTimeout(this.#timer);
    this.#tokens = undefined;
    this.#set({ account: undefined, expires: undefined, life: undefined, notice });
  }

  #schedule(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.renew(), delay);
  }

  #set(change) {
    this.#state = { ...this.#state, ...change };
    this.#listeners.forEach((listener) => listener());
  }

  async #call(query, variables, token) {
    const answer = await fetch(this.#url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/graphql-response+json, application/json;q=0.9',
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables }),
    }).then((response) => response.json()).catch(() => { throw new Error('the server cannot be reached'); });
    if (answer.errors) throw new Fault(answer.errors);
    return answer.data;
  }
}

// findPair returns the first object in an answer that holds both tokens.
function findPair(value) {
  if (value === null || typeof value !== 'object') return undefined;
  if (typeof value.accessToken === 'string' && typeof value.refreshToken === 'string') return value;
  return Object.values(value).map(findPair).find(Boolean);
}

const claims = (jwt) => JSON.parse(atob(jwt.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
