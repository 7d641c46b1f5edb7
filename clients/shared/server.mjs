// A server for tests: the real binary on a free port, with its own database.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

// A password that the server accepts.
export const password = 'correct horse battery';

let built;

// binary returns the path of the server's binary: GRAPHWARDEN_BINARY, or one built once per process.
export function binary() {
  built ??= process.env.GRAPHWARDEN_BINARY || build();
  return built;
}

// build compiles the server with additional arguments for `go build`. The binary is deleted when the process exits.
export function build(...args) {
  const folder = mkdtempSync(join(tmpdir(), 'graphwarden-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'graphwarden');
  const go = spawnSync('go', ['build', ...args, '-o', path, '.'], { cwd: repository, encoding: 'utf8' });
  if (go.status !== 0) throw new Error(`go build: ${go.error ?? go.stderr}`);
  return path;
}

// withoutSettings is the environment without settings of the server, which the tests ignore.
const withoutSettings = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GRAPHWARDEN_')));

// run runs a command of the server's binary with the text as standard input.
export async function run(input, ...args) {
  const command = spawn(binary(), args, { env: withoutSettings(), stdio: ['pipe', 'ignore', 'pipe'] });
  let log = '';
  command.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
  command.stdin.end(input);
  const [code] = await once(command, 'close');
  if (code !== 0) throw new Error(`${args[0]} ${args[1]}: ${log}`);
}

// freePort returns a port of this machine that is free now.
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// start runs the server until stop. The flags override the defaults.
export async function start(...flags) {
  return startBinary(binary(), ...flags);
}

export async function startBinary(path, ...flags) {
  const folder = mkdtempSync(join(tmpdir(), 'graphwarden-'));
  const args = ['--listen', '127.0.0.1:0', '--database', `sqlite:${folder}/test.db`, '--bcrypt-cost', '4', '--stop-delay', '0s', ...flags];
  const child = spawn(path, args, { env: withoutSettings(), stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL'); // a crashed test must not leave a server running
  process.on('exit', kill);
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
  const ended = once(child, 'close').then(([code, signal]) => {
    process.off('exit', kill);
    rmSync(folder, { recursive: true, force: true });
    return code ?? signal;
  });
  const url = await Promise.race([
    banner(child.stdout),
    ended.then((code) => { throw new Error(`the server exited with ${code}: ${log}`); }),
  ]);
  return new Server(url, child, ended, () => log);
}

// banner resolves with the address that the server prints. It continues to read afterwards, because a full or closed
// pipe would block the server.
function banner(stdout) {
  return new Promise((resolve) => {
    let text = '';
    stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      const found = /(http:\/\/[^/\s]+)\/graphql/.exec(text);
      if (found) resolve(found[1]);
    });
  });
}

class Server {
  #child; #ended; #log;

  constructor(url, child, ended, log) {
    this.url = url; // without a slash at the end
    this.#child = child;
    this.#ended = ended;
    this.#log = log;
  }

  get log() { return this.#log(); }

  // graphql posts one operation and returns the whole response, including errors.
  async graphql(query, { variables, token, headers } = {}) {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/graphql-response+json',
        ...(token && { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      body: JSON.stringify({ query, variables }),
    });
    return response.json();
  }

  // register creates an account and returns the tokens of its first session.
  async register(email = `user-${crypto.randomUUID()}@example.com`) {
    const answer = await this.graphql(
      `mutation Register($input: RegisterInput!) {
        register(input: $input) { auth { accessToken refreshToken expiresIn user { id email roles } session { id } } }
      }`,
      { variables: { input: { email, password } } },
    );
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    return { ...answer.data.register.auth, email, password };
  }

  // stop terminates the server, and rejects if its exit status is not 0.
  async stop() {
    this.#child.kill('SIGTERM');
    const code = await this.#ended;
    if (code !== 0) throw new Error(`the server exited with ${code}: ${this.log}`);
  }
}
