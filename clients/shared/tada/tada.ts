// A compile test: gql.tada infers the types of documents from the schema alone.
import { initGraphQLTada, type ResultOf, type VariablesOf } from 'gql.tada';
import type { introspection } from './graphql-env';

const graphql = initGraphQLTada<{ introspection: introspection; scalars: { Time: string } }>();

const Me = graphql(`query Me { me { email username roles createdAt sessions(first: 1) { nodes { current } } } }`);
export const me: ResultOf<typeof Me>['me'] = {
  email: 'ada@example.com',
  username: null,
  roles: ['USER', 'ADMIN'],
  createdAt: '2026-02-03T04:05:06Z',
  sessions: { nodes: [{ current: true }] },
};
// @ts-expect-error: not a role in the schema
export const roles: ResultOf<typeof Me>['me']['roles'] = ['KING'];

const Login = graphql(`mutation Login($input: LoginInput!) { login(input: $input) { accessToken expiresIn refreshToken } }`);
export const input: VariablesOf<typeof Login>['input'] = { email: 'ada@example.com', password: 'correct horse battery' };
// @ts-expect-error: the password is required
export const incomplete: VariablesOf<typeof Login>['input'] = { email: 'ada@example.com' };

export const reason: ReturnType<typeof graphql.scalar<'ErrorReason'>> = 'TOKEN_EXPIRED';
