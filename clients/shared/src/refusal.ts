import type { ErrorCode, ErrorReason, SecondFactorMethod } from './gql/enums';

export type FieldProblem = { path: string; reason: ErrorReason; message: string };

// Challenge is a sign-in that waits for a second factor: SecondFactorChallenge in the schema.
export type Challenge = { id: string; methods: SecondFactorMethod[]; expiresAt: string };

// Extensions are the details of an error besides its message.
type Extensions = {
  code?: ErrorCode;
  reason?: ErrorReason;
  retryAfter?: number;
  fields?: FieldProblem[];
  challenge?: Challenge;
  requestId?: string;
};
type GraphQLError = { message: string; extensions?: object };

// Refusal is the error of a failed operation, independent of the GraphQL library.
export class Refusal extends Error implements Extensions {
  declare readonly code?: ErrorCode; // undefined without a response
  declare readonly reason?: ErrorReason;
  declare readonly retryAfter?: number;
  declare readonly fields?: FieldProblem[];
  declare readonly challenge?: Challenge; // with SECOND_FACTOR_REQUIRED
  declare readonly requestId?: string;

  constructor(errors: readonly GraphQLError[], cause: unknown) {
    super(errors[0]?.message ?? 'The server cannot be reached.', { cause });
    Object.assign(this, errors[0]?.extensions);
  }
}
