// The same small shop three times: Express, Koa, and Express behind a proxy. This is what an application looks like.
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import express from 'express'
import Koa from 'koa'
import { isClientCertError, rules, tlsServerOptions } from 'mtls-identity'
import * as forExpress from 'mtls-identity/express'
import * as forKoa from 'mtls-identity/koa'

const editors = rules.email('alice@acme.example')
const accounting = rules.spiffeId('spiffe://acme.example/billing')
const isProbe = ({ url }) => url === '/healthz'

export function expressShop(authenticator) {
  const { clientCert, clientIdentity, requireClientCert } = forExpress
  const nameOf = (request) => clientIdentity(request).spiffeId ?? clientIdentity(request).subject
  const app = express()
  app.use(clientCert({ authenticator, skip: isProbe }))
  app.get('/healthz', (_, response) => response.json({ healthy: true }))
  app.get('/whoami', (request, response) => response.json({ you: nameOf(request) }))
  app.get('/catalog/:id', (request, response) => response.json({ item: request.params.id, for: nameOf(request) }))
  app.put('/catalog/:id', requireClientCert(editors), (request, response) => response.json({ by: nameOf(request) }))
  app.post('/invoices', requireClientCert(accounting), (request, response) => response.json({ by: nameOf(request) }))
  app.use((error, _, response, next) => {
    if (!isClientCertError(error)) return next(error)
    response.status(error.status).set(error.headers).json({ error: error.message })
  })
  return app
}

export function koaShop(authenticator) {
  const { clientCert, clientIdentity, requireClientCert } = forKoa
  const app = new Koa()
  app.silent = true // Koa would print every refusal; the authenticator's log has it already
  app.use(clientCert({ authenticator, skip: isProbe }))
  app.use(on('GET', '/whoami', requireClientCert(), (context) => ({ you: clientIdentity(context).subject })))
  app.use(on('PUT', '/catalog/', requireClientCert(editors), (context) => ({ by: clientIdentity(context).subject })))
  return app.callback()
}

/** A router in one line. */
const on = (method, path, guard, answer) => (context, next) =>
  context.method === method && context.path.startsWith(path)
    ? guard(context, () => {
        context.body = answer(context)
      })
    : next()

export const listenTls = (authenticator, { key, cert }, app) =>
  listening(https.createServer(tlsServerOptions(authenticator, { key, cert }), app))

export const listenPlain = (app) => listening(http.createServer(app))

export async function listening(server) {
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
