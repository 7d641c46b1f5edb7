import { StrictMode, useSyncExternalStore, type ComponentType, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { BackendContext, SessionContext, type Backend } from './backend';
import { Home } from './home';
import { Session } from './session';
import { StepUp } from './stepup';
import './style.css';
import { Welcome } from './welcome';

export type ConnectProps = { session: Session; children: ReactNode };

// mount starts the application. Connect makes a client of the GraphQL library when it is mounted, and
// gives it to the library's hooks below it.
export function mount(library: string, Connect: ComponentType<ConnectProps>, backend: Backend): void {
  const session = new Session('/graphql');

  function App() {
    const { tokens, ended } = useSyncExternalStore(session.subscribe, session.get);
    // A client for each session, by the key: what one user has read is not in the next one's cache.
    return (
      <Connect key={tokens?.sessionId ?? ''} session={session}>
        {tokens ? <StepUp><Home library={library} /></StepUp> : <Welcome library={library} ended={ended} />}
      </Connect>
    );
  }

  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <SessionContext value={session}>
        <BackendContext value={backend}><App /></BackendContext>
      </SessionContext>
    </StrictMode>,
  );
}
