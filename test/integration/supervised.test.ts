/** superviseServer(): trust, sessions, connections and the server's own key while it runs, over real sockets. */
import { chmodSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  type AnyClientCertError,
  type Authenticator,
  type AuthenticatorOptions,
  authenticateUpgrade,
  createAuthenticator,
  forwardedHeader,
  proxyAddress,
  TrustStore,
  tlsServerOptions,
} from '../../src/index.js'
import { type SuperviseOptions, type Supervisor, superviseServer } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { connectHttp2, fileOf, get, handshake, json, keepAlive, raw } from '../support/clients.js'
import {
  afterThisTest,
  makers as applications,
  bare,
  folder,
  type Listener,
  listen,
  serverTls,
} from '../support/servers.js'

let pki: TestPki
let other: TestPki
let alice: TestCredential
let bob: TestCredential
let own: { key: string; cert: string }
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  other = await createTestPki({ name: 'Other' })
  alice = await pki.issue()
  bob = await other.issue({ subject: 'CN=bob' })
  own = await serverTls
})

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

const codes = () => warnings.map((line) => line.split(':')[0]).filter((code) => code !== 'MTLS_NODE_VERSION')

function make(options: Partial<AuthenticatorOptions> = {}) {
  let content = pki.trust
  const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
  const auth = createAuthenticator({ trust: store, revocation: 'none', log: false, ...options })
  const trust = (pems: string) => {
    content = pems
    expect(store.reload().ok).toBe(true)
  }
  return { auth, trust, store }
}

/** The secret of two servers that resume each other's sessions. */
function supervise(
  server: Parameters<typeof superviseServer>[0],
  auth: Authenticator,
  options?: SuperviseOptions,
): Supervisor {
  const supervisor = superviseServer(server, auth, options)
  afterThisTest(() => supervisor.close())
  return supervisor
}

const closed = (socket: net.Socket | undefined) =>
  new Promise<boolean>((resolve) => {
    if (socket === undefined || socket.destroyed) return resolve(true)
    const timer = setTimeout(() => resolve(false), 2_500)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })

const versions = ['TLSv1.2', 'TLSv1.3'] as const

/** Servers as this package makes them, and as an application may have made its own. */
const makers: [name: string, make: (auth: Authenticator) => https.Server][] = [
  ['of tlsServerOptions()', (auth) => https.createServer(tlsServerOptions(auth, own), bare(auth) as never)],
  [
    'an application made itself',
    (auth) =>
      https.createServer(
        { ...own, requestCert: true, rejectUnauthorized: false, ca: [pki.trust, other.trust], minVersion: 'TLSv1.2' },
        bare(auth) as never,
      ),
  ],
]

/** Node 24.21 and 26.8 lose what a client sends after its certificate, where the server's own `ca` trusts it. */
const chains = () => ({ intermediates: pki.intermediate.certificate.pem + other.intermediate.certificate.pem })

