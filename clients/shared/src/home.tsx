import { useState } from 'react';
import { Button, Field, Form, Problem } from './act';
import { useMutation, useNotice, useQuery, useSession } from './backend';
import { download } from './download';
import { FactorsCard } from './factors';
import type { MeQuery } from './gql/graphql';
import { InvitationsCard } from './invitations';
import { NewPassword } from './newpassword';
import { ChangePassword, DeleteAccount, ExportAccount, Logout, Me, RequestEmailChange, RequestEmailVerification, UpdateProfile } from './operations';
import { PasskeysCard } from './passkeys';
import { SecurityCard } from './security';
import { SessionsCard } from './sessions';
import { time } from './words';

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
      {onSecurity ? <main><PasskeysCard /><FactorsCard /><SecurityCard /></main> : (
        <main>
          {refusal && <section><Problem refusal={refusal} /><button type="button" onClick={reload}>Try again</button></section>}
          {data && <ProfileCard me={data.me} />}
          <SessionsCard />
          {data?.me.roles.includes('ADMIN') && <InvitationsCard />}
          {data && <AddressCard />}
          {data && <PasswordCard me={data.me} />}
          <ExportCard />
          {data && <DeleteCard email={data.me.email} />}
        </main>
      )}
    </>
  );
}

// Unverified offers another mail to a user whose address is not verified.
function Unverified() {
  const request = useMutation(RequestEmailVerification);
  return (
    <div className="row">
      <span>Your e-mail address is not confirmed.</span>
      <Button run={async () => void (await request({}))} className="quiet" done="Check your mail.">Send a link</Button>
    </div>
  );
}

function AddressCard() {
  const request = useMutation(RequestEmailChange);
  return (
    <section>
      <h2>E-mail address</h2>
      <p>The new address is used once you open the link that we send to it.</p>
      <Form button="Change address" done="Check the mail at the new address." submit={async ({ newEmail = '' }) => void (await request({ input: { newEmail } }))}>
        <Field name="newEmail" label="New address" type="email" autoComplete="email" />
      </Form>
    </section>
  );
}

function ProfileCard({ me }: { me: MeQuery['me'] }) {
  const update = useMutation(UpdateProfile);
  return (
    <section>
      <h2>Profile</h2>
      <p>{me.email} {me.roles.map((role) => <span key={role} className="badge">{role}</span>)}</p>
      {!me.emailVerified && <Unverified />}
      <Form button="Save" done="Saved." submit={async ({ name = '', username = '' }) => void (await update({ input: { name, username } }))}>
        <Field name="name" label="Name" defaultValue={me.name} autoComplete="name" />
        <Field name="username" label="Username" defaultValue={me.username ?? ''} hint="You can sign in with it instead of your e-mail address." autoComplete="username" />
      </Form>
    </section>
  );
}

function PasswordCard({ me }: { me: MeQuery['me'] }) {
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
        <NewPassword name="newPassword" label="New password" account={me} />
      </Form>
    </section>
  );
}

function ExportCard() {
  const exportAccount = useMutation(ExportAccount);

  async function run() {
    const { at, document: data } = (await exportAccount({})).exportAccount;
    download(`account-${at.slice(0, 10)}.json`, 'application/json', JSON.stringify(data, null, 2));
  }
  return (
    <section>
      <h2>Your data</h2>
      <p>All data that the server stores about you, as JSON.</p>
      <Button run={run} done="Downloaded.">Download</Button>
    </section>
  );
}

function DeleteCard({ email }: { email: string }) {
  const session = useSession();
  const remove = useMutation(DeleteAccount);
  const notify = useNotice();

  async function submit({ confirmEmail = '' }: Record<string, string>) {
    const { deletesAt } = (await remove({ input: { confirmEmail } })).deleteAccount;
    notify(deletesAt ? `Your account will be deleted on ${time(deletesAt)}. Sign in before then to keep it.` : 'Your account is deleted.');
    session.end(null);
  }
  return (
    <section>
      <h2>Delete account</h2>
      <p>You are signed out everywhere. Until the account is deleted, you can sign in to keep it.</p>
      <Form button="Delete account" className="danger" submit={submit}>
        <Field name="confirmEmail" label={`Enter ${email} to confirm`} autoComplete="off" />
      </Form>
    </section>
  );
}
