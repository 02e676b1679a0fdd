/**
 * Real proxies with the configurations of examples/proxies/, real TLS clients, and an application behind each that reads what it sends.
 * What is expected of whom is one table: a row for each case, a column for each proxy.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls, { type SecureVersion } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  type Authenticator,
  createAuthenticator,
  type ForwardedHeaderNames,
  type ForwardedHeaderOptions,
  forwardedHeader,
  proxyAddress,
  type RevocationChecker,
} from '../../src/index.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { freePort } from '../support/free-port.js'
import {
  type Edit,
  type ProgramName,
  type ProxyName,
  programOf,
  type RunningProxy,
  startProxy,
} from '../support/proxies.js'

// Keys of RSA-4096 take seconds where other processes share the machine.
jest.setTimeout(60_000)

/** Who the application takes the client for, the code of its refusal, or that the proxy let nobody through. */
type Outcome = string
const alert = 'no connection'

/** Columns of the table, with what the application is told of each. */
const proxies: { readonly [name in ProxyName]: { header: string; headers?: ForwardedHeaderNames } } = {
  nginx: { header: 'X-SSL-Client-Cert' },
  haproxy: { header: 'X-SSL-Client-Cert', headers: { chain: 'X-SSL-Client-Chain' } },
  apache: {
    header: 'X-SSL-Client-Cert',
    headers: { chain: ['X-SSL-Client-Chain-0', 'X-SSL-Client-Chain-1'] },
  },
  caddy: { header: 'X-Client-Cert' },
}
const proxyNames = Object.keys(proxies) as ProxyName[]

const day = 86_400_000
const daysFromNow = (days: number) => new Date(Date.now() + days * day)
const manyNames = (count: number) => ({
  dns: Array.from({ length: count }, (_, i) => `host-${String(i).padStart(4, '0')}.department-of-things.acme.example`),
})

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let mallory: TestCredential
let revoked: TestCredential
let denied: string
beforeAll(async () => {
  pki = await createTestPki({ name: 'Acme' })
  alice = await pki.issue({ subject: 'CN=alice,O=Acme' })
  bob = await pki.issue({ subject: 'CN=bob,O=Acme' })
  revoked = await pki.issue({ subject: 'CN=revoked,O=Acme' })
  mallory = await (await createTestAuthority({ subject: 'CN=Stranger CA' })).issue({ subject: 'CN=alice,O=Acme' })
  denied = revoked.fingerprint
})

/** Made once for all proxies. */
function issue(options: IssueOptions): () => Promise<TestCredential> {
  let made: Promise<TestCredential> | undefined
  return () => {
    made ??= pki.issue({ subject: 'CN=alice,O=Acme', ...options })
    return made
  }
}

const expiredClient = issue({ notBefore: daysFromNow(-2), notAfter: daysFromNow(-1) })

/** Clients, and what becomes of each: everywhere, or by proxy. */
const clients: readonly [
  name: string,
  client: () => Promise<TestCredential> | TestCredential | undefined,
  outcome: Outcome | { readonly [name in ProxyName]: Outcome },
][] = [
  ['no certificate', () => undefined, 'ABSENT'],
  ['P-256', issue({ keyAlgorithm: 'P-256' }), 'alice'],
  ['P-384', issue({ keyAlgorithm: 'P-384' }), 'alice'],
  ['P-521', issue({ keyAlgorithm: 'P-521' }), 'alice'],
  ['RSA-2048', issue({ keyAlgorithm: 'RSA-2048' }), 'alice'],
  ['RSA-4096', issue({ keyAlgorithm: 'RSA-4096' }), 'alice'],
  ['Ed25519', issue({ keyAlgorithm: 'Ed25519' }), 'alice'],
  [
    'rich names',
    issue({
      subject: [
        { C: ['DE'] },
        { O: ['Lab, Inc. "Quoted" <x>'] },
        { OU: ['R+D\\Dept; #1'] },
        { CN: ['Jürgen Müller, 测试'] },
      ],
      names: {
        dns: ['a.acme.example'],
        uri: ['spiffe://acme.example/a,b;c'],
        email: ['a@acme.example'],
        ip: ['192.0.2.7'],
      },
    }),
    'Jürgen Müller, 测试',
  ],
  [
    'a line break in its name',
    issue({ subject: [{ CN: ['x\r\nX-SSL-Client-Cert: y'] }] }),
    'x\r\nX-SSL-Client-Cert: y',
  ],
  ['20 KB', issue({ names: manyNames(400) }), 'alice'],
  ['more than we read, 50 KB in the header', issue({ names: manyNames(720) }), 'HEADER_MALFORMED'],
  // Apache's optional_no_ca forgives an unknown issuer and nothing else.
  ['expired', expiredClient, { nginx: 'EXPIRED', haproxy: 'EXPIRED', apache: alert, caddy: 'EXPIRED' }],
  [
    'of tomorrow',
    issue({ notBefore: daysFromNow(1), notAfter: daysFromNow(2) }),
    { nginx: 'NOT_YET_VALID', haproxy: 'NOT_YET_VALID', apache: alert, caddy: 'NOT_YET_VALID' },
  ],
  ['of an unknown issuer', () => mallory, 'UNKNOWN_ISSUER'],
  ['self-signed', () => createSelfSigned({ subject: 'CN=alice' }), 'UNKNOWN_ISSUER'],
  [
    'of a look-alike of the root',
    async () => (await createTestAuthority({ subject: pki.root.subjectDer })).issue({ subject: 'CN=alice' }),
    'SIGNATURE',
  ],
  [
    'made for servers',
    () => pki.server(),
    { nginx: 'KEY_USAGE', haproxy: 'KEY_USAGE', apache: alert, caddy: 'KEY_USAGE' },
  ],
  ['revoked', () => revoked, 'REVOKED'],
]

