// A site for tests: a built application and the server's /graphql on one origin, as behind a proxy.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

// serve listens immediately, because its URL may be needed before target, the server's URL, is known. settings replace
// those in the application's index.html.
export async function serve(folder, target, settings = {}) {
  const site = new Site(folder, target, settings);
  site.server.listen(0, '127.0.0.1');
  await once(site.server, 'listening');
  return site;
}

class Site {
  requests = []; // GraphQL requests: { operation, token, status, body }; status is set after the response
  #gate;
  #sockets = new Set();

  constructor(folder, target, settings) {
    this.folder = folder;
    this.target = target; // the server's URL; a test that restarts the server changes it
    this.settings = settings;
    this.server = createServer((request, response) => {
      (request.url === '/graphql' ? this.#forward(request, response) : this.#file(request, response))
        .catch(() => response.writeHead(502).end('bad gateway'));
    });
    this.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  get url() { return `http://127.0.0.1:${this.server.address().port}`; }

  // sent returns the requests for an operation so far.
  sent(operation) { return this.requests.filter((one) => one.operation === operation); }

  // hold delays requests for an operation until there are n of them, then forwards all of them.
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
    const token = request.headers.authorization?.replace('Bearer ', '');
    const one = { operation: JSON.parse(body).operationName, token, body };
    this.requests.push(one);
    await this.#gate?.(one.operation);
    const { host, connection, ...headers } = request.headers;
    const answer = await fetch(`${this.target}/graphql`, { method: request.method, headers, body });
    const content = await answer.text();
    one.status = answer.status;
    const cookies = answer.headers.getSetCookie();
    response.writeHead(answer.status, { 'Content-Type': answer.headers.get('Content-Type'), 'Set-Cookie': cookies }).end(content);
  }

  // upgrade forwards a WebSocket byte by byte, with its Host header, which the server compares with the Origin.
  #upgrade(request, socket, head) {
    const { hostname, port } = new URL(this.target);
    const server = connect(port, hostname, () => {
      const { method, url, rawHeaders } = request;
      const lines = Array.from({ length: rawHeaders.length / 2 }, (_, i) => `${rawHeaders[2 * i]}: ${rawHeaders[2 * i + 1]}\r\n`);
      server.write(`${method} ${url} HTTP/1.1\r\n${lines.join('')}\r\n`);
      server.write(head);
      socket.pipe(server).pipe(socket);
    });
    for (const [one, other] of [[socket, server], [server, socket]]) {
      this.#sockets.add(one);
      one.on('error', () => {}).on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  async #file(request, response) {
    const path = normalize(request.url === '/' ? '/index.html' : request.url);
    let content = await readFile(join(this.folder, path), 'utf8');
    for (const [name, value] of Object.entries(this.settings)) {
      content = content.replace(new RegExp(`(name="graphwarden:${name}" content=")[^"]*`), `$1${value}`);
    }
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(content);
  }

  async close() {
    this.server.closeAllConnections();
    this.#sockets.forEach((socket) => socket.destroy());
    this.server.close();
    await once(this.server, 'close');
  }
}