describe.each(makers)('a server %s', (_, create) => {
  test.each(versions)(
    'S-07: does not resume a %s session after trust was reloaded, and does before',
    async (version) => {
      const { auth, trust } = make(chains())
      const server = create(auth)
      supervise(server, auth)
      const port = await listen(server)
      const first = await handshake(port, { client: alice, version })
      expect(json(first.answer)).toMatchObject({ cn: 'alice' })
      expect((await handshake(port, { client: alice, version, session: first.session })).reused).toBe(true)
      trust(pki.trust + other.trust)
      const later = await handshake(port, { client: alice, version, session: first.session })
      expect([later.reused, later.answer.status]).toEqual([false, 200])
      expect(json((await handshake(port, { client: bob, version })).answer)).toMatchObject({ cn: 'bob' })
      expect(codes()).toEqual([])
    },
  )

  test('S-07: nor one by an ID of a session store, which outlives a secure context', async () => {
    const { auth, trust } = make(chains())
    const server = create(auth)
    const sessions = new Map<string, Buffer>()
    server.on('newSession', (id: Buffer, data: Buffer, done: () => void) => {
      sessions.set(id.toString('hex'), data)
      done()
    })
    server.on('resumeSession', (id: Buffer, done: (error: null, data: Buffer | null) => void) =>
      done(null, sessions.get(id.toString('hex')) ?? null),
    )
    supervise(server, auth)
    const port = await listen(server)
    const first = await handshake(port, { client: alice, version: 'TLSv1.2' })
    expect((await handshake(port, { client: alice, version: 'TLSv1.2', session: first.session })).reused).toBe(true)
    trust(pki.trust + other.trust)
    const later = await handshake(port, { client: alice, version: 'TLSv1.2', session: first.session })
    expect([later.reused, later.answer.status]).toEqual([false, 200])
  })

  test('closes the connections of a CA that was taken out, and no other', async () => {
    const { auth, trust } = make(chains())
    trust(pki.trust + other.trust)
    const server = create(auth)
    supervise(server, auth)
    const sockets: TLSSocket[] = []
    server.on('secureConnection', (socket) => sockets.push(socket))
    const port = await listen(server)
    const [ofAlice, ofBob] = [keepAlive(port, alice), keepAlive(port, bob)]
    expect([json(await ofAlice()).cn, json(await ofBob()).cn]).toEqual(['alice', 'bob'])
    const { connection } = await ofAlice()
    trust(pki.trust)
    expect(await closed(sockets[1])).toBe(true)
    const again = await ofAlice()
    expect([again.status, again.connection]).toEqual([200, connection])
  })
})

test('the options of an application’s server are kept when its context is renewed', async () => {
  const { auth, trust } = make()
  const options = {
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_256_GCM_SHA384',
    requestCert: true,
    rejectUnauthorized: false,
  } as const
  const server = https.createServer({ ...own, ...options, ca: [], sessionTimeout: 60 }, bare(auth) as never)
  supervise(server, auth)
  const port = await listen(server)
  trust(other.trust)
  await expect(handshake(port, { client: bob, version: 'TLSv1.2' })).rejects.toThrow()
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...bob.tls })
  afterThisTest(() => socket.destroy())
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  expect(socket.getCipher().name).toBe('TLS_AES_256_GCM_SHA384')
  expect((server as unknown as { sessionTimeout: number }).sessionTimeout).toBe(60)
})

test('HTTP/2: the connection of a CA that was taken out is closed, and intermediates are not lost although it was read at the door', async () => {
  const { auth, trust } = make()
  trust(pki.trust + other.trust)
  const server = http2.createSecureServer(tlsServerOptions(auth, own), bare(auth) as never)
  supervise(server, auth, { refuseConnections: true })
  const port = await listen(server)
  const [mine, theirs] = [await connectHttp2(port, { client: alice }), await connectHttp2(port, { client: bob })]
  expect([json(await mine.get()).cn, json(await theirs.get()).cn]).toEqual(['alice', 'bob'])
  const ended = new Promise((resolve) => theirs.session.once('close', () => resolve('closed')))
  trust(pki.trust)
  expect(await ended).toBe('closed')
  expect(json(await mine.get())).toMatchObject({ cn: 'alice' })
})

test('HTTP/2 without a door: closed too', async () => {
  const { auth, trust } = make()
  const server = http2.createSecureServer(tlsServerOptions(auth, own), bare(auth) as never)
  supervise(server, auth)
  const client = await connectHttp2(await listen(server), { client: alice })
  expect((await client.get()).status).toBe(200)
  const ended = new Promise((resolve) => client.session.once('close', () => resolve('closed')))
  trust(other.trust)
  expect(await ended).toBe('closed')
})

test('an idle connection is closed when its certificate ends', async () => {
  const notAfter = Math.floor(Date.now() / 1000) * 1000 + 3_600_000
  const client = await pki.issue({ notAfter: new Date(notAfter) })
  let now = Date.now()
  const { auth } = make({ now: () => now })
  const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
  supervise(server, auth)
  const sockets: TLSSocket[] = []
  server.on('secureConnection', (socket) => sockets.push(socket))
  const ask = keepAlive(await listen(server), client)
  expect((await ask()).status).toBe(200)
  now = notAfter
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  expect(sockets[0]?.destroyed).toBe(false)
  now = notAfter + 1_000
  expect(await closed(sockets[0])).toBe(true)
})

