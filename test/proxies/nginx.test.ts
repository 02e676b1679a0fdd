/**
 * A real nginx with the example's own configuration, in front of an application that reads its header.
 *
 * Of the configuration only the two ports and the temporary folders are changed. nginx runs in the foreground, from a
 * folder of its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import tls, { type SecureVersion, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import express, { type ErrorRequestHandler } from 'express'
import { clientCert, clientIdentity } from '../../src/express.js'
import { createAuthenticator, forwardedHeader, isClientCertError, proxyAddress, rules } from '../../src/index.js'
import { createTestAuthority, createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'

const example = join(import.meta.dirname, '../../examples/behind-nginx/nginx.conf')
const program = ['/usr/sbin/nginx', 'nginx'].find((path) => spawnSync(path, ['-v']).status === 0)
const describeNginx = program === undefined && !process.env.CI ? describe.skip : describe

const header = 'X-SSL-Client-Cert'
const day = 86_400_000
const daysFromNow = (days: number) => new Date(Date.now() + days * day)

let folder: string
let pki: TestPki
let alice: TestCredential
let bob: TestCredential
/** Says it is alice, by a CA nobody here trusts. */
let mallory: TestCredential
let nginx: ChildProcess | undefined
let nginxSays = ''
let app: http.Server
let port: number
let appPort: number
/** What the application got last. */
let seen: IncomingMessage | undefined

beforeAll(async () => {
  if (program === undefined) {
    if (process.env.CI) throw new Error('nginx is not installed, and CI is set')
    return
  }
  folder = mkdtempSync(join(tmpdir(), 'mtls-identity-nginx-'))
  pki = await createTestPki({ name: 'Acme' })
  alice = await pki.issue({ subject: 'CN=alice,O=Acme' })
  bob = await pki.issue({ subject: 'CN=bob,O=Acme' })
  mallory = await (await createTestAuthority({ subject: 'CN=Stranger CA' })).issue({ subject: 'CN=alice,O=Acme' })
  app = http.createServer(shop()).listen(0, '127.0.0.1')
  await once(app, 'listening')
  appPort = (app.address() as AddressInfo).port
  port = await freePort()
  await startNginx(program)
})

beforeEach(() => {
  seen = undefined
})

