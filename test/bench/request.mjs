// A request of a client that is known already, over direct TLS: in process here, through servers in connections.mjs.
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import Koa from 'koa'
import { createAuthenticator, tlsServerOptions } from 'mtls-identity'
import { clientCert } from 'mtls-identity/express'
import * as forKoa from 'mtls-identity/koa'
import { traceClients } from 'mtls-identity/opentelemetry'
import { prometheusMetrics } from 'mtls-identity/prometheus'
import { createTestPki } from 'mtls-identity/testing'
import { Registry } from 'prom-client'
import { fullHandshakes, keptOpen, resumedHandshakes } from './connections.mjs'
import { heap } from './heap.mjs'

async function inProcess() {
  const pki = await createTestPki()
  const [server, client] = [await pki.server(), await pki.issue()]
  const authenticator = createAuthenticator({ trust: pki.trust, revocation: 'none', watch: false })
  // A server that lets OpenSSL decide: what code without this package relies on.
  const ca = [pki.trust, pki.intermediate.certificate.pem]
  const trusting = { ...server.tls, requestCert: true, rejectUnauthorized: false, ca }
  const [request, authorized] = [
    await requestThrough(tlsServerOptions(authenticator, server.tls), client),
    await requestThrough(trusting, client),
  ]
  const decision = await authenticator.authenticate(request)
  if (decision.outcome !== 'accepted') throw decision.error
  if (!authorized.socket.authorized) throw new Error(authorized.socket.authorizationError)
  const done = async () => decision
  return [
    { ...toPromise('authenticate(), remembered', () => authenticator.authenticate(request)), above: 100 },
    toPromise('socket.authorized', async () => authorized.socket.authorized),
    toPromise('getPeerCertificate().subject.CN', async () => authorized.socket.getPeerCertificate().subject.CN),
    ...mounts(request, authenticator),
  ]

  function toPromise(name, ours) {
    return { name, ours, floor: done, note: 'to a promise of nothing' }
  }
}

/** Everything that watches at once, beside nobody: a table of its own, because V8 knows the calls of a second authenticator less well. */
async function watched() {
  const pki = await createTestPki()
  const [server, client] = [await pki.server(), await pki.issue()]
  const policy = { trust: pki.trust, revocation: 'none', watch: false }
  const alone = createAuthenticator(policy)
  // The old CA goes: every request is one that the candidate would refuse.
  const successor = await createTestPki({ name: 'Successor' })
  const seen = createAuthenticator({ ...policy, candidate: { trust: successor.trust } })
  prometheusMetrics(new Registry(), seen)
  traceClients(seen)
  const [plain, same] = [
    await requestThrough(tlsServerOptions(alone, server.tls), client),
    await requestThrough(tlsServerOptions(seen, server.tls), client),
  ]
  await alone.authenticate(plain)
  await seen.authenticate(same)
  while (seen.candidateReport().pending > 0) await new Promise(setImmediate)
  return [
    {
      name: 'with metrics, spans and a candidate',
      ours: () => seen.authenticate(same),
      floor: () => alone.authenticate(plain),
      note: 'to none of them',
    },
  ]
}

/** What a mount takes of each new request, beside one that does nothing. */
function mounts({ socket }, authenticator) {
  const response = new ServerResponse({ method: 'GET' })
  const inExpress = (middleware) => () =>
    new Promise((resolve, reject) =>
      middleware(new IncomingMessage(socket), response, (error) => (error === undefined ? resolve() : reject(error))),
    )
  const app = new Koa()
  const next = async () => {}
  const inKoa = (middleware) => () => middleware(app.createContext(new IncomingMessage(socket), response), next)
  const note = 'to one that does nothing'
  return [
    {
      name: 'clientCert() of Express, a new request',
      ours: inExpress(clientCert({ authenticator })),
      floor: inExpress((_request, _response, next) => next()),
      note,
    },
    {
      name: 'clientCert() of Koa, a new request',
      ours: inKoa(forKoa.clientCert({ authenticator })),
      floor: inKoa((_context, next) => next()),
      note,
    },
  ]
}

/** A request as a handler has it, whose connection stays open. */
async function requestThrough(options, client) {
  let request
  const server = https.createServer(options, (each, response) => {
    request = each
    response.end()
  })
  server.keepAliveTimeout = 0
  await once(server.listen(0, '127.0.0.1').unref(), 'listening')
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false, ...client.tls })
  const sent = https.get({ host: '127.0.0.1', port: server.address().port, agent })
  const [response] = await once(sent, 'response')
  await once(response.resume(), 'end')
  request.socket.unref()
  return request
}

export const tables = [
  { title: 'A remembered TLS session, in process', rows: inProcess },
  { title: 'A remembered TLS session, in process, watched', rows: watched },
  { title: 'Connections kept open', run: keptOpen },
  { title: 'Full handshakes', run: fullHandshakes },
  { title: 'Resumed handshakes', run: resumedHandshakes },
  { title: 'Heap', run: heap },
]
