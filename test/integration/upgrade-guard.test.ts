/** C-04: authenticateUpgrade stands before every listener of 'upgrade' and CONNECT. */
import http2 from 'node:http2'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { clientIdentity } from '../../src/express.js'
import {
  type AuthenticatorOptions,
  authenticateUpgrade,
  createAuthenticator,
  type Decision,
  rules,
  TrustStore,
  tlsServerOptions,
  type UpgradeOptions,
} from '../../src/index.js'
import * as forServers from '../../src/server.js'
import type { AnyRequest } from '../../src/source/source.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { connectHttp2, get, handshake } from '../support/clients.js'
import { collectGarbage } from '../support/garbage.js'
import { bare, listen, makers, serverTls } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=alice' })
})

interface Setting {
  options?: Partial<AuthenticatorOptions>
  upgrade?: UpgradeOptions
  /** The listener stays open and echoes, instead of saying who it was and ending. */
  stays?: boolean
  before?: boolean
}

async function serve({ options = {}, upgrade = {}, stays = false, before = false }: Setting = {}) {
  const decisions: Decision[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    onDecision: (decision) => decisions.push(decision),
    ...options,
  })
  const server = https.createServer(tlsServerOptions(auth, await serverTls), bare(auth) as never)
  const sockets: Duplex[] = []
  const listener = jest.fn((request: unknown, socket: Duplex, _head: Buffer) => {
    sockets.push(socket)
    socket.on('error', () => {})
    const { subject } = clientIdentity(request as never)
    const text = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: who\r\n\r\n${subject.get('CN')}\n`
    if (stays) socket.write(text)
    else socket.end(text)
  })
  if (before) server.on('upgrade', listener as never)
  authenticateUpgrade(server, auth, upgrade)
  if (!before) server.on('upgrade', listener as never)
  return { port: await listen(server), server, listener, decisions, sockets, auth }
}

const upgrading = { headers: { connection: 'Upgrade', upgrade: 'who' } }

for (const before of [true, false]) {
  describe(`a listener that was added ${before ? 'before' : 'after'}`, () => {
    test('hears of accepted clients only, and knows who they are', async () => {
      const { port, listener } = await serve({ before })
      const own = await handshake(port, { client: alice, ...upgrading })
      expect([own.answer.status, own.answer.body]).toEqual([101, 'alice\n'])
      expect(listener).toHaveBeenCalledTimes(1)
      const none = (await handshake(port, upgrading)).answer
      expect([none.status, none.headers['www-authenticate'], none.headers['cache-control']]).toEqual([
        401,
        'ClientCertificate',
        'no-store',
      ])
      expect(JSON.parse(none.body)).toMatchObject({ type: 'urn:problem-type:client-certificate-required', status: 401 })
      const wrong = (await handshake(port, { client: stranger, ...upgrading })).answer
      expect([wrong.status, wrong.headers['content-type']]).toEqual([403, 'application/problem+json'])
      expect(wrong.body).not.toContain('ERR_')
      expect(listener).toHaveBeenCalledTimes(1)
    })
  })
}

test('a rule is asked too, and its refusal reported', async () => {
  const { port, listener, decisions } = await serve({ upgrade: { rule: rules.commonName('alice') } })
  expect((await handshake(port, { client: bob, ...upgrading })).answer.status).toBe(403)
  expect(decisions.map(({ outcome }) => outcome)).toEqual(['accepted', 'refused'])
  expect((await handshake(port, { client: alice, ...upgrading })).answer.status).toBe(101)
  expect(listener).toHaveBeenCalledTimes(1)
})

test('O-04: what the application calls the request is in the answer, and in no other', async () => {
  const requestId = ({ headers }: AnyRequest) => headers['x-request-id']
  const { port } = await serve({ options: { requestId } })
  const ask = async (headers: Record<string, string>) => {
    const { answer } = await handshake(port, { client: stranger, headers: { ...upgrading.headers, ...headers } })
    return JSON.parse(answer.body)
  }
  const told = { type: 'urn:problem-type:client-certificate-refused', title: 'client certificate refused', status: 403 }
  expect(await ask({ 'x-request-id': 'a-1' })).toEqual({ ...told, requestId: 'a-1' })
  expect(await ask({})).toEqual(told)
})

test('responses choose statuses and name the code', async () => {
  const { port } = await serve({ upgrade: { responses: { refused: 404, exposeReason: true } } })
  const { answer } = await handshake(port, { client: stranger, ...upgrading })
  expect([answer.status, JSON.parse(answer.body).code]).toEqual([404, 'ERR_CLIENT_CERT_UNKNOWN_ISSUER'])
})

test('several listeners hear of one decision', async () => {
  const { port, server, decisions } = await serve()
  const second = jest.fn()
  server.on('upgrade', second)
  await handshake(port, { client: alice, ...upgrading })
  expect(second).toHaveBeenCalledTimes(1)
  expect(decisions).toHaveLength(1)
})

test('C-04: CONNECT is guarded as well', async () => {
  const { port, server } = await serve()
  const listener = jest.fn((request: unknown, socket: Duplex) => {
    socket.end(`HTTP/1.1 200 OK\r\n\r\n${clientIdentity(request as never).subject.get('CN')}`)
  })
  server.on('connect', listener as never)
  const connect = { method: 'CONNECT', path: 'other.test:443' }
  expect((await handshake(port, connect)).answer.status).toBe(401)
  expect((await handshake(port, { client: stranger, ...connect })).answer.status).toBe(403)
  expect(listener).not.toHaveBeenCalled()
  expect((await handshake(port, { client: alice, ...connect })).answer.body).toBe('alice')
})

test('requests without an upgrade go their usual way, and so does an upgrade nobody listens for', async () => {
  const { port, server, listener } = await serve()
  expect((await get(port, alice)).status).toBe(200)
  expect((await get(port)).status).toBe(401)
  expect(listener).not.toHaveBeenCalled()
  server.removeAllListeners('upgrade')
  const closing = { headers: { connection: 'Upgrade, close', upgrade: 'who' } }
  expect((await handshake(port, { client: alice, ...closing })).answer.status).toBe(200)
})

test('HTTP/2: CONNECT on a stream is guarded, and the connection goes on', async () => {
  const options = { trust: pki.trust, revocation: 'none', log: false } as const
  const auth = createAuthenticator({ ...options, requestId: ({ headers }) => headers[':authority'] })
  const server = http2.createSecureServer(tlsServerOptions(auth, await serverTls), bare(auth) as never)
  authenticateUpgrade(server, auth)
  const listener = jest.fn((request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => {
    response.end(clientIdentity(request as never).subject.get('CN') ?? '')
  })
  server.on('connect', listener as never)
  const port = await listen(server)
  const ask = (session: http2.ClientHttp2Session) =>
    new Promise<[status: number | undefined, body: string]>((resolve, reject) => {
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'other.test:443' })
      let status: number | undefined
      let body = ''
      stream.on('response', (headers) => {
        status = headers[':status']
      })
      stream.setEncoding('utf8').on('data', (data) => {
        body += data
      })
      stream.on('end', () => resolve([status, body])).on('error', reject)
    })
  const own = await connectHttp2(port, { client: alice })
  expect(await ask(own.session)).toEqual([200, 'alice'])
  const other = await connectHttp2(port, { client: stranger })
  const [status, body] = await ask(other.session)
  expect([status, JSON.parse(body).requestId]).toEqual([403, 'other.test:443'])
  expect((await other.get()).status).toBe(403)
  expect(listener).toHaveBeenCalledTimes(1)
})

describe('S-06: what is open', () => {
  const open = async (setting: Setting) => {
    const served = await serve({ stays: true, ...setting })
    const ended = handshake(served.port, { client: alice, ...upgrading })
    while (served.sockets.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    return { ...served, ended }
  }

  test('is cut when the certificate has ended', async () => {
    let now = Date.now()
    const { sockets, ended } = await open({ options: { now: () => now }, upgrade: { recheck: 1_000 } })
    now += 25 * 3_600_000
    expect((await ended).answer.status).toBe(101)
    expect(sockets[0]?.destroyed).toBe(true)
  })

  test('is cut when a rule no longer holds, and stays while it does', async () => {
    let holds = true
    const { sockets, ended, decisions } = await open({
      upgrade: { recheck: 1_000, rule: rules.custom('switch', () => holds) },
    })
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect([sockets[0]?.destroyed, decisions.length]).toEqual([false, 2])
    holds = false
    await ended
    expect(sockets[0]?.destroyed).toBe(true)
  })

  test('is cut within two seconds when its CA left the trust store, however seldom rules are asked again', async () => {
    let content = pki.trust
    const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
    const other = await createTestPki({ name: 'Next' })
    const { sockets, ended } = await open({ options: { trust: store } })
    content = pki.trust + other.trust
    store.reload()
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(sockets[0]?.destroyed).toBe(false)
    content = other.trust
    store.reload()
    const begun = Date.now()
    await ended
    expect(Date.now() - begun).toBeLessThan(2_000)
    expect(sockets[0]?.destroyed).toBe(true)
  })

  test('is cut when a list its rule reads no longer has it', async () => {
    let content = [alice.certificate.pem]
    const partners = rules.listed({ load: () => content })
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { sockets, ended } = await open({ upgrade: { rule: partners } })
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(sockets[0]?.destroyed).toBe(false)
    content = [bob.certificate.pem]
    await partners.reload()
    await ended
    expect(sockets[0]?.destroyed).toBe(true)
  })

  test('is cut when it was accepted under what changed while the rule was asked', async () => {
    let content = pki.trust
    const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
    const other = await createTestPki({ name: 'Next' })
    const slow = rules.custom('slow', async () => {
      content = other.trust
      store.reload()
      return true
    })
    const { sockets, ended } = await open({ options: { trust: store }, upgrade: { rule: slow } })
    await ended
    expect(sockets[0]?.destroyed).toBe(true)
  })

  test('keeps its CA in use as long as it is open, also where recheck is false', async () => {
    const now = Date.now()
    let passed = 0
    const other = await createTestPki({ name: 'Next' })
    const options = { trust: { own: pki.trust, other: other.trust }, now: () => now + passed }
    const lasting = await other.issue({ subject: 'CN=carol', notAfter: new Date(now + 90 * 86_400_000) })
    const { auth, port, sockets, ended } = await open({ options, upgrade: { recheck: false } })
    passed = 40 * 86_400_000
    expect((await get(port, lasting)).status).toBe(200)
    const verdict = () => auth.report().anchors.find(({ set }) => set === 'own')
    expect(verdict()).toMatchObject({ safeToRemove: false, reason: 'connected', connections: 1 })
    sockets[0]?.destroy()
    await ended
    expect(verdict()).toMatchObject({ safeToRemove: false, reason: 'seen', connections: 0 })
  })

  test('is decided about again without reading its certificate again', async () => {
    const asked = jest.fn(() => true)
    const { sockets, ended } = await open({ upgrade: { rule: rules.custom('asked', asked), recheck: 1_000 } })
    await collectGarbage()
    const read = jest.spyOn(Certificate, 'parseInPlace')
    const before = asked.mock.calls.length
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(asked.mock.calls.length).toBeGreaterThan(before)
    expect(read).not.toHaveBeenCalled()
    read.mockRestore()
    sockets[0]?.destroy()
    await ended
  })

  test('is not decided about again once it is closed, nor where recheck is false', async () => {
    jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask', 'Date'] })
    const closed = await open({ upgrade: { recheck: 1_000 } })
    closed.sockets[0]?.destroy()
    await closed.ended
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(jest.getTimerCount()).toBe(0)
    const never = await open({ upgrade: { recheck: false } })
    expect(jest.getTimerCount()).toBe(0)
    never.sockets[0]?.destroy()
    await never.ended
    jest.useRealTimers()
  })
})

test('O-07: a client that resets the connection while it is decided about harms nobody', async () => {
  let release = () => {}
  const gate = new Promise<boolean>((resolve) => {
    release = () => resolve(true)
  })
  const asked = jest.fn(() => gate)
  const { port, listener, server } = await serve({
    options: { rules: rules.custom('slow', asked, { timeout: 5_000 }) },
  })
  const sockets: Duplex[] = []
  server.on('secureConnection', (socket) => sockets.push(socket))
  const gone = handshake(port, { client: alice, ...upgrading }).catch(() => undefined)
  while (asked.mock.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  sockets[0]?.destroy(new Error('reset'))
  release()
  await gone
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(listener).not.toHaveBeenCalled()
})

test('an upgrade listener without a guard is warned about once, one with a guard is not', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const codes = () => warn.mock.calls.map(([, options]) => (options as { code?: string } | undefined)?.code)
  const { port } = await serve()
  await get(port, alice)
  expect(codes()).not.toContain('MTLS_UPGRADE_UNGUARDED')
  const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
  const server = https.createServer(tlsServerOptions(auth, await serverTls), bare(auth) as never)
  server.on('upgrade', (_, socket) => socket.destroy())
  const unguarded = await listen(server)
  await get(unguarded, alice)
  await get(unguarded, alice)
  expect(codes().filter((code) => code === 'MTLS_UPGRADE_UNGUARDED')).toHaveLength(1)
  warn.mockRestore()
})

test('it is in both entries in which people look for it, and the same', () => {
  expect(forServers.authenticateUpgrade).toBe(authenticateUpgrade)
})

describe('what cannot be meant is refused at construction', () => {
  test.each<[string, () => unknown[], RegExp]>([
    ['no server', () => [undefined, {}], /the first argument is the server/],
    [
      'the other order',
      () => [createAuthenticator({ trust: pki.trust, revocation: 'none' }), https.createServer()],
      /the first argument is the server/,
    ],
    [
      'an Express application, whose upgrades come to its server',
      () => [makers.express5(), createAuthenticator({ trust: pki.trust, revocation: 'none' })],
      /the first argument is the server, not the application/,
    ],
    [
      'a Koa application',
      () => [new makers.Koa3(), createAuthenticator({ trust: pki.trust, revocation: 'none' })],
      /the first argument is the server, not the application/,
    ],
    ['no authenticator', () => [https.createServer(), {}], /the second argument is the authenticator/],
    [
      'a rule that got lost',
      () => [https.createServer(), createAuthenticator({ trust: pki.trust, revocation: 'none' }), { rule: undefined }],
      /rule is not one/,
    ],
    [
      'an unknown option',
      () => [https.createServer(), createAuthenticator({ trust: pki.trust, revocation: 'none' }), { rules: 1 }],
      /Did you mean "rule"\?/,
    ],
    [
      'a recheck too fast',
      () => [https.createServer(), createAuthenticator({ trust: pki.trust, revocation: 'none' }), { recheck: 10 }],
      /recheck is 10/,
    ],
  ])('%s', (_, args, says) => {
    expect(() => (authenticateUpgrade as (...given: unknown[]) => void)(...args())).toThrow(says)
  })

  test('a second guard of one server', () => {
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none' })
    const server = https.createServer()
    authenticateUpgrade(server, auth)
    expect(() => authenticateUpgrade(server, auth)).toThrow(/this server is guarded already/)
  })
})
