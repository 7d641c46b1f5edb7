import { Button, Field, Form, Problem } from './act';
import { useMutation, useQuery } from './backend';
import type { InvitationState } from './gql/enums';
import type { InvitationsQuery } from './gql/graphql';
import { Invitations, InviteUser, ResendInvitation, RevokeInvitation } from './operations';
import { day } from './words';

// InvitationsCard is for administrators.
export function InvitationsCard() {
  const { data, refusal, reload } = useQuery(Invitations);
  const invite = useMutation(InviteUser);

  async function submit({ email = '', message, admin }: Record<string, string>) {
    await invite({ input: { email, message, roles: admin ? ['ADMIN'] : [] } });
    reload();
  }
  return (
    <section>
      <h2>Invitations</h2>
      {refusal && <Problem refusal={refusal} />}
      <ul>{data?.invitations.nodes.map((one) => <Row key={one.id} one={one} changed={reload} />)}</ul>
      <Form button="Invite" done="The invitation is on its way." submit={submit}>
        <Field name="email" label="Address to invite" type="email" autoComplete="off" />
        <Field name="message" label="Message" hint="Optional. Shown in the mail." autoComplete="off" />
        <label className="check"><input name="admin" type="checkbox" /> Administrator</label>
      </Form>
    </section>
  );
}

function Row({ one, changed }: { one: InvitationsQuery['invitations']['nodes'][number]; changed: () => void }) {
  const resend = useMutation(ResendInvitation);
  const revoke = useMutation(RevokeInvitation);
  const { id, email, state } = one;
  const isOpen = state === 'PENDING' || state === 'EXPIRED';

  async function sendAgain() {
    await resend({ input: { id } });
    changed();
  }
  async function end() {
    await revoke({ input: { id } });
    changed();
  }
  return (
    <li>
      <div>
        <strong>{email}</strong> <span className="badge">{states[state]}</span>
        <small>{one.roles.join(', ')} · until {day(one.expiresAt)}{one.invitedBy && ` · by ${one.invitedBy.email}`}</small>
      </div>
      {isOpen && <Button run={sendAgain} className="quiet" done="Sent." aria-label={`Send the invitation of ${email} again`}>Send again</Button>}
      {isOpen && <Button run={end} className="quiet" aria-label={`Revoke the invitation of ${email}`}>Revoke</Button>}
    </li>
  );
}

const states: Record<InvitationState, string> = {
  PENDING: 'pending',
  ACCEPTED: 'accepted',
  REVOKED: 'revoked',
  EXPIRED: 'expired',
};
