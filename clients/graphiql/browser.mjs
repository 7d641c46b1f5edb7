// The browser for the tests: Debian's Chromium, or the path in CHROMIUM.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => path && existsSync(path));

// The reason why browser tests are skipped, or false. In CI they are never skipped: launch fails instead.
export const skip = executablePath || process.env.CI === 'true' ? false : 'SKIPPED: needs Chromium (Debian: apt-get install chromium)';

// launch starts a browser with a temporary profile.
export function launch() {
  if (!executablePath) throw new Error('Chromium is missing (Debian: apt-get install chromium)');
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}
