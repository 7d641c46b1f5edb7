import { useCallback, useState, type ReactNode } from 'react';
import { Field, Form, StepUpContext } from './act';
import { useMutation, useSession } from './backend';
import { Reauthenticate } from './operations';
import { Refusal } from './refusal';
import { SecondFactor } from './secondstep';

const open = (dialog: HTMLDialogElement | null) => dialog?.showModal();

// StepUp asks for the password, and for the second factor of an account that has one, if an operation below it requires a
// recent proof.
export function StepUp({ children }: { children: ReactNode }) {
  const session = useSession();
  const reauthenticate = useMutation(Reauthenticate);
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
          <button type="button" className="quiet" onClick={() => close(false)}>Cancel</button>
        </dialog>
      )}
    </StepUpContext>
  );
}
