// The panel beside the editor: accounts and tokens.
import { Linked } from './linked.js';
import { SecondStep } from './secondstep.js';
import { SignedIn } from './signedin.js';
import { SignedOut } from './signedout.js';
import { StepUp } from './stepup.js';

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
    const { account, challenge, expires, link, notice, proof } = state;
    return h('div', { className: 'account' },
      h('h2', { className: 'graphiql-doc-explorer-title account-title' }, expires ? 'Account' : 'Welcome'),
      h('p', { className: 'account-notice', role: 'status' }, notice),
      proof && h(StepUp, { session, account, proof }),
      link ? h(Linked, { session, link, key: link.token })
        : expires ? h(SignedIn, { session, state })
          : challenge ? h(SecondStep, { session, challenge }) : h(SignedOut, { session }));
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
