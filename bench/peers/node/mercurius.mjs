// Mercurius on Fastify, with its JIT. With the option --sqlite, the user is read from SQLite for each request.
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { authenticate, host, options, port, resolvers, typeDefs, users } from './common.mjs'

function reader() {
  const db = new Database('peer.db')
  db.pragma('journal_mode = WAL')
  db.exec('CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL)')
  const insert = db.prepare('INSERT INTO users VALUES (@id, @email, @name)')
  for (const user of users.values()) insert.run(user)
  const select = db.prepare('SELECT id, email, name FROM users WHERE id = ?')
  return (id) => select.get(id)
}

const app = Fastify()
app.register(mercurius, {
  schema: typeDefs,
  resolvers: resolvers(options.includes('--sqlite') ? reader() : undefined),
  context: (request) => authenticate(request.headers.authorization),
  jit: 1,
})
await app.listen({ host, port })
