// Apollo Server, standalone.
import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'
import { authenticate, host, port, resolvers, typeDefs } from './common.mjs'

await startStandaloneServer(new ApolloServer({ typeDefs, resolvers: resolvers() }), {
  context: async ({ req }) => authenticate(req.headers.authorization),
  listen: { host, port },
})
