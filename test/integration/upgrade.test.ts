/** C-04: connections that reach a handler without any middleware: 'upgrade', CONNECT, bare TLS. */
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import tls, { type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Authenticator,
  createAuthenticator,
  type Decision,
  forwardedHeader,
  proxyAddress,
  tlsServerOptions,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { get, handshake, json } from '../support/clients.js'
import { afterThisTest, bare, listen, serveHttps, serverTls } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
  stranger = await (await createTestPki({ name: 'Other' })).issue()
})

const make = (options = {}) => {
  const lines: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: (line) => lines.push(line),
    ...options,
  })
  return { auth, lines }
}

const word = (decision: Decision) =>
  decision.outcome === 'accepted'
    ? `${decision.identity.subject.get('CN')}`
    : `${decision.error.status} ${decision.error.code}`

/** An https server that upgrades to a protocol which says who one is, and repeats it when asked. */
async function serveUpgrade(
  auth: Authenticator,
  authenticate: (request: IncomingMessage, socket: TLSSocket) => Promise<Decision>,
) {
  const server = https.createServer(tlsServerOptions(auth, await serverTls), bare(auth) as never)
  server.on('upgrade', async (request, socket) => {
    const decision = await authenticate(request, socket as TLSSocket)
    if (decision.outcome !== 'accepted') {
      const { status, headers } = decision.error
      const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.end(`HTTP/1.1 ${status} Refused\r\n${fields.join('')}Connection: close\r\n\r\n`)
      return
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: who\r\n\r\n${word(decision)}\n`)
    socket.on('data', async () => socket.write(`${word(await auth.authenticateSocket(socket as TLSSocket))}\n`))
  })
  return listen(server)
}

/** Upgrades; `text` is all that came so far, `again` asks and waits for one more line. */
async function upgrade(port: number, client?: TestCredential) {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    servername: 'localhost',
    ...client?.tls,
  })
  afterThisTest(() => socket.destroy())
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: who\r\n\r\n')
  const next = () =>
    new Promise<string>((resolve, reject) => {
      socket.once('data', (data) => resolve(String(data))).once('error', reject)
    })
  let text = ''
  while (!text.includes('\r\n\r\n')) text += await next()
  return {
    text,
    again: () => {
      socket.write('again')
      return next()
    },
  }
}

describe('an upgrade', () => {
  for (const [how, authenticate] of [
    [
      'authenticateSocket(socket)',
      (auth: Authenticator) => (_: IncomingMessage, socket: TLSSocket) => auth.authenticateSocket(socket),
    ],
    ['authenticate(request)', (auth: Authenticator) => (request: IncomingMessage) => auth.authenticate(request)],
  ] as const) {
    test(`C-04 by ${how}: the client’s own name; 401 and 403 for the others, with the challenge`, async () => {
      const { auth } = make()
      const port = await serveUpgrade(auth, authenticate(auth))
      const [own, none, wrong] = [await upgrade(port, alice), await upgrade(port), await upgrade(port, stranger)]
      expect(own.text).toMatch(/^HTTP\/1\.1 101 [\s\S]+\r\n\r\nalice\n$/)
      expect(none.text).toMatch(/^HTTP\/1\.1 401 [\s\S]*WWW-Authenticate: ClientCertificate\r\n/)
      expect(wrong.text).toMatch(/^HTTP\/1\.1 403 /)
    })
  }

  test('S-06: a connection that was upgraded is refused when it is asked about after the certificate’s end', async () => {
    let now = Date.now()
    const { auth } = make({ now: () => now })
    const port = await serveUpgrade(auth, (_, socket) => auth.authenticateSocket(socket))
    const connection = await upgrade(port, alice)
    expect(connection.text).toContain('alice')
    expect(await connection.again()).toBe('alice\n')
    now += 25 * 3_600_000
    expect(await connection.again()).toBe('403 ERR_CLIENT_CERT_EXPIRED\n')
  })
})

describe('a bare TLS server', () => {
  /** Says who one is, over and over: once for every line it gets. */
  async function serve(auth: Authenticator, options: tls.TlsOptions = {}) {
    const server = tls.createServer({ ...tlsServerOptions(auth, await serverTls), ...options }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', async () => socket.write(`${word(await auth.authenticateSocket(socket))}\n`))
    })
    return listen(server)
  }

  async function ask(
    port: number,
    {
      client,
      session,
      version = 'TLSv1.3',
    }: { client?: TestCredential; session?: Buffer; version?: tls.SecureVersion } = {},
  ) {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      ...client?.tls,
      ...(session === undefined ? {} : { session }),
      minVersion: version,
      maxVersion: version,
    })
    afterThisTest(() => socket.destroy())
    let ticket: Buffer | undefined
    socket.on('session', (each) => {
      ticket = each
    })
    const next = () =>
      new Promise<string>((resolve, reject) => {
        socket.once('data', (data) => resolve(String(data).trim())).once('error', reject)
        socket.write('who')
      })
    return { next, ticket: () => ticket, reused: () => socket.isSessionReused() }
  }

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${version}: names its client, and refuses the others`, async () => {
      const { auth, lines } = make()
      const port = await serve(auth)
      expect(await (await ask(port, { client: alice, version })).next()).toBe('alice')
      expect(await (await ask(port, { client: stranger, version })).next()).toBe('403 ERR_CLIENT_CERT_UNKNOWN_ISSUER')
      expect(await (await ask(port, { version })).next()).toBe('401 ERR_CLIENT_CERT_ABSENT')
      expect(lines[1]).toBe(
        `mtls-identity ERR_CLIENT_CERT_ABSENT: the client (${version}) sent no certificate — give it one, and set requestCert on the server`,
      )
    })

    test(`S-02 ${version}: refuses after the certificate’s end on the open connection and on a resumed one`, async () => {
      let now = Date.now()
      const { auth } = make({ now: () => now })
      const port = await serve(auth)
      const open = await ask(port, { client: alice, version })
      expect(await open.next()).toBe('alice')
      now += 25 * 3_600_000
      expect(await open.next()).toBe('403 ERR_CLIENT_CERT_EXPIRED')
      const resumed = await ask(port, { client: alice, version, session: open.ticket() as Buffer })
      expect(await resumed.next()).toBe('403 ERR_CLIENT_CERT_EXPIRED')
      expect(resumed.reused()).toBe(true)
    })

    test(`S-01 ${version}: a resumed session without a certificate is absent`, async () => {
      const { auth } = make()
      const port = await serve(auth)
      const first = await ask(port, { version })
      expect(await first.next()).toBe('401 ERR_CLIENT_CERT_ABSENT')
      const second = await ask(port, { version, session: first.ticket() as Buffer })
      expect(await second.next()).toBe('401 ERR_CLIENT_CERT_ABSENT')
      expect(second.reused()).toBe(true)
    })
  }

  test('a socket of a server that knows certificates by header only has none', async () => {
    const source = forwardedHeader({ preset: 'rfc9440', from: proxyAddress('127.0.0.1') })
    const { auth } = make({ source })
    expect(await (await ask(await serve(auth), { client: alice })).next()).toBe('401 ERR_CLIENT_CERT_ABSENT')
  })
})

test('requests and sockets of one connection are one authentication', async () => {
  const remembered: boolean[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    onDecision: (_, context) => remembered.push(context.remembered),
  })
  const listener = (async (request: IncomingMessage, response: { end(text: string): void }) => {
    const [first, second] = [
      await auth.authenticateSocket(request.socket as TLSSocket),
      await auth.authenticate(request),
    ]
    response.end(JSON.stringify([word(first), word(second)]))
  }) as never
  expect(json(await get(await serveHttps(auth, listener), alice))).toEqual(['alice', 'alice'])
  expect(remembered).toEqual([false, true])
  expect((await handshake(await serveHttps(auth, listener), { client: alice })).answer.status).toBe(200)
})
