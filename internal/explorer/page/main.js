// The page at /: GraphiQL with a panel for signing in, sharing one session.
import { makeFetcher } from './fetcher.js';
import { flows } from './linked.js';
import { headers, operations } from './operations.js';
import { makePanel, onPhone } from './panel.js';
import { Session } from './session.js';
import { pageStorage } from './storage.js';

const { GraphiQL, React, ReactDOM } = window;

if (GraphiQL && React && ReactDOM) {
  const place = document.getElementById('explorer');
  const { endpoint } = place.dataset;
  const session = new Session(endpoint);
  session.takeLink(flows);
  window.addEventListener('hashchange', () => session.takeLink(flows)); // a link was pasted into this tab
  const panel = makePanel(session);
  const root = ReactDOM.createRoot(place);
  root.render(
    React.createElement(
      GraphiQL,
      {
        fetcher: makeFetcher(session, endpoint),
        storage: pageStorage(),
        plugins: [panel],
        defaultTabs: operations,
        defaultHeaders: headers,
        defaultQuery: '# Ctrl+Space completes, Ctrl+Enter runs.\n',
        defaultEditorToolsVisibility: onPhone() ? false : 'headers',
        shouldPersistHeaders: false,
        inputValueDeprecation: true,
      },
      React.createElement(GraphiQL.Logo, null, 'Graphwarden'),
      React.createElement(panel.Opener),
    ),
  );
} else {
  document.querySelectorAll('.origin').forEach((place) => { place.textContent = window.location.origin; });
  document.body.classList.add('failed');
}
