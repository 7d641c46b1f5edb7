// The panel's forms for passkeys (WebAuthn level 3).
import { Button, Field, Problem, Submit, useAction, useForm } from './parts.js';
import { pair } from './session.js';

const { React } = window;
const h = React?.createElement;

const queries = {
  beginRegistration: 'mutation { beginPasskeyRegistration { challenge options } }',
  finishRegistration: 'mutation ($input: FinishPasskeyRegistrationInput!) { finishPasskeyRegistration(input: $input) { id } }',
  rename: 'mutation ($input: RenamePasskeyInput!) { renamePasskey(input: $input) { id } }',
  delete: 'mutation ($input: DeletePasskeyInput!) { deletePasskey(input: $input) { id } }',
  beginLogin: 'mutation { beginPasskeyLogin { challenge options } }',
  beginProof: 'mutation { beginPasskeyReauthentication { challenge options } }',
  login: `mutation ($input: LoginWithPasskeyInput!) { loginWithPasskey(input: $input) { ${pair} } }`,
};

const { PublicKeyCredential } = window;
const hasPasskeys = Boolean(PublicKeyCredential?.parseRequestOptionsFromJSON);

export function Passkeys({ session, account: { passkeys } }) {
  const add = useForm(async ({ name }) => {
    const { beginPasskeyRegistration: { challenge, options } } = await session.act(queries.beginRegistration);
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    const response = await finish(navigator.credentials.create({ publicKey }), 'No passkey was created. Perhaps this device has one already.');
    await session.act(queries.finishRegistration, { challenge, response, name });
    await session.whoAmI();
  });
  return h(React.Fragment, null,
    h('p', null, 'A passkey signs you in with the lock of your device, without a password.'),
    passkeys.map((one) => h(Passkey, { key: one.id, session, one })),
    hasPasskeys && h('form', { onSubmit: add.submit },
      h(Field, { label: 'Name of the passkey', name: 'name', hint: 'Optional, such as the name of the device.', autoComplete: 'off', required: false }),
      h(Problem, add), h(Submit, { busy: add.busy }, 'Add a passkey')));
}

function Passkey({ session, one: { id, name, createdAt, lastUsedAt } }) {
  const [isOpen, setOpen] = React.useState(false);
  const rename = useForm(async ({ newName }) => {
    await session.act(queries.rename, { id, name: newName });
    setOpen(false);
    await session.whoAmI();
  });
  const { busy, error, run } = useAction(async () => {
    await session.act(queries.delete, { id });
    await session.whoAmI();
  });
  if (isOpen) {
    return h('form', { onSubmit: rename.submit },
      h(Field, { label: `New name of ${name}`, name: 'newName', defaultValue: name, autoComplete: 'off' }),
      h(Problem, rename), h(Submit, { busy: rename.busy }, 'Save the name'));
  }
  const day = (time) => new Date(time).toLocaleDateString();
  return h('div', { className: 'account-passkey' },
    h('p', null, h('b', null, name), ` · since ${day(createdAt)} · ${lastUsedAt ? `last used ${day(lastUsedAt)}` : 'never used'}`),
    h('div', { className: 'account-buttons' },
      h(Button, { onClick: () => setOpen(true) }, `Rename ${name}`), h(Button, { busy, onClick: run }, `Remove ${name}`)),
    h(Problem, { error }));
}

// PasskeyLogin signs in with a passkey.
export function PasskeyLogin({ session, signedIn }) {
  return h(UsePasskey, {
    use: async () => {
      await session.signIn(queries.login, await prove((await session.call(queries.beginLogin)).beginPasskeyLogin));
      signedIn();
    },
  });
}

// PasskeyProof proves one of the user's passkeys again.
export const PasskeyProof = ({ session, proved }) => h(UsePasskey, {
  use: async () => proved({ passkey: await prove((await session.act(queries.beginProof)).beginPasskeyReauthentication) }),
});

function UsePasskey({ use }) {
  const { busy, error, run } = useAction(use);
  return hasPasskeys && h('div', { className: 'account-more' },
    h(Button, { busy, onClick: run }, 'Use a passkey'), h(Problem, { error }));
}

async function prove({ challenge, options }) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return { challenge, response: await finish(navigator.credentials.get({ publicKey }), 'No passkey was used.') };
}

// finish returns the response in JSON. Browsers do not say why a ceremony has failed, so that pages learn nothing about
// the user.
async function finish(ceremony, failed) {
  const credential = await ceremony.catch(() => { throw new Error(failed); });
  return credential.toJSON();
}