afterAll(async () => {
  if (nginx !== undefined && nginx.exitCode === null) {
    nginx.kill('SIGTERM')
    await once(nginx, 'exit')
  }
  app?.close()
  app?.closeAllConnections()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

/** The application of the example, with its errors told to the tests. */
function shop() {
  const authenticator = createAuthenticator({
    trust: pki.trust,
    intermediates: pki.intermediate.certificate.pem,
    revocation: 'none',
    rules: rules.not(rules.commonName('banned')),
    source: forwardedHeader({ preset: 'nginx', from: proxyAddress('127.0.0.1') }),
    log: false,
  })
  const explain: ErrorRequestHandler = (error, _request, response, next) => {
    if (!isClientCertError(error)) return next(error)
    response.status(error.status).json({ code: error.code })
  }
  return express()
    .use((request, _response, next) => {
      seen = request
      next()
    })
    .use(clientCert({ authenticator }))
    .use((request, response) => {
      const { subject, via, fingerprint } = clientIdentity(request)
      response.json({ subject, via, fingerprint })
    })
    .use(explain)
}

async function startNginx(program: string): Promise<void> {
  const server = await pki.server()
  writeFileSync(join(folder, 'server.crt'), server.tls.cert)
  writeFileSync(join(folder, 'server.key'), server.tls.key)
  writeFileSync(join(folder, 'nginx.conf'), configuration())
  const options = ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off; master_process off;']
  nginx = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'] })
  nginx.stderr?.setEncoding('utf8').on('data', (text: string) => {
    nginxSays += text
  })
  await listening(nginx)
}

function configuration(): string {
  const temporaryFolders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${name};`)
    .join(' ')
  const changes: [from: string, to: string][] = [
    ['listen 8443 ssl;', `listen 127.0.0.1:${port} ssl;`],
    ['server 127.0.0.1:3000;', `server 127.0.0.1:${appPort};`],
    ['http {', `http { ${temporaryFolders}`], // the compiled-in ones are root's
  ]
  return changes.reduce(
    (text, [from, to]) => {
      expect(text.split(from)).toHaveLength(2)
      return text.replace(from, to)
    },
    readFileSync(example, 'utf8'),
  )
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(nginx: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 100 && nginx.exitCode === null; attempt++) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`nginx does not listen: ${nginxSays}`)
}

interface Question {
  client?: TestCredential
  /** Names and values in turn, so that a field can come twice. */
  headers?: readonly string[]
  /** Past nginx, from this address. */
  directlyFrom?: string
  method?: string
  path?: string
  tlsOptions?: tls.ConnectionOptions
}

interface Answer {
  status: number | undefined
  body: { subject?: string; via?: string; fingerprint?: string; code?: string }
}

async function ask(question: Question = {}): Promise<Answer> {
  return (await exchange(question)).answer
}

function exchange({ client, headers = [], directlyFrom, method = 'GET', path = '/', tlsOptions }: Question) {
  const options = { host: '127.0.0.1', method, path, agent: false, headers: ['Host', 'localhost', ...headers] }
  const request =
    directlyFrom === undefined
      ? https.request({ ...options, port, ca: pki.trust, ...client?.tls, ...tlsOptions })
      : http.request({ ...options, port: appPort, localAddress: directlyFrom })
  return new Promise<{ answer: Answer; resumed: boolean }>((resolve, reject) => {
    request.on('error', reject)
    request.on('response', async (response) => {
      const resumed = directlyFrom === undefined && (response.socket as TLSSocket).isSessionReused()
      const text = (await response.setEncoding('utf8').toArray()).join('')
      resolve({ answer: { status: response.statusCode, body: JSON.parse(text) }, resumed })
    })
    request.end()
  })
}

/** `$ssl_client_escaped_cert`: PEM holds no character that nginx escapes and encodeURIComponent does not. */
const escaped = ({ certificate }: TestCredential) => encodeURIComponent(certificate.pem)

const refused = (code: string): Answer => ({ status: 403, body: { code: `ERR_CLIENT_CERT_${code}` } })
const absent: Answer = { status: 401, body: { code: 'ERR_CLIENT_CERT_ABSENT' } }
const accepted = (subject: string) => ({ status: 200, body: { subject, via: 'proxy' } })

describeNginx(program === undefined ? 'behind nginx, which is not installed here' : 'behind nginx', () => {
  test('a client is who its certificate says', async () => {
    const { status, body } = await ask({ client: alice })
    expect(status).toBe(200)
    expect(body).toEqual({ subject: 'CN=alice,O=Acme', via: 'proxy', fingerprint: alice.fingerprint })
    expect(seen?.rawHeaders.filter((_, i, fields) => fields[i - 1] === header)).toEqual([escaped(alice)])
  })

  test('a client without a certificate is asked for one', async () => {
    expect(await ask()).toEqual(absent)
    expect(seen?.rawHeaders).not.toContain(header)
  })

  test.each<[string, string, () => Promise<TestCredential>]>([
    ['an expired one', 'EXPIRED', () => pki.issue({ notBefore: daysFromNow(-2), notAfter: daysFromNow(-1) })],
    ['one of tomorrow', 'NOT_YET_VALID', () => pki.issue({ notBefore: daysFromNow(1), notAfter: daysFromNow(2) })],
    ["one of a stranger's CA", 'UNKNOWN_ISSUER', async () => mallory],
    ['one made for servers', 'KEY_USAGE', () => pki.server()],
    [
      'one of a look-alike of the root',
      'SIGNATURE',
      async () => (await createTestAuthority({ subject: pki.root.subjectDer })).issue(),
    ],
    ['one that a rule excludes', 'RULE', () => pki.issue({ subject: 'CN=banned' })],
  ])('a certificate reaches the application, which refuses it: %s', async (_, code, issue) => {
    expect(await ask({ client: await issue() })).toEqual(refused(code))
  })

  test('a request keeps method and path where nginx found fault with the certificate', async () => {
    const client = await pki.issue({ notBefore: daysFromNow(-2), notAfter: daysFromNow(-1) })
    expect(await ask({ client, method: 'DELETE', path: '/catalog/7?really=1' })).toEqual(refused('EXPIRED'))
    expect([seen?.method, seen?.url]).toEqual(['DELETE', '/catalog/7?really=1'])
  })

  test('clients share the connections of nginx to the application, and no identity', async () => {
    const connections = new Set<number | undefined>()
    for (const client of [alice, bob, undefined, mallory, alice]) {
      const expected = {
        [alice.fingerprint]: accepted('CN=alice,O=Acme'),
        [bob.fingerprint]: accepted('CN=bob,O=Acme'),
        [mallory.fingerprint]: refused('UNKNOWN_ISSUER'),
      }[client?.fingerprint ?? '']
      expect(await ask(client === undefined ? {} : { client })).toMatchObject(expected ?? absent)
      connections.add(seen?.socket.remotePort)
    }
    expect(connections.size).toBe(1)
  })

  describe('a client that sends the header itself', () => {
    const copies: [string, () => string[]][] = [
      ['under its name', () => [header, escaped(alice)]],
      ['in lower case', () => [header.toLowerCase(), escaped(alice)]],
      ['in upper case', () => [header.toUpperCase(), escaped(alice)]],
      ['with underscores', () => [header.replaceAll('-', '_'), escaped(alice)]],
      ['with dots', () => [header.replaceAll('-', '.'), escaped(alice)]],
      ['twice', () => [header, escaped(alice), header, escaped(alice)]],
      ['and lists it in Connection', () => [header, escaped(alice), 'Connection', `close, ${header}`]],
    ]

    test.each(copies)('%s, is nobody without a certificate', async (_, headers) => {
      expect(await ask({ headers: headers() })).toEqual(absent)
      expect(seen?.rawHeaders.join('\n')).not.toContain('BEGIN%20CERTIFICATE')
    })

    test.each(copies)('%s, is who its own certificate says', async (_, headers) => {
      expect(await ask({ client: bob, headers: headers() })).toMatchObject(accepted('CN=bob,O=Acme'))
    })

    test.each(copies)('%s, is refused where its own certificate is', async (_, headers) => {
      expect(await ask({ client: mallory, headers: headers() })).toEqual(refused('UNKNOWN_ISSUER'))
    })

    test('cannot make the header of nginx vanish by listing it in Connection', async () => {
      const headers = ['Connection', `close, ${header}`]
      expect(await ask({ client: alice, headers })).toMatchObject(accepted('CN=alice,O=Acme'))
    })
  })

  describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('a resumed %s session', (version) => {
    const versions = { minVersion: version, maxVersion: version }

    /** A session that another connection can resume, of a client with or without a certificate. */
    async function sessionOf(client: TestCredential | undefined): Promise<Buffer> {
      const socket = tls.connect({ host: '127.0.0.1', port, ca: pki.trust, ...client?.tls, ...versions })
      let session: Buffer | undefined
      socket.on('session', (latest) => {
        session = latest
      })
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      socket.resume()
      await once(socket, 'close')
      if (session === undefined) throw new Error('nginx gave no session')
      return session
    }

    test('is who it was, although the client shows no certificate again', async () => {
      const tlsOptions = { ...versions, session: await sessionOf(alice) }
      const { answer, resumed } = await exchange({ tlsOptions })
      expect(resumed).toBe(true)
      expect(answer).toMatchObject(accepted('CN=alice,O=Acme'))
    })

    test('of somebody refused is refused', async () => {
      const tlsOptions = { ...versions, session: await sessionOf(mallory) }
      const { answer, resumed } = await exchange({ tlsOptions })
      expect(resumed).toBe(true)
      expect(answer).toEqual(refused('UNKNOWN_ISSUER'))
    })

    test('of nobody stays nobody, whatever it sends', async () => {
      const tlsOptions = { ...versions, session: await sessionOf(undefined) }
      const { answer, resumed } = await exchange({ tlsOptions, headers: [header, escaped(alice)] })
      expect(resumed).toBe(true)
      expect(answer).toEqual(absent)
    })
  })

  describe('past nginx, from an address that is not its own', () => {
    const directlyFrom = '127.0.0.2'

    test('a certificate in the header is refused', async () => {
      expect(await ask({ directlyFrom, headers: [header, escaped(alice)] })).toEqual(refused('UNTRUSTED_PROXY'))
    })

    test('what nginx would say about the client does not help', async () => {
      const headers = [header, escaped(alice), 'X-Forwarded-For', '127.0.0.1', 'Forwarded', 'for=127.0.0.1']
      expect(await ask({ directlyFrom, headers })).toEqual(refused('UNTRUSTED_PROXY'))
    })

    test('a request without the header has no certificate', async () => {
      expect(await ask({ directlyFrom })).toEqual(absent)
    })
  })
})