/** A client's own copy of the header, and what a twin becomes where the proxy passes it on beside its own. */
const ambiguous = 'HEADER_AMBIGUOUS'
const copies: readonly [
  name: string,
  fields: (header: string, value: string) => readonly string[],
  passedOnBy: readonly ProxyName[],
][] = [
  ['under its name', (header, value) => [header, value], []],
  ['in lower case', (header, value) => [header.toLowerCase(), value], []],
  ['in upper case', (header, value) => [header.toUpperCase(), value], []],
  ['with underscores', (header, value) => [header.replaceAll('-', '_'), value], []],
  ['with dots', (header, value) => [header.replaceAll('-', '.'), value], ['apache', 'caddy']],
  ['twice', (header, value) => [header, value, header, value], []],
  // HAProxy passes on what Connection lists, and drops nothing for it.
  ['listed in Connection', (header, value) => [header, value, 'Connection', `close, ${header}`], ['haproxy']],
  ['without a value', (header) => [header, ''], []],
]

/** The same copy as no client writes it: parsers differ in what they make of it. */
const distortions: readonly [name: string, write: (header: string, value: string) => string][] = [
  ['folded over two lines', (header, value) => `${header}:\r\n ${value}\r\n`],
  ['folded with a tab', (header, value) => `X-Other: a\r\n\t${header}: ${value}\r\n`],
  ['LF for CRLF', (header, value) => `${header}: ${value}\n`],
  ['behind a bare LF', (header, value) => `X-Other: a\n${header}: ${value}\r\n`],
  ['behind a bare CR', (header, value) => `X-Other: a\r${header}: ${value}\r\n`],
  ['NUL in its name', (header, value) => `${header}\0: ${value}\r\n`],
  ['a vertical tab before its name', (header, value) => `\v${header}: ${value}\r\n`],
  ['a space before the colon', (header, value) => `${header} : ${value}\r\n`],
  ['64 KB of it', (header, value) => `${header}: ${value.repeat(Math.ceil(65_536 / value.length))}\r\n`],
]

interface Question {
  /** Another one than the first that the proxy listens on. */
  port?: number | undefined
  client?: TestCredential | undefined
  /** Names and values in turn, so that a field can come twice. */
  fields?: readonly string[]
  tlsOptions?: tls.ConnectionOptions
  method?: string
  path?: string
}

/** A place behind a proxy: the application, and what it has seen. */
class Setup {
  seen: http.IncomingMessage | undefined
  /** The last connection of {@link ask} resumed a session. */
  resumed = false
  readonly #server: http.Server
  #proxy: RunningProxy | undefined

  /** The operator's lines. */
  readonly lines: readonly string[]

