import { useState } from 'react';
import { Field, Form, ProblemOf } from './act';
import { useMutation, useSession } from './backend';
import { CompleteLogin } from './operations';
import type { Challenge } from './refusal';

// SecondFactor is a field for a code of the authenticator app or, if the user has lost it, for a recovery code.
export function SecondFactor() {
  const [lost, setLost] = useState(false);
  return (
    <>
      {lost ? <Field key="recoveryCode" name="recoveryCode" label="Recovery code" hint="Each code works once." autoComplete="off" />
        : <Field key="code" name="code" label="Code of your authenticator app" inputMode="numeric" autoComplete="one-time-code" />}
      <button type="button" className="quiet" onClick={() => setLost(!lost)}>
        {lost ? 'Use the authenticator app' : 'Use a recovery code'}
      </button>
    </>
  );
}

// SecondStep completes a sign-in whose first step was right.
export function SecondStep({ challenge: { id: challenge } }: { challenge: Challenge }) {
  const session = useSession();
  const complete = useMutation(CompleteLogin);

  async function submit({ code, recoveryCode }: Record<string, string>) {
    const input = { challenge, code: code?.trim(), recoveryCode: recoveryCode?.trim(), delivery: session.delivery };
    session.begin((await complete({ input })).completeLogin);
  }
  return (
    <Form button="Continue" submit={submit}>
      <SecondFactor />
      <ProblemOf name="challenge" />
    </Form>
  );
}
