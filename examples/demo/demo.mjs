// npm run demo: three servers, one proxy, and everybody who should and should not get in.
import { mkdtempSync, rmSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuthenticator, crl, denyList, firstDefinite, forwardedHeader, proxyAddress } from 'mtls-identity'
import { node, otherClients } from './clients.mjs'
import { makePki, publish, writeFiles } from './pki.mjs'
import { terminatingProxy } from './proxy.mjs'
import { expressShop, koaShop, listening, listenPlain, listenTls } from './servers.mjs'
import { paragraph, row, section, skipped, summary, title } from './table.mjs'

const started = Date.now()
const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-demo-'))
process.chdir(folder)
process.once('exit', () => rmSync(folder, { recursive: true }))
const [pki, others] = await Promise.all([makePki(), otherClients()])
await writeFiles(pki)
const { alice, bob, billing, erin, frank, expired, strangers, forged, selfSigned, ca, forServers, nobody } = pki.clients

// ── Two authenticators: one reads the TLS connection, one a header that only the proxy at 127.0.0.1 may send ──────

/** What the authenticators said about the request that is being asked. */
let lines = []
const denied = denyList({ entries: [] })
const revocation = firstDefinite(denied, crl({ files: ['./root.crl', './issuing.crl'] }))
const options = {
  trust: './clients-ca.pem',
  intermediates: './issuing-ca.pem',
  revocation,
  log: (line) => lines.push(line),
  onDecision: ({ outcome, identity }) => {
    if (outcome === 'accepted') lines.push(`${identity.spiffeId ?? identity.subject}`)
  },
}
const direct = createAuthenticator(options)
const behindProxy = createAuthenticator({
  ...options,
  source: forwardedHeader({ preset: 'rfc9440', from: proxyAddress('127.0.0.1') }),
})

const expressServer = await listenTls(direct, pki.server.tls, expressShop(direct))
const koaServer = await listenTls(direct, pki.server.tls, koaShop(direct))
const hiddenServer = await listenPlain(expressShop(behindProxy))
const proxy = await listening(terminatingProxy(pki.server.tls, hiddenServer.address().port))
const addressOf = (server, scheme = 'https') => `${scheme}://127.0.0.1:${server.address().port}`

// ── One question: ask, compare with what was expected, print ──────────────────────────────────────────────────────

let count = 0
let failures = 0
const refusals = []

/** Asks as `client`, and expects `status`, with `expected` in the identity, or in the code, that decided. */
async function check(url, client, asks, status, expected, { ask = node, shows = client.shows, reused, ...more } = {}) {
  const [method, path] = asks.split(' ')
  const name = Object.keys(pki.clients).find((key) => pki.clients[key] === client)
  lines = []
  let answer
  try {
    answer = await ask({ url: url + path, method, name, tls: client.tls, ca: pki.trust, ...more })
  } catch (error) {
    if (error.code === 'EADDRNOTAVAIL')
      return skipped(`${client.who}: this system has no ${more.localAddress}, skipped`)
    answer = { status: 0, body: error.message }
  }
  const line = lines.at(-1) ?? ''
  const why =
    line.replace(/^mtls-identity ERR_CLIENT_CERT_([A-Z_]+):/, '$1') || 'no decision: a probe is not asked who it is'
  const isDecided = answer.status === status && why.includes(expected)
  const isTold = status !== 200 || line === '' || answer.body.includes(expected) // the handler knows who it is
  const held = isDecided && isTold && (reused ?? answer.reused) === answer.reused
  count++
  if (!held) failures++
  if (answer.status >= 400) refusals.push({ ...answer, line })
  row({ held, who: client.who, shows, asks, status: answer.status, why: answer.status === 0 ? answer.body : why })
}

title(
  'mtls-identity: who may in, and why not',
  `Node ${process.versions.node}; a root, an intermediate, their CRLs and twelve client certificates made just now; servers on 127.0.0.1`,
)

// A certificate that will end during the demo; its owner stays connected.
const dave = await pki.shortLived(3_000)
const connections = Array.from({ length: 3 }, () => new https.Agent({ keepAlive: true, maxSockets: 1 }))
const [davesConnection, erinsConnection, franksConnection] = connections

let url = addressOf(expressServer)
section('Express', `${url}, asked by Node; only alice may edit, only the billing service may invoice`)
await check(url, dave, 'GET /whoami', 200, 'CN=dave', { agent: davesConnection })
await check(url, erin, 'GET /whoami', 200, 'CN=erin', { agent: erinsConnection })
await check(url, frank, 'GET /whoami', 200, 'CN=frank', { agent: franksConnection })
await check(url, alice, 'GET /whoami', 200, 'CN=alice')
await check(url, alice, 'PUT /catalog/7', 200, 'CN=alice')
await check(url, bob, 'GET /catalog/7', 200, 'CN=bob')
await check(url, bob, 'PUT /catalog/7', 403, 'RULE')
await check(url, billing, 'POST /invoices', 200, 'spiffe://acme.example/billing')
await check(url, alice, 'POST /invoices', 403, 'RULE')
await check(url, nobody, 'GET /healthz', 200, 'no decision')
await check(url, nobody, 'GET /whoami', 401, 'ABSENT')
await check(url, expired, 'GET /whoami', 403, 'EXPIRED')
await check(url, strangers, 'GET /whoami', 403, 'UNKNOWN_ISSUER')
await check(url, forged, 'GET /whoami', 403, 'SIGNATURE')
await check(url, selfSigned, 'GET /whoami', 403, 'SIGNATURE')
await check(url, ca, 'GET /whoami', 403, 'CA_AS_CLIENT')
await check(url, forServers, 'GET /whoami', 403, 'KEY_USAGE')

