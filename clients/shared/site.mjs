// A site for tests: a built application and the server's /graphql on one origin, as behind a proxy.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

export async function serve(folder, target) {
  const site = new Site(folder, target);
  site.server.listen(0, '127.0.0.1');
  await once(site.server, 'listening');
  return site;
}

class Site {
  requests = []; // of GraphQL: { operation, status }, status once it is answered
  #gate;

  constructor(folder, target) {
    this.folder = folder;
    this.target = target; // the server's URL; a test that restarts the server changes it
    this.server = createServer((request, response) => {
      (request.url === '/graphql' ? this.#forward(request, response) : this.#file(request, response))
        .catch(() => response.writeHead(502).end('bad gateway'));
    });
  }

  get url() { return `http://127.0.0.1:${this.server.address().port}`; }

  // sent returns the requests of an operation so far.
  sent(operation) { return this.requests.filter((one) => one.operation === operation); }

  // hold keeps requests of an operation until there are n of them, then sends them all at once.
  hold(operation, n) {
    let open;
    const full = new Promise((resolve) => { open = resolve; });
    this.#gate = (one) => {
      if (one !== operation) return undefined;
      if (--n === 0) {
        this.#gate = undefined;
        open();
      }
      return full;
    };
  }

  async #forward(request, response) {
    const body = await text(request);
    const one = { operation: JSON.parse(body).operationName };
    this.requests.push(one);
    await this.#gate?.(one.operation);
    const { host, connection, ...headers } = request.headers;
    const answer = await fetch(`${this.target}/graphql`, { method: request.method, headers, body });
    const content = await answer.text();
    one.status = answer.status;
    response.writeHead(answer.status, { 'Content-Type': answer.headers.get('Content-Type') }).end(content);
  }

  async #file(request, response) {
    const path = normalize(request.url === '/' ? '/index.html' : request.url);
    const content = await readFile(join(this.folder, path));
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(content);
  }

  async close() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
