// The panel's view of a signed-in user.
import { Account } from './account.js';
import { Button, Problem, useAction } from './parts.js';

const { React } = window;
const h = React?.createElement;

export function SignedIn({ session, state: { account, expires, life, renewals } }) {
  const { busy, error, run } = useAction((action) => action());
  const button = (label, action, more) => h(Button, { busy, onClick: () => run(action), ...more }, label);
  return h(React.Fragment, null,
    account && h('dl', { className: 'account-facts' },
      ...facts(account).flatMap(([name, value]) => [h('dt', { key: name }, name), h('dd', { key: `${name} value` }, value)])),
    h('p', { className: 'account-next' }, 'Press ', h('b', null, '▶'), ' in the tab ', h('code', null, 'Me'),
      '. Every tab sends your token with the header in its ', h('i', null, 'Headers'), '. Delete the header to send a request without a token.'),
    h('h3', null, 'Access token'),
    h(TimeLeft, { expires, life }),
    h('p', { className: 'account-small' }, 'The page renews it before it expires',
      renewals > 0 && h('span', { 'data-renewals': renewals }, `; so far ${renewals === 1 ? 'once' : `${renewals} times`}`),
      '. Both tokens are only in the memory of this page: a reload signs you out.'),
    h('div', { className: 'account-buttons' },
      button('Renew now', () => session.renew()),
      window.isSecureContext && button('Copy token', () => navigator.clipboard.writeText(session.accessToken))),
    h('h3', null, 'Session'),
    h('div', { className: 'account-buttons' },
      button('Who am I?', () => session.whoAmI()),
      button('Log out', () => session.logout('CURRENT')),
      button('Log out everywhere', () => session.logout('ALL'))),
    h(Problem, { error }),
    account && h(Account, { session, account }));
}

const facts = (account) => [
  ['E-mail', account.email],
  ['Username', account.username],
  ['Name', account.name],
  ['Roles', account.roles.join(', ')],
  ['Member since', new Date(account.createdAt).toLocaleString()],
  ['Id', h('code', null, account.id)],
].filter(([, value]) => value);

function TimeLeft({ expires, life }) {
  const [now, setNow] = React.useState(Date.now());
  React.useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, expires - now);
  const seconds = Math.ceil(left / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  return h('div', { className: 'account-time' },
    h('progress', { max: life, value: left, 'aria-label': 'Time left' }), h('span', null, `${clock} left`));
}
