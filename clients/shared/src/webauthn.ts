// Passkeys in the browser (WebAuthn level 3).
import { Refusal } from './refusal';

// Whether this browser can use passkeys.
export const hasPasskeys = typeof PublicKeyCredential !== 'undefined' && 'parseRequestOptionsFromJSON' in PublicKeyCredential;

// createPasskey asks the browser for a new passkey, and returns the response for the server.
export async function createPasskey(options: unknown): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON);
  return finish(navigator.credentials.create({ publicKey }), 'No passkey was created. Perhaps this device has one already.');
}

// provePasskey asks the user for a passkey. With mediation "conditional", the browser offers passkeys in the autofill of
// fields with autocomplete="… webauthn", until signal is aborted.
export async function provePasskey(options: unknown, signal?: AbortSignal, mediation?: 'conditional'): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON);
  return finish(navigator.credentials.get({ publicKey, signal, mediation } as CredentialRequestOptions), 'No passkey was used.');
}

// finish returns the response in JSON. Browsers do not say why a ceremony has failed, so that pages learn nothing about
// the user.
async function finish(ceremony: Promise<Credential | null>, failed: string): Promise<unknown> {
  try {
    return ((await ceremony) as PublicKeyCredential).toJSON();
  } catch (error) {
    throw new Refusal([{ message: failed }], error);
  }
}
