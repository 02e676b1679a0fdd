// Compiled, never run. Every `@ts-expect-error` is a mistake that must not compile.
import http2 from 'node:http2'
import https from 'node:https'
import tls from 'node:tls'
import express from 'express'
import Koa from 'koa'
import {
  type Authenticator,
  type AuthenticatorOptions,
  authenticateUpgrade,
  ClientCertConfigError,
  ClientCertError,
  type ClientIdentity,
  createAuthenticator,
  type Decision,
  explain,
  forwardedHeader,
  type Ignorable,
  isClientCertError,
  proxyAddress,
  type RuleDocument,
  rules,
  spiffeBundles,
  TrustStore,
  tlsServerOptions,
  tlsSocket,
} from 'mtls-identity'
import { type ApimPolicy, apimPolicy } from 'mtls-identity/apim'
import * as forExpress from 'mtls-identity/express'
import * as forKoa from 'mtls-identity/koa'
import { type OidcMtls, oidcMtls, requireBoundToken, requireBoundTokenKoa } from 'mtls-identity/oauth'
import { openTelemetryMetrics, traceClients } from 'mtls-identity/opentelemetry'
import { type PathProfile, validateCertificationPath } from 'mtls-identity/path'
import { prometheusMetrics } from 'mtls-identity/prometheus'
import { addressKey, rateLimitKey } from 'mtls-identity/rate-limit'
import { all, commonName, custom, dnsName } from 'mtls-identity/rules'
import {
  guardConnection,
  type Supervisor,
  tlsServerOptions as serverOptions,
  superviseServer,
} from 'mtls-identity/server'
import { createTestPki } from 'mtls-identity/testing'
import { type OpenMetricsContentType, Registry } from 'prom-client'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equal<A, B>) => {}

// ── The core ─────────────────────────────────────────────────────────────────────────────────────────────────────
const options: AuthenticatorOptions = {
  trust: { partners: './partners.pem', internal: [{ file: './a.pem' }, new Uint8Array()] },
  intermediates: './intermediates.pem',
  source: tlsSocket(),
  revocation: 'none',
  rules: rules.any(rules.dnsName('editor.acme.test'), rules.commonName('admin')),
  profile: { minimumRsaBits: 3072 },
  log: (line: string, decision: Decision) => console.log(line, decision.outcome),
  onDecision: (decision, context) => console.log(decision.decidedAt.getTime(), context.remembered),
  now: () => 0,
}
const authenticator: Authenticator = createAuthenticator(options)
createAuthenticator({ trust: './a.pem', revocation: 'none', profile: 'compatible', log: false })
createAuthenticator({ trust: TrustStore.parse('-----BEGIN CERTIFICATE-----'), revocation: 'none' })
// @ts-expect-error trust is required
createAuthenticator({ revocation: 'none' })
// @ts-expect-error an unknown option would switch a check off unseen
createAuthenticator({ trust: './a.pem', revokation: 'none' })
// @ts-expect-error the one word for no revocation checking is 'none'
createAuthenticator({ trust: './a.pem', revocation: 'off' })
// @ts-expect-error a profile is one of two words, or a table
createAuthenticator({ trust: './a.pem', profile: 'lenient' })
// @ts-expect-error a trust store is not a number
createAuthenticator({ trust: 1 })

const material = { key: '', cert: '' }
https.createServer(tlsServerOptions(authenticator, material))
http2.createSecureServer(tlsServerOptions(authenticator, material))
tls.createServer(tlsServerOptions(authenticator, material))

