// The panel's view without a user.
import { NewPassword } from './newpassword.js';
import { Button, Field, Problem, Submit, useForm } from './parts.js';
import { PasskeyLogin } from './passkeys.js';
import { pair } from './session.js';

const { React } = window;
const h = React?.createElement;

const queries = {
  register: `mutation ($input: RegisterInput!) { register(input: $input) { auth { ${pair} } } }`,
  login: `mutation ($input: LoginInput!) { login(input: $input) { ${pair} } }`,
  requestCode: 'mutation ($input: RequestLoginCodeInput!) { requestLoginCode(input: $input) { challenge } }',
  loginWithCode: `mutation ($input: LoginWithCodeInput!) { loginWithCode(input: $input) { ${pair} } }`,
  requestReset: 'mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { accepted } }',
};

export function SignedOut({ session }) {
  const [isNew, setNew] = React.useState(true);
  const { busy, error, submit } = useForm(async (values) => {
    await (isNew ? register : login)(session, values);
    leave(session);
  });
  const choice = (label, value) => h('button', {
    type: 'button', 'aria-pressed': isNew === value, onClick: () => setNew(value),
  }, label);
  return h(React.Fragment, null,
    h('p', null, 'Most of this API requires you to sign in. Create an account or sign in; every tab then sends your token.'),
    h('div', { className: 'account-choice' }, choice('Create account', true), choice('Sign in', false)),
    h('form', { onSubmit: submit, key: isNew },
      h(Field, isNew
        ? { label: 'E-mail', name: 'email', type: 'email', autoComplete: 'username', placeholder: 'you@example.com' }
        : { label: 'E-mail or username', name: 'name', type: 'text', autoComplete: 'username', autoCapitalize: 'none' }),
      isNew ? h(NewPassword, { session, name: 'password' })
        : h(Field, { label: 'Password', name: 'password', type: 'password', autoComplete: 'current-password' }),
      h(Problem, { error }),
      h(Submit, { busy }, isNew ? 'Create account' : 'Sign in')),
    !isNew && h(PasskeyLogin, { session, signedIn: () => leave(session) }),
    !isNew && h(OtherWays, { session }));
}

async function register(session, input) {
  const { register: { auth } } = await session.signIn(queries.register, input);
  if (!auth) session.notify('Check your e-mail to continue.'); // the address must be verified first
}

function login(session, { name, password }) {
  const who = name.includes('@') ? { email: name.trim() } : { username: name.trim() };
  return session.signIn(queries.login, { ...who, password });
}

// leave moves the focus from a form that disappears.
function leave(session) {
  if (session.accessToken) document.querySelector('.graphiql-execute-button').focus();
}

const ways = { 'Get a code by mail': ByCode, 'Forgot your password?': Forgotten };

// OtherWays shows a button for each other way in, or the form of one of them.
function OtherWays({ session }) {
  const [way, setWay] = React.useState();
  return h('div', { className: 'account-more' }, way
    ? h(ways[way], { session, close: () => setWay() })
    : h('div', { className: 'account-buttons' },
      Object.keys(ways).map((name) => h(Button, { key: name, onClick: () => setWay(name) }, name))));
}

const address = { label: 'Address of the account', name: 'email', type: 'email', autoComplete: 'username' };

function Forgotten({ session, close }) {
  const { busy, error, submit } = useForm(async (input) => {
    await session.call(queries.requestReset, input);
    session.notify('If there is an account with this address, a link was sent to it.');
    close();
  });
  return h('form', { onSubmit: submit }, h(Field, address), h(Problem, { error }), h(Submit, { busy }, 'Send a link'));
}

function ByCode({ session }) {
  const [challenge, setChallenge] = React.useState();
  const request = useForm(async (input) => {
    setChallenge((await session.call(queries.requestCode, input)).requestLoginCode.challenge);
  });
  const login = useForm(async ({ code }) => {
    await session.signIn(queries.loginWithCode, { challenge, code: code.trim() });
    leave(session);
  });
  if (!challenge) {
    return h('form', { onSubmit: request.submit },
      h(Field, address), h(Problem, request), h(Submit, { busy: request.busy }, 'Send a code'));
  }
  return h('form', { onSubmit: login.submit },
    h('p', { role: 'status' }, 'If there is an account with this address, a code was sent to it.'),
    h(Field, { label: 'Code', name: 'code', inputMode: 'numeric', autoComplete: 'one-time-code', autoFocus: true }),
    h(Problem, login), h(Submit, { busy: login.busy }, 'Sign in with the code'));
}
