import { useEffect, useRef } from 'react';
import { Button } from './act';
import { useMutation, useSession } from './backend';
import { BeginPasskeyLogin, LoginWithPasskey } from './operations';
import type { AuthPayload } from './session';
import { hasPasskeys, provePasskey } from './webauthn';

const RENEWAL = 240_000; // in ms: the server accepts a response for five minutes

// PasskeyLogin offers passkeys in the autofill of the form above, and by a button.
export function PasskeyLogin({ enter }: { enter: (signIn: Promise<AuthPayload>) => Promise<void> }) {
  const { delivery } = useSession();
  const begin = useMutation(BeginPasskeyLogin);
  const login = useMutation(LoginWithPasskey);
  const running = useRef<AbortController>(null);

  // signIn runs a ceremony. A browser runs one at a time, so it ends the one before.
  async function signIn(mediation?: 'conditional') {
    running.current?.abort();
    const { signal } = running.current = new AbortController();
    const { challenge, options } = (await begin({})).beginPasskeyLogin;
    const response = await provePasskey(options, signal, mediation);
    await enter(login({ input: { challenge, response, delivery } }).then((data) => data.loginWithPasskey));
  }
  useEffect(() => {
    let autofill: AbortController | null = null;
    function offer() {
      if (running.current && running.current !== autofill) return; // that of the button
      signIn('conditional').catch(() => {}); // the form works without passkeys
      autofill = running.current;
    }
    if (!hasPasskeys) return;
    offer();
    const timer = setInterval(offer, RENEWAL);
    return () => {
      clearInterval(timer);
      running.current?.abort();
      running.current = null;
    };
  }, []);
  const use = () => signIn().finally(() => { running.current = null; });
  return hasPasskeys && <p className="ways"><Button run={use} className="quiet">Use a passkey</Button></p>;
}