// ── What keeps a server right ────────────────────────────────────────────────────────────────────────────────────
const files = { key: './server.key', cert: './server.crt' }
const supervisor: Supervisor = superviseServer(
  https.createServer(serverOptions(authenticator, { ...material, advertise: true })),
  authenticator,
  { credentials: files, onIdentityEnd: (socket, error) => socket.end(error.code), log: false },
)
superviseServer(http2.createSecureServer(serverOptions(authenticator, material)), authenticator, {
  credentials: { load: async ({ signal }) => ({ ...material, passphrase: String(signal.aborted) }), refresh: 60_000 },
})
superviseServer(tls.createServer(serverOptions(authenticator, material)), authenticator, { refuseConnections: true })
supervisor.close()
// @ts-expect-error: a credential has its certificate
superviseServer(tls.createServer(), authenticator, { credentials: { key: './server.key' } })
// @ts-expect-error: only this word
superviseServer(tls.createServer(), authenticator, { upgrades: true })
tls.createServer(async (socket) => {
  const decision = await authenticator.authenticateSocket(socket)
  const stop: () => void = guardConnection(socket, decision, { onEnd: ({ code }) => socket.end(code) })
  stop()
})
express().get('/events', (request, response) => {
  guardConnection(response, forExpress.clientIdentity(request), { request, rule: rules.commonName('a') })
})
const provider = TrustStore.from(async ({ signal }) => [signal.aborted ? '' : 'pem', new Uint8Array()], {
  refresh: 1_000,
})
createAuthenticator({ trust: provider, revocation: 'none', maxStaleness: Number.POSITIVE_INFINITY })
// @ts-expect-error: what a provider resolves to is PEM or DER
TrustStore.from(async () => ({ pem: '' }))

async function decide(socket: tls.TLSSocket, request: http2.Http2ServerRequest) {
  await authenticator.authenticate(request)
  const decision = await authenticator.authenticateSocket(socket)
  if (decision.outcome === 'accepted') {
    same<typeof decision.identity, ClientIdentity>(true)
    const until: Date = decision.validUntil
    return until
  }
  // @ts-expect-error there is no identity without an acceptance
  decision.identity
  const { error } = decision
  if (error.code === 'ERR_CLIENT_CERT_EXPIRED') {
    const { notAfter }: { notAfter: Date } = error.detail
    return notAfter
  }
  // @ts-expect-error a code that does not exist
  if (error.code === 'ERR_CLIENT_CERT_NONSENSE') return
  const facts: [string, string, number] = [error.code, error.help, error.status]
  return facts
}

function caught(error: unknown) {
  if (isClientCertError(error)) return error.code
  if (error instanceof ClientCertError || error instanceof ClientCertConfigError) return error.message
}

function identity(who: ClientIdentity) {
  const commonName: string | undefined = who.subject.get('CN')
  const names: readonly string[] = who.names.dns
  const via: 'tls' | 'proxy' = who.via
  const text: string[] = [who.fingerprint, who.x5tS256, who.publicKeyPin, who.serialNumber, who.subject.toString()]
  // @ts-expect-error an identity is frozen
  who.fingerprint = ''
  // @ts-expect-error a name that does not exist
  who.names.hosts
  return { commonName, names, via, text, until: who.notAfter.getTime() }
}

// ── Sources ──────────────────────────────────────────────────────────────────────────────────────────────────────
forwardedHeader({ preset: 'nginx', from: proxyAddress('10.0.0.7', '10.0.1.0/24') })
// @ts-expect-error who may send the header has no default
forwardedHeader({ preset: 'nginx' })
// @ts-expect-error a preset that does not exist
forwardedHeader({ preset: 'ngnix', from: proxyAddress('10.0.0.7') })

// ── Rules ────────────────────────────────────────────────────────────────────────────────────────────────────────
all(dnsName('a.test'), commonName('admin'))
custom('office hours', () => false)
custom('tenant', async (who, request) => request !== undefined && who.subject.get('O') === 'Acme')
// @ts-expect-error nothing to hold would hold for everyone
rules.any()
// @ts-expect-error nothing to hold would hold for everyone
rules.all()
// @ts-expect-error only a boolean can hold
custom('truthy', () => 'yes')
// @ts-expect-error a rule is a value of ours, not any function
forExpress.requireClientCert(() => true)

