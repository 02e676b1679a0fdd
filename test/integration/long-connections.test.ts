/** S-06: long responses and upgrades under guardConnection(), over real sockets, of HTTP/1.1 and HTTP/2, by TLS and behind a proxy. */
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import { beforeAll, expect, test } from '@jest/globals'
import {
  type AuthenticatorOptions,
  createAuthenticator,
  forwardedHeader,
  proxyAddress,
  TrustStore,
  tlsServerOptions,
} from '../../src/index.js'
import { guardConnection } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { connectHttp2 } from '../support/clients.js'
import { afterThisTest, listen, serverTls } from '../support/servers.js'

let pki: TestPki
let other: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  other = await createTestPki({ name: 'Other' })
  alice = await pki.issue()
})

function make(options: Partial<AuthenticatorOptions> = {}) {
  let content = pki.trust
  const store = TrustStore.assemble({ label: 'memory', load: () => TrustStore.parse(content).current() })
  const auth = createAuthenticator({ trust: store, revocation: 'none', log: false, ...options })
  const distrust = () => {
    content = other.trust
    store.reload()
  }
  return { auth, distrust }
}

type Request = http.IncomingMessage & http2.Http2ServerRequest
type Response = http.ServerResponse & http2.Http2ServerResponse

/** Server-sent events, one at once and then silence. */
function events(auth: ReturnType<typeof make>['auth']) {
  return async (request: Request, response: Response) => {
    const decision = await auth.authenticate(request)
    if (decision.outcome !== 'accepted') return response.writeHead(403).end()
    guardConnection(response, decision, { request })
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write('data: hello\n\n')
  }
}

const within = (ended: Promise<unknown>) =>
  Promise.race([ended.then(() => 'ended'), new Promise((resolve) => setTimeout(() => resolve('open'), 1_500))])

test('a response of HTTP/1.1 that goes on ends when the CA of its client is taken out', async () => {
  const { auth, distrust } = make()
  const port = await listen(https.createServer(tlsServerOptions(auth, await serverTls), events(auth) as never))
  const request = https.get({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false, ...alice.tls })
  const response = await new Promise<http.IncomingMessage>((resolve) => request.once('response', resolve))
  request.on('error', () => {})
  const ended = new Promise((resolve) => response.once('close', resolve))
  response.on('error', () => {}).resume()
  expect(await Promise.race([ended, new Promise((resolve) => setTimeout(() => resolve('open'), 300))])).toBe('open')
  distrust()
  expect(await within(ended)).toBe('ended')
})

test('a stream of HTTP/2 ends, and the connection with its other streams stays', async () => {
  const { auth, distrust } = make()
  const port = await listen(http2.createSecureServer(tlsServerOptions(auth, await serverTls), events(auth) as never))
  const { session, get } = await connectHttp2(port, { client: alice })
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  await new Promise((resolve) => stream.once('data', resolve))
  const ended = new Promise((resolve) => stream.once('close', resolve))
  distrust()
  expect(await within(ended)).toBe('ended')
  expect((await get()).status).toBe(403)
})

test('an upgrade that came by a proxy ends too: what counts is the certificate of the header, not that of the connection', async () => {
  const source = forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') })
  const { auth, distrust } = make({ source, intermediates: pki.intermediate.certificate.pem })
  const server = http.createServer()
  server.on('upgrade', async (request, socket: Duplex) => {
    const decision = await auth.authenticate(request)
    if (decision.outcome !== 'accepted') return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    guardConnection(socket, decision, { request })
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: who\r\n\r\n')
  })
  const port = await listen(server)
  const socket = net.connect(port, '127.0.0.1')
  afterThisTest(() => socket.destroy())
  const header = encodeURIComponent(alice.certificate.pem)
  socket.write(
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: who\r\nX-SSL-Client-Cert: ${header}\r\n\r\n`,
  )
  const [data] = await new Promise<Buffer[]>((resolve) => socket.once('data', (chunk: Buffer) => resolve([chunk])))
  expect(String(data)).toMatch(/^HTTP\/1\.1 101/)
  const ended = new Promise((resolve) => socket.once('close', resolve))
  socket.resume()
  distrust()
  expect(await within(ended)).toBe('ended')
})
