// The data that GraphiQL keeps between visits.

const tokens = /eyJ[\w-]+\.[\w.-]*|gwr_[\w-]+/g;
// Also matches a password without its closing quote, while it is being typed.
const passwords = /(password\w*"?\s*:\s*)("""[^]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?)/gi;

// redact removes credentials: tokens, and the values of members and arguments named password.
export const redact = (text) => text.replace(tokens, '').replace(passwords, '$1""');

// Keys whose values are JSON with documents as strings. Each string is redacted separately, because escaping hides the
// end of a quoted password.
const documents = ['graphiql:tabState', 'graphiql:queries', 'graphiql:favorites'];

const redactAll = (json) => JSON.stringify(JSON.parse(json), (_, value) => (typeof value === 'string' ? redact(value) : value));

// pageStorage returns a storage for GraphiQL, or null if the browser denies storage: GraphiQL then keeps nothing.
export function pageStorage() {
  try {
    return new SafeStorage(window.localStorage);
  } catch {
    return null;
  }
}

// SafeStorage is a Storage that writes tabs, history and layout to another one, without credentials: every script of the
// origin can read what a page stores.
class SafeStorage {
  #inner;

  constructor(inner) { this.#inner = inner; }

  get length() { return this.#keys().length; }

  getItem(key) { return this.#inner.getItem(key); }

  setItem(key, value) { this.#inner.setItem(key, (documents.includes(key) ? redactAll : redact)(value)); }

  removeItem(key) { this.#inner.removeItem(key); }

  clear() { this.#keys().forEach((key) => this.#inner.removeItem(key)); }

  #keys() { return Object.keys(this.#inner).filter((key) => key.startsWith('graphiql:')); }
}