test('a connection on which nobody was accepted is left alone, and onIdentityEnd decides about one on which somebody was', async () => {
  const { auth, trust } = make()
  const heard: string[] = []
  const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
  supervise(server, auth, { onIdentityEnd: (_: TLSSocket, { code }: AnyClientCertError) => heard.push(code) })
  const port = await listen(server)
  const [stranger, mine] = [keepAlive(port, bob), keepAlive(port, alice)]
  const [before, ofMine] = [await stranger(), await mine()]
  expect([before.status, ofMine.status]).toEqual([403, 200])
  trust((await createTestPki({ name: 'Third' })).trust)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(heard).toEqual(['ERR_CLIENT_CERT_UNKNOWN_ISSUER'])
  const [after, ofMineAfter] = [await stranger(), await mine()]
  expect([after.connection, ofMineAfter.connection]).toEqual([before.connection, ofMine.connection])
  expect(ofMineAfter.status).toBe(403)
})

test('close() puts everything back: events, listeners, connections', async () => {
  const { auth, trust } = make()
  const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
  const emit = server.emit
  const supervisor = superviseServer(server, auth)
  expect(server.emit).not.toBe(emit)
  const port = await listen(server)
  const ask = keepAlive(port, alice)
  const { connection } = await ask()
  supervisor.close()
  supervisor.close()
  expect(server.emit).toBe(emit)
  expect(Object.hasOwn(server, 'emit')).toBe(false)
  trust(other.trust)
  await new Promise((resolve) => setTimeout(resolve, 100))
  const after = await ask()
  expect([after.connection, after.status]).toEqual([connection, 403])
  superviseServer(server, auth).close()
})

describe('S-11: refuseConnections', () => {
  /** A protocol without requests: the server speaks first, as MQTT brokers and SSH do not, and some do. */
  function chatty(auth: Authenticator, options: SuperviseOptions = {}) {
    const greeted: string[] = []
    const server = tls.createServer(tlsServerOptions(auth, own), (socket) => {
      greeted.push('somebody')
      socket.write('secret\n')
      socket.on('data', (data) => socket.write(`echo ${data}`))
      socket.on('error', () => {})
    })
    supervise(server, auth, { refuseConnections: true, ...options })
    return { server, greeted }
  }

  async function talk(
    port: number,
    client: TestCredential | undefined,
    version: 'TLSv1.2' | 'TLSv1.3',
    early = '',
  ): Promise<string> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      ...client?.tls,
    })
    afterThisTest(() => socket.destroy())
    let text = ''
    socket.setEncoding('utf8').on('data', (data: string) => {
      text += data
    })
    socket.on('error', () => {})
    if (early !== '') socket.write(early)
    await new Promise((resolve) => {
      socket.once('close', resolve)
      setTimeout(resolve, 400)
    })
    return text
  }

  test.each(versions)('over %s lets in who is accepted, and says nothing to anybody else', async (version) => {
    const { auth } = make()
    const { server, greeted } = chatty(auth)
    const port = await listen(server)
    expect(await talk(port, alice, version, 'hello\n')).toBe('secret\necho hello\n')
    expect(await talk(port, bob, version, 'hello\n')).toBe('')
    expect(await talk(port, undefined, version, 'hello\n')).toBe('')
    expect(greeted).toEqual(['somebody'])
  })

  test('guards what it let in: a CA that is taken out ends it', async () => {
    const { auth, trust } = make()
    const { server } = chatty(auth)
    const port = await listen(server)
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...alice.tls })
    afterThisTest(() => socket.destroy())
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('data', resolve))
    trust(other.trust)
    expect(await closed(socket)).toBe(true)
  })

  test('a client that goes while it is decided about ends nothing but its connection', async () => {
    let decide: () => void = () => {}
    const { auth } = make({
      revocation: {
        name: 'slow',
        check: () => new Promise((resolve) => (decide = () => resolve({ status: 'good' }))),
      },
    })
    const { server, greeted } = chatty(auth)
    const port = await listen(server)
    const wire = net.connect(port, '127.0.0.1')
    const socket = tls.connect({ socket: wire, rejectUnauthorized: false, ...alice.tls })
    for (const each of [wire, socket]) each.on('error', () => {})
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    await new Promise((resolve) => setTimeout(resolve, 50))
    wire.resetAndDestroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    decide()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(greeted).toEqual([])
  })

  test('works in front of HTTP/1.1: requests that came early are answered', async () => {
    const { auth } = make()
    const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
    supervise(server, auth, { refuseConnections: true })
    const port = await listen(server)
    expect(json(await get(port, alice))).toMatchObject({ cn: 'alice' })
    await expect(get(port, bob)).rejects.toThrow()
  })

  test('is refused where a header carries the certificate, and on a server without TLS', () => {
    const header = createAuthenticator({
      trust: pki.trust,
      revocation: 'none',
      source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
    })
    const { auth } = make()
    for (const [server, by] of [
      [https.createServer(tlsServerOptions(auth, own)), header],
      [http.createServer(), auth],
    ] as const) {
      expect(() => superviseServer(server, by, { refuseConnections: true })).toThrow(/certificate of their TLS peer/)
    }
  })
})