url = addressOf(koaServer)
section('Koa', `${url}, the same authenticator, the same rules`)
await check(url, alice, 'PUT /catalog/7', 200, 'CN=alice')
await check(url, bob, 'GET /whoami', 200, 'CN=bob')
await check(url, bob, 'PUT /catalog/7', 403, 'RULE')
await check(url, nobody, 'GET /whoami', 401, 'ABSENT')
await check(url, expired, 'GET /whoami', 403, 'EXPIRED')

url = addressOf(expressServer)
section('Other clients', `${url}, Express again`)
for (const { name, version, client: ask } of others) {
  if (ask === undefined) {
    skipped(`${name} is not installed here, skipped`)
    continue
  }
  const shows = `${name} ${version}`
  await check(url, alice, 'PUT /catalog/7', 200, 'CN=alice', { ask, shows })
  await check(url, expired, 'GET /whoami', 403, 'EXPIRED', { ask, shows })
}

url = addressOf(proxy)
const hidden = addressOf(hiddenServer, 'http')
const headers = { 'Client-Cert': `:${Buffer.from(alice.certificate.der).toString('base64')}:` }
section('Behind a proxy', `${url} ends TLS and sends Client-Cert (RFC 9440) to Express at ${hidden}`)
await check(url, alice, 'PUT /catalog/7', 200, 'CN=alice')
await check(url, bob, 'PUT /catalog/7', 403, 'RULE')
await check(url, nobody, 'GET /whoami', 401, 'ABSENT')
await check(url, expired, 'GET /whoami', 403, 'EXPIRED')
const forger = { who: 'mallory' }
await check(url, forger, 'GET /whoami', 401, 'ABSENT', { headers, shows: "alice's, in his own header" })
await check(url, bob, 'GET /whoami', 200, 'CN=bob', { headers, shows: "his, and alice's in header" })
const elsewhere = { headers, localAddress: '127.0.0.2', shows: "alice's, past the proxy" }
await check(hidden, forger, 'GET /whoami', 403, 'UNTRUSTED_PROXY', elsewhere)

url = addressOf(expressServer)
section('Later', 'a connection that stays open does not keep a certificate alive')
await sleep(Math.max(0, dave.notAfter.getTime() + 1_000 - Date.now())) // the second that notAfter names is still valid
const sameConnection = { reused: true, shows: 'the same, same connection' }
await check(url, dave, 'GET /whoami', 403, 'EXPIRED', { ...sameConnection, agent: davesConnection })
denied.replace([frank.fingerprint])
await check(url, frank, 'GET /whoami', 403, 'REVOKED', { ...sameConnection, agent: franksConnection })
await publish(await pki.crls([{ serialNumber: erin, reason: 'keyCompromise' }]))
await sleep(2_500) // files are looked at every two seconds
await check(url, erin, 'GET /whoami', 403, 'REVOKED', { ...sameConnection, agent: erinsConnection })
await check(url, alice, 'GET /whoami', 200, 'CN=alice')

// ── Nobody who was refused learned why ────────────────────────────────────────────────────────────────────────────

const bodies = [...new Set(refusals.map(({ body }) => body))]
const problem = (kind, status) => {
  return { type: `urn:problem-type:client-certificate-${kind}`, title: `client certificate ${kind}`, status }
}
const discreet = [
  { error: 'client certificate required' },
  { error: 'client certificate refused' },
  problem('required', 401),
  problem('refused', 403),
].map((body) => JSON.stringify(body))
const talkative = bodies.filter((body) => ![...discreet, 'Unauthorized', 'Forbidden'].includes(body))
count += 1 // that no body says more is a question, too
if (talkative.length > 0) failures++
const { status, body, line } = refusals.find((refusal) => refusal.line.includes('EXPIRED')) ?? {}
section('One refusal, two readers', 'the client is told no more than that')
paragraph('client', `${status} ${body}`)
paragraph('operator', `${line}`)
paragraph('all', `${refusals.length} refusals, and these are all the bodies that were sent: ${bodies.join(' ')}`)

for (const agent of connections) agent.destroy()
for (const server of [expressServer, koaServer, hiddenServer, proxy]) {
  server.close()
  server.closeAllConnections()
}
await Promise.all([direct.close(), behindProxy.close()])
revocation.close()
process.chdir(tmpdir())

const seconds = ((Date.now() - started) / 1000).toFixed(1)
summary(failures, `${count - failures} of ${count} answered as expected, in ${seconds} s`)
process.exitCode = failures === 0 ? 0 : 1
