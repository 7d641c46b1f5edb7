import { useState } from 'react';
import { Field, Form } from './act';
import { useMutation, useSession } from './backend';
import type { ErrorReason } from './gql/enums';
import { NewPassword } from './newpassword';
import { Login, Register } from './operations';
import { wordsForEnd } from './words';

export function Welcome({ library, ended }: { library: string; ended: ErrorReason | null }) {
  const [registering, setRegistering] = useState(false);
  return (
    <main className="welcome">
      <h1>Graphwarden <small>with {library}</small></h1>
      {ended && <p className="ended" role="status">{wordsForEnd(ended)}</p>}
      <section>
        <h2>{registering ? 'Register' : 'Sign in'}</h2>
        {registering ? <RegisterForm /> : <SignInForm />}
        <button type="button" className="quiet" onClick={() => setRegistering(!registering)}>
          {registering ? 'Sign in instead' : 'Create an account'}
        </button>
      </section>
    </main>
  );
}

function SignInForm() {
  const session = useSession();
  const login = useMutation(Login);

  async function submit({ name = '', password = '' }: Record<string, string>) {
    const who = name.includes('@') ? { email: name } : { username: name };
    session.begin((await login({ input: { ...who, password, delivery: session.delivery } })).login);
  }
  return (
    <Form button="Sign in" submit={submit}>
      <Field name="name" label="E-mail or username" autoComplete="username" />
      <Field name="password" label="Password" type="password" autoComplete="current-password" />
    </Form>
  );
}

function RegisterForm() {
  const session = useSession();
  const register = useMutation(Register);

  async function submit({ email = '', name = '', password = '' }: Record<string, string>) {
    const { auth } = (await register({ input: { email, name, password, delivery: session.delivery } })).register;
    if (auth) session.begin(auth);
  }
  return (
    <Form button="Register" submit={submit}>
      <Field name="email" label="E-mail" type="email" autoComplete="email" />
      <Field name="name" label="Name" hint="Optional display name." autoComplete="name" />
      <NewPassword name="password" label="Password" />
    </Form>
  );
}