describe('the server’s own key and certificate', () => {
  const cnOf = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...alice.tls }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.on('error', reject)
    })

  async function credentials() {
    const issued = await pki.server()
    return { ...issued.tls, serial: issued.serialNumber.toUpperCase() }
  }

  async function served(options: SuperviseOptions) {
    const { auth, trust } = make()
    const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
    const supervisor = supervise(server, auth, options)
    const port = await listen(server)
    return { port, supervisor, trust }
  }

  const look = () => new Promise((resolve) => setTimeout(resolve, 2_200))
  const privately = (text: string, extension: string) => {
    const path = fileOf(text, extension)
    chmodSync(path, 0o600)
    return path
  }

  test('C-02: rotate from files, whole or not at all: a key without its certificate is not taken, the pair is', async () => {
    const [first, second] = [await credentials(), await credentials()]
    const [key, cert] = [privately(first.key, 'key'), privately(first.cert, 'crt')]
    const { port, trust } = await served({ credentials: { key, cert } })
    expect(await cnOf(port)).toBe(first.serial)
    writeFileSync(key, second.key)
    await look()
    expect(await cnOf(port)).toBe(first.serial)
    expect(warnings.filter((line) => line.startsWith('MTLS_SERVER_CERTIFICATE'))).toEqual([
      expect.stringMatching(
        /the key is not that of the certificate \(ERR_OSSL_X509_KEY_VALUES_MISMATCH\).*the former key and certificate stay/,
      ),
    ])
    // Trust is followed all the same, with the last good pair.
    trust(pki.trust + other.trust)
    expect(await cnOf(port)).toBe(first.serial)
    writeFileSync(cert, second.cert)
    await look()
    expect(await cnOf(port)).toBe(second.serial)
    trust(pki.trust)
    expect(await cnOf(port)).toBe(second.serial)
    rmSync(key)
    await look()
    expect(await cnOf(port)).toBe(second.serial)
  }, 20_000)

  test('C-02: rotate when cert-manager flips the ..data link of a mount', async () => {
    const [first, second] = [await credentials(), await credentials()]
    const mount = `${folder}/mount-${Date.now()}`
    const { mkdirSync } = await import('node:fs')
    for (const [name, { key, cert }] of [
      ['v1', first],
      ['v2', second],
    ] as const) {
      mkdirSync(`${mount}/${name}`, { recursive: true })
      writeFileSync(`${mount}/${name}/tls.key`, key, { mode: 0o600 })
      writeFileSync(`${mount}/${name}/tls.crt`, cert)
    }
    symlinkSync('v1', `${mount}/..data`)
    for (const name of ['tls.key', 'tls.crt']) symlinkSync(`..data/${name}`, `${mount}/${name}`)
    const { port } = await served({ credentials: { key: `${mount}/tls.key`, cert: `${mount}/tls.crt` } })
    expect(await cnOf(port)).toBe(first.serial)
    symlinkSync('v2', `${mount}/..tmp`)
    renameSync(`${mount}/..tmp`, `${mount}/..data`)
    await look()
    expect(await cnOf(port)).toBe(second.serial)
    expect(codes()).toEqual([])
  }, 20_000)

  test('come from a provider, with the passphrase; what it cannot use changes nothing', async () => {
    const [first, second] = [await credentials(), await credentials()]
    const { createPrivateKey } = await import('node:crypto')
    const encrypted = createPrivateKey(second.key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'open sesame',
    }) as string
    const answers: unknown[] = [
      { key: first.key, cert: first.cert },
      { key: encrypted, cert: second.cert, passphrase: 'wrong' },
      { key: second.key, cert: first.cert },
      {},
      undefined,
      { key: encrypted, cert: second.cert, passphrase: 'open sesame' },
    ]
    const load = async () => answers.shift() as never
    const { port, supervisor } = await served({ credentials: { load, refresh: 1_000 } })
    await supervisor.ready()
    expect(await cnOf(port)).toBe(first.serial)
    const until = Date.now() + 15_000
    while (answers.length > 0 && Date.now() < until) {
      if (answers.length > 1) expect(await cnOf(port)).toBe(first.serial)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await cnOf(port)).toBe(second.serial)
    expect(warnings.join()).not.toContain('sesame')
    expect(codes()).toContain('MTLS_SERVER_CERTIFICATE')
  }, 30_000)

  test('that come again unchanged leave sessions as they are', async () => {
    const { key, cert } = await credentials()
    let loads = 0
    const load = async () => {
      loads++
      return { key, cert: Buffer.from(cert) }
    }
    const { port, supervisor } = await served({ credentials: { load, refresh: 1_000 } })
    await supervisor.ready()
    const { session } = await handshake(port, { client: alice, version: 'TLSv1.3' })
    const until = Date.now() + 5_000
    while (loads < 2 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(loads).toBeGreaterThan(1)
    expect((await handshake(port, { client: alice, version: 'TLSv1.3', session })).reused).toBe(true)
  })

  test('stop the start where they are missing, or do not go together', async () => {
    const [first, second] = [await credentials(), await credentials()]
    const wrong: [object, RegExp][] = [
      [
        { key: privately(first.key, 'key'), cert: privately(second.cert, 'crt') },
        /the key is not that of the certificate/,
      ],
      [{ key: `${folder}/none.key`, cert: privately(second.cert, 'crt') }, /cannot read .*none\.key \(ENOENT\)/],
      [{ key: privately('', 'key'), cert: privately(second.cert, 'crt') }, /is empty/],
      [{ key: privately('x'.repeat(1_048_577), 'key'), cert: privately(second.cert, 'crt') }, /the limit is 1048576/],
      [{ key: privately('x'.repeat(1_048_576), 'key'), cert: privately(second.cert, 'crt') }, /they cannot be used/],
      [{ key: first.key, cert: first.cert }, /key is the path of a file/],
      [{ key: 'a', cert: undefined }, /cert is the path of a file/],
      [{ pfx: 'a', key: 'b' }, /leave key and cert out/],
      [{ load: 'url' }, /load is a function/],
      [{ load: () => ({}), refresh: 5 }, /refresh: is 5/],
      [{ key: 'a', crt: 'b' }, /unknown option "crt"/],
    ]
    for (const [given, said] of wrong) {
      const { auth } = make()
      const server = https.createServer(tlsServerOptions(auth, own))
      const { emit } = server
      expect(() => superviseServer(server, auth, { credentials: given as never })).toThrow(said)
      expect(server.emit).toBe(emit)
    }
  })

  test('C-03: are warned about where everybody may read, or others may change the key', async () => {
    const pair = await credentials()
    for (const [mode, said] of [
      [0o644, /mode 0644: everybody on this machine may read it — chmod 0400/],
      [0o620, /mode 0620: others than its owner may change it/],
      [0o640, undefined],
      [0o400, undefined],
    ] as const) {
      warnings = []
      const [key, cert] = [fileOf(pair.key, 'key'), fileOf(pair.cert, 'crt')]
      chmodSync(key, mode)
      chmodSync(cert, 0o644)
      await served({ credentials: { key, cert } })
      const found = warnings.filter((line) => line.startsWith('MTLS_KEY_PERMISSIONS'))
      expect(found).toEqual(said === undefined ? [] : [expect.stringMatching(said)])
    }
  })
})

