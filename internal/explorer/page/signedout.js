// The panel's view without a user.
import { Button, Field, Problem, Submit, useAction, useForm } from './parts.js';

const { React } = window;
const h = React?.createElement;

export function SignedOut({ session }) {
  const [isNew, setNew] = React.useState(true);
  const { busy, error, run } = useAction(async (name, password) => {
    if (isNew) await session.register({ email: name, password });
    else await session.login(name.includes('@') ? { email: name, password } : { username: name, password });
    // The form disappears, so move the focus.
    if (session.accessToken) document.querySelector('.graphiql-execute-button').focus();
  });
  const submit = (event) => {
    event.preventDefault();
    const { name, password } = event.currentTarget.elements;
    run(name.value.trim(), password.value);
  };
  const choice = (label, value) => h('button', {
    type: 'button', 'aria-pressed': isNew === value, onClick: () => setNew(value),
  }, label);
  return h(React.Fragment, null,
    h('p', null, 'Most of this API requires you to sign in. Create an account or sign in; every tab then sends your token.'),
    h('div', { className: 'account-choice' }, choice('Create account', true), choice('Sign in', false)),
    h('form', { onSubmit: submit, key: isNew },
      h(Field, isNew
        ? { label: 'E-mail', name: 'name', type: 'email', autoComplete: 'username', placeholder: 'you@example.com' }
        : { label: 'E-mail or username', name: 'name', type: 'text', autoComplete: 'username', autoCapitalize: 'none' }),
      h(Field, isNew
        ? { label: 'Password', name: 'password', type: 'password', autoComplete: 'new-password', hint: 'All characters are allowed. Several words are best.' }
        : { label: 'Password', name: 'password', type: 'password', autoComplete: 'current-password' }),
      h(Problem, { error }),
      h(Submit, { busy }, isNew ? 'Create account' : 'Sign in')),
    !isNew && h(Forgotten, { session }));
}

// Forgotten requests a mail with a link to a new password.
function Forgotten({ session }) {
  const [isOpen, setOpen] = React.useState(false);
  const { busy, error, submit } = useForm(async ({ email }) => {
    await session.requestReset(email);
    setOpen(false);
  });
  if (!isOpen) return h('p', { className: 'account-more' }, h(Button, { onClick: () => setOpen(true) }, 'Forgot your password?'));
  return h('form', { onSubmit: submit, className: 'account-more' },
    h(Field, { label: 'Address of the account', name: 'email', type: 'email', autoComplete: 'username' }),
    h(Problem, { error }),
    h(Submit, { busy }, 'Send a link'));
}
