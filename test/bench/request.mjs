// A request of a client that is known already, over direct TLS: in process, and through Express and Koa.
import { once } from 'node:events'
import https from 'node:https'
import express from 'express'
import Koa from 'koa'
import { createAuthenticator, tlsServerOptions } from 'mtls-identity'
import { clientCert } from 'mtls-identity/express'
import * as forKoa from 'mtls-identity/koa'
import { createTestPki } from 'mtls-identity/testing'

const pki = await createTestPki()
const server = await pki.server()
const client = await pki.issue()
const policy = { trust: pki.trust, revocation: 'none', watch: false }
const authenticator = createAuthenticator(policy)
const successor = await createTestPki({ name: 'Successor' })
/** The old CA goes: every request is one that the candidate would refuse. */
const shadowed = createAuthenticator({ ...policy, candidate: { trust: successor.trust } })

/** A server that lets OpenSSL decide: what code without this package relies on. */
const trusting = {
  ...server.tls,
  requestCert: true,
  rejectUnauthorized: false,
  ca: [pki.trust, pki.intermediate.certificate.pem],
}
const ours = tlsServerOptions(authenticator, server.tls)

async function listen(options, listener) {
  const listening = https.createServer(options, listener).listen(0, '127.0.0.1').unref()
  await once(listening, 'listening')
  return listening.address().port
}

/** One request after the other on one connection, each answered whole. */
function asking(port) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, ...client.tls })
  return () =>
    new Promise((resolve, reject) => {
      const request = https.get({ host: '127.0.0.1', port, agent }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`answered ${response.statusCode}`))
        response.resume().on('end', resolve)
      })
      request.on('socket', (socket) => socket.unref()).on('error', reject)
    })
}

async function inProcess() {
  // The request of a connection that stays open, as a handler has it; the answer is what keeps it from being let go.
  const held = async (options) => {
    let request
    const port = await listen(options, (each, response) => {
      request ??= each
      response.end()
    })
    await asking(port)()
    return request
  }
  const [request, authorized] = [await held(ours), await held(trusting)]
  const watched = await held(tlsServerOptions(shadowed, server.tls))
  const decision = await authenticator.authenticate(request)
  if (decision.outcome !== 'accepted') throw decision.error
  await shadowed.authenticate(watched)
  while (shadowed.candidateReport().pending > 0) await new Promise(setImmediate)
  if (shadowed.candidateReport().identities.length !== 1) throw new Error('the candidate did not decide')
  if (!authorized.socket.authorized) throw new Error(authorized.socket.authorizationError)
  const done = async () => decision
  const row = (name, run) => ({ name, ours: run, floor: done })
  return [
    {
      ...row('authenticate(), remembered', () => authenticator.authenticate(request)),
      note: 'to a promise of nothing',
    },
    {
      ...row('the same with a candidate', () => shadowed.authenticate(watched)),
      note: 'compared, counted',
    },
    row('socket.authorized', async () => authorized.socket.authorized),
    row('getPeerCertificate().subject.CN', async () => authorized.socket.getPeerCertificate().subject.CN),
  ]
}

const byHand = (socket) => socket.authorized && socket.getPeerCertificate().subject.CN

const expressWith = (middleware) => express().use(middleware, (_request, response) => response.send('ok'))
const koaWith = (middleware) => {
  const app = new Koa()
  app.use(middleware)
  app.use((context) => {
    context.body = 'ok'
  })
  return app.callback()
}

async function overLoopback() {
  const inExpress = {
    noop: expressWith((_request, _response, next) => next()),
    authorized: expressWith(({ socket }, response, next) => (socket.authorized ? next() : response.sendStatus(401))),
    byHand: expressWith(({ socket }, response, next) => (byHand(socket) ? next() : response.sendStatus(401))),
    ours: expressWith(clientCert({ authenticator })),
  }
  const inKoa = {
    noop: koaWith((_context, next) => next()),
    authorized: koaWith((context, next) => (context.socket.authorized ? next() : context.throw(401))),
    byHand: koaWith((context, next) => (byHand(context.socket) ? next() : context.throw(401))),
    ours: koaWith(forKoa.clientCert({ authenticator })),
  }
  const rows = []
  for (const [name, apps] of Object.entries({ 'Express 5': inExpress, 'Koa 3': inKoa })) {
    const ask = async (app, options) => asking(await listen(options, app))
    const floor = await ask(apps.noop, trusting)
    rows.push(
      { name: `${name}, clientCert`, ours: await ask(apps.ours, ours), floor },
      { name: `${name}, socket.authorized`, ours: await ask(apps.authorized, trusting), floor },
      { name: `${name}, getPeerCertificate()`, ours: await ask(apps.byHand, trusting), floor },
    )
  }
  return rows
}

export const tables = [
  { title: 'A remembered TLS session, in process', rows: inProcess },
  {
    title: 'One request over a connection kept alive, client and server (no-op middleware = 1.00)',
    rows: overLoopback,
  },
]
