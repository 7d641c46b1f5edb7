// The session of the user who is signed in on this page.

// The fields that signIn needs from every payload that signs in a user.
export const pair = 'accessToken refreshToken';

const queries = {
  me: `query {
    me {
      id email emailVerified username name roles createdAt
      factors { totpSince recoveryCodesLeft } passkeys { id name createdAt lastUsedAt }
    }
  }`,
  refresh: `mutation ($input: RefreshTokenInput!) { refreshToken(input: $input) { ${pair} } }`,
  reauthenticate: `mutation ($input: ReauthenticateInput!) { reauthenticate(input: $input) { ${pair} } }`,
  logout: 'mutation ($input: LogoutInput!) { logout(input: $input) { endedSessions } }',
};

// The fraction of its life after which a token is renewed.
const renewAt = 0.8;
const retryIn = 5; // s, unless the server sends retryAfter
const maxTries = 3; // of an operation: a renewal and a proof can be needed in between

// Reasons to refuse a token that was once valid. A refresh returns a new one or a reason.
const outdated = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_REVOKED'];

// Reasons to refuse an operation until the user has proved their credentials again.
const unproved = ['STEP_UP_REQUIRED', 'SECOND_FACTOR_REQUIRED'];

// Fault is an error of the server, with its messages.
export class Fault extends Error {
  constructor(errors) {
    const fields = errors.flatMap((e) => e.extensions?.fields ?? []);
    const { code, reason, retryAfter, challenge } = errors[0]?.extensions ?? {};
    const when = retryAfter ? ` (${retryAfter} s)` : '';
    super((fields.length > 0 ? fields : errors).map((e) => e.message).join('\n') + when);
    this.code = code;
    this.reason = reason;
    this.challenge = challenge;
    this.retryAfter = retryAfter;
  }
}

