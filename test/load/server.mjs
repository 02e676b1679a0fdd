// The server under load: Express with clientCert(), supervised. It reloads what it is told to, and says when that is done.
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { createAuthenticator, crl, denyList, firstDefinite, ocsp, TrustStore } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/express'
import { superviseServer, tlsServerOptions } from 'mtls-identity/server'

const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-load-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.on('disconnect', () => process.exit())

/** As an operator replaces a file: written aside, then renamed. Returns where it is. */
function place(name, content) {
  const path = join(folder, name)
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
  return path
}

const crlListeners = new Set()
subscribe('mtls-identity:revocation', ({ type }) => {
  if (type === 'crl-loaded') for (const listener of crlListeners) listener()
})

process.once('message', async ({ trust, intermediates, crls, denied, responder, tls }) => {
  const store = TrustStore.load(place('trust.pem', trust), { watch: false })
  const list = denyList({ file: place('denied.txt', denied), watch: false })
  const files = Object.entries(crls).map(([name, pem]) => place(name, pem))
  const byOcsp = ocsp({
    responder: ({ subject }) => (subject === 'CN=OCSP CA' ? responder : undefined),
    leafOnly: true,
    skewSeconds: 1,
    // Longer than by default: responder and clients share the processors with the server, and a late answer is not what is to be shown.
    timeoutMilliseconds: 6_000,
  })
  const authenticator = createAuthenticator({
    trust: store,
    intermediates,
    revocation: firstDefinite(list, crl({ files, leafOnly: true }), byOcsp),
    log: false,
  })
  const app = express().disable('x-powered-by').disable('etag')
  app.use(clientCert({ authenticator, responses: { exposeReason: true } }))
  app.get('/', (request, response) => response.json({ cn: clientIdentity(request).subject.get('CN') }))
  // Clients ask every few seconds; Node would take most of them for gone after five.
  const server = https.createServer({ ...tlsServerOptions(authenticator, tls), keepAliveTimeout: 600_000 }, app)
  superviseServer(server, authenticator, { log: false })
  await authenticator.ready()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 })
  await once(server, 'listening')

  const commands = {
    trust: ({ pem }) => {
      place('trust.pem', pem)
      const { ok, error } = store.reload()
      if (!ok) throw error
    },
    deny: ({ entries }) => {
      place('denied.txt', entries)
      return list.reload()
    },
    // Files of CRLs are watched: they are read within two seconds.
    crl: ({ name, pem }) =>
      new Promise((resolve) => {
        const heard = () => {
          crlListeners.delete(heard)
          resolve()
        }
        crlListeners.add(heard)
        place(name, pem)
      }),
    // What is in use, rather than what waits to be collected.
    heap: () => {
      globalThis.gc()
      return process.memoryUsage().heapUsed
    },
    usage: async () => {
      server.getConnections((_error, count) => {
        const { rss, heapUsed } = process.memoryUsage()
        const { user, system } = process.cpuUsage()
        process.send({ type: 'usage', rss, heapUsed, connections: count, cpuMicros: user + system })
      })
    },
  }
  process.on('message', async ({ id, type, ...rest }) => {
    try {
      process.send({ type: 'done', id, result: await commands[type](rest) })
    } catch (error) {
      process.send({ type: 'done', id, error: error.message })
    }
  })
  process.send({ type: 'listening', port: server.address().port })
})
