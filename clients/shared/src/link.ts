// The link of a mail that opened this page: #flow=token.
export type Link = { flow: string; token: string };

// Inbound holds the link until the user has confirmed it. Opening a link must not do anything by itself, because mail
// scanners open links too.
export class Inbound {
  #flows: readonly string[];
  #link: Link | null = null;
  #listeners = new Set<() => void>();

  constructor(flows: readonly string[]) {
    this.#flows = flows;
    this.#take();
    window.addEventListener('hashchange', () => this.#take()); // a link was pasted into this tab
  }

  // get and subscribe match React's useSyncExternalStore.
  get = (): Link | null => this.#link;
  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  close = () => this.#set(null);

  // take moves the link from the address bar, and so from the history, into memory. A reload forgets it.
  #take(): void {
    const [[flow, token] = []] = new URLSearchParams(window.location.hash.slice(1));
    if (!flow || !token || !this.#flows.includes(flow)) return;
    window.history.replaceState(null, '', window.location.pathname + window.location.search);
    this.#set({ flow, token });
  }

  #set(link: Link | null): void {
    this.#link = link;
    this.#listeners.forEach((listener) => listener());
  }
}
