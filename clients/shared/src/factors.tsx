import { useState } from 'react';
import { Button, Field, Form, Problem } from './act';
import { useMutation, useQuery } from './backend';
import { download } from './download';
import type { BeginTotpMutation } from './gql/graphql';
import { BeginTotp, ConfirmTotp, DisableTotp, Factors, RegenerateRecoveryCodes } from './operations';
import { day } from './words';

// FactorsCard sets up an authenticator app and recovery codes, and removes them.
export function FactorsCard() {
  const { data, refusal, reload } = useQuery(Factors);
  const begin = useMutation(BeginTotp);
  const disable = useMutation(DisableTotp);
  const regenerate = useMutation(RegenerateRecoveryCodes);
  const [setup, setSetup] = useState<BeginTotpMutation['beginTotp']>();
  const [codes, setCodes] = useState<string[]>();

  function show(newCodes: string[]) {
    setSetup(undefined);
    setCodes(newCodes);
    reload();
  }
  async function turnOff() {
    await disable({});
    setCodes(undefined);
    reload();
  }
  const start = async () => setSetup((await begin({})).beginTotp);
  const factors = data?.me.factors;
  return (
    <section>
      <h2>Two-step sign-in</h2>
      {refusal && <Problem refusal={refusal} />}
      {codes && <RecoveryCodes codes={codes} close={() => setCodes(undefined)} />}
      {setup ? <Setup setup={setup} confirmed={show} /> : factors && (factors.totpSince ? (
        <>
          <p>Authenticator app since {day(factors.totpSince)}. Recovery codes left: {factors.recoveryCodesLeft}.</p>
          <div className="row">
            <Button run={async () => show((await regenerate({})).regenerateRecoveryCodes.codes)} className="quiet">New recovery codes</Button>
            <Button run={start} className="quiet">Use another app</Button>
            <Button run={turnOff} className="quiet">Turn off</Button>
          </div>
        </>
      ) : (
        <>
          <p>An app on your phone shows a code that you enter after your password.</p>
          <Button run={start}>Set up an authenticator app</Button>
        </>
      ))}
    </section>
  );
}

type SetupProps = { setup: BeginTotpMutation['beginTotp']; confirmed: (codes: string[]) => void };

// Setup shows the key as an image, not as markup, because an image runs no scripts.
function Setup({ setup: { secret, uri, qr }, confirmed }: SetupProps) {
  const confirm = useMutation(ConfirmTotp);

  async function submit({ code = '' }: Record<string, string>) {
    confirmed((await confirm({ input: { code: code.trim() } })).confirmTotp.codes);
  }
  return (
    <>
      <p>Scan this with the app, <a href={uri}>open it on this device</a>, or enter the key.</p>
      <img className="qr" src={`data:image/svg+xml,${encodeURIComponent(qr)}`} alt="QR code with the key" />
      <p className="row"><code>{secret}</code> <Copy text={secret} label="Copy the key" /></p>
      <Form button="Confirm" submit={submit}>
        <Field name="code" label="Code in the app" inputMode="numeric" autoComplete="one-time-code" />
      </Form>
    </>
  );
}

function RecoveryCodes({ codes, close }: { codes: string[]; close: () => void }) {
  const text = codes.join('\n');
  return (
    <div className="notice">
      <p>Keep these recovery codes in a safe place. Each one signs you in once without the app. They are not shown again.</p>
      <ol className="codes">{codes.map((code) => <li key={code}><code>{code}</code></li>)}</ol>
      <div className="row">
        <Copy text={text} label="Copy the codes" />
        <button type="button" className="quiet" onClick={() => download('recovery-codes.txt', 'text/plain', text)}>Download the codes</button>
        <button type="button" onClick={close}>I have kept them</button>
      </div>
    </div>
  );
}

function Copy({ text, label }: { text: string; label: string }) {
  if (!window.isSecureContext) return null; // without a clipboard
  return <Button run={() => navigator.clipboard.writeText(text)} done="Copied." className="quiet">{label}</Button>;
}
