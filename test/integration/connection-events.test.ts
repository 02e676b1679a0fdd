/** `mtls-identity:connection`: how TLS connections began, also those that no handler ever heard of, over real sockets. */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  type Authenticator,
  type ConnectionEvent,
  channels,
  createAuthenticator,
  tlsServerOptions,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { type SuperviseOptions, superviseServer } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { connectHttp2, get, handshake, json, keepAlive } from '../support/clients.js'
import { afterThisTest, bare, listen, serverTls } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let own: { key: string; cert: string }
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
  bob = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=bob' })
  own = await serverTls
})

let events: ConnectionEvent[] = []
const hear = (event: ConnectionEvent) => events.push(event)
beforeEach(() => {
  events = []
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  channels.connection.subscribe(hear)
})
afterEach(() => {
  channels.connection.unsubscribe(hear)
  jest.restoreAllMocks()
})

const authenticator = () =>
  createAuthenticator({
    trust: pki.trust,
    intermediates: pki.intermediate.certificate.pem,
    revocation: 'none',
    log: false,
  })

type Server = https.Server | tls.Server | http2.Http2SecureServer

async function supervised(
  make: (auth: Authenticator) => Server = (auth) =>
    https.createServer(tlsServerOptions(auth, own), bare(auth) as never),
  options: SuperviseOptions = {},
) {
  const auth = authenticator()
  const server = make(auth)
  const supervisor = superviseServer(server, auth, { log: false, ...options })
  afterThisTest(() => supervisor.close())
  return { port: await listen(server as net.Server), server }
}