describe('what is set up wrong has one warning each', () => {
  const quiet: Listener = () => {}
  async function warnedOf(server: net.Server, auth: Authenticator, host = '127.0.0.1', options: SuperviseOptions = {}) {
    supervise(server, auth, options)
    await listen(server, host)
    await new Promise((resolve) => setTimeout(resolve, 20))
    return codes()
  }
  const header = () =>
    createAuthenticator({
      trust: pki.trust,
      revocation: 'none',
      source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
    })

  test('nothing is said of a server that is right', async () => {
    const { auth } = make()
    expect(await warnedOf(https.createServer(tlsServerOptions(auth, own), quiet as never), auth)).toEqual([])
    expect(await warnedOf(http2.createSecureServer(tlsServerOptions(auth, own)), auth)).toEqual([])
    expect(await warnedOf(http.createServer(), header())).toEqual([])
  })

  test('no requestCert, and no TLS', async () => {
    const { auth } = make()
    expect(await warnedOf(https.createServer({ ...own }), auth)).toEqual(['MTLS_NO_REQUEST_CERT'])
    expect(await warnedOf(http.createServer(), auth)).toEqual(['MTLS_NO_REQUEST_CERT', 'MTLS_NO_REQUEST_CERT'])
  })

  test('rejectUnauthorized, and the public roots', async () => {
    const { auth } = make()
    const server = https.createServer({ ...own, requestCert: true })
    expect(await warnedOf(server, auth)).toEqual(['MTLS_REJECT_UNAUTHORIZED', 'MTLS_PUBLIC_ROOTS'])
  })

  test('listeners for upgrade and connect that nothing guards', async () => {
    const { auth } = make()
    const upgrading = () => https.createServer(tlsServerOptions(auth, own)).on('upgrade', () => {})
    expect(await warnedOf(upgrading(), auth)).toEqual(['MTLS_UPGRADE_UNGUARDED'])
    warnings = []
    expect(await warnedOf(upgrading(), auth, '127.0.0.1', { upgrades: 'guarded' })).toEqual([])
    expect(await warnedOf(upgrading(), auth, '127.0.0.1', { refuseConnections: true })).toEqual([])
    const guarded = upgrading()
    authenticateUpgrade(guarded, auth)
    expect(await warnedOf(guarded, auth)).toEqual([])
    const connecting = https.createServer(tlsServerOptions(auth, own)).on('connect', () => {})
    expect(await warnedOf(connecting, auth)).toEqual(['MTLS_UPGRADE_UNGUARDED'])
  })

  test('a word about upgrades holds for the first request too, until supervision ends, and keeps no guard away', async () => {
    const { auth } = make()
    const upgrading = () =>
      https
        .createServer(tlsServerOptions(auth, own), bare(auth) as never)
        .on('upgrade', (_, socket) => socket.destroy())
    const [spoken, silent, ended] = [upgrading(), upgrading(), upgrading()]
    supervise(spoken, auth, { upgrades: 'guarded' })
    supervise(ended, auth, { upgrades: 'guarded' }).close()
    await get(await listen(spoken), alice)
    expect(codes()).toEqual([])
    await get(await listen(silent), alice)
    await get(await listen(ended), alice)
    expect(codes()).toEqual(['MTLS_UPGRADE_UNGUARDED', 'MTLS_UPGRADE_UNGUARDED'])
    authenticateUpgrade(spoken, auth)
    expect(() => authenticateUpgrade(spoken, auth)).toThrow(/this server is guarded already/)
    const listener = jest.fn((_, socket: net.Socket) => socket.destroy())
    spoken.removeAllListeners('upgrade').on('upgrade', listener as never)
    const { port } = spoken.address() as net.AddressInfo
    const upgrade = { headers: { connection: 'Upgrade', upgrade: 'who' } }
    expect((await handshake(port, upgrade)).answer.status).toBe(401)
    expect(listener).not.toHaveBeenCalled()
  })

  test('a guard of upgrades outlives the supervision that came before it', async () => {
    const { auth } = make()
    const server = https.createServer(tlsServerOptions(auth, own), bare(auth) as never)
    const listener = jest.fn((_, socket: net.Socket) => socket.destroy())
    server.on('upgrade', listener as never)
    const supervisor = supervise(server, auth)
    authenticateUpgrade(server, auth)
    supervisor.close()
    const port = await listen(server)
    const upgrade = { headers: { connection: 'Upgrade', upgrade: 'who' } }
    expect((await handshake(port, upgrade)).answer.status).toBe(401)
    expect(listener).not.toHaveBeenCalled()
  })

  test.each([
    ['0.0.0.0', ['MTLS_PLAIN_HEADER_PORT']],
    ['::', ['MTLS_PLAIN_HEADER_PORT']],
    ['127.0.0.1', []],
  ])('a header-mode port on %s', async (host, said) => {
    expect(await warnedOf(http.createServer(), header(), host)).toEqual(said)
  })

  test('ticket keys that are shared where nobody has the intermediates', async () => {
    const { auth } = make()
    const options = { ...own, requestCert: true, rejectUnauthorized: false, ca: [], ticketKeys: Buffer.alloc(48, 1) }
    const server = https.createServer(options, bare(auth) as never)
    expect(await warnedOf(server, auth)).toEqual(['MTLS_TICKET_KEYS'])
    expect(server.getTicketKeys()).not.toEqual(options.ticketKeys)
  })

  test('names that grew beyond a handshake: none are advertised, and the new trust is in force', async () => {
    const { auth, trust } = make()
    const server = https.createServer(tlsServerOptions(auth, { ...own, advertise: true }), bare(auth) as never)
    supervise(server, auth)
    const port = await listen(server)
    expect((server as unknown as { ca: string[] }).ca.length).toBe(1)
    trust(pki.trust + other.trust)
    expect((server as unknown as { ca: string[] }).ca.length).toBe(2)
    const { createTestAuthority } = await import('../../src/testing.js')
    const long = await Promise.all(
      Array.from({ length: 9 }, (_, i) => createTestAuthority({ subject: [{ CN: [`${i}${'x'.repeat(7_400)}`] }] })),
    )
    trust(other.trust + long.map(({ certificate }) => certificate.pem).join(''))
    expect(codes()).toEqual(['MTLS_CA_NAMES'])
    expect((await get(port, alice)).status).toBe(403)
    expect(json(await get(port, bob))).toMatchObject({ cn: 'bob' })
    trust(pki.trust)
    expect((server as unknown as { ca: string[] }).ca.length).toBe(1)
  })
})

