import { useEffect } from 'react';
import { Problem } from './act';
import { useLive, useQuery, useSubscription } from './backend';
import type { AuditAction } from './gql/enums';
import type { SecurityEventFragment } from './gql/graphql';
import { SecurityEvents, SecurityLog } from './operations';
import { device, time } from './words';

// SecurityCard shows past and live events of the account.
export function SecurityCard() {
  const live = useLive();
  const { data, refusal, reload } = useQuery(SecurityLog);
  const ended = useSubscription(SecurityEvents, reload);
  const problem = refusal ?? ended;
  // Events that happened while disconnected are not sent again.
  useEffect(() => live.on('connected', reload), [live]);
  return (
    <section>
      <h2>Security</h2>
      {problem && <Problem refusal={problem} />}
      <ul>{data?.me.securityLog.nodes.map((one) => <Row key={one.id} one={one} />)}</ul>
    </section>
  );
}

function Row({ one }: { one: SecurityEventFragment }) {
  return (
    <li>
      <div>
        <strong>{one.byAdministrator ? 'An administrator: ' : ''}{actions[one.action] ?? one.action}</strong>{' '}
        {one.count > 1 && <span className="badge">{one.count} times</span>}
        <small>{time(one.at)}{one.ip && ` · ${one.ip} · ${device(one.userAgent)}`}</small>
      </div>
    </li>
  );
}

// Texts for the events that an owner can see. Other actions are shown by name.
const actions: Partial<Record<AuditAction, string>> = {
  USER_CREATED: 'Account created',
  USER_UPDATED: 'Profile changed',
  USER_DISABLED: 'Account disabled',
  USER_ENABLED: 'Account enabled',
  PRIVILEGE_PERMISSIONS_CHANGED: 'Roles changed',
  AUTHN_PASSWORD_CHANGE: 'Password changed',
  AUTHN_PASSWORD_RESET: 'Password reset by mail',
  EMAIL_VERIFIED: 'E-mail address confirmed',
  EMAIL_CHANGE_REQUESTED: 'New e-mail address requested',
  EMAIL_CHANGED: 'E-mail address changed',
  EMAIL_CHANGE_REVERTED: 'Change of the e-mail address undone',
  UNPROVED_CREDENTIALS_REMOVED: 'Password and sessions from before the proof of the address removed',
  USER_DELETION_SCHEDULED: 'Deletion requested',
  USER_DELETION_CANCELED: 'Deletion canceled',
  AUTHN_LOGIN_SUCCESS: 'Signed in',
  AUTHN_LOGIN_FAIL: 'Sign-in refused',
  AUTHN_REAUTHENTICATED: 'Password confirmed',
  AUTHN_REAUTHENTICATE_FAIL: 'Wrong password',
  AUTHN_FACTOR_REQUIRED: 'Password right, second step pending',
  AUTHN_FACTOR_FAIL: 'Wrong code in the second step',
  FACTOR_ADDED: 'Second factor set up',
  FACTOR_REMOVED: 'Second factor removed',
  RECOVERY_CODES_REPLACED: 'New recovery codes',
  RECOVERY_CODE_USED: 'Recovery code used',
  PASSKEY_ADDED: 'Passkey added',
  PASSKEY_RENAMED: 'Passkey renamed',
  PASSKEY_REMOVED: 'Passkey removed',
  PASSKEY_COPY_SUSPECTED: 'Passkey refused: it may be a copy',
  IDENTITY_LINKED: 'Sign-in of a provider added',
  IDENTITY_UNLINKED: 'Sign-in of a provider removed',
  PASSWORD_REMOVED: 'Password removed',
  AUTHN_TOKEN_REVOKED: 'Session ended',
  AUTHN_TOKEN_REUSE: 'Refresh token reused: session ended',
  AUTHN_TOKEN_REPLAYED_ELSEWHERE: 'Refresh token used by two clients',
  SESSION_CAP_REACHED: 'Too many sessions: the oldest was ended',
};
