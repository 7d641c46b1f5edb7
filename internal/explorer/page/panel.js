// The panel beside the editor: accounts and tokens.
const { React } = window;
const h = React?.createElement;

// As in page.css.
export const onPhone = () => window.matchMedia('(max-width: 700px)').matches;

// makePanel returns a GraphiQL plugin around session.
export function makePanel(session) {
  const useSession = () => React.useSyncExternalStore(session.subscribe, session.state);

  // The icon shows whether a user is signed in. On a phone, the user's address is beside it.
  const Icon = (props) => {
    const { account, expires } = useSession();
    return h(React.Fragment, null,
      h('svg', { ...props, viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', strokeWidth: 1.5 },
        h('circle', { cx: 12, cy: 8, r: 4 }),
        h('path', { d: 'M4 21c0-4.4 3.6-7 8-7s8 2.6 8 7', strokeLinecap: 'round' }),
        expires && h('circle', { className: 'account-dot', cx: 19, cy: 5, r: 4, stroke: 'none' })),
      h('span', { className: 'account-who' }, expires ? account?.email : 'Sign in'));
  };

  const Panel = () => {
    const state = useSession();
    const { expires, notice } = state;
    return h('div', { className: 'account' },
      h('h2', { className: 'graphiql-doc-explorer-title account-title' }, expires ? 'Account' : 'Welcome'),
      h('p', { className: 'account-notice', role: 'status' }, notice),
      expires ? h(SignedIn, { session, state }) : h(SignedOut, { session }));
  };

  // Opener renders nothing. It runs effects inside GraphiQL.
  const Opener = () => {
    const { useEditorContext, useExecutionContext, usePluginStore, useSchemaStore } = window.GraphiQL.React;
    const { queryEditor, variableEditor, headerEditor, responseEditor } = useEditorContext();
    const editors = [queryEditor, variableEditor, headerEditor, responseEditor];
    const { isFetching } = useExecutionContext();
    const { plugins } = usePluginStore();
    const { schema, introspect } = useSchemaStore();
    const { account } = useSession();
    // Open the panel at the start. GraphiQL's visiblePlugin would mount it but not show it.
    React.useEffect(() => { document.querySelector('[aria-label="Show Account"]')?.click(); }, [plugins]);
    // A server may show its schema to signed-in callers only.
    React.useEffect(() => { if (account && !schema) introspect(); }, [account?.id]);
    // Let Tab leave an editor, which would otherwise trap keyboard users.
    React.useEffect(() => editors.forEach((one) => one?.addKeyMap({ Tab: false, 'Shift-Tab': false })), editors);
    React.useEffect(() => { if (account) makeRoom(); }, [account?.id]);
    React.useEffect(() => { if (isFetching) makeRoom(); }, [isFetching]);
    return null;
  };

  return { title: 'Account', icon: Icon, content: Panel, Opener };
}

// makeRoom closes the open panel on a phone, where it would cover the response.
function makeRoom() {
  if (!onPhone()) return;
  document.querySelector('.graphiql-sidebar [aria-label^="Hide "]')?.click();
  document.querySelector('.graphiql-response').scrollIntoView({ block: 'nearest' });
}

// useAction runs one action at a time and keeps its error.
function useAction(action) {
  const [{ busy, error }, set] = React.useState({ busy: false, error: '' });
  const run = async (...args) => {
    set({ busy: true, error: '' });
    try {
      await action(...args);
      set({ busy: false, error: '' });
    } catch (failure) {
      set({ busy: false, error: failure.message });
    }
  };
  return { busy, error, run };
}

const Problem = ({ error }) => error && h('p', { className: 'account-error', role: 'alert' }, error);

const Button = ({ onClick, busy, children, ...props }) => h('button', {
  type: 'button', className: 'graphiql-button', disabled: busy, onClick, ...props,
}, children);

function Field({ label, hint, ...props }) {
  const id = React.useId();
  return h('div', { className: 'account-field' },
    h('label', { htmlFor: id }, label),
    h('input', { id, required: true, 'aria-describedby': hint && `${id}hint`, ...props }),
    hint && h('small', { id: `${id}hint` }, hint));
}

function SignedOut({ session }) {
  const [isNew, setNew] = React.useState(true);
  const { busy, error, run } = useAction(async (name, password) => {
    if (isNew) await session.register({ email: name, password });
    else await session.login(name.includes('@') ? { email: name, password } : { username: name, password });
    // The form disappears, so move the focus.
    if (session.accessToken) document.querySelector('.graphiql-execute-button').focus();
  });
  const submit = (event) => {
    event.preventDefault();
    const { name, password } = event.currentTarget.elements;
    run(name.value.trim(), password.value);
  };
  const choice = (label, value) => h('button', {
    type: 'button', 'aria-pressed': isNew === value, onClick: () => setNew(value),
  }, label);
  return h(React.Fragment, null,
    h('p', null, 'Most of this API requires you to sign in. Create an account or sign in; every tab then sends your token.'),
    h('div', { className: 'account-choice' }, choice('Create account', true), choice('Sign in', false)),
    h('form', { onSubmit: submit, key: isNew },
      h(Field, isNew
        ? { label: 'E-mail', name: 'name', type: 'email', autoComplete: 'username', placeholder: 'you@example.com' }
        : { label: 'E-mail or username', name: 'name', type: 'text', autoComplete: 'username', autoCapitalize: 'none' }),
      h(Field, isNew
        ? { label: 'Password', name: 'password', type: 'password', autoComplete: 'new-password', hint: 'All characters are allowed. Several words are best.' }
        : { label: 'Password', name: 'password', type: 'password', autoComplete: 'current-password' }),
      h(Problem, { error }),
      h('button', { type: 'submit', className: 'graphiql-button account-main', disabled: busy }, isNew ? 'Create account' : 'Sign in')));
}

function SignedIn({ session, state: { account, expires, life, renewals } }) {
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
    h(Problem, { error }));
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
