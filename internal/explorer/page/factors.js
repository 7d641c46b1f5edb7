// The panel's forms for second factors.
import { Button, Field, Problem, Submit, download, useAction, useForm } from './parts.js';

const { React } = window;
const h = React?.createElement;

const queries = {
  begin: 'mutation { beginTotp { secret uri qr } }',
  confirm: 'mutation ($input: ConfirmTotpInput!) { confirmTotp(input: $input) { codes } }',
  disable: 'mutation { disableTotp { id } }',
  regenerate: 'mutation { regenerateRecoveryCodes { codes } }',
};

export function Factors({ session, account: { factors } }) {
  const [setup, setSetup] = React.useState();
  const [codes, setCodes] = React.useState();
  const { busy, error, run } = useAction((action) => action());
  const button = (label, action) => h(Button, { busy, onClick: () => run(action) }, label);
  const begin = async () => setSetup((await session.act(queries.begin)).beginTotp);
  const show = async (newCodes) => {
    setSetup();
    setCodes(newCodes);
    await session.whoAmI();
  };
  if (setup) return h(Setup, { session, setup, confirmed: show });
  return h(React.Fragment, null,
    codes && h(RecoveryCodes, { codes, close: () => setCodes() }),
    h('p', null, factors.totpSince
      ? `Authenticator app since ${new Date(factors.totpSince).toLocaleDateString()}. Recovery codes left: ${factors.recoveryCodesLeft}.`
      : 'An app on your phone shows a code that you enter after your password.'),
    h('div', { className: 'account-buttons' },
      button(factors.totpSince ? 'Use another app' : 'Set up an authenticator app', begin),
      factors.totpSince && button('New recovery codes', async () => show((await session.act(queries.regenerate)).regenerateRecoveryCodes.codes)),
      factors.totpSince && button('Turn off', async () => {
        await session.act(queries.disable);
        await show();
      })),
    h(Problem, { error }));
}

// Setup shows the key as an image, not as markup, because an image runs no scripts.
function Setup({ session, setup: { secret, uri, qr }, confirmed }) {
  const { busy, error, submit } = useForm(async ({ code }) => {
    await confirmed((await session.act(queries.confirm, { code: code.trim() })).confirmTotp.codes);
  });
  return h('form', { onSubmit: submit },
    h('p', null, 'Scan this with the app, ', h('a', { href: uri }, 'open it on this device'), ', or enter the key.'),
    h('img', { className: 'account-qr', src: `data:image/svg+xml,${encodeURIComponent(qr)}`, alt: 'QR code with the key' }),
    h('p', null, h('code', null, secret), ' ', h(Copy, { text: secret, label: 'Copy the key' })),
    h(Field, { label: 'Code in the app', name: 'code', inputMode: 'numeric', autoComplete: 'one-time-code' }),
    h(Problem, { error }), h(Submit, { busy }, 'Confirm the code'));
}

function RecoveryCodes({ codes, close }) {
  const text = codes.join('\n');
  return h('div', { className: 'account-next' },
    h('p', null, 'Keep these recovery codes in a safe place. Each one signs you in once without the app. They are not shown again.'),
    h('ol', { className: 'account-codes' }, codes.map((code) => h('li', { key: code }, h('code', null, code)))),
    h('div', { className: 'account-buttons' },
      h(Copy, { text, label: 'Copy the codes' }),
      h(Button, { onClick: () => download('recovery-codes.txt', 'text/plain', text) }, 'Download the codes'),
      h(Button, { onClick: close }, 'I have kept them')));
}

const Copy = ({ text, label }) => window.isSecureContext
  && h(Button, { onClick: () => navigator.clipboard.writeText(text) }, label);
