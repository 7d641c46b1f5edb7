// The browser that the tests drive: Debian's Chromium, or the one that CHROMIUM names.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => path && existsSync(path));

// Why browser tests are skipped, or false. In CI nothing is skipped: launch fails there.
export const skip = executablePath || process.env.CI === 'true' ? false : 'SKIPPED: needs Chromium (Debian: apt-get install chromium)';

// launch starts a browser with a profile of its own, which it deletes at its end.
export function launch() {
  if (!executablePath) throw new Error('Chromium is missing (Debian: apt-get install chromium)');
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}
