// Codes of an authenticator app, made by Debian's oathtool, which shares no code with the server.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

const STEP = 30; // s

// The reason why tests that need codes are skipped, or false. In CI they are never skipped.
export const skipTotp = process.env.CI !== 'true' && spawnSync('oathtool', ['--version']).error
  ? 'SKIPPED: needs oathtool (Debian: apt-get install oathtool)' : false;

// totp returns the code of the current step, or of a later one: the server accepts each step once, and the next one early.
export function totp(secret, later = 0) {
  const at = Math.floor(Date.now() / 1000) + later * STEP;
  const tool = spawnSync('oathtool', ['--totp', '--base32', `--now=@${at}`, secret], { encoding: 'utf8' });
  assert.equal(tool.status, 0, `oathtool: ${tool.error ?? tool.stderr}`);
  return tool.stdout.trim();
}