// ── Express ──────────────────────────────────────────────────────────────────────────────────────────────────────
const app = express()
app.use(forExpress.clientCert({ trust: './a.pem' }))
app.use(
  forExpress.clientCert({
    authenticator,
    mode: 'report-only',
    responses: { absent: 403 },
    skip: (req) => req.url === '/',
  }),
)
app.use('/files', forExpress.requireClientCert())
app.put('/catalog/:id', forExpress.requireClientCert(rules.commonName('admin'), { authenticator }), (req, res) => {
  same<typeof req.clientIdentity, ClientIdentity | undefined>(true)
  same<typeof req.params.id, string>(true)
  const who: ClientIdentity = forExpress.clientIdentity(req)
  // @ts-expect-error it may be undefined
  req.clientIdentity.fingerprint
  res.json(who)
})
// @ts-expect-error an unknown mode
forExpress.clientCert({ authenticator, mode: 'off' })
// @ts-expect-error an unknown option
forExpress.clientCert({ authenticator, exposeReason: true })
// @ts-expect-error neither an authenticator nor what to make one of
forExpress.clientCert({ mode: 'optional' })

// ── Koa ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const koa = new Koa()
koa.use(forKoa.clientCert({ authenticator, mode: 'optional' }))
koa.use(forKoa.requireClientCert(rules.not(rules.commonName('guest'))))
koa.use((ctx) => {
  same<typeof ctx.clientIdentity, ClientIdentity | undefined>(true)
  const who: ClientIdentity = forKoa.clientIdentity(ctx)
  // @ts-expect-error a property that does not exist
  ctx.clientIdentity?.nonsense
  ctx.body = who.subject.toString()
})
// @ts-expect-error an unknown option
forKoa.clientCert({ authenticator, modes: 'optional' })
// Behind a guard the identity is there.
new Koa()
  .use(
    forKoa.clientCert({
      authenticator,
      mode: 'optional',
      onDenied: (decision, ctx) => ctx.throw(403, decision.outcome),
    }),
  )
  .use(forKoa.requireClientCert(rules.trustDomain('acme.test')))
  .use((ctx) => {
    same<typeof ctx.clientIdentity, ClientIdentity>(true)
    ctx.body = ctx.clientIdentity.fingerprint
  })

// ── Who may do what ──────────────────────────────────────────────────────────────────────────────────────────────
rules.all(rules.deny(rules.ip('10.0.0.0/8')), rules.issuedBy('ab'), rules.serialNumber('01', rules.anchor('a')))
rules.subject({ O: 'Acme', OU: ['a', 'b'] })
rules.extension('1.2.3', (der: Uint8Array, critical: boolean) => der.length > 0 && critical)
rules.listed({ load: async () => ['-----BEGIN CERTIFICATE-----'], refresh: 1000 }).reload()
// @ts-expect-error a serial number is somebody's
rules.serialNumber('01')
// @ts-expect-error only a boolean can hold
rules.extension('1.2.3', () => 1)
// @ts-expect-error a list has a source
rules.listed({ folder: './a' })
// @ts-expect-error a kind of key at least
rules.keyAlgorithm()
const written: RuleDocument = {
  deny: [{ fingerprint: 'ab' }],
  allow: { any: [{ dnsName: ['a.test'] }, { not: { anchor: 'a' } }] },
}
createAuthenticator({ trust: './a.pem', revocation: 'none', rules: written })
createAuthenticator({ trust: './a.pem', revocation: 'none', rules: { file: './rules.json' } })
// @ts-expect-error a word that no condition knows
createAuthenticator({ trust: './a.pem', revocation: 'none', rules: { allow: { hostName: 'a.test' } } })
createAuthenticator({
  trust: spiffeBundles({ 'spiffe://acme.test': { keys: [] } }),
  principalFrom: 'spiffe',
  exceptions: [{ fingerprint: 'ab', ignore: ['expired'], until: new Date(), reason: 'x' }],
  onDecision: (decision, { audit }) => console.log(audit.outcome, explain(decision, { names: false })),
})
// @ts-expect-error a revocation is never an exception
const never: Ignorable = 'revoked'
authenticateUpgrade(https.createServer(), authenticator, { rule: rules.dnsName('a.test'), recheck: false })
authenticateUpgrade(http2.createSecureServer(), authenticator)
// @ts-expect-error the server comes first
authenticateUpgrade(authenticator, https.createServer())

