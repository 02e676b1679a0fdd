// node examples/observability/app.mjs [--port 9464] [--seconds N]
// An application with three ways in, whoever may come to them, and its metrics for Prometheus: everything the dashboard shows happens within a minute.
//   prometheus --config.file=examples/observability/prometheus.yml
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import express from 'express'
import {
  createAuthenticator,
  crl,
  denyList,
  firstDefinite,
  forwardedHeader,
  isClientCertError,
  ocsp,
  proxyAddress,
  rules,
} from 'mtls-identity'
import { clientCert, requireClientCert } from 'mtls-identity/express'
import { prometheusMetrics } from 'mtls-identity/prometheus'
import { superviseServer, tlsServerOptions } from 'mtls-identity/server'
import { Registry } from 'prom-client'
import { makePki } from './pki.mjs'
import { visit } from './visitors.mjs'

const { values: given } = parseArgs({
  options: { port: { type: 'string', default: '9464' }, seconds: { type: 'string', default: 'Infinity' } },
})
const deadline = Date.now() + Number(given.seconds) * 1000
const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-observability-'))
process.chdir(folder)
process.once('exit', () => rmSync(folder, { recursive: true }))

const pki = await makePki()
const responder = await listening(http.createServer(pki.respond))

// ── The application: what yours would have, too ───────────────────────────────────────────────────────────────────

const denied = denyList({ entries: [pki.clients.frank.fingerprint] })
const crls = crl({ files: ['./root.crl', './issuing.crl', './next.crl'] })
const certificates = { intermediates: './issuing-ca.pem', log: false }

const api = createAuthenticator({
  ...certificates,
  trust: { staff: './staff-ca.pem' },
  revocation: firstDefinite(denied, crls),
  // The next CA beside the one of today, and no certificate that lives for longer than a month: who would notice?
  candidate: { trust: ['./staff-ca.pem', './next-ca.pem'], rules: rules.maximumLifetime('30d') },
  nextStandard: { curves: ['P-384', 'P-521'] }, // nobody is refused by it: events say who would be
})
const partners = createAuthenticator({
  trust: { partners: './partners-ca.pem' },
  revocation: ocsp({ responder: `http://127.0.0.1:${responder.address().port}` }),
  profile: 'compatible', // two dangerous switches
  log: false,
})
const edge = createAuthenticator({
  ...certificates,
  trust: './staff-ca.pem',
  revocation: crls,
  source: forwardedHeader({ preset: 'rfc9440', from: proxyAddress('127.0.0.1') }),
})

const register = new Registry()
prometheusMetrics(register, { api, partners, edge })
const metrics = express().get('/metrics', async (_, response) => {
  response.type(register.contentType).send(await register.metrics())
})

function shop(authenticator) {
  const app = express()
  app.use('/old', clientCert({ authenticator, mode: 'report-only' }))
  app.get('/old/catalog', (_, response) => response.send('open for a few weeks more\n'))
  app.use(clientCert({ authenticator }))
  app.get('/catalog', (_, response) => response.send('read\n'))
  app.put('/catalog', requireClientCert(rules.commonName('alice')), (_, response) => response.send('written\n'))
  app.use((error, _request, response, next) => {
    if (!isClientCertError(error)) return next(error)
    response.status(error.status).set(error.headers).send(`${error.message}\n`)
  })
  return app
}

const servers = {
  api: https.createServer(tlsServerOptions(api, pki.server.tls), shop(api)),
  partners: https.createServer(tlsServerOptions(partners, pki.server.tls), shop(partners)),
  edge: http.createServer(shop(edge)),
}
const supervised = [
  superviseServer(servers.api, api, { log: false }),
  superviseServer(servers.partners, partners, { log: false }),
]
for (const server of Object.values(servers)) await listening(server)
await Promise.all([api.ready(), edge.ready()])
const metricsServer = await listening(http.createServer(metrics), Number(given.port))
console.log(`metrics on http://127.0.0.1:${metricsServer.address().port}/metrics`)

// ── A second after the other: everybody comes, and now and then an operator makes a mistake ───────────────────────

const told = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => told.abort())

for (let round = 0; Date.now() < deadline && !told.signal.aborted; round++) {
  await visit(servers, pki, round)
  if (round % 20 === 2) await pki.spoil('staff-ca.pem', 'issuing.crl')
  if (round % 20 === 8) await pki.publish()
  const rest = Math.max(0, Math.min(1_000, deadline - Date.now()))
  await sleep(rest, undefined, { signal: told.signal }).catch(() => {})
}

for (const each of supervised) each.close()
for (const server of [...Object.values(servers), responder, metricsServer]) {
  server.close()
  server.closeAllConnections()
}
await Promise.all([api.close(), partners.close(), edge.close()])
crls.close()
denied.close()
process.exit()

async function listening(server, port = 0) {
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return server
}
