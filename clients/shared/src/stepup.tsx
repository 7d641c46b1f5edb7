import { useCallback, useState, type ReactNode } from 'react';
import { Button, Field, Form, StepUpContext } from './act';
import { useMutation, useSession } from './backend';
import { BeginPasskeyReauthentication, Reauthenticate } from './operations';
import { Refusal } from './refusal';
import { SecondFactor } from './secondstep';
import { hasPasskeys, provePasskey } from './webauthn';

const open = (dialog: HTMLDialogElement | null) => dialog?.showModal();

// StepUp asks for the password, and for the second factor of an account that has one, or for a passkey, if an operation
// below it requires a recent proof.
export function StepUp({ children }: { children: ReactNode }) {
  const session = useSession();
  const reauthenticate = useMutation(Reauthenticate);
  const begin = useMutation(BeginPasskeyReauthentication);
  const [answer, setAnswer] = useState<((proved: boolean) => void) | null>(null);
  const [asksFactor, setAsksFactor] = useState(false);
  const ask = useCallback(() => new Promise<boolean>((resolve) => setAnswer(() => resolve)), []);

  function close(proved: boolean) {
    answer?.(proved);
    setAnswer(null);
  }
  async function submit({ password, code, recoveryCode }: Record<string, string>) {
    try {
      session.begin((await reauthenticate({ input: { password, code, recoveryCode } })).reauthenticate);
    } catch (error) {
      if (error instanceof Refusal && error.fields?.some(({ reason }) => reason === 'SECOND_FACTOR_REQUIRED')) setAsksFactor(true);
      throw error;
    }
    close(true);
  }
  async function usePasskey() {
    const { challenge, options } = (await begin({})).beginPasskeyReauthentication;
    const passkey = { challenge, response: await provePasskey(options) };
    session.begin((await reauthenticate({ input: { passkey } })).reauthenticate);
    close(true);
  }
  return (
    <StepUpContext value={ask}>
      {children}
      {answer && (
        <dialog ref={open} onClose={() => close(false)} aria-labelledby="step-up">
          <h2 id="step-up">Confirm your identity</h2>
          <p>For your security, enter your password again.</p>
          <Form button="Confirm" submit={submit}>
            <Field name="password" label="Password" type="password" autoComplete="current-password" />
            {asksFactor && <SecondFactor />}
          </Form>
          {hasPasskeys && <p className="ways"><Button run={usePasskey} className="quiet">Use a passkey</Button></p>}
          <button type="button" className="quiet" onClick={() => close(false)}>Cancel</button>
        </dialog>
      )}
    </StepUpContext>
  );
}
