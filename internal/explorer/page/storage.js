// What GraphiQL keeps between visits.

const tokens = /eyJ[\w-]+\.[\w.-]*|gwr_[\w-]+/g;
// Also while it is being typed, without its closing quote.
const passwords = /(password\w*"?\s*:\s*)("""[^]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?)/gi;

// redact takes out what signs somebody in: tokens, and the values of members and arguments that are
// called password.
export const redact = (text) => text.replace(tokens, '').replace(passwords, '$1""');

// The keys whose values are JSON that holds documents as strings. Those are redacted one by one: escaping
// hides where a quoted password ends.
const documents = ['graphiql:tabState', 'graphiql:queries', 'graphiql:favorites'];

const redactAll = (json) => JSON.stringify(JSON.parse(json), (_, value) => (typeof value === 'string' ? redact(value) : value));

// pageStorage keeps tabs between visits, or is null where the browser denies storage: GraphiQL then keeps nothing.
export function pageStorage() {
  try {
    return new SafeStorage(window.localStorage);
  } catch {
    return null;
  }
}

// SafeStorage is a Storage that keeps tabs, history and layout in another one, without credentials: what
// a page stores, every script of its origin can read.
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
