// The panel's form for an operation that requires a recent proof of the user's credentials.
import { Button, Field, Problem, Submit, useForm } from './parts.js';
import { PasskeyProof } from './passkeys.js';
import { SecondFactor } from './secondstep.js';

const { React } = window;
const h = React?.createElement;

export function StepUp({ session, account, proof: { prove, cancel } }) {
  const { busy, error, submit } = useForm(prove);
  return h('form', { className: 'account-proof', onSubmit: submit, 'aria-labelledby': 'account-proof' },
    h('h3', { id: 'account-proof' }, 'Confirm your identity'),
    h(Field, { label: 'Your password', name: 'password', type: 'password', autoComplete: 'current-password', autoFocus: true }),
    account?.factors.totpSince && h(SecondFactor),
    h(Problem, { error }),
    h(Submit, { busy }, 'Confirm'),
    account?.passkeys.length > 0 && h(PasskeyProof, { session, proved: prove }),
    h('p', { className: 'account-more' }, h(Button, { onClick: cancel }, 'Cancel')));
}
