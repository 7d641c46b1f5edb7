// A GraphQL client without a framework, for scripts and services. Copy it. docs/CLIENTS.md explains it.

/** @typedef {{ accessToken: string, refreshToken?: string | null | undefined }} Tokens */
/** @typedef {{ message: string, path?: (string | number)[], extensions?: Record<string, any> }} GraphQLError */
/** @typedef {{ data?: any, errors?: GraphQLError[] }} Answer */

const TOKEN_REFUSED = ['TOKEN_EXPIRED', 'TOKEN_STALE', 'TOKEN_INVALID'];
const REFRESH = `mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) { accessToken refreshToken }
}`;

// Refusal is the error of an operation that failed completely or partly.
export class Refusal extends Error {
  /** @param {Answer} answer */
  constructor({ data, errors }) {
    super(errors?.[0]?.message);
    this.data = data; // partial data, if any
    this.errors = errors ?? [];
    /** @type {string | undefined} */ this.code = errors?.[0]?.extensions?.code;
    /** @type {string | undefined} */ this.reason = errors?.[0]?.extensions?.reason;
  }
}

export class Client {
  #url; #keep;
  /** @type {Promise<void> | undefined} */ #renewing;

  /**
   * @param {string} url of /graphql
   * @param {Tokens | null} tokens of an earlier run, if it stored them
   * @param {(tokens: Tokens) => void | Promise<void>} keep stores each new pair before it is used: a refresh token that
   *   is used again after its successor ends the session
   */
  constructor(url, tokens = null, keep = () => {}) {
    this.#url = url;
    this.#keep = keep;
    this.tokens = tokens;
  }

  /**
   * begin takes the tokens from a payload that signs in a user, such as that of login.
   * @param {Tokens} payload
   */
  async begin({ accessToken, refreshToken }) {
    const tokens = { accessToken, refreshToken };
    await this.#keep(tokens);
    this.tokens = tokens;
  }

  /**
   * run executes one operation and returns its data. It throws a Refusal if there are errors. It renews an expired token,
   * once for all operations that meet it.
   * @param {string} query
   * @param {object} [variables]
   */
  async run(query, variables) {
    const used = this.tokens?.accessToken;
    let answer = await this.#post(query, variables, used);
    if (used && answer.errors?.some(refusesToken)) {
      await this.renew(used);
      answer = await this.#post(query, variables, this.tokens?.accessToken);
    }
    if (answer.errors) throw new Refusal(answer);
    return answer.data;
  }

  /**
   * renew replaces the pair whose access token, used, was refused.
   * @param {string} used
   */
  async renew(used) {
    if (this.tokens?.accessToken !== used) return;
    this.#renewing ??= this.#renew().finally(() => { this.#renewing = undefined; });
    await this.#renewing;
  }

  async #renew() {
    const { refreshToken } = /** @type {Tokens} */ (this.tokens);
    const answer = await this.#post(REFRESH, { input: { refreshToken } });
    if (!answer.data) throw new Refusal(answer);
    await this.begin(answer.data.refreshToken);
  }

  /**
   * @param {string} query
   * @param {object} [variables]
   * @param {string} [token]
   * @returns {Promise<Answer>}
   */
  async #post(query, variables, token) {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/graphql-response+json',
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(30_000),
    });
    return /** @type {Promise<Answer>} */ (response.json());
  }
}

/** @param {{ extensions?: Record<string, any> }} error */
export function refusesToken({ extensions }) {
  return extensions?.code === 'UNAUTHENTICATED' && TOKEN_REFUSED.includes(extensions.reason);
}
