import type { ErrorReason } from './gql/enums';
import type { Refusal } from './refusal';

// What this application says better than the server, whose message serves for the rest. A reason that
// the schema does not have does not compile.
const words: Partial<Record<ErrorReason, string>> = {
  INVALID_CREDENTIALS: 'That is not right: check what you typed.',
  TOKEN_REVOKED: 'You were signed out: this session was ended from elsewhere.',
  SESSION_REVOKED: 'You were signed out: this session was ended from elsewhere.',
  SESSION_EXPIRED: 'You were signed out: you had been away for too long.',
  REFRESH_INVALID: 'You were signed out: please sign in again.',
  REFRESH_REUSED: 'You were signed out for your safety: somebody else may have used your session. If you do not know why, change your password.',
  EMAIL_TAKEN: 'There is already an account with this address.',
  USERNAME_TAKEN: 'This username is taken.',
  EMAIL_INVALID: 'This is not an e-mail address that can be used here.',
  PASSWORD_TOO_COMMON: 'This password is among those that are tried first. Choose another.',
  SESSION_NOT_FOUND: 'This session has already ended.',
  OVERLOADED: 'The server is busy.',
  STORAGE_UNAVAILABLE: 'The server cannot reach its data just now.',
};

export function wordsFor({ reason, message }: { reason?: ErrorReason | undefined; message: string }): string {
  return (reason && words[reason]) ?? message.charAt(0).toUpperCase() + message.slice(1).replace(/[^.]$/, '$&.');
}

export function wordsForEnd(reason: ErrorReason): string {
  return wordsFor({ reason, message: 'You were signed out: please sign in again.' });
}

// whenToRetry ends a refusal's words where the server said when to try again.
export function whenToRetry({ retryAfter }: Refusal): string {
  return retryAfter ? ` Try again in ${retryAfter} s.` : '';
}

export const day = (text: string) => new Date(text).toLocaleDateString(undefined, { dateStyle: 'medium' });
export const time = (text: string) => new Date(text).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

// Many browsers name Chrome and Safari too, so the order matters.
export function device(userAgent: string): string {
  const browser = /Firefox|Edg|Chrome|Safari/.exec(userAgent)?.[0].replace('Edg', 'Edge');
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(userAgent)?.[0];
  return browser && system ? `${browser} on ${system}` : userAgent || 'Unknown';
}
