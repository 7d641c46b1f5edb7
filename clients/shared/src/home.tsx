import { useState } from 'react';
import { Button, Field, Form, Problem } from './act';
import { useMutation, useQuery, useSession } from './backend';
import { ChangePassword, DeleteAccount, Logout, Me, UpdateProfile } from './operations';
import { SecurityCard } from './security';
import { SessionsCard } from './sessions';

export function Home({ library }: { library: string }) {
  const session = useSession();
  const logout = useMutation(Logout);
  const { data, refusal, reload } = useQuery(Me);
  const [onSecurity, setOnSecurity] = useState(false);

  async function signOut() {
    try {
      await logout({ input: { ...session.refreshInput } });
    } finally {
      session.end(null); // even if the server cannot be reached
    }
  }
  return (
    <>
      <header>
        <h1>Graphwarden <small>with {library}</small></h1>
        <button type="button" className="quiet" onClick={() => setOnSecurity(!onSecurity)}>{onSecurity ? 'Account' : 'Security'}</button>
        <span className="who">{data?.me.name || data?.me.email}</span>
        <Button run={signOut} className="quiet">Sign out</Button>
      </header>
      {onSecurity ? <main><SecurityCard /></main> : (
        <main>
          {refusal && <section><Problem refusal={refusal} /><button type="button" onClick={reload}>Try again</button></section>}
          {data && <ProfileCard me={data.me} />}
          <SessionsCard />
          <PasswordCard />
          {data && <DeleteCard email={data.me.email} />}
        </main>
      )}
    </>
  );
}

function ProfileCard({ me }: { me: { email: string; name: string; username: string | null; roles: string[] } }) {
  const update = useMutation(UpdateProfile);
  return (
    <section>
      <h2>Profile</h2>
      <p>{me.email} {me.roles.map((role) => <span key={role} className="badge">{role}</span>)}</p>
      <Form button="Save" done="Saved." submit={async ({ name = '', username = '' }) => void (await update({ input: { name, username } }))}>
        <Field name="name" label="Name" defaultValue={me.name} autoComplete="name" />
        <Field name="username" label="Username" defaultValue={me.username ?? ''} hint="You can sign in with it instead of your e-mail address." autoComplete="username" />
      </Form>
    </section>
  );
}

function PasswordCard() {
  const session = useSession();
  const change = useMutation(ChangePassword);

  async function submit({ currentPassword = '', newPassword = '' }: Record<string, string>) {
    session.begin((await change({ input: { currentPassword, newPassword } })).changePassword);
  }
  return (
    <section>
      <h2>Password</h2>
      <p>Changing your password ends all your other sessions.</p>
      <Form button="Change password" done="Changed." submit={submit}>
        <Field name="currentPassword" label="Current password" type="password" autoComplete="current-password" />
        <Field name="newPassword" label="New password" type="password" autoComplete="new-password" />
      </Form>
    </section>
  );
}

function DeleteCard({ email }: { email: string }) {
  const session = useSession();
  const remove = useMutation(DeleteAccount);

  async function submit({ confirmEmail = '' }: Record<string, string>) {
    await remove({ input: { confirmEmail } });
    session.end(null);
  }
  return (
    <section>
      <h2>Delete account</h2>
      <p>You are signed out everywhere. To keep the account, sign in again within the next days.</p>
      <Form button="Delete account" className="danger" submit={submit}>
        <Field name="confirmEmail" label={`Enter ${email} to confirm`} autoComplete="off" />
      </Form>
    </section>
  );
}