describe('what Node refuses by itself has its line', () => {
  test('broken set-up 3: a refusal in the handshake', async () => {
    const { auth } = make(chains())
    const lines: string[] = []
    const options = { ...own, requestCert: true, rejectUnauthorized: true, ca: pki.trust }
    const server = https.createServer(options, bare(auth) as never)
    supervise(server, auth, { log: (line) => lines.push(line) })
    const port = await listen(server)
    await expect(get(port, bob)).rejects.toThrow()
    await expect(get(port)).rejects.toThrow()
    expect(lines).toEqual([
      'mtls-identity MTLS_HANDSHAKE_REFUSED: Node refused a client before the application (UNABLE_TO_GET_ISSUER_CERT_LOCALLY) — set rejectUnauthorized: false; mtls-identity then answers 403 with a reason',
      'mtls-identity MTLS_HANDSHAKE_REFUSED: Node refused 127.0.0.1 before the application (it sent no certificate) — set rejectUnauthorized: false; mtls-identity then answers 401 with a reason',
    ])
    expect((await get(port, alice)).status).toBe(200)
  })

  test('broken set-up 36: a header with a line break in it; the client gets Node’s 400 as before', async () => {
    const auth = createAuthenticator({
      trust: pki.trust,
      revocation: 'none',
      source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
    })
    const lines: string[] = []
    const server = http.createServer(bare(auth) as never)
    supervise(server, auth, { log: (line) => lines.push(line) })
    const port = await listen(server)
    const pem = alice.certificate.pem.trim()
    const request = (lineBreak: string) =>
      `GET / HTTP/1.1\r\nHost: a\r\nX-SSL-Client-Cert: ${pem.replaceAll('\n', lineBreak)}\r\nConnection: close\r\n\r\n`
    for (const lineBreak of ['\n\t', '\n', '\r\n\t']) {
      expect((await raw(port, request(lineBreak))).status).toBe(400)
    }
    expect(lines[0]).toMatch(
      /^mtls-identity MTLS_HEADER_REFUSED_BY_NODE: HPE_\w+ from 127\.0\.0\.1: a header held a line break — nginx: use \$ssl_client_escaped_cert$/,
    )
  })

  test('broken set-up 40: headers larger than maxHeaderSize; the client gets Node’s 431 as before', async () => {
    const { auth } = make()
    const lines: string[] = []
    const server = http.createServer(bare(auth) as never)
    supervise(server, auth, { log: (line) => lines.push(line) })
    const port = await listen(server)
    const { status } = await raw(port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`)
    expect(status).toBe(431)
    expect(lines).toEqual([
      'mtls-identity MTLS_HEADER_TOO_LARGE: headers over maxHeaderSize 16384 from 127.0.0.1 — http.createServer({ maxHeaderSize: 65536 }), or forward the leaf only and set intermediates:',
    ])
  })

  test('a flood of them is a few lines, and silence where that is wanted', async () => {
    const { auth } = make()
    const lines: string[] = []
    const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true)
    const [loud, mute, usual] = [http.createServer(), http.createServer(), http.createServer()]
    supervise(loud, auth, {
      log: (line) => {
        lines.push(line)
        throw new Error('a log that fails')
      },
    })
    supervise(mute, auth, { log: false })
    supervise(usual, auth)
    for (const server of [loud, mute, usual]) {
      for (let i = 0; i < 50; i++) {
        const socket = { remoteAddress: `10.0.0.${i}`, destroy: () => {} }
        server.listeners('clientError')
        ;(server as { emit: (...args: unknown[]) => boolean }).emit(
          'clientError',
          { code: 'HPE_HEADER_OVERFLOW' },
          socket,
        )
      }
    }
    expect(lines.length).toBe(1)
    expect(written).toHaveBeenCalledTimes(1)
  })
})

test('what cannot be meant is refused, and changes nothing', () => {
  const { auth } = make()
  const server = https.createServer(tlsServerOptions(auth, own))
  const wrong: [unknown, unknown, object, RegExp][] = [
    [undefined, auth, {}, /first argument is the server/],
    [{}, auth, {}, /first argument is the server/],
    [applications.express5(), auth, {}, /the first argument is the server, not the application/],
    [new applications.Koa3(), auth, {}, /the first argument is the server, not the application/],
    [server, {}, {}, /second argument is the authenticator/],
    [server, auth, { refuseConnection: true }, /unknown option "refuseConnection". Did you mean "refuseConnections"/],
    [server, auth, { refuseConnections: 'yes' }, /refuseConnections is true or false/],
    [server, auth, { refuseConnections: undefined }, /refuseConnections is undefined/],
    [server, auth, { onIdentityEnd: true }, /onIdentityEnd is a function/],
    [server, auth, { upgrades: true }, /upgrades is 'guarded'/],
    [server, auth, { log: true }, /log is false or a function/],
    [server, auth, { credentials: './server.pem' }, /expected \{ key, cert \}/],
    [http.createServer(), auth, { credentials: { key: 'a', cert: 'b' } }, /a server without TLS has none/],
  ]
  for (const [first, second, options, said] of wrong) {
    expect(() => superviseServer(first as never, second as never, options as never)).toThrow(said)
  }
  const supervisor = supervise(server, auth)
  expect(() => superviseServer(server, auth)).toThrow(/supervised already/)
  supervisor.close()
})
