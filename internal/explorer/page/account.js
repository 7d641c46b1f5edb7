// The panel's forms for the account of a signed-in user.
import { Factors } from './factors.js';
import { Button, Field, Problem, Section, Submit, download, useAction, useForm } from './parts.js';
import { Passkeys } from './passkeys.js';

const { React } = window;
const h = React?.createElement;

const queries = {
  requestVerification: 'mutation { requestEmailVerification { accepted } }',
  requestChange: 'mutation ($input: RequestEmailChangeInput!) { requestEmailChange(input: $input) { accepted } }',
  export: 'mutation { exportAccount { at document } }',
  delete: 'mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { deletesAt } }',
};

export const Account = ({ session, account }) => h(React.Fragment, null,
  h(Section, { title: 'E-mail address' },
    !account.emailVerified && h(Unverified, { session }), h(Address, { session })),
  h(Section, { title: 'Passkeys' }, h(Passkeys, { session, account })),
  h(Section, { title: 'Two-step sign-in' }, h(Factors, { session, account })),
  h(Section, { title: 'Your data' }, h(Data, { session })),
  h(Section, { title: 'Delete account' }, h(Deletion, { session, account })));

function Unverified({ session }) {
  const { busy, error, run } = useAction(async () => {
    await session.act(queries.requestVerification);
    session.notify('Check your mail.');
  });
  return h(React.Fragment, null,
    h('p', null, 'Your address is not confirmed. ', h(Button, { busy, onClick: run }, 'Send a link')), h(Problem, { error }));
}

function Address({ session }) {
  const { busy, error, submit } = useForm(async (input) => {
    await session.act(queries.requestChange, input);
    session.notify('Check the mail at the new address. Its link changes the address.');
  });
  return h('form', { onSubmit: submit },
    h(Field, { label: 'New address', name: 'newEmail', type: 'email', autoComplete: 'email' }),
    h(Problem, { error }), h(Submit, { busy }, 'Change address'));
}

function Data({ session }) {
  const { busy, error, run } = useAction(async () => {
    const { exportAccount: { at, document: data } } = await session.act(queries.export);
    download(`account-${at.slice(0, 10)}.json`, 'application/json', JSON.stringify(data, null, 2));
  });
  return h(React.Fragment, null,
    h('p', null, 'All data that the server stores about you, as JSON.'),
    h(Problem, { error }), h(Button, { busy, onClick: run }, 'Download'));
}

function Deletion({ session, account }) {
  const { busy, error, submit } = useForm(async (input) => {
    const { deleteAccount: { deletesAt } } = await session.act(queries.delete, input);
    session.end(deletesAt
      ? `Your account will be deleted on ${new Date(deletesAt).toLocaleString()}. Sign in before then to keep it.`
      : 'Your account is deleted.');
  });
  return h('form', { onSubmit: submit },
    h('p', null, 'You are signed out everywhere. Until the account is deleted, you can sign in to keep it.'),
    h(Field, { label: `Enter ${account.email} to confirm`, name: 'confirmEmail', autoComplete: 'off' }),
    h(Problem, { error }), h(Submit, { busy }, 'Delete this account'));
}
