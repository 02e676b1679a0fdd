/** S-03, S-07, S-10: sessions belong to what was trusted when they were made, and callbacks of the handshake end no process. */
import { randomBytes } from 'node:crypto'
import https from 'node:https'
import tls from 'node:tls'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { type Authenticator, createAuthenticator, TrustStore, tlsServerOptions } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { get, handshake, json } from '../support/clients.js'
import { bare, listen, serveHttps, serverTls } from '../support/servers.js'

let pki: TestPki
let other: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  other = await createTestPki({ name: 'Other' })
  alice = await pki.issue()
})

const make = (options: object = {}) =>
  createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, ...options })
const withIntermediates = (options: object = {}) =>
  make({ intermediates: pki.intermediate.certificate.pem, ...options })

const serve = (auth: Authenticator, extra = {}) => serveHttps(auth, bare(auth), extra)

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a %s session', (version) => {
  /** Whether the second server resumes what the first one made. */
  async function travels(there: Authenticator, here: Authenticator, keys = {}): Promise<boolean> {
    const first = await handshake(await serve(there, keys), { client: alice, version })
    expect(first.session).toBeDefined()
    const { reused } = await handshake(await serve(here, keys), { client: alice, version, session: first.session })
    return reused
  }

  test('S-03: goes to servers of the same trust and secret, where intermediates are configured', async () => {
    const keys = { ticketKeys: randomBytes(48) }
    expect(await travels(withIntermediates(), withIntermediates(), keys)).toBe(true)
  })

  test.each<[string, () => Authenticator]>([
    ['of another trust', () => withIntermediates({ trust: [pki.trust, other.trust] })],
    ['of another name for the same trust', () => withIntermediates({ trust: { partners: pki.trust } })],
    ['of other intermediates', () => withIntermediates({ intermediates: other.intermediate.certificate.pem })],
  ])('S-03: does not go to a server %s', async (_, here) => {
    const keys = { ticketKeys: randomBytes(48) }
    expect(await travels(withIntermediates(), here(), keys)).toBe(false)
  })

  test('S-03: does not go to a server with another secret', async () => {
    const there = await serve(withIntermediates(), { ticketKeys: randomBytes(48) })
    const here = await serve(withIntermediates(), { ticketKeys: randomBytes(48) })
    const { session } = await handshake(there, { client: alice, version })
    expect((await handshake(here, { client: alice, version, session })).reused).toBe(false)
  })

  test('S-16: without configured intermediates stays with its authenticator, though the cluster shares ticket keys', async () => {
    const keys = randomBytes(48)
    // As a cluster does it: past the options.
    const started = async (auth: Authenticator) => {
      const server = https.createServer(tlsServerOptions(auth, await serverTls), bare(auth) as never)
      server.setTicketKeys(keys)
      return listen(server)
    }
    const auth = make()
    const { session } = await handshake(await started(auth), { client: alice, version })
    expect((await handshake(await started(make()), { client: alice, version, session })).reused).toBe(false)
    expect((await handshake(await started(auth), { client: alice, version, session })).reused).toBe(true)
  })
})

test('the binding follows the trust store: after a reload, new options do not resume what was made under the old', () => {
  let content = pki.trust
  const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
  const auth = withIntermediates({ trust: store })
  const own = { key: 'k', cert: 'c', ticketKeys: randomBytes(48) }
  const before = tlsServerOptions(auth, own)
  content = other.trust
  store.reload()
  const after = tlsServerOptions(auth, own)
  expect(after.sessionIdContext).not.toBe(before.sessionIdContext)
  expect(after.ticketKeys).not.toEqual(before.ticketKeys)
  content = pki.trust
  store.reload()
  const again = tlsServerOptions(auth, own)
  expect([again.sessionIdContext, again.ticketKeys]).toEqual([before.sessionIdContext, before.ticketKeys])
  expect(before.ticketKeys).not.toEqual(own.ticketKeys)
})

describe('S-10: a callback of the handshake', () => {
  let warnings: string[] = []
  beforeEach(() => {
    warnings = []
    jest.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
      warnings.push(`${(options as { code: string }).code}: ${message}`)
    })
  })
  afterEach(() => {
    jest.restoreAllMocks()
  })

  type Sni = NonNullable<tls.TlsOptions['SNICallback']>

  async function serveWith(extra: tls.TlsOptions) {
    const auth = make()
    const port = await serve(auth, extra)
    const ask = (servername: string) =>
      get(port, alice, {}, { servername, ALPNProtocols: ['http/1.1'] } as https.RequestOptions).then(json, () => 'cut')
    return { ask }
  }

  test.each<[string, Sni]>([
    [
      'throws',
      () => {
        throw new Error('no such host')
      },
    ],
    ['rejects', (async () => Promise.reject(new Error('no such host'))) as unknown as Sni],
    ['answers with an error', (_, answer) => answer(new Error('no such host'))],
    ['answers with a word', (_, answer) => answer(null, 'context' as never)],
  ])('SNICallback that %s ends that connection, and the server goes on', async (_, callback) => {
    const context = tls.createSecureContext({ ...(await serverTls), ca: [] })
    const { ask } = await serveWith({
      SNICallback: (name, answer) => (name === 'good.test' ? answer(null, context) : callback(name, answer)),
    })
    expect(await ask('bad.test')).toBe('cut')
    expect(await ask('bad.test')).toBe('cut')
    expect(await ask('good.test')).toMatchObject({ cn: 'alice' })
    expect(warnings.length).toBeLessThanOrEqual(1)
  })

  test('SNICallback that answers twice is heard once', async () => {
    const context = tls.createSecureContext({ ...(await serverTls), ca: [] })
    const { ask } = await serveWith({
      SNICallback: (_, answer) => {
        answer(null, context)
        answer(new Error('after all not'))
        throw new Error('and this')
      },
    })
    expect(await ask('good.test')).toMatchObject({ cn: 'alice' })
  })

  test('what it threw is said once, escaped', async () => {
    const { ask } = await serveWith({
      SNICallback: (name) => {
        throw new Error(`unknown ${name}\n\u001b[31m`)
      },
    })
    await ask('one.test')
    await ask('two.test')
    expect(warnings).toEqual([
      'MTLS_HANDSHAKE_CALLBACK: SNICallback failed, and the connection was ended: "unknown one.test\\n\\u001b[31m" — handle it there',
    ])
  })

  test.each<[string, () => string | undefined]>([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['chooses what was not offered', () => 'spdy/1'],
  ])('ALPNCallback that %s ends that handshake, and the server goes on', async (_, callback) => {
    let isGood = false
    const { ask } = await serveWith({ ALPNCallback: () => (isGood ? 'http/1.1' : callback()) })
    expect(await ask('localhost')).toBe('cut')
    isGood = true
    expect(await ask('localhost')).toMatchObject({ cn: 'alice' })
    expect(warnings.length).toBe(1)
  })
})