  private constructor(authenticator: Authenticator, lines: readonly string[]) {
    this.lines = lines
    this.#server = http.createServer({ maxHeaderSize: 131_072 }, async (request, response) => {
      this.seen = request
      const decision = await authenticator.authenticate(request)
      const says =
        decision.outcome === 'accepted'
          ? decision.identity.subject.get('CN')
          : decision.error.code.replace('ERR_CLIENT_CERT_', '')
      response.end(JSON.stringify(says))
    })
  }

  static async behind(name: ProxyName, edits: readonly Edit[] = [], headers = proxies[name].headers): Promise<Setup> {
    return Setup.of(name, edits, { preset: name, from: proxyAddress('127.0.0.1'), ...(headers && { headers }) })
  }

  /** A program, and how the application takes what comes from it. */
  static async of(name: ProgramName, edits: readonly Edit[], forwarded: ForwardedHeaderOptions): Promise<Setup> {
    const denyList: RevocationChecker = {
      name: 'deny list',
      check: ({ certificates }) => {
        const depth = certificates.findIndex(({ fingerprint }) => fingerprint === denied)
        return depth < 0 ? { status: 'good' } : { status: 'revoked', depth }
      },
    }
    const lines: string[] = []
    const authenticator = createAuthenticator({
      trust: pki.trust,
      // nginx and Caddy forward the end entity only, and resumed sessions everywhere do.
      intermediates: pki.intermediate.certificate.pem,
      revocation: denyList,
      source: forwardedHeader(forwarded),
      log: (line) => lines.push(line),
    })
    const setup = new Setup(authenticator, lines)
    setup.#server.listen(0, '127.0.0.1')
    await once(setup.#server, 'listening')
    try {
      setup.#proxy = await startProxy(name, pki, (setup.#server.address() as AddressInfo).port, edits)
    } catch (error) {
      await setup.close()
      throw error
    }
    return setup
  }

  #address(port = this.#proxy?.port ?? 0) {
    return { host: '127.0.0.1', port, servername: 'localhost', ca: pki.trust }
  }

  async close(): Promise<void> {
    await this.#proxy?.stop()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  /** What the application says of a client over HTTP/1.1. */
  async ask({ client, fields = [], tlsOptions, method = 'GET', path = '/', port }: Question = {}): Promise<Outcome> {
    this.seen = undefined
    const request = https.request({
      ...this.#address(port),
      agent: false,
      method,
      path,
      ...client?.tls,
      ...tlsOptions,
      headers: ['Host', 'localhost', ...fields],
    })
    try {
      request.end()
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      this.resumed = (response.socket as tls.TLSSocket).isSessionReused()
      return answerOf(response.statusCode, (await response.setEncoding('utf8').toArray()).join(''))
    } catch {
      return alert
    }
  }

  /** The answer to a GET with these octets among its header lines. */
  async askRaw(lines: string, client: TestCredential | undefined): Promise<string> {
    const socket = tls.connect({ ...this.#address(), ...client?.tls })
    const closed = new Promise((resolve) => socket.on('close', resolve).on('error', resolve))
    socket.setTimeout(2_000, () => socket.destroy())
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk
      // Apache's configuration takes Connection away, and keeps the connection.
      if (/\r\n\r\n./s.test(text)) socket.end()
    })
    socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${lines}Connection: close\r\n\r\n`, 'latin1')
    await closed
    return text
  }

  /** The same over HTTP/2. */
  async askHttp2({ client, fields = [] }: Question = {}): Promise<Outcome> {
    this.seen = undefined
    const session = http2.connect('https://localhost', {
      createConnection: () => tls.connect({ ...this.#address(), ALPNProtocols: ['h2'], ...client?.tls }),
    })
    session.on('error', () => {})
    const headers: Record<string, string | string[]> = { ':path': '/' }
    for (let i = 0; i < fields.length; i += 2) {
      const [name, value] = [(fields[i] as string).toLowerCase(), fields[i + 1] as string]
      headers[name] = headers[name] === undefined ? value : [headers[name], value].flat()
    }
    try {
      const stream = session.request(headers)
      const [{ ':status': status }] = (await once(stream, 'response')) as [
        http2.IncomingHttpHeaders & { ':status': number },
      ]
      return answerOf(status, (await stream.setEncoding('utf8').toArray()).join(''))
    } catch {
      return alert
    } finally {
      session.destroy()
    }
  }

  /** A TLS session that another connection can resume; undefined where the proxy gives none. */
  async sessionOf(
    client: TestCredential | undefined,
    versions: tls.ConnectionOptions,
    port?: number,
  ): Promise<Buffer | undefined> {
    const socket = tls.connect({ ...this.#address(port), ...client?.tls, ...versions })
    let session: Buffer | undefined
    socket.on('session', (latest) => {
      session = latest
    })
    const closed = new Promise((resolve) => socket.on('close', resolve).on('error', resolve))
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    // Sessions of TLS 1.3 come with or after the first answer.
    socket.once('data', () => setTimeout(() => socket.destroy(), 50))
    await closed
    return session
  }
}

const answerOf = (status: number | undefined, body: string): Outcome => {
  if (status !== 200) return `status ${status}`
  return JSON.parse(body)
}

/** What the product writes for a client: forged by whoever has seen the certificate, which is public. */
const forged = (name: ProxyName, { certificate }: TestCredential): string => {
  const base64 = Buffer.from(certificate.der).toString('base64')
  if (name === 'nginx') return encodeURIComponent(certificate.pem)
  return name === 'apache' ? certificate.pem.trimEnd().replaceAll('\n', ' ') : base64
}

const describeInstalled = (name: ProxyName) => (programOf(name) === undefined ? describe.skip : describe)
const titleOf = (name: ProxyName) => (programOf(name) === undefined ? `${name}, which is not installed here` : name)

for (const name of proxyNames) {
  const { header } = proxies[name]
  describeInstalled(name)(`behind ${titleOf(name)}`, () => {
    let setup: Setup
    beforeAll(async () => {
      setup = await Setup.behind(name)
    })
    afterAll(async () => {
      await setup?.close()
    })

    test.each(clients)('H-10: a client with a certificate: %s', async (_, make, outcome) => {
      const expected = typeof outcome === 'string' ? outcome : outcome[name]
      const client = await make()
      expect(await setup.ask({ client })).toBe(expected)
      if (expected !== alert) expect(await setup.askHttp2({ client })).toBe(expected)
    })

    describe.each(copies)('H-05, H-07, H-08: a client that sends the header itself, %s', (_, fields, passedOnBy) => {
      const own = passedOnBy.includes(name)
      const spoof = () => fields(header, forged(name, alice))

      test('is nobody without a certificate', async () => {
        expect(await setup.ask({ fields: spoof() })).toBe(own ? ambiguous : 'ABSENT')
      })
      test('is who its own certificate says', async () => {
        expect(await setup.ask({ client: bob, fields: spoof() })).toBe(own ? ambiguous : 'bob')
      })
      test('is refused where its own certificate is', async () => {
        expect(await setup.ask({ client: mallory, fields: spoof() })).toBe(own ? ambiguous : 'UNKNOWN_ISSUER')
      })
      test('over HTTP/2, is never anybody else', async () => {
        const h2 = spoof().filter((text, i, all) => text !== 'Connection' && all[i - 1] !== 'Connection')
        expect(['ABSENT', ambiguous, 'status 400', alert]).toContain(await setup.askHttp2({ fields: h2 }))
        expect(['bob', ambiguous, 'status 400', alert]).toContain(await setup.askHttp2({ client: bob, fields: h2 }))
      })
    })

    test.each(distortions)('a copy of the header that is written wrong makes nobody alice: %s', async (_, write) => {
      const value = forged(name, alice)
      for (const client of [undefined, bob]) {
        const answer = await setup.askRaw(write(header, value), client)
        expect(answer).toMatch(/^HTTP\/1\.1 4\d\d |"ABSENT"|"bob"|"HEADER_AMBIGUOUS"|^$/)
        expect(answer).not.toContain('"alice"')
      }
    })

    test('what else it claims to have come from a proxy, of this one or another, changes nothing', async () => {
      const fields = [
        ...['Client-Cert', `:${forged('haproxy', alice)}:`, 'Client-Cert-Chain', `:${forged('haproxy', alice)}:`],
        ...['X-SSL-Client-Verify', 'SUCCESS', 'X-SSL-Client-S-DN', 'CN=alice,O=Acme'],
        ...['X-Forwarded-Client-Cert', `Cert="${forged('nginx', alice)}"`, 'X-Forwarded-For', '127.0.0.1'],
      ]
      expect(await setup.ask({ fields })).toBe('ABSENT')
      expect(await setup.ask({ client: bob, fields })).toBe('bob')
      expect(await setup.ask({ client: mallory, fields })).toBe('UNKNOWN_ISSUER')
    })

    test('a refused request has kept its method and path', async () => {
      const expired = await expiredClient()
      const outcome = await setup.ask({ client: expired, method: 'DELETE', path: '/catalog/7?really=1' })
      expect(outcome).toBe(name === 'apache' ? alert : 'EXPIRED')
      if (outcome !== alert) expect([setup.seen?.method, setup.seen?.url]).toEqual(['DELETE', '/catalog/7?really=1'])
    })

    test('H-06: a client cannot make the header vanish, and itself somebody else, by listing it in Connection', async () => {
      const outcome = await setup.ask({ client: alice, fields: ['Connection', `close, ${header}`] })
      expect(outcome).toBe(name === 'haproxy' ? ambiguous : 'alice')
    })

    test('H-16: clients share the proxy’s connections to the application, and no identity', async () => {
      const connections = new Set<number | undefined>()
      const asked: [TestCredential | undefined, Outcome][] = [
        [alice, 'alice'],
        [bob, 'bob'],
        [undefined, 'ABSENT'],
        [mallory, 'UNKNOWN_ISSUER'],
        [alice, 'alice'],
      ]
      for (const [client, expected] of asked) {
        expect(await setup.ask({ client })).toBe(expected)
        connections.add(setup.seen?.socket.remotePort)
      }
      // HAProxy gives the first request of each client a connection of its own, unless it is told otherwise.
      if (name !== 'haproxy') expect(connections.size).toBeLessThan(asked.length)
    })

    describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('a resumed %s session', (version) => {
      const versions = { minVersion: version, maxVersion: version }

      test.each<[string, () => TestCredential | undefined, Outcome]>([
        ['is who it was, although the client shows no certificate again', () => alice, 'alice'],
        ['of somebody refused is refused', () => mallory, 'UNKNOWN_ISSUER'],
        ['of somebody revoked is refused', () => revoked, 'REVOKED'],
        ['of nobody stays nobody', () => undefined, 'ABSENT'],
      ])('%s', async (_, client, expected) => {
        const session = await setup.sessionOf(client(), versions)
        const fields = client() === undefined ? [header, forged(name, alice)] : []
        const outcome = await setup.ask({ tlsOptions: { ...versions, ...(session && { session }) }, fields })
        // Apache's and HAProxy's configurations resume nothing: there the client has simply shown no certificate.
        const resumes = name === 'nginx' || name === 'caddy'
        expect([outcome, setup.resumed]).toEqual([resumes ? expected : 'ABSENT', resumes])
      })
    })
  })
}

/** One thing changed in a configuration that is safe as it stands: what that line is there for. */
describe('what the lines of the configurations are there for', () => {
  let setup: Setup | undefined
  afterEach(async () => {
    await setup?.close()
    setup = undefined
  })

  interface Twin {
    name: string
    proxy: ProxyName
    edits: readonly Edit[]
    client?: () => TestCredential | undefined
    fields: (header: string, value: string) => readonly string[]
    outcome: Outcome
  }
  const plain = (header: string, value: string) => [header, value]
  const underscored = (header: string, value: string) => [header.replaceAll('-', '_'), value]
  const inConnection = (header: string) => ['Connection', `close, ${header}`]

  const twins: readonly Twin[] = [
    {
      name: 'nginx, nothing set: anybody is anybody',
      proxy: 'nginx',
      edits: [['proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;', '']],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'nginx, a proxy_set_header in the location drops those of the server: anybody is anybody',
      proxy: 'nginx',
      edits: [['location / {', 'location / { proxy_set_header X-Real-Ip $remote_addr;']],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'nginx, underscores_in_headers on: the twin comes beside, and is refused',
      proxy: 'nginx',
      edits: [['access_log off;', 'access_log off; underscores_in_headers on;']],
      client: () => bob,
      fields: underscored,
      outcome: ambiguous,
    },
    {
      name: 'HAProxy without del-header: the twin comes beside, and is refused',
      proxy: 'haproxy',
      edits: [['http-request del-header ^x[-_.]ssl[-_.]client -m reg', '']],
      client: () => bob,
      fields: underscored,
      outcome: ambiguous,
    },
    {
      name: 'HAProxy, set on a condition and never deleted: anybody without a certificate is anybody',
      proxy: 'haproxy',
      edits: [['http-request del-header ^x[-_.]ssl[-_.]client -m reg', '']],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'HAProxy, add-header: the client’s copy and ours are two, and refused',
      proxy: 'haproxy',
      edits: [
        ['http-request del-header ^x[-_.]ssl[-_.]client -m reg', ''],
        ['set-header X-SSL-Client-Cert', 'add-header X-SSL-Client-Cert'],
      ],
      client: () => bob,
      fields: plain,
      outcome: ambiguous,
    },
    {
      name: 'Apache without "unset Connection": a client makes its own header vanish, the chain is left, and refused',
      proxy: 'apache',
      edits: [['RequestHeader unset Connection', '']],
      client: () => bob,
      fields: inConnection,
      outcome: 'HEADER_MALFORMED',
    },
    {
      name: 'Apache, set on a condition and never unset: anybody without a certificate is anybody',
      proxy: 'apache',
      edits: [
        [
          'RequestHeader set X-SSL-Client-Cert "%{SSL_CLIENT_CERT}s"',
          `RequestHeader set X-SSL-Client-Cert "%{SSL_CLIENT_CERT}s" "expr=%{SSL_CLIENT_VERIFY} == 'SUCCESS'"`,
        ],
      ],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'Apache, nothing set: anybody is anybody',
      proxy: 'apache',
      edits: [['RequestHeader set X-SSL-Client-Cert "%{SSL_CLIENT_CERT}s"', '']],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'HAProxy, nothing set: anybody is anybody',
      proxy: 'haproxy',
      edits: [
        ['http-request del-header ^x[-_.]ssl[-_.]client -m reg', ''],
        ['http-request set-header X-SSL-Client-Cert %[ssl_c_der,base64] if { ssl_c_used }', ''],
      ],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'Apache without unsetting the underscore twin: it comes beside, and is refused',
      proxy: 'apache',
      edits: [['RequestHeader unset X_SSL_Client_Cert', '']],
      client: () => bob,
      fields: underscored,
      outcome: ambiguous,
    },
    {
      name: 'Caddy, request_header: a client makes its own header vanish, and is nobody',
      proxy: 'caddy',
      edits: [
        ['header_up X-Client-Cert {http.request.tls.client.certificate_der_base64}', ''],
        [
          'reverse_proxy 127',
          'request_header X-Client-Cert {http.request.tls.client.certificate_der_base64}\n\treverse_proxy 127',
        ],
      ],
      client: () => bob,
      fields: inConnection,
      outcome: 'ABSENT',
    },
    {
      name: 'Caddy, nothing set: anybody is anybody',
      proxy: 'caddy',
      edits: [['header_up X-Client-Cert {http.request.tls.client.certificate_der_base64}', '']],
      fields: plain,
      outcome: 'alice',
    },
    {
      name: 'Caddy without removing the underscore twin: it comes beside, and is refused',
      proxy: 'caddy',
      edits: [['header_up -X_Client_Cert', '']],
      client: () => bob,
      fields: underscored,
      outcome: ambiguous,
    },
  ]

  for (const { name, proxy, edits, client, fields, outcome } of twins) {
    const run = programOf(proxy) === undefined ? test.skip : test
    run(name, async () => {
      setup = await Setup.behind(proxy, edits)
      const question = { client: client?.(), fields: fields(proxies[proxy].header, forged(proxy, alice)) }
      expect(await setup.ask(question)).toBe(outcome)
    })
  }
})

describe('HAProxy with the lines of OpenShift’s router', () => {
  let setup: Setup | undefined
  afterEach(async () => {
    await setup?.close()
    setup = undefined
  })
  const run = programOf('haproxy') === undefined ? test.skip : test
  // images/router/haproxy/conf/haproxy-config.template; haproxy-ingress has the same line with X-SSL-Client-Cert.
  const edits: Edit[] = [
    [
      'http-request set-header X-SSL-Client-Cert %[ssl_c_der,base64] if { ssl_c_used }',
      'http-request set-header X-SSL-Client-DER %{+Q}[ssl_c_der,base64]\nhttp-request set-header X-SSL-Client-Verify %[ssl_c_verify]',
    ],
  ]
  const forwarded: ForwardedHeaderOptions = {
    preset: 'openshift',
    from: proxyAddress('127.0.0.1'),
    headers: { status: 'X-SSL-Client-Verify' },
  }

  run('{+Q} puts nothing in quotes, and a client is who its certificate says', async () => {
    setup = await Setup.of('haproxy', edits, forwarded)
    expect(await setup.ask({ client: bob })).toBe('bob')
    expect(setup.seen?.headers['x-ssl-client-der']).toBe(Buffer.from(bob.certificate.der).toString('base64'))
    expect(await setup.ask({ client: mallory })).toBe('PROXY_REFUSED')
  })

  run('a client without a certificate comes with an empty value and the verdict 0, and that is nobody', async () => {
    setup = await Setup.of('haproxy', edits, forwarded)
    expect(await setup.ask()).toBe('HEADER_MALFORMED')
    expect([setup.seen?.headers['x-ssl-client-der'], setup.seen?.headers['x-ssl-client-verify']]).toEqual(['', '0'])
    await setup.close()
    setup = await Setup.of('haproxy', edits, { ...forwarded, headers: {} })
    expect(await setup.ask()).toBe('ABSENT')
  })
})

/** What the programs do that a verdict of theirs, or a missing one, must not hide. */
describe('verdicts', () => {
  let setup: Setup | undefined
  afterEach(async () => {
    await setup?.close()
    setup = undefined
  })
  const status = 'X-SSL-Client-Verify'
  const installed = (name: ProgramName) => (programOf(name) === undefined ? test.skip : test)
  const tls12: tls.ConnectionOptions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }
  const atCertificate = {
    apache: 'RequestHeader set X-SSL-Client-Cert "%{SSL_CLIENT_CERT}s"',
    haproxy: 'http-request set-header X-SSL-Client-Cert %[ssl_c_der,base64] if { ssl_c_used }',
    nginx: 'proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;',
  }
  const also = (name: keyof typeof atCertificate, line: string): Edit => [
    atCertificate[name],
    `${atCertificate[name]}\n${line}`,
  ]

  installed('apache')(
    'Apache turns GENEROUS into SUCCESS on a resumed session: the verdict admits nobody',
    async () => {
      const edits: Edit[] = [
        also('apache', `RequestHeader set ${status} "%{SSL_CLIENT_VERIFY}s"`),
        ['SSLSessionCache none', ''],
        ['SSLSessionTickets off', ''],
        ['RequestHeader unset Connection\n', '\n'],
      ]
      setup = await Setup.behind('apache', edits, { ...proxies.apache.headers, status })
      expect(await setup.ask({ client: mallory, tlsOptions: tls12 })).toBe('PROXY_REFUSED')
      expect(setup.seen?.headers['x-ssl-client-verify']).toBe('GENEROUS')
      const session = await setup.sessionOf(mallory, tls12)
      expect(await setup.ask({ tlsOptions: { ...tls12, ...(session && { session }) } })).toBe('UNKNOWN_ISSUER')
      expect([setup.resumed, setup.seen?.headers['x-ssl-client-verify']]).toEqual([true, 'SUCCESS'])
    },
  )

  installed('apache')('Apache: a client cannot make the verdict vanish, and with it the veto', async () => {
    const edits: Edit[] = [
      also('apache', `RequestHeader set ${status} "%{SSL_CLIENT_VERIFY}s"`),
      ['RequestHeader unset Connection\n', '\n'],
    ]
    setup = await Setup.behind('apache', edits, { ...proxies.apache.headers, status })
    const outcome = await setup.ask({ client: mallory, fields: ['Connection', `close, ${status}`] })
    expect([outcome, setup.seen?.headers['x-ssl-client-verify']]).toEqual(['PROXY_REFUSED', undefined])
  })

  installed('nginx')('nginx: SUCCESS does not refuse, FAILED does, NONE is nobody', async () => {
    const edits: Edit[] = [
      also('nginx', `proxy_set_header ${status} $ssl_client_verify;`),
      [
        'ssl_verify_client optional_no_ca;',
        'ssl_verify_client optional_no_ca; ssl_client_certificate clients-ca.pem; ssl_verify_depth 4;',
      ],
    ]
    setup = await Setup.behind('nginx', edits, { status })
    expect(await setup.ask({ client: alice })).toBe('alice')
    expect(await setup.ask({ client: mallory })).toBe('PROXY_REFUSED')
    expect(setup.seen?.headers['x-ssl-client-verify']).toMatch(/^FAILED:/)
    expect(await setup.ask()).toBe('ABSENT')
    expect(setup.seen?.headers['x-ssl-client-verify']).toBe('NONE')
    expect(await setup.ask({ client: bob, fields: [status, 'SUCCESS'] })).toBe('bob')
    expect(await setup.ask({ client: mallory, fields: [status, 'SUCCESS'] })).toBe('PROXY_REFUSED')
  })

  installed('haproxy')('HAProxy says 0 where there is no certificate at all: that is no verdict', async () => {
    const unconditional = [also('haproxy', `http-request set-header ${status} %[ssl_c_verify]`)]
    setup = await Setup.behind('haproxy', unconditional, { ...proxies.haproxy.headers, status })
    expect(await setup.ask()).toBe('HEADER_MALFORMED')
    expect(setup.seen?.headers['x-ssl-client-verify']).toBe('0')
    expect(await setup.ask({ client: alice })).toBe('alice')
    expect(await setup.ask({ client: mallory })).toBe('PROXY_REFUSED')
    await setup.close()
    const conditional = [also('haproxy', `http-request set-header ${status} %[ssl_c_verify] if { ssl_c_used }`)]
    setup = await Setup.behind('haproxy', conditional, { ...proxies.haproxy.headers, status })
    expect(await setup.ask()).toBe('ABSENT')
  })

  installed('haproxy')(
    'HAProxy blanks a certificate over its buffer, and says 0: refused, never taken for nobody',
    async () => {
      const edits: Edit[] = [
        also('haproxy', `http-request set-header ${status} %[ssl_c_verify] if { ssl_c_used }`),
        ['tune.bufsize 65536', ''],
      ]
      setup = await Setup.behind('haproxy', edits, { ...proxies.haproxy.headers, status })
      const large = await pki.issue({ names: manyNames(400) })
      expect(await setup.ask({ client: large })).toBe('HEADER_MALFORMED')
      expect(setup.seen?.headers).toMatchObject({ 'x-ssl-client-cert': '', 'x-ssl-client-verify': '0' })
      expect(setup.lines.at(-1)).toBe(
        "mtls-identity ERR_CLIENT_CERT_HEADER_MALFORMED: x-ssl-client-cert: preset 'haproxy' is empty where x-ssl-client-verify says 0 — a certificate over HAProxy's 16 KiB is blanked: tune.bufsize 65536; or the verdict is set without { ssl_c_used }",
      )
      expect(await setup.ask({ client: alice })).toBe('alice')
    },
  )

  installed('caddy')('Caddy passes on more fields than Node 20 keeps: what may be incomplete is not read', async () => {
    setup = await Setup.behind('caddy')
    const flood = Array.from({ length: 1_100 }, (_, i) => [`A-${i}`, 'x']).flat()
    expect(['HEADER_AMBIGUOUS', 'status 431']).toContain(await setup.ask({ client: alice, fields: flood }))
  })
})

/** Verdicts of a socket or a host that verifies, about sessions that were made where nobody did. */
describe('sessions that cross over within one proxy', () => {
  let setup: Setup | undefined
  afterEach(async () => {
    await setup?.close()
    setup = undefined
  })
  const installed = (name: ProgramName) => (programOf(name) === undefined ? test.skip : test)
  const tls12: tls.ConnectionOptions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }
  const status = 'X-SSL-Client-Verify'

  /** What becomes of a client at `second`, which demands a certificate, whose session was made at the first port, which does not. */
  async function crossing(client: TestCredential | undefined, second: number, versions = tls12): Promise<Outcome> {
    const session = await setup?.sessionOf(client, versions)
    return (await setup?.ask({ port: second, tlsOptions: { ...versions, ...(session && { session }) } })) ?? alert
  }

  installed('haproxy')(
    'HAProxy resumes sessions of one bind at another that requires what the first did not: nobody becomes somebody',
    async () => {
      const port = await freePort()
      const certificates = 'ssl crt server.pem ca-file clients-ca.pem'
      const edits: Edit[] = [
        ['tune.ssl.cachesize 0', ''],
        [
          '  default_backend app',
          `  bind 127.0.0.1:${port} ${certificates} verify required no-tls-tickets\n  default_backend app`,
        ],
        [
          'http-request set-header X-SSL-Client-Cert %[ssl_c_der,base64] if { ssl_c_used }',
          `http-request set-header X-SSL-Client-Cert %[ssl_c_der,base64]\n  http-request set-header ${status} %[ssl_c_verify]`,
        ],
      ]
      setup = await Setup.behind('haproxy', edits, { ...proxies.haproxy.headers, status })
      for (const client of [undefined, mallory]) expect(await setup.ask({ client, port })).toBe(alert)
      expect(await setup.ask({ client: alice, port })).toBe('alice')
      // HAProxy says "0", which is what it says of who is verified.
      expect(await crossing(undefined, port)).toBe('HEADER_MALFORMED')
      expect([setup.resumed, setup.seen?.headers[status.toLowerCase()]]).toEqual([true, '0'])
      expect(await crossing(mallory, port)).toBe('PROXY_REFUSED')
      expect(setup.resumed).toBe(true)
      expect(await crossing(revoked, port)).toBe('REVOKED')
      expect(await crossing(alice, port)).toBe('alice')
    },
  )

  installed('nginx')(
    'nginx resumes a session of a host without a CRL at one with it, and says SUCCESS: revoked is what we say',
    async () => {
      const port = await freePort()
      const [crl, root] = await Promise.all([
        pki.intermediate.crl({ revoked: [{ serialNumber: revoked }] }),
        pki.root.crl(),
      ])
      const verifying =
        'ssl_client_certificate clients-ca.pem; ssl_verify_depth 4; ssl_session_cache shared:S:1m; ssl_session_tickets off;'
      const forwarding = `proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert; proxy_set_header ${status} $ssl_client_verify;`
      const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-crl-'))
      try {
        writeFileSync(join(folder, 'crl.pem'), crl.pem + root.pem)
        const edits: Edit[] = [
          ['ssl_verify_client optional_no_ca;', `ssl_verify_client on; ${verifying}`],
          ['proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;', forwarding],
          [
            '  upstream app {',
            `  server {
    listen 127.0.0.1:${port} ssl; ssl_certificate server.crt; ssl_certificate_key server.key; ssl_protocols TLSv1.2;
    ssl_verify_client on; ${verifying} ssl_crl ${folder}/crl.pem; ${forwarding}
    location / { proxy_pass http://app; }
  }
  upstream app {`,
          ],
        ]
        setup = await Setup.behind('nginx', edits, { status })
        expect(await setup.ask({ client: alice, port, tlsOptions: tls12 })).toBe('alice')
        expect(await setup.ask({ client: revoked, port, tlsOptions: tls12 })).toBe('status 400')
        expect(await crossing(revoked, port)).toBe('REVOKED')
        expect([setup.resumed, setup.seen?.headers[status.toLowerCase()]]).toEqual([true, 'SUCCESS'])
        expect(await crossing(alice, port)).toBe('alice')
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )

  describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('lighttpd, %s', (version) => {
    const versions = { minVersion: version, maxVersion: version }
    installed('lighttpd')(
      'a socket that enforces certificates resumes the session of one that does not: nobody becomes somebody',
      async () => {
        const port = await freePort()
        const forwarded = { preset: 'apache', from: proxyAddress('127.0.0.1'), headers: { status } } as const
        setup = await Setup.of('lighttpd', [['"127.0.0.1:8444"', `"127.0.0.1:${port}"`]], forwarded)
        const enforced = (client?: TestCredential) => setup?.ask({ client, port, tlsOptions: versions })
        expect(await enforced(alice)).toBe('alice')
        expect(await enforced(mallory)).toBe(alert)
        expect(await crossing(mallory, port, versions)).toBe('PROXY_REFUSED')
        expect([setup.resumed, setup.seen?.headers[status.toLowerCase()]]).toEqual([
          true,
          expect.stringMatching(/^FAILED/),
        ])
        expect(setup.seen?.headers['x-ssl-client-cert']).toBeUndefined()
        expect(await crossing(alice, port, versions)).toBe('alice')
      },
    )
  })
})

/** nghttpx verifies clients and cannot say who they are: a header that comes from it is its client's. */
describe('behind nghttpx', () => {
  const behind = programOf('nghttpx') === undefined ? test.skip : test
  const address = '127.0.0.1'
  let setup: Setup | undefined
  afterEach(async () => {
    await setup?.close()
    setup = undefined
  })
  const of = (from: string) => Setup.of('nghttpx', [], { preset: 'nginx', from: proxyAddress(from) })
  const { header } = proxies.nginx

  behind('a client is nobody: nothing is forwarded', async () => {
    setup = await of(address)
    expect(await setup.ask({ client: bob })).toBe('ABSENT')
    expect(await setup.askHttp2({ client: bob })).toBe('ABSENT')
    expect(await setup.ask({ client: mallory })).toBe(alert)
  })

  behind('a client’s own copy passes, whoever it is: where it is believed, anybody is anybody', async () => {
    setup = await of(address)
    const fields = [header, forged('nginx', alice)]
    expect(await setup.ask({ client: bob, fields })).toBe('alice')
    expect(await setup.askHttp2({ client: bob, fields })).toBe('alice')
  })

  behind('so nothing is believed that comes from it: the copy is refused, and never decoded', async () => {
    setup = await of('203.0.113.1')
    expect(await setup.ask({ client: bob, fields: [header, forged('nginx', alice)] })).toBe('UNTRUSTED_PROXY')
    expect(await setup.ask({ client: bob })).toBe('ABSENT')
  })

  behind.each<[string, (value: string) => string[], Outcome]>([
    ['with underscores', (value) => [header.replaceAll('-', '_'), value], ambiguous],
    ['with dots', (value) => [header.replaceAll('-', '.'), value], ambiguous],
    ['twice', (value) => [header, value, header, value], ambiguous],
    ['listed in Connection', (value) => [header, value, 'Connection', `close, ${header}`], 'alice'],
  ])('a copy %s', async (_, fields, outcome) => {
    setup = await of(address)
    expect(await setup.ask({ client: bob, fields: fields(forged('nginx', alice)) })).toBe(outcome)
  })

  behind('a space before the colon it passes on, and Node refuses; 64 KB it refuses itself', async () => {
    setup = await of(address)
    const value = forged('nginx', alice)
    expect(await setup.askRaw(`${header} : ${value}\r\n`, bob)).toMatch(/^HTTP\/1\.1 400 /)
    expect(setup.seen).toBeUndefined()
    expect(await setup.askRaw(`${header}: ${value.repeat(Math.ceil(65_536 / value.length))}\r\n`, bob)).toMatch(
      /^HTTP\/1\.1 431 /,
    )
    expect(await setup.askRaw(`${header}: ${value}\r\n`, bob)).toContain('"alice"')
  })
})
