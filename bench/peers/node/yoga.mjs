// GraphQL Yoga on node:http.
import { createServer } from 'node:http'
import { createSchema, createYoga } from 'graphql-yoga'
import { authenticate, host, port, resolvers, typeDefs } from './common.mjs'

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers: resolvers() }),
  context: ({ request }) => authenticate(request.headers.get('authorization')),
  logging: false,
})
createServer(yoga).listen(port, host)
