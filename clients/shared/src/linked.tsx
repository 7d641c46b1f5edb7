// The screens that the links in mails open. Nothing happens until the user presses the button.
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useState, type ComponentType } from 'react';
import { Field, Form, ProblemOf } from './act';
import { useMutation, useSession } from './backend';
import type { Link } from './link';
import { NewPassword } from './newpassword';
import { AcceptInvitation, ConfirmEmailChange, ResetPassword, RevertEmailChange, VerifyEmail } from './operations';
import { Refusal } from './refusal';

// Props of a screen. done leaves it with a message.
type LinkedProps = { token: string; done: (message: string) => void };

const screens: Record<string, ComponentType<LinkedProps>> = {
  'verify-email': (props) => (
    <ConfirmAddress {...props} document={VerifyEmail} title="Confirm your e-mail address" message="Your e-mail address is confirmed." />
  ),
  'email-change': (props) => (
    <ConfirmAddress {...props} document={ConfirmEmailChange} title="Confirm your new e-mail address" message="Your e-mail address was changed." />
  ),
  'email-changing': KeepAddress,
  'reset-password': ChoosePassword,
  invitation: CreateAccount,
};

// The kinds of links with a screen.
export const flows = Object.keys(screens);

export function Linked({ link, close, notify }: { link: Link; close: () => void; notify: (text: string) => void }) {
  const Screen = screens[link.flow]!;

  function done(message: string) {
    notify(message);
    close();
  }
  return (
    <main className="welcome">
      <section key={link.token}>
        <Screen token={link.token} done={done} />
        <button type="button" className="quiet" onClick={close}>Not now</button>
      </section>
    </main>
  );
}

type AddressInput = { token: string; password: string | undefined };
type ConfirmProps = LinkedProps & { document: TypedDocumentNode<unknown, { input: AddressInput }>; title: string; message: string };

// ConfirmAddress asks for the password unless the user is signed in to the link's account: the mailbox alone does not
// prove who has registered.
function ConfirmAddress({ token, done, document, title, message }: ConfirmProps) {
  const { tokens } = useSession().get();
  const confirm = useMutation(document);
  const [asks, setAsks] = useState(!tokens);

  async function submit({ password }: Record<string, string>) {
    try {
      await confirm({ input: { token, password } });
    } catch (error) {
      if (error instanceof Refusal && error.fields?.some(({ path }) => path === 'input.password')) setAsks(true);
      throw error;
    }
    done(message);
  }
  return (
    <>
      <h2>{title}</h2>
      {asks && <p>Enter the password of this account.</p>}
      <Form button="Confirm" submit={submit}>
        {asks && <Field name="password" label="Password" type="password" autoComplete="current-password" />}
        <ProblemOf name="token" />
      </Form>
    </>
  );
}

function ChoosePassword({ token, done }: LinkedProps) {
  const reset = useMutation(ResetPassword);

  async function submit({ newPassword = '' }: Record<string, string>) {
    await reset({ input: { token, newPassword } });
    done('Your password was changed, and all sessions were ended. Sign in with the new password.');
  }
  return (
    <>
      <h2>Choose a new password</h2>
      <p>All sessions of your account will end.</p>
      <Form button="Set password" submit={submit}>
        <NewPassword name="newPassword" label="New password" />
        <ProblemOf name="token" />
      </Form>
    </>
  );
}

function KeepAddress({ token, done }: LinkedProps) {
  const revert = useMutation(RevertEmailChange);

  async function submit() {
    await revert({ input: { token } });
    done('Your account keeps this e-mail address, and all sessions were ended. Now reset your password.');
  }
  return (
    <>
      <h2>Keep your e-mail address</h2>
      <p>This undoes the change of your e-mail address, and ends all sessions of your account.</p>
      <Form button="Keep my address" submit={submit}><ProblemOf name="token" /></Form>
    </>
  );
}

function CreateAccount({ token, done }: LinkedProps) {
  const session = useSession();
  const accept = useMutation(AcceptInvitation);

  async function submit({ name = '', password = '' }: Record<string, string>) {
    session.begin((await accept({ input: { token, name, password, delivery: session.delivery } })).acceptInvitation);
    done('');
  }
  return (
    <>
      <h2>Create your account</h2>
      <p>You are invited. Choose a password.</p>
      <Form button="Create account" submit={submit}>
        <Field name="name" label="Name" hint="Optional display name." autoComplete="name" />
        <NewPassword name="password" label="Password" />
        <ProblemOf name="token" />
      </Form>
    </>
  );
}
