import { useState } from 'react';
import { Field, Form, ProblemOf } from './act';
import { useMutation, useNotice, useSession } from './backend';
import type { ErrorReason } from './gql/enums';
import { NewPassword } from './newpassword';
import { Login, LoginWithCode, Register, RequestLoginCode, RequestPasswordReset } from './operations';
import { PasskeyLogin } from './passkeylogin';
import { Refusal, type Challenge } from './refusal';
import { SecondStep } from './secondstep';
import type { AuthPayload } from './session';
import { wordsFor, wordsForEnd } from './words';

// The ways in, with the titles of their forms and the texts of the buttons that lead to them.
const ways = {
  password: { title: 'Sign in', link: 'Sign in instead', form: SignInForm },
  register: { title: 'Register', link: 'Create an account', form: RegisterForm },
  code: { title: 'Sign in with a code', link: 'Get a code by mail', form: CodeForm },
  reset: { title: 'Reset your password', link: 'Forgot your password?', form: ResetForm },
};
type Way = keyof typeof ways;

// enter begins the session of a sign-in, or leads the user to what is still needed.
type WayProps = { enter: (signIn: Promise<AuthPayload>) => Promise<void> };

export function Welcome({ library, ended }: { library: string; ended: ErrorReason | null }) {
  const session = useSession();
  const [way, setWay] = useState<Way>('password');
  const [challenge, setChallenge] = useState<Challenge>();
  const [why, setWhy] = useState(ended && wordsForEnd(ended));
  const others = way === 'password' ? (['register', 'code', 'reset'] as const) : (['password'] as const);
  const { title, form: WayForm } = ways[way];

  function lead(to: Way, why = '') {
    setWay(to);
    setWhy(why);
    setChallenge(undefined);
  }
  async function enter(signIn: Promise<AuthPayload>) {
    try {
      session.begin(await signIn);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.reason === 'PASSWORD_CHANGE_REQUIRED') lead('reset', wordsFor(error));
      else if (error.challenge) setChallenge(error.challenge);
      else throw error;
    }
  }
  return (
    <main className="welcome">
      <h1>Graphwarden <small>with {library}</small></h1>
      {why && <p className="ended" role="status">{why}</p>}
      <section>
        <h2>{challenge ? 'One more step' : title}</h2>
        {challenge ? <SecondStep challenge={challenge} /> : <WayForm enter={enter} />}
        <div className="row ways">
          {challenge && <button type="button" className="quiet" onClick={() => lead('password')}>Start again</button>}
          {!challenge && others.map((one) => <button key={one} type="button" className="quiet" onClick={() => lead(one)}>{ways[one].link}</button>)}
        </div>
      </section>
    </main>
  );
}

function SignInForm({ enter }: WayProps) {
  const { delivery } = useSession();
  const login = useMutation(Login);

  async function submit({ name = '', password = '' }: Record<string, string>) {
    const who = name.includes('@') ? { email: name } : { username: name };
    await enter(login({ input: { ...who, password, delivery } }).then((data) => data.login));
  }
  return (
    <>
      <Form button="Sign in" submit={submit}>
        <Field name="name" label="E-mail or username" autoComplete="username webauthn" />
        <Field name="password" label="Password" type="password" autoComplete="current-password" />
      </Form>
      <PasskeyLogin enter={enter} />
    </>
  );
}

function RegisterForm() {
  const session = useSession();
  const register = useMutation(Register);
  const notify = useNotice();

  async function submit({ email = '', name = '', password = '' }: Record<string, string>) {
    const { auth } = (await register({ input: { email, name, password, delivery: session.delivery } })).register;
    if (auth) session.begin(auth);
    else notify('Check your mail to continue. The link in it works for a day.');
  }
  return (
    <Form button="Register" submit={submit}>
      <Field name="email" label="E-mail" type="email" autoComplete="email" />
      <Field name="name" label="Name" hint="Optional display name." autoComplete="name" />
      <NewPassword name="password" label="Password" />
    </Form>
  );
}

function CodeForm({ enter }: WayProps) {
  const { delivery } = useSession();
  const request = useMutation(RequestLoginCode);
  const login = useMutation(LoginWithCode);
  const [challenge, setChallenge] = useState('');

  async function send({ email = '' }: Record<string, string>) {
    setChallenge((await request({ input: { email } })).requestLoginCode.challenge);
  }
  async function submit({ code = '' }: Record<string, string>) {
    await enter(login({ input: { challenge, code: code.trim(), delivery } }).then((data) => data.loginWithCode));
  }
  if (!challenge) {
    return (
      <Form button="Send a code" submit={send}>
        <Field name="email" label="E-mail" type="email" autoComplete="username" />
      </Form>
    );
  }
  return (
    <Form key={challenge} button="Sign in" submit={submit}>
      <p role="status">If there is an account with this address, we have sent a code to it.</p>
      <Field name="code" label="Code" inputMode="numeric" autoComplete="one-time-code" />
      <ProblemOf name="challenge" />
    </Form>
  );
}

function ResetForm() {
  const request = useMutation(RequestPasswordReset);
  const done = 'If there is an account with this address, we have sent a link to it.';
  return (
    <Form button="Send a link" done={done} submit={async ({ email = '' }) => void (await request({ input: { email } }))}>
      <Field name="email" label="E-mail" type="email" autoComplete="username" />
    </Form>
  );
}
