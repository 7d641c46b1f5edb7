// Downloads the files pinned in internal/explorer/assets.json from npm, verifies their hashes, and stores them
// compressed where the server embeds them.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const explorer = fileURLToPath(new URL('../../internal/explorer/', import.meta.url));
const pinned = JSON.parse(readFileSync(join(explorer, 'assets.json')));
const target = (a) => join(explorer, 'assets', `${a.package}-${a.version}${extname(a.path)}.gz`);

for (const name of readdirSync(join(explorer, 'assets'))) {
  const path = join(explorer, 'assets', name);
  if (name !== 'README.md' && !pinned.some((asset) => target(asset) === path)) rmSync(path);
}
const missing = pinned.filter((asset) => !existsSync(target(asset)));
const scratch = mkdtempSync(join(tmpdir(), 'assets-'));
try {
  const spec = (asset) => `${asset.package}@${asset.version}`;
  for (const one of new Set(missing.map(spec))) unpack(one, join(scratch, one));
  for (const asset of missing) {
    const text = readFileSync(join(scratch, spec(asset), 'package', asset.path));
    const integrity = `sha384-${createHash('sha384').update(text).digest('base64')}`;
    if (integrity !== asset.integrity) {
      throw new Error(`${asset.path} of ${spec(asset)} has ${integrity}, but assets.json pins ${asset.integrity}`);
    }
    writeFileSync(`${target(asset)}.part`, gzipSync(text, { level: 9 }));
    renameSync(`${target(asset)}.part`, target(asset)); // atomic
  }
} finally {
  rmSync(scratch, { recursive: true });
}

function unpack(spec, folder) {
  mkdirSync(folder);
  const packed = execFileSync('npm', ['pack', spec, '--json', '--loglevel=error'], { cwd: folder, encoding: 'utf8' });
  execFileSync('tar', ['-xzf', JSON.parse(packed)[0].filename], { cwd: folder });
}
