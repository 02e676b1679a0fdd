/** Who is speaking: proxies known by their certificate, by a secret, by a path; and two ways into one application. */
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Authenticator,
  allOf,
  byPeer,
  type CertificateSource,
  ClientCertConfigError,
  createAuthenticator,
  forwardedHeader,
  proxyAddress,
  proxyCertificate,
  proxySecret,
  rules,
  type TrustedProxy,
  tlsServerOptions,
  tlsSocket,
  unixSocket,
} from '../../src/index.js'
import { createSelfSigned, createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { byteSequence } from '../source/request.js'
import { type Answer, get, getPlain, json, keepAlive, lines, raw } from '../support/clients.js'
import { pinOf } from '../support/pins.js'
import { bare, folder, frameworks, listen, serveHttp, serveHttps, serverTls } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
/** The proxies' own PKI, which no client is of. */
let proxyPki: TestPki
let edge: TestCredential
let chain: string
beforeAll(async () => {
  pki = await createTestPki({ name: 'Clients' })
  proxyPki = await createTestPki({ name: 'Proxies' })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
  edge = await proxyPki.issue({ subject: 'CN=edge', names: { dns: ['edge.acme.example'] } })
  chain = byteSequence(pki.intermediate.certificate.der)
})

const log: string[] = []
const authenticatorOf = (source: CertificateSource): Authenticator => {
  log.length = 0
  return createAuthenticator({ trust: pki.trust, revocation: 'none', source, log: (line) => log.push(line) })
}
const header = (from: TrustedProxy) => forwardedHeader({ preset: 'rfc9440', from })
const forwarded = ({ certificate }: TestCredential) => ({
  'Client-Cert': byteSequence(certificate.der),
  'Client-Cert-Chain': chain,
})
const outcome = (answer: Answer) => json(answer).cn ?? json(answer).code
const untrusted = 'ERR_CLIENT_CERT_UNTRUSTED_PROXY'
const absent = 'ERR_CLIENT_CERT_ABSENT'

describe('H-11: proxyCertificate', () => {
  const proxies = (options: { denied?: Set<string> } = {}) =>
    createAuthenticator({
      trust: proxyPki.trust,
      revocation: {
        name: 'list',
        check: ({ certificates }) =>
          certificates.some(({ fingerprint }) => options.denied?.has(fingerprint))
            ? { status: 'revoked', depth: 0 }
            : { status: 'good' },
      },
      rules: rules.dnsName('edge.acme.example'),
      log: false,
    })
  const serve = (gate: TrustedProxy) => {
    const auth = authenticatorOf(header(gate))
    return serveHttps(auth, bare(auth))
  }

  test('the proxy’s certificate lets it speak, and is nobody’s identity', async () => {
    const port = await serve(proxyCertificate(proxies()))
    expect(outcome(await get(port, edge, { headers: forwarded(alice) }))).toBe('alice')
    expect(outcome(await get(port, edge))).toBe(absent)
  })

  test('anybody else may not: no certificate, a client’s, another host’s of the proxies’ CA, one self-signed', async () => {
    const port = await serve(proxyCertificate(proxies()))
    const other = await proxyPki.issue({ names: { dns: ['other.acme.example'] } })
    const own = await createSelfSigned({ names: { dns: ['edge.acme.example'] } })
    for (const peer of [undefined, alice, other, own]) {
      expect(outcome(await get(port, peer, { headers: forwarded(alice) }))).toBe(untrusted)
      expect(outcome(await get(port, peer))).toBe(absent)
    }
  })

  test('a proxy that is revoked may no longer speak, on the connection it has', async () => {
    const denied = new Set<string>()
    const port = await serve(proxyCertificate(proxies({ denied })))
    const ask = keepAlive(port, edge)
    expect(outcome(await ask({ headers: forwarded(alice) }))).toBe('alice')
    denied.add(edge.fingerprint)
    expect(outcome(await ask({ headers: forwarded(alice) }))).toBe(untrusted)
  })

  test('many clients come over one connection of the proxy, each as itself', async () => {
    const ask = keepAlive(await serve(proxyCertificate(proxies())), edge)
    for (const [client, expected] of [
      [alice, 'alice'],
      [bob, 'bob'],
      [alice, 'alice'],
    ] as const) {
      expect(outcome(await ask({ headers: forwarded(client) }))).toBe(expected)
    }
    expect(outcome(await ask())).toBe(absent)
  })

  test('pins: this key, and no other of the same CA', async () => {
    const port = await serve(proxyCertificate({ pins: [pinOf(edge)] }))
    const other = await proxyPki.issue({ subject: 'CN=edge', names: { dns: ['edge.acme.example'] } })
    expect(outcome(await get(port, edge, { headers: forwarded(alice) }))).toBe('alice')
    for (const peer of [undefined, other, alice]) {
      expect(outcome(await get(port, peer, { headers: forwarded(alice) }))).toBe(untrusted)
    }
  })

  test('pins: a self-signed certificate is as good, while it is valid', async () => {
    const valid = await createSelfSigned()
    const ended = await createSelfSigned({ notBefore: new Date(2020, 0), notAfter: new Date(2021, 0) })
    const port = await serve(proxyCertificate({ pins: [pinOf(valid), pinOf(ended)] }))
    expect(outcome(await get(port, valid, { headers: forwarded(alice) }))).toBe('alice')
    expect(outcome(await get(port, ended, { headers: forwarded(alice) }))).toBe(untrusted)
  })

  test.each<[string, () => TrustedProxy]>([
    ['an authenticator', () => proxyCertificate(proxies())],
    ['pins', () => proxyCertificate({ pins: [pinOf(edge)] })],
  ])('over HTTP/2 as well, for every request of a session: %s', async (_, gate) => {
    const auth = authenticatorOf(header(gate()))
    const options = tlsServerOptions(auth, await serverTls)
    const port = await listen(http2.createSecureServer(options, bare(auth) as never) as unknown as net.Server)
    const ask = async (peer: TestCredential | undefined, clients: readonly TestCredential[]) => {
      const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, ...peer?.tls })
      try {
        const answers: unknown[] = []
        for (const client of clients) {
          const stream = session.request(forwarded(client))
          const body = (await stream.setEncoding('utf8').toArray()).join('')
          answers.push(JSON.parse(body).cn ?? JSON.parse(body).code)
        }
        return answers
      } finally {
        session.destroy()
      }
    }
    expect(await ask(edge, [alice, bob, alice])).toEqual(['alice', 'bob', 'alice'])
    expect(await ask(alice, [alice])).toEqual([untrusted])
    expect(await ask(undefined, [alice])).toEqual([untrusted])
  })
})