/** The server may hear of an end after its client. */
async function heard(count: number): Promise<ConnectionEvent[]> {
  for (let i = 0; events.length < count && i < 200; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  await new Promise((resolve) => setTimeout(resolve, 20))
  return events
}

const address = '127.0.0.1'
const fresh = { resumed: false, protocol: 'TLSv1.3', address }

describe('connections that were let in', () => {
  test('with a certificate, whoever issued it, and without one: once each, however many requests come', async () => {
    const { port } = await supervised()
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
    afterThisTest(() => agent.destroy())
    for (let i = 0; i < 3; i++) await get(port, alice, {}, { agent })
    await get(port, bob)
    await get(port)
    expect(await heard(3)).toEqual([
      { outcome: 'certificate', ...fresh },
      { outcome: 'certificate', ...fresh },
      { outcome: 'no-certificate', ...fresh },
    ])
    expect(events.every((event) => Object.isFrozen(event))).toBe(true)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: a resumed session says so, the first one does not',
    async (version) => {
      const { port } = await supervised()
      const { session } = await handshake(port, { client: alice, version })
      const again = await handshake(port, { client: alice, version, session })
      expect(json(again.answer)).toMatchObject({ cn: 'alice' })
      expect((await heard(2)).map(({ resumed, protocol }) => [resumed, protocol])).toEqual([
        [false, version],
        [again.reused, version],
      ])
      expect(again.reused).toBe(true)
    },
  )

  test('what a client sent after its certificate is still there for the decision: the listener reads it as the source does', async () => {
    const auth = createAuthenticator({ trust: pki.root.certificate.pem, revocation: 'none', log: false })
    const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
    const supervisor = superviseServer(server, auth)
    afterThisTest(() => supervisor.close())
    const port = await listen(server)
    expect(json(await get(port, alice))).toMatchObject({ cn: 'alice' })
    expect(await heard(1)).toEqual([{ outcome: 'certificate', ...fresh }])
  })

  test('a chain that is too long is refused on every request, whether or not somebody listens', async () => {
    const padding = await Promise.all(Array.from({ length: limits.presentedCertificates }, () => pki.issue()))
    const cert = [alice.tls.cert, ...padding.map(({ certificate }) => certificate.pem)].join('')
    const { port } = await supervised((auth) => https.createServer(tlsServerOptions(auth, own), bare(auth) as never))
    const asked = keepAlive(port, { tls: { ...alice.tls, cert } })
    for (let i = 0; i < 2; i++) expect(json(await asked())).toEqual({ code: 'ERR_CLIENT_CERT_BUDGET' })
    expect(await heard(1)).toEqual([{ outcome: 'certificate', code: 'ERR_CLIENT_CERT_BUDGET', ...fresh }])
  })

  test('HTTP/2: one event for a connection of many streams', async () => {
    const { port } = await supervised((auth) =>
      http2.createSecureServer(tlsServerOptions(auth, own), bare(auth) as never),
    )
    const { get: ask } = await connectHttp2(port, { client: alice })
    for (let i = 0; i < 3; i++) expect(json(await ask())).toMatchObject({ cn: 'alice' })
    expect(await heard(1)).toEqual([{ outcome: 'certificate', ...fresh }])
  })
})

describe('connections that no handler hears of', () => {
  const strict = (auth: Authenticator) =>
    https.createServer({ ...own, requestCert: true, ca: pki.trust }, bare(auth) as never)

  test('Node refuses a stranger and a client without certificate: with the code of OpenSSL, and the address', async () => {
    const { port } = await supervised(strict)
    await expect(get(port, bob)).rejects.toThrow()
    await expect(get(port)).rejects.toThrow()
    const [stranger, nobody] = await heard(2)
    expect(stranger).toMatchObject({ outcome: 'refused', code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', address })
    expect(nobody).toMatchObject({
      outcome: 'refused',
      code: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
      resumed: false,
      protocol: 'TLSv1.3',
      address,
    })
    expect((await get(port, alice)).status).toBe(200)
    expect(await heard(3)).toHaveLength(3)
    expect(events[2]).toMatchObject({ outcome: 'certificate' })
  })

  test('plain HTTP, an old version, no cipher in common, one that hangs up, one that says nothing', async () => {
    const { port } = await supervised((auth) =>
      https.createServer(tlsServerOptions(auth, { ...own, handshakeTimeout: 200 }), bare(auth) as never),
    )
    const codes: (string | undefined)[] = []
    const upon = async (attempt: () => Promise<unknown>) => {
      const before = events.length
      await attempt().catch(() => {})
      codes.push(...(await heard(before + 1)).slice(before).map(({ outcome, code }) => `${outcome} ${code}`))
    }
    await upon(() => new Promise((resolve) => http.get({ port, host: address }, resolve).on('error', resolve)))
    await upon(() => get(port, alice, {}, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }))
    await upon(() => get(port, alice, {}, { maxVersion: 'TLSv1.2', ciphers: 'AES256-SHA256:AES128-CCM' }))
    await upon(async () => {
      const socket = net.connect(port, address)
      await once(socket, 'connect')
      socket.destroy()
    })
    await upon(async () => {
      const socket = net.connect(port, address).resume()
      socket.on('error', () => {})
      await once(socket, 'close')
    })
    expect(codes).toEqual([
      'refused ERR_SSL_HTTP_REQUEST',
      expect.stringMatching(
        /^refused ERR_SSL_(UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|NO_PROTOCOLS_AVAILABLE|WRONG_VERSION_NUMBER)$/,
      ),
      'refused ERR_SSL_NO_SHARED_CIPHER',
      'refused ECONNRESET',
      'refused ERR_TLS_HANDSHAKE_TIMEOUT',
    ])
    // Nothing was agreed on with any of them, whatever the server would have spoken.
    expect(events.map(({ protocol, ...rest }) => [protocol, rest.resumed, rest.address])).toEqual(
      Array(5).fill([undefined, false, address]),
    )
  })

  test('at the door: the code of the decision; who is let in has a certificate', async () => {
    const { port } = await supervised(
      (auth) => tls.createServer(tlsServerOptions(auth, own), (socket) => socket.end('hello')),
      {
        refuseConnections: true,
      },
    )
    for (const client of [alice, bob, undefined]) {
      const socket = tls.connect({ port, host: address, rejectUnauthorized: false, ...client?.tls }).resume()
      socket.on('error', () => {})
      await once(socket, 'close')
    }
    expect(await heard(3)).toEqual([
      { outcome: 'certificate', ...fresh },
      { outcome: 'refused', code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER', ...fresh },
      { outcome: 'refused', code: 'ERR_CLIENT_CERT_ABSENT', ...fresh },
    ])
  })

  test('a client that leaves while it is decided about was not let in', async () => {
    let decide = () => {}
    let asked = () => {}
    const deciding = new Promise<void>((resolve) => {
      asked = resolve
    })
    const auth = createAuthenticator({
      trust: pki.trust,
      intermediates: pki.intermediate.certificate.pem,
      revocation: 'none',
      log: false,
      resolve: () =>
        new Promise<object>((resolve) => {
          decide = () => resolve({})
          asked()
        }) as never,
    })
    const server = tls.createServer(tlsServerOptions(auth, own), () => {})
    const supervisor = superviseServer(server, auth, { refuseConnections: true })
    afterThisTest(() => supervisor.close())
    const gone = new Promise((resolve) => server.on('connection', (socket) => socket.on('close', resolve)))
    const port = await listen(server)
    const socket = tls.connect({ port, host: address, rejectUnauthorized: false, ...alice.tls })
    socket.on('error', () => {})
    await deciding
    socket.destroy()
    await gone
    decide()
    expect(await heard(1)).toEqual([{ outcome: 'refused', code: 'ECONNRESET', ...fresh }])
  })
})

describe('O-05, O-07: who listens changes nothing', () => {
  test('nothing is looked at when nobody listens, and who comes later hears of what comes later', async () => {
    channels.connection.unsubscribe(hear)
    const { port } = await supervised((auth) => tls.createServer(tlsServerOptions(auth, own), (socket) => socket.end()))
    const looks = jest.spyOn(tls.TLSSocket.prototype, 'getPeerX509Certificate')
    const connect = async () => {
      const socket = tls.connect({ port, host: address, rejectUnauthorized: false, ...alice.tls }).resume()
      await once(socket, 'close')
    }
    await connect()
    expect([looks.mock.calls.length, events]).toEqual([0, []])
    channels.connection.subscribe(hear)
    await connect()
    expect([await heard(1), looks.mock.calls.length]).toEqual([[{ outcome: 'certificate', ...fresh }], 1])
  })

  test('a slow listener holds up the turn it takes and changes no answer', async () => {
    const { port } = await supervised()
    const slow = () => {
      const until = Date.now() + 50
      while (Date.now() < until);
    }
    channels.connection.subscribe(slow)
    try {
      expect(json(await get(port, alice))).toMatchObject({ cn: 'alice' })
      expect((await get(port)).status).toBe(401)
    } finally {
      channels.connection.unsubscribe(slow)
    }
  })

  test('an application that hands over something else than a TLS socket meets its own mistake, not ours', async () => {
    const { server } = await supervised((auth) => tls.createServer(tlsServerOptions(auth, own)))
    const hands: unknown[] = []
    server.on('secureConnection', (socket) => hands.push(socket))
    const other = new net.Socket()
    const door = await supervised((auth) => tls.createServer(tlsServerOptions(auth, own)), { refuseConnections: true })
    door.server.emit('secureConnection', new net.Socket() as tls.TLSSocket)
    server.emit('secureConnection', other as tls.TLSSocket)
    server.emit('tlsClientError', undefined as never, undefined as never)
    expect(hands).toEqual([other])
    expect(events).toEqual([])
    other.destroy()
  })

  test('a code is a word: nothing else of an error gets into an event', async () => {
    const { server } = await supervised((auth) => tls.createServer(tlsServerOptions(auth, own)))
    for (const code of ['ERR_X\r\nforged', 'a'.repeat(1_000), 7, {}, undefined]) {
      server.emit('tlsClientError', { code } as never, new tls.TLSSocket(new net.Socket()))
    }
    expect(events).toEqual(Array(5).fill({ outcome: 'refused', resumed: false }))
  })
})
