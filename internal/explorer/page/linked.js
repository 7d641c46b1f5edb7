// The panel's views for the links in mails. Nothing happens until the user presses the button, because mail scanners open
// links too.
import { Button, Field, Problem, Submit, useForm } from './parts.js';

const { React } = window;
const h = React?.createElement;

const currentPassword = { label: 'Password', hint: 'Of the account that this link belongs to.', autoComplete: 'current-password' };
const newPassword = { label: 'New password', hint: 'All sessions of the account end.', autoComplete: 'new-password' };

// The views by flow. The name of a field is that in the mutation's input.
const views = {
  'verify-email': { title: 'Confirm your e-mail address', button: 'Confirm', field: { name: 'password', ...currentPassword } },
  'email-change': { title: 'Confirm your new e-mail address', button: 'Confirm', field: { name: 'password', ...currentPassword } },
  'email-changing': { title: 'Keep your e-mail address', button: 'Keep my address' },
  'reset-password': { title: 'Choose a new password', button: 'Set password', field: { name: 'newPassword', ...newPassword } },
};

export function Linked({ session, link: { flow, token } }) {
  const { title, button, field } = views[flow];
  const { busy, error, submit } = useForm((values) => session.redeem(flow, { token, ...values }));
  return h(React.Fragment, null,
    h('h3', null, title),
    h('form', { onSubmit: submit },
      field && h(Field, { type: 'password', ...field }),
      h(Problem, { error }),
      h(Submit, { busy }, button)),
    h('p', { className: 'account-more' }, h(Button, { onClick: () => session.dismiss() }, 'Not now')));
}
