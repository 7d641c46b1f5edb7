import { useState } from 'react';
import { Button, Field, Form, Problem } from './act';
import { useMutation, useQuery } from './backend';
import type { PasskeysQuery } from './gql/graphql';
import { BeginPasskeyRegistration, DeletePasskey, FinishPasskeyRegistration, Passkeys, RemovePassword, RenamePasskey } from './operations';
import { createPasskey, hasPasskeys } from './webauthn';
import { day } from './words';

// PasskeysCard lists the user's passkeys and adds others.
export function PasskeysCard() {
  const { data, refusal, reload } = useQuery(Passkeys);
  const begin = useMutation(BeginPasskeyRegistration);
  const finish = useMutation(FinishPasskeyRegistration);
  const removePassword = useMutation(RemovePassword);

  async function add({ name = '' }: Record<string, string>) {
    const { challenge, options } = (await begin({})).beginPasskeyRegistration;
    await finish({ input: { challenge, response: await createPasskey(options), name } });
    reload();
  }
  const passkeys = data?.me.passkeys ?? [];
  return (
    <section>
      <h2>Passkeys</h2>
      <p>A passkey signs you in with the lock of your device, without a password.</p>
      {refusal && <Problem refusal={refusal} />}
      <ul>{passkeys.map((one) => <Row key={one.id} one={one} changed={reload} />)}</ul>
      {hasPasskeys && (
        <Form button="Add a passkey" done="Added." submit={add}>
          <Field name="name" label="Name of the passkey" hint="Optional, such as the name of the device." autoComplete="off" />
        </Form>
      )}
      {passkeys.length > 0 && (
        <p className="ways"><Button run={async () => void (await removePassword({}))} className="quiet" done="Your password is removed.">Remove my password</Button></p>
      )}
    </section>
  );
}

function Row({ one, changed }: { one: PasskeysQuery['me']['passkeys'][number]; changed: () => void }) {
  const { id, name, provider, backedUp, createdAt, lastUsedAt } = one;
  const rename = useMutation(RenamePasskey);
  const remove = useMutation(DeletePasskey);
  const [isOpen, setOpen] = useState(false);

  async function save({ newName = '' }: Record<string, string>) {
    await rename({ input: { id, name: newName } });
    setOpen(false);
    changed();
  }
  async function run() {
    await remove({ input: { id } });
    changed();
  }
  if (isOpen) {
    return (
      <li>
        <Form button="Save the name" submit={save}><Field name="newName" label={`New name of ${name}`} defaultValue={name} autoComplete="off" /></Form>
      </li>
    );
  }
  return (
    <li>
      <div>
        <strong>{name}</strong> {backedUp && <span className="badge">synchronized</span>}
        <small>{provider && `${provider} · `}since {day(createdAt)} · {lastUsedAt ? `last used ${day(lastUsedAt)}` : 'never used'}</small>
      </div>
      <button type="button" className="quiet" aria-label={`Rename ${name}`} onClick={() => setOpen(true)}>Rename</button>
      <Button run={run} className="quiet" aria-label={`Remove ${name}`}>Remove</Button>
    </li>
  );
}
