import { Button, Problem } from './act';
import { useMutation, useQuery } from './backend';
import type { SessionsQuery } from './gql/graphql';
import { Logout, RevokeSession, Sessions } from './operations';
import { day, device, time } from './words';

export function SessionsCard() {
  const logout = useMutation(Logout);
  const { data, refusal, loading, reload } = useQuery(Sessions);
  const sessions = data?.me.sessions;

  async function endOthers() {
    await logout({ input: { scope: 'OTHERS' } });
    reload();
  }
  return (
    <section>
      <h2>Sessions {sessions && <span className="badge">{sessions.totalCount}</span>}</h2>
      {refusal && <Problem refusal={refusal} />}
      <ul aria-busy={loading}>{sessions?.nodes.map((one) => <Row key={one.id} one={one} revoked={reload} />)}</ul>
      <div className="row">
        <button type="button" className="quiet" disabled={loading} onClick={reload}>Reload</button>
        {sessions && sessions.totalCount > 1 && <Button run={endOthers} className="quiet">Sign out all others</Button>}
      </div>
    </section>
  );
}

function Row({ one, revoked }: { one: SessionsQuery['me']['sessions']['nodes'][number]; revoked: () => void }) {
  const revoke = useMutation(RevokeSession);

  async function run() {
    await revoke({ input: { id: one.id } });
    revoked();
  }
  return (
    <li>
      <div>
        <strong title={one.userAgent}>{device(one.userAgent)}</strong> {one.current && <span className="badge">this session</span>}
        <small>{one.ip} · since {day(one.createdAt)} · last used {time(one.lastSeenAt)}</small>
      </div>
      {!one.current && <Button run={run} className="quiet" aria-label={`Revoke ${device(one.userAgent)}`}>Revoke</Button>}
    </li>
  );
}
