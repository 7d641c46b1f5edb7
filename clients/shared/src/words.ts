import type { ErrorReason } from './gql/enums';
import type { Refusal } from './refusal';

// The server does not say which of these has ended a session.
const ENDED = 'You were signed out: your session was ended on another device, by a link in a mail or by an administrator.';

// Texts that replace the server's message. A reason that does not exist in the schema does not compile.
const words: Partial<Record<ErrorReason, string>> = {
  INVALID_CREDENTIALS: 'The credentials are wrong. Check what you entered.',
  TOKEN_REVOKED: ENDED,
  SESSION_REVOKED: ENDED,
  PASSWORD_CHANGE_REQUIRED: 'You have to choose a new password. Open the link that we have sent you by mail, or request another.',
  SECOND_FACTOR_REQUIRED: 'Enter a code of your authenticator app too.',
  SECOND_FACTOR_SETUP_REQUIRED: 'This needs an account with two-step sign-in. Set it up under Security.',
  SESSION_EXPIRED: 'You were signed out: your session has expired.',
  REFRESH_INVALID: 'You were signed out. Please sign in again.',
  REFRESH_REUSED: 'You were signed out for your security: someone else may have used your session. If in doubt, change your password.',
  EMAIL_TAKEN: 'There is already an account with this e-mail address.',
  USERNAME_TAKEN: 'This username is taken.',
  EMAIL_INVALID: 'This is not a valid e-mail address.',
  PASSWORD_TOO_COMMON: 'This password is too easy to guess. Choose another one.',
  EMAIL_NOT_VERIFIED: 'Confirm your e-mail address first. We have sent you a link by mail.',
  CHALLENGE_INVALID: 'This is wrong, has expired or was used before. Request a new mail.',
  NOT_OFFERED: 'This server does not offer this.',
  INVITATION_NOT_FOUND: 'This invitation was accepted or revoked.',
  PASSKEY_NOT_FOUND: 'Your account has no such passkey.',
  PASSKEY_UNKNOWN: 'This passkey was removed from its account. Sign in with another one, or with the password.',
  LAST_CREDENTIAL: 'This is the last way into your account. Set up another one first.',
  SESSION_NOT_FOUND: 'This session has already ended.',
  OVERLOADED: 'The server is busy.',
  STORAGE_UNAVAILABLE: 'The server cannot reach its database at the moment.',
};

export function wordsFor({ reason, message }: { reason?: ErrorReason | undefined; message: string }): string {
  return (reason && words[reason]) ?? message.charAt(0).toUpperCase() + message.slice(1).replace(/[^.]$/, '$&.');
}

export function wordsForEnd(reason: ErrorReason): string {
  return wordsFor({ reason, message: 'You were signed out. Please sign in again.' });
}

// whenToRetry returns the retry time as a sentence, or an empty string without one.
export function whenToRetry({ retryAfter }: Refusal): string {
  return retryAfter ? ` Try again in ${retryAfter} s.` : '';
}

export const day = (text: string) => new Date(text).toLocaleDateString(undefined, { dateStyle: 'medium' });
export const time = (text: string) => new Date(text).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

// The order matters: many browsers also name Chrome and Safari in their user agent.
export function device(userAgent: string): string {
  const browser = /Firefox|Edg|Chrome|Safari/.exec(userAgent)?.[0].replace('Edg', 'Edge');
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(userAgent)?.[0];
  return browser && system ? `${browser} on ${system}` : userAgent || 'Unknown';
}
