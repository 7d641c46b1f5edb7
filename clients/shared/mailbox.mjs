// A mail server for tests: SMTP with STARTTLS, a password, and the mails that arrived.
import { execFileSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';

const user = 'graphwarden', secret = 'the password of the mail server';

let certificate;

// makeCertificate makes one for this process, which the servers that it starts trust.
function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const root = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  execFileSync('go', ['run', join(root, 'src/crypto/tls/generate_cert.go'), '-host', '127.0.0.1', '-ecdsa-curve', 'P256'], { cwd: folder, stdio: 'pipe' });
  process.env.SSL_CERT_FILE = join(folder, 'cert.pem');
  return { cert: readFileSync(join(folder, 'cert.pem')), key: readFileSync(join(folder, 'key.pem')) };
}

export class Mailbox {
  mails = []; // as mailparser returns them, in the order of arrival
  #arrivals = new EventEmitter();

  static async start() {
    certificate ??= makeCertificate();
    const box = new Mailbox();
    box.server = new SMTPServer({
      ...certificate,
      disableReverseLookup: true,
      onAuth: ({ username, password }, session, done) => {
        const known = session.secure && username === user && password === secret;
        done(known ? null : new Error('wrong password'), { user });
      },
      onData: (stream, session, done) => {
        simpleParser(stream).then((mail) => {
          box.mails.push(mail);
          box.#arrivals.emit('mail');
          done();
        }, done);
      },
    });
    box.server.listen(0, '127.0.0.1');
    await once(box.server.server, 'listening');
    return box;
  }

  // flags let a server send its mails here.
  get flags() {
    const url = new URL(`smtp://127.0.0.1:${this.server.server.address().port}`);
    Object.assign(url, { username: user, password: secret });
    return ['--smtp-url', url.href, '--mail-from', 'Example <no-reply@example.com>'];
  }

  // next waits for a mail to the address, or to any if it is undefined, whose subject contains the text, removes it from
  // mails and returns it.
  async next(address, text) {
    const signal = AbortSignal.timeout(20_000);
    for (;;) {
      const at = this.mails.findIndex(({ to, subject }) => [undefined, to.value[0].address].includes(address) && subject.includes(text));
      if (at >= 0) return this.mails.splice(at, 1)[0];
      await once(this.#arrivals, 'mail', { signal }).catch(() => {
        const others = this.mails.map(({ to, subject }) => `${to.text}: ${subject}`).join('\n');
        throw new Error(`no mail to ${address} about "${text}", but:\n${others}`);
      });
    }
  }

  async close() {
    await new Promise((closed) => { this.server.close(closed); });
  }
}

// linkIn returns the link in a mail, which its text and its HTML share.
export function linkIn({ text, html }) {
  const [link] = /https?:\/\/\S+#\S+/.exec(text);
  if (!html.includes(`href="${link}"`)) throw new Error(`the HTML lacks ${link}`);
  return link;
}
