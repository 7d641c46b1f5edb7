// The panel's views for the links in mails. Nothing happens until the user presses the button, because mail scanners open
// links too.
import { NewPassword } from './newpassword.js';
import { Button, Field, Problem, Submit, useForm } from './parts.js';
import { pair } from './session.js';

const { React } = window;
const h = React?.createElement;

const currentPassword = () => h(Field, {
  name: 'password', label: 'Password', hint: 'Of the account that this link belongs to.', type: 'password', autoComplete: 'current-password',
});

// The views by flow. fields is a component for the other members of the mutation's input.
export const flows = {
  'verify-email': {
    title: 'Confirm your e-mail address', button: 'Confirm', fields: currentPassword,
    query: 'mutation ($input: VerifyEmailInput!) { verifyEmail(input: $input) { verified } }',
    done: 'Your e-mail address is confirmed.',
  },
  'email-change': {
    title: 'Confirm your new e-mail address', button: 'Confirm', fields: currentPassword,
    query: 'mutation ($input: ConfirmEmailChangeInput!) { confirmEmailChange(input: $input) { accepted } }',
    done: 'Your e-mail address was changed.',
  },
  'email-changing': {
    title: 'Keep your e-mail address', button: 'Keep my address',
    query: 'mutation ($input: RevertEmailChangeInput!) { revertEmailChange(input: $input) { accepted } }',
    done: 'Your account keeps this e-mail address. All sessions were ended.',
  },
  'reset-password': {
    title: 'Choose a new password', button: 'Set password',
    fields: (props) => h(NewPassword, { ...props, name: 'newPassword', label: 'New password', hint: 'All sessions of the account end.' }),
    query: 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { accepted } }',
    done: 'Your password was changed. Sign in with it.',
  },
  invitation: {
    title: 'Create your account', button: 'Create account', signsIn: true,
    fields: (props) => h(React.Fragment, null,
      h(Field, { name: 'name', label: 'Name', hint: 'Optional display name.', autoComplete: 'name', required: false }),
      h(NewPassword, { ...props, name: 'password' })),
    query: `mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { ${pair} } }`,
    done: 'Your account was created.',
  },
};

export function Linked({ session, link: { flow, token } }) {
  const { title, button, fields, signsIn, query, done } = flows[flow];
  const { busy, error, submit } = useForm(async (values) => {
    const input = { token, ...values };
    if (signsIn) {
      await session.signIn(query, input);
    } else {
      await session.act(query, input); // a user may be signed in, to the account of the link or to another
      if (session.accessToken) await session.renew(); // the token may be stale, or its session have ended
    }
    session.dismissLink();
    session.notify(done);
  });
  return h(React.Fragment, null,
    h('h3', null, title),
    h('form', { onSubmit: submit },
      fields && h(fields, { session }),
      h(Problem, { error }),
      h(Submit, { busy }, button)),
    h('p', { className: 'account-more' }, h(Button, { onClick: () => session.dismissLink() }, 'Not now')));
}
