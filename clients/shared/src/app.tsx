import type { Client as Live } from 'graphql-ws';
import { StrictMode, useEffect, useState, useSyncExternalStore, type ComponentType, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { BackendContext, LiveContext, NoticeContext, SessionContext, type Backend } from './backend';
import { Home } from './home';
import { Inbound } from './link';
import { flows, Linked } from './linked';
import { connectLive } from './live';
import { Session } from './session';
import { delivery, url } from './settings';
import { StepUp } from './stepup';
import './style.css';
import { Welcome } from './welcome';

export type ConnectProps = { session: Session; live: Live; children: ReactNode };

// mount starts the application. Connect creates a client of the GraphQL library when it is mounted, and provides it to
// the library's hooks below.
export function mount(library: string, Connect: ComponentType<ConnectProps>, backend: Backend): void {
  const session = new Session(url, delivery);
  const inbound = new Inbound(flows);

  // The key creates a new client and WebSocket for each session, so that users do not see each other's cached data.
  function Connected({ children }: { children: ReactNode }) {
    const [live] = useState(() => connectLive(session, url));
    return <LiveContext value={live}><Connect session={session} live={live}>{children}</Connect></LiveContext>;
  }

  function App() {
    const { tokens, ended } = useSyncExternalStore(session.subscribe, session.get);
    const link = useSyncExternalStore(inbound.subscribe, inbound.get);
    const [notice, setNotice] = useState('');
    useEffect(() => { if (tokens) setNotice(''); }, [tokens?.sessionId]);
    return (
      <NoticeContext value={setNotice}>
        <div role="status">{notice && <p className="notice">{notice}</p>}</div>
        <Connected key={tokens?.sessionId ?? ''}>
          {link ? <Linked link={link} close={inbound.close} notify={setNotice} />
            : tokens ? <StepUp><Home library={library} /></StepUp> : <Welcome library={library} ended={ended} />}
        </Connected>
      </NoticeContext>
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