describe('H-11: proxySecret', () => {
  const secret = 'c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44'
  const gate = () => allOf(proxyAddress('127.0.0.1'), proxySecret({ header: 'X-Proxy-Secret', secrets: [secret] }))

  test('lets the proxy speak, from its address only', async () => {
    const port = await serveHttp(bare(authenticatorOf(header(gate()))))
    const headers = { ...forwarded(alice), 'X-Proxy-Secret': secret }
    expect(outcome(await getPlain(port, { headers }))).toBe('alice')
    expect(outcome(await getPlain(port, { headers: forwarded(alice) }))).toBe(untrusted)
    expect(outcome(await getPlain(port, { headers: { ...headers, 'X-Proxy-Secret': `${secret}0` } }))).toBe(untrusted)
    const other = authenticatorOf(header(allOf(proxyAddress('127.0.0.2'), gate())))
    expect(outcome(await getPlain(await serveHttp(bare(other)), { headers }))).toBe(untrusted)
    expect(log.join()).not.toContain(secret)
  })

  for (const framework of frameworks) {
    test(`${framework.name}: no handler gets to see it, whatever it looked at before`, async () => {
      const seen: unknown[] = []
      const port = await serveHttp(
        framework.listener({
          // Node makes headers of rawHeaders when they are first read: before or after.
          before: (_carrier, request) => seen.push(request.headers['x-proxy-secret'], request.headers.host),
          mounts: [{ authenticator: authenticatorOf(header(gate())) }],
          handler: ({ request }) => {
            const { headersDistinct } = request as http.IncomingMessage
            return [request.rawHeaders, request.headers, headersDistinct]
          },
        }),
      )
      const headers = { ...forwarded(alice), 'X-Proxy-Secret': secret, 'X-Last': 'kept' }
      const answer = await getPlain(port, { headers })
      expect([answer.status, seen[0]]).toEqual([200, secret])
      expect(answer.body).not.toContain(secret)
      const [rawHeaders, plain, distinct] = JSON.parse(answer.body)
      expect(rawHeaders).toContain('X-Last')
      expect([plain['x-last'], distinct['x-last'], plain['client-cert'] !== undefined]).toEqual([
        'kept',
        ['kept'],
        true,
      ])
    })
  }

  test('a handler that reads the fields for the first time after it sees all of the others', async () => {
    const port = await listen(
      http.createServer(async (request, response) => {
        const decision = await authenticatorOf(header(gate())).authenticate(request)
        response.end(
          JSON.stringify([decision.outcome, request.headers, request.headersDistinct, request.rawHeaders.length]),
        )
      }),
    )
    const headers = { ...forwarded(alice), 'X-Proxy-Secret': secret, 'X-Last': 'kept' }
    const [decided, plain, distinct] = JSON.parse((await getPlain(port, { headers })).body)
    expect([decided, plain['x-last'], distinct['x-last']]).toEqual(['accepted', 'kept', ['kept']])
    expect([plain['x-proxy-secret'], distinct['x-proxy-secret']]).toEqual([undefined, undefined])
  })

  test('a second authenticator sees it all the same, and one with another secret does not', async () => {
    const [first, second] = [authenticatorOf(header(gate())), authenticatorOf(header(gate()))]
    const stranger = authenticatorOf(
      header(proxySecret({ header: 'X-Proxy-Secret', secrets: [secret.replaceAll('c0', 'd0')] })),
    )
    const port = await listen(
      http.createServer(async (request, response) => {
        const outcomes = []
        for (const auth of [first, second, stranger]) outcomes.push((await auth.authenticate(request)).outcome)
        response.end(JSON.stringify(outcomes))
      }),
    )
    const headers = { ...forwarded(alice), 'X-Proxy-Secret': secret }
    expect(JSON.parse((await getPlain(port, { headers })).body)).toEqual(['accepted', 'accepted', 'refused'])
  })
})

