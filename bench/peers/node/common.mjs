// What the Node.js servers share: one user, one schema, and bearer tokens verified by fast-jwt.
import { randomBytes } from 'node:crypto'
import { createSigner, createVerifier } from 'fast-jwt'

export const [host, port] = process.argv[2].split(':')
export const options = process.argv.slice(3)
export const users = new Map([['1', { id: '1', email: 'ada@example.com', name: 'Ada' }]])

const key = randomBytes(32)
const sign = createSigner({ key, algorithm: 'HS256', expiresIn: '1h' })
const verify = createVerifier({ key, algorithms: ['HS256'], cache: options.includes('--token-cache') })

// authenticate returns the context of a request. It throws if the token is invalid.
export const authenticate = (header) => (header ? { claims: verify(header.slice('Bearer '.length)) } : {})

export const typeDefs = `
  type User { id: ID! email: String! name: String! }
  type AuthPayload { accessToken: String! }
  input LoginInput { email: String! password: String! }
  type Query { me: User! }
  type Mutation { login(input: LoginInput!): AuthPayload! }
`

export const resolvers = (user = (id) => users.get(id)) => ({
  Query: {
    me: (_, __, { claims }) => {
      if (!claims) throw new Error('unauthenticated')
      return user(claims.sub)
    },
  },
  Mutation: {
    // Logins are not measured, so the password is not compared.
    login: () => ({ accessToken: sign({ sub: '1' }) }),
  },
})
