// The panel's view of a sign-in that waits for a second factor.
import { Button, Field, Problem, Submit, useForm } from './parts.js';
import { pair } from './session.js';

const { React } = window;
const h = React?.createElement;

const complete = `mutation ($input: CompleteLoginInput!) { completeLogin(input: $input) { ${pair} } }`;

// SecondFactor is a field for a code of the authenticator app or, if the user has lost it, for a recovery code.
export function SecondFactor() {
  const [lost, setLost] = React.useState(false);
  return h(React.Fragment, null,
    h(Field, lost
      ? { key: 'recoveryCode', name: 'recoveryCode', label: 'Recovery code', hint: 'Each code works once.', autoComplete: 'off' }
      : { key: 'code', name: 'code', label: 'Code of your authenticator app', inputMode: 'numeric', autoComplete: 'one-time-code' }),
    h('p', null, h(Button, { onClick: () => setLost(!lost) }, lost ? 'Use the authenticator app' : 'Use a recovery code')));
}

export function SecondStep({ session, challenge }) {
  const { busy, error, submit } = useForm((answer) => session.signIn(complete, { challenge: challenge.id, ...answer }));
  return h(React.Fragment, null,
    h('h3', null, 'One more step'),
    h('form', { onSubmit: submit },
      h(SecondFactor), h(Problem, { error }), h(Submit, { busy }, 'Continue')),
    h('p', { className: 'account-more' }, h(Button, { onClick: () => session.dismissChallenge() }, 'Start again')));
}