test('H-03: unixSocket lets a peer speak that has no address, on a server that listens on a path', async () => {
  const path = join(folder, 'app.sock')
  const auth = authenticatorOf(header(unixSocket()))
  await serveHttp(bare(auth), path)
  const fields = Object.entries(forwarded(alice)).map(([name, value]) => `${name}: ${value}`)
  expect(outcome(await raw(path, lines(...fields)))).toBe('alice')
  expect(outcome(await raw(await serveHttp(bare(auth)), lines(...fields)))).toBe(untrusted)
})

describe('byPeer: who is speaking decides, never which source is empty', () => {
  const gate = () => proxyCertificate({ pins: [pinOf(edge)] })
  const source = () => byPeer({ proxy: header(gate()), direct: tlsSocket() })
  const serve = async () => {
    const auth = authenticatorOf(source())
    return serveHttps(auth, bare(auth))
  }

  test('the proxy forwards, a direct client shows its own', async () => {
    const port = await serve()
    expect(json(await get(port, edge, { headers: forwarded(alice) }))).toEqual({ cn: 'alice', via: 'proxy' })
    expect(json(await get(port, bob))).toEqual({ cn: 'bob', via: 'tls' })
  })

  test('H-04: a proxy without a header has a client without a certificate, although the proxy has one', async () => {
    const trusting = createAuthenticator({
      // Even where the proxy's own certificate would do.
      trust: { clients: pki.trust, proxies: proxyPki.trust },
      revocation: 'none',
      source: source(),
      log: false,
    })
    const port = await serveHttps(trusting, bare(trusting))
    expect(outcome(await get(port, edge))).toBe(absent)
  })

  test('H-04: a direct peer that sends the header is refused, whatever its own certificate is', async () => {
    const port = await serve()
    for (const peer of [bob, undefined]) {
      expect(outcome(await get(port, peer, { headers: forwarded(alice) }))).toBe(untrusted)
      expect(outcome(await get(port, peer, { headers: { 'Client-Cert-Chain': chain } }))).toBe(untrusted)
      expect(outcome(await get(port, peer, { headers: { 'Client-Cert': '' } }))).toBe(untrusted)
    }
  })

  test('a malformed header of the proxy is malformed, and not a reason to look elsewhere', async () => {
    const port = await serve()
    expect(outcome(await get(port, edge, { headers: { 'Client-Cert': 'x' } }))).toBe('ERR_CLIENT_CERT_HEADER_MALFORMED')
  })

  test('a gate that has to wait decides as one that answers at once', async () => {
    const proxies = createAuthenticator({ trust: proxyPki.trust, revocation: 'none', log: false })
    const auth = authenticatorOf(byPeer({ proxy: header(proxyCertificate(proxies)), direct: tlsSocket() }))
    const port = await serveHttps(auth, bare(auth))
    expect(json(await get(port, edge, { headers: forwarded(alice) }))).toEqual({ cn: 'alice', via: 'proxy' })
    expect(json(await get(port, bob))).toEqual({ cn: 'bob', via: 'tls' })
    expect(outcome(await get(port, bob, { headers: forwarded(alice) }))).toBe(untrusted)
  })

  test('a gate that fails refuses', async () => {
    for (const admits of [
      () => {
        throw new Error('broken')
      },
      () => Promise.reject(new Error('broken')),
    ]) {
      const auth = authenticatorOf(byPeer({ proxy: header({ description: 'broken', admits }), direct: tlsSocket() }))
      expect((await get(await serveHttps(auth, bare(auth)), bob)).status).toBe(500)
    }
  })

  test('two proxies of two products, and direct clients', async () => {
    const second = await proxyPki.issue({ subject: 'CN=second' })
    const auth = authenticatorOf(
      byPeer({
        proxy: header(gate()),
        direct: byPeer({
          proxy: forwardedHeader({
            preset: 'haproxy',
            from: proxyCertificate({ pins: [pinOf(second)] }),
            headers: { chain: 'X-SSL-Client-Chain' },
          }),
          direct: tlsSocket(),
        }),
      }),
    )
    const port = await serveHttps(auth, bare(auth))
    const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')
    const haproxy = {
      'X-SSL-Client-Cert': base64(alice.certificate.der),
      'X-SSL-Client-Chain': base64(pki.intermediate.certificate.der),
    }
    expect(outcome(await get(port, second, { headers: haproxy }))).toBe('alice')
    expect(outcome(await get(port, second, { headers: forwarded(alice) }))).toBe(untrusted)
    expect(outcome(await get(port, edge, { headers: haproxy }))).toBe(absent)
    expect(outcome(await get(port, bob, { headers: haproxy }))).toBe(untrusted)
    expect(outcome(await get(port, bob))).toBe('bob')
  })

  test('options are refused with the fix', () => {
    const proxy = header(proxyAddress('10.0.0.1'))
    const cases: [unknown, string][] = [
      [undefined, 'expected { proxy'],
      [{ proxy }, 'direct is a source'],
      [{ proxy: tlsSocket(), direct: tlsSocket() }, 'proxy is a forwardedHeader'],
      [{ proxy, direct: tlsSocket(), other: 1 }, 'unknown option "other"'],
      [{ proxy, direct: proxy }, 'the same source'],
    ]
    for (const [given, said] of cases) {
      expect(() => byPeer(given as never)).toThrow(said)
      expect(() => byPeer(given as never)).toThrow(ClientCertConfigError)
    }
  })
})
