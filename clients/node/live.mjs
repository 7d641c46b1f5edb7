// Subscriptions that survive the expiry of access tokens, for scripts and services: with graphql-ws over a WebSocket,
// or with graphql-sse over HTTP. Copy the half that you need. docs/CLIENTS.md explains it.
import * as sse from 'graphql-sse';
import * as ws from 'graphql-ws';
import { Refusal, refusesToken } from './client.mjs';

// Close code of the server when the WebSocket's token has expired or was revoked.
const FORBIDDEN = 4403;

/**
 * overSocket yields the data of each event until the consumer stops. It throws a Refusal if the session has ended.
 * @param {import('./client.mjs').Client} client
 * @param {string} url of /graphql
 * @param {ws.SubscribePayload} request
 * @param {Partial<ws.ClientOptions>} [options]
 */
export async function* overSocket(client, url, request, options) {
  let used = '', refused = false;
  const live = ws.createClient({
    url: url.replace(/^http/, 'ws'),
    retryAttempts: Infinity,
    shouldRetry: mayPass,
    retryWait: (retries) => pause(retries === 0 && refused ? 0 : backoff(retries)),
    async connectionParams() {
      if (refused) await client.renew(used);
      refused = false;
      used = client.tokens?.accessToken ?? '';
      return { Authorization: `Bearer ${used}` };
    },
    ...options,
  });
  live.on('closed', (event) => { refused ||= /** @type {CloseEvent} */ (event).code === FORBIDDEN; });
  for await (const answer of live.iterate(request)) yield dataOf(answer);
}

/**
 * overEvents does the same over server-sent events. The last event of a stream reports that the token was refused.
 * @param {import('./client.mjs').Client} client
 * @param {string} url of /graphql
 * @param {sse.RequestParams} request
 * @param {Partial<sse.ClientOptions>} [options]
 */
export async function* overEvents(client, url, request, options) {
  let used = '', refused = true;
  const live = sse.createClient({
    url,
    retryAttempts: Infinity,
    retry: (retries) => pause(backoff(retries)),
    headers: () => {
      used = client.tokens?.accessToken ?? '';
      return { Authorization: `Bearer ${used}` };
    },
    ...options,
  });
  while (refused) {
    refused = false;
    for await (const answer of live.iterate(request)) {
      refused = !!answer.errors?.some(refusesToken);
      if (refused) await renew(client, used);
      else yield dataOf(answer);
    }
  }
}

/**
 * renew retries while the server is unreachable or busy.
 * @param {import('./client.mjs').Client} client
 * @param {string} used
 */
async function renew(client, used) {
  for (let retries = 0; ; retries++) {
    try {
      return await client.renew(used);
    } catch (error) {
      if (!mayPass(error)) throw error;
      await pause(backoff(retries));
    }
  }
}

/**
 * mayPass reports whether a retry may succeed, because the session has not ended.
 * @param {unknown} error
 */
function mayPass(error) {
  return !(error instanceof Refusal) || error.code === 'RATE_LIMITED' || error.code === 'UNAVAILABLE';
}

/** @param {any} answer */
function dataOf(answer) {
  if (answer.errors) throw new Refusal(answer);
  return answer.data;
}

/** @param {number} retries */
const backoff = (retries) => Math.min(30_000, 1000 * 2 ** retries) * (0.5 + Math.random());

/** @param {number} ms */
const pause = (ms) => /** @type {Promise<void>} */ (new Promise((resolve) => setTimeout(resolve, ms)));