// Session holds the tokens in memory only: every script of the origin, and the next user of the browser, can read what a
// page stores.
export class Session {
  #url;
  #tokens; // {access, refresh, sid, life, expires}; times in ms; undefined when signed out
  #timer;
  #renewal;
  #listeners = new Set();
  #state = {
    account: undefined, expires: undefined, life: undefined, renewals: 0, notice: '', link: undefined, challenge: undefined, proof: undefined,
  };

  constructor(url) { this.#url = url; }

  // For React.useSyncExternalStore.
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  state = () => this.#state;

  get accessToken() { return this.#tokens?.access; }

  get refreshToken() { return this.#tokens?.refresh; }

  notify(notice) { this.#set({ notice }); }

  // takeLink moves the link of a mail, #flow=token, from the address bar, and so from the history, into memory.
  takeLink(flows) {
    const [[flow, token] = []] = new URLSearchParams(window.location.hash.slice(1));
    if (!token || !Object.hasOwn(flows, flow)) return;
    window.history.replaceState(null, '', window.location.pathname + window.location.search);
    this.#set({ link: { flow, token } });
  }

  dismissLink() { this.#set({ link: undefined, notice: '' }); }

  // call runs a public operation.
  call(query, input) { return this.#send(query, { input }); }

  // signIn runs an operation that can sign in a user, and adopts the tokens. If a second factor is missing, the panel
  // asks for it. It returns the data.
  async signIn(query, input) {
    try {
      const data = await this.call(query, input);
      const found = findPair(data);
      if (found) {
        this.#take(found);
        this.#set({ challenge: undefined, renewals: 0 });
        await this.whoAmI();
      }
      return data;
    } catch (error) {
      if (!error.challenge) throw error;
      return this.#set({ challenge: error.challenge });
    }
  }

  dismissChallenge() { this.#set({ challenge: undefined }); }

  // act runs an operation as the signed-in user, if there is one. It renews an outdated token, and asks the user for a
  // proof if the server requires a recent one.
  async act(query, input) {
    await this.fresh();
    for (let tries = 1; ; tries++) {
      try {
        return await this.#send(query, { input }, this.accessToken);
      } catch (error) {
        if (tries === maxTries || !this.#tokens) throw error;
        if (unproved.includes(error.reason)) await this.#ask();
        else if (outdated.includes(error.reason)) await this.renew();
        else throw error;
      }
    }
  }

  // logout signs out here even if the server cannot be reached: the access token then expires soon.
  async logout(scope) {
    const refreshToken = this.refreshToken;
    this.end('You are signed out.');
    await this.#send(queries.logout, { input: { scope, refreshToken } });
  }

  // whoAmI reads the token's account from the server.
  async whoAmI() {
    const sid = this.#tokens?.sid;
    const { me } = await this.act(queries.me);
    if (this.#tokens?.sid === sid) this.#set({ account: me });
  }

  // renew gets new tokens for the same session. Simultaneous calls redeem the refresh token once.
  renew() {
    this.#renewal ??= this.#redeem().finally(() => { this.#renewal = undefined; });
    return this.#renewal;
  }

  // fresh waits until the token is valid for one more request: timers are late in background pages and after a sleep.
  async fresh() {
    if (this.#tokens && this.#tokens.expires - Date.now() < this.#tokens.life * (1 - renewAt) / 2) await this.renew();
  }

  // observe checks the response to an operation in a tab. It adopts new tokens, because the operation may have spent those
  // of the page.
  async observe(answer) {
    const found = findPair(answer?.data);
    if (found) {
      this.#take(found);
      await this.whoAmI();
    } else if (this.#tokens && answer?.errors?.some((e) => outdated.includes(e.extensions?.reason))) {
      await this.renew();
    }
  }

  // ask shows the form that renews the proof of a credential. It rejects if the user cancels it.
  #ask() {
    this.#state.proof?.cancel();
    return new Promise((resolve, reject) => {
      const close = (then) => {
        this.#set({ proof: undefined });
        then();
      };
      const prove = async (input) => {
        this.#take(findPair(await this.#send(queries.reauthenticate, { input }, this.accessToken)));
        close(resolve);
      };
      this.#set({ proof: { prove, cancel: () => close(() => reject(new Error('your identity was not confirmed'))) } });
    });
  }

  async #redeem() {
    const tokens = this.#tokens;
    if (!tokens) return;
    try {
      const data = await this.#send(queries.refresh, { input: { refreshToken: tokens.refresh } });
      if (this.#tokens !== tokens) return; // signed out, or in as another user, meanwhile
      this.#take(findPair(data));
      this.#set({ renewals: this.#state.renewals + 1, notice: '' });
    } catch (error) {
      if (this.#tokens !== tokens) return;
      if (error.code === 'UNAUTHENTICATED') {
        this.end(`You were signed out: ${error.message}`);
      } else {
        this.#set({ notice: `The token could not be renewed. Trying again: ${error.message}` });
        this.#schedule((error.retryAfter ?? retryIn) * 1000);
      }
    }
  }

  #take({ accessToken, refreshToken }) {
    const { exp, iat, sid } = claims(accessToken);
    const life = (exp - iat) * 1000; // by the server's clock only: this computer's may be wrong
    const expires = Date.now() + life;
    this.#tokens = { access: accessToken, refresh: refreshToken, sid, life, expires };
    this.#set({ expires, life, notice: '' });
    this.#schedule(life * renewAt);
  }

  // end forgets the tokens and says why.
  end(notice) {
    clearTimeout(this.#timer);
    this.#tokens = undefined;
    this.#state.proof?.cancel();
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

  async #send(query, variables, token) {
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

// findPair returns the first object in a response that has both tokens.
function findPair(value) {
  if (value === null || typeof value !== 'object') return undefined;
  if (typeof value.accessToken === 'string' && typeof value.refreshToken === 'string') return value;
  return Object.values(value).map(findPair).find(Boolean);
}

const claims = (jwt) => JSON.parse(atob(jwt.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