// ── OAuth, API Management ────────────────────────────────────────────────────────────────────────────────────────
app.use(requireBoundToken({ claims: (request) => request.headers, required: false }))
app.use(
  forExpress.clientCert({
    authenticator,
    preflight: 'answer',
    onDenied: (_, { response }) => void response.status(404).end(),
  }),
)
koa.use(requireBoundTokenKoa())
const mtls: OidcMtls = oidcMtls({ anchorOf: (clientId: string) => (clientId === 'a' ? 'partners' : undefined) })
// @ts-expect-error an option that does not exist
oidcMtls({ anchor: 'partners' })
const policy: ApimPolicy = apimPolicy('<validate-client-certificate />', { certificates: { id: 'ab' } })
forExpress.clientCert({ trust: './a.pem', mode: policy.mode, ...policy.options })

// ── Rate limits ──────────────────────────────────────────────────────────────────────────────────────────────────
declare function rateLimit(options: {
  keyGenerator: (request: express.Request, response: express.Response) => string
}): void
declare function ratelimit(options: { id: (context: Koa.Context) => string | false }): void
rateLimit({ keyGenerator: rateLimitKey('principal', { anonymous: (request) => request.ip }) })
rateLimit({ keyGenerator: addressKey((request) => request.ip) })
ratelimit({ id: rateLimitKey((who) => who.names.dns[0] ?? '', { anonymous: (ctx) => ctx.ip }) })
ratelimit({ id: addressKey((ctx) => ctx.ip) })
koa.use(async (ctx, next) => {
  const key: string = rateLimitKey('publicKeyPin')(ctx) + addressKey()(ctx.req)
  return key === '' ? undefined : next()
})
// @ts-expect-error no unit: every SVID of a trust domain may have the same subject
rateLimitKey('subject')
// @ts-expect-error a client has one key
rateLimitKey((who) => who.names.dns)
// @ts-expect-error an option that does not exist
rateLimitKey('issuer', { anonymus: () => '' })

// ── Metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────
const stop: () => void = prometheusMetrics(new Registry(), authenticator)
prometheusMetrics(new Registry<OpenMetricsContentType>(), { public: authenticator })
openTelemetryMetrics(authenticator, {})
traceClients(authenticator, { names: true })
// @ts-expect-error no registry
prometheusMetrics({}, authenticator)
// @ts-expect-error an option that does not exist
traceClients(authenticator, { name: true })
stop()

// ── Path ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async function path(der: Uint8Array) {
  const profile: Partial<PathProfile> = { extendedKeyUsage: 'any', requireExtendedKeyUsage: false }
  const result = await validateCertificationPath({
    certificate: der,
    trustAnchors: [der],
    at: new Date(),
    profile,
  })
  if (result.valid) {
    const found: readonly Uint8Array[] = result.path
    return found
  }
  // @ts-expect-error there is no path without validity
  result.path
  // @ts-expect-error the time is passed in
  await validateCertificationPath({ certificate: der, trustAnchors: [der] })
  return result.error.code
}

// ── Testing ──────────────────────────────────────────────────────────────────────────────────────────────────────
async function pki() {
  const { trust, issue, server } = await createTestPki()
  const { cert, key } = (await issue({ subject: 'CN=alice' })).tls
  // @ts-expect-error an unknown option
  await issue({ commonName: 'alice' })
  tls.connect({ ca: trust, cert, key })
  tls.createServer((await server()).tls)
}

export { caught, decide, identity, mtls, never, path, pki }
