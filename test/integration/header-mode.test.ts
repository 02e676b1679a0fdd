/** Forwarded certificates over real sockets: what reaches us from a proxy, from a stranger, and from both at once. */
import type http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  type AuthenticatorOptions,
  createAuthenticator,
  type Decision,
  forwardedHeader,
  proxyAddress,
  rules,
} from '../../src/index.js'
import { escapedPem } from '../../src/source/escaped-pem.js'
import { rfc9440 } from '../../src/source/rfc9440.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { byteSequence, escapedByNginx } from '../source/request.js'
import { type Answer, get, getPlain, json, lines, parseAnswer, raw, rawText } from '../support/clients.js'
import { bare, folder, frameworks, listen, serveHttp, serveHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let value: { rfc9440: string; chain: string; nginx: string; bob: string }
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
  bob = await pki.issue({ subject: 'CN=bob' })
  value = {
    rfc9440: byteSequence(alice.certificate.der),
    chain: byteSequence(pki.intermediate.certificate.der),
    nginx: escapedByNginx(alice.certificate.pem),
    bob: byteSequence(bob.certificate.der),
  }
})

type Preset = 'rfc9440' | 'nginx'

function make(preset: Preset, address = '127.0.0.1', options: Partial<AuthenticatorOptions> = {}) {
  const lines: string[] = []
  const decisions: Decision[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    source: forwardedHeader({ preset, from: proxyAddress(address) }),
    log: (line) => lines.push(line),
    onDecision: (decision) => decisions.push(decision),
    ...(preset === 'nginx' ? { intermediates: pki.intermediate.certificate.pem } : {}),
    ...options,
  })
  return { auth, lines, decisions }
}

/** A server behind a proxy at 127.0.0.1: the answer to a GET with these header lines. */
async function behindProxy(preset: Preset, ...fields: string[]): Promise<Answer> {
  const { auth } = make(preset)
  return raw(await serveHttp(bare(auth), undefined, { maxHeaderSize: 300_000 }), lines(...fields))
}

const outcome = (answer: Answer) => [answer.status, (answer.body === '' ? {} : json(answer)).code ?? json(answer).cn]

describe('from the trusted proxy', () => {
  test('RFC 9440: certificate and chain are an identity', async () => {
    const answer = await behindProxy('rfc9440', `Client-Cert: ${value.rfc9440}`, `Client-Cert-Chain: ${value.chain}`)
    expect(json(answer)).toEqual({ cn: 'alice', via: 'proxy' })
  })

  test('RFC 9440: a chain over several lines, root included, is one list', async () => {
    const answer = await behindProxy(
      'rfc9440',
      `client-CERT: ${value.rfc9440}`,
      `Client-Cert-Chain: ${value.chain}`,
      `client-cert-chain: ${byteSequence(pki.root.certificate.der)}`,
    )
    expect(json(answer)).toEqual({ cn: 'alice', via: 'proxy' })
  })

  test('nginx: the escaped certificate is an identity, its path completed from the configured intermediates', async () => {
    const answer = await behindProxy('nginx', `X-SSL-Client-Cert: ${value.nginx}`)
    expect(json(answer)).toEqual({ cn: 'alice', via: 'proxy' })
  })

  const refused: [preset: Preset, name: string, fields: () => string[], expected: [number, string | undefined]][] = [
    ['rfc9440', 'no header', () => [], [401, 'ERR_CLIENT_CERT_ABSENT']],
    ['rfc9440', 'an empty header', () => ['Client-Cert:'], [401, 'ERR_CLIENT_CERT_ABSENT']],
    ['rfc9440', '"::"', () => ['Client-Cert: ::'], [401, 'ERR_CLIENT_CERT_ABSENT']],
    ['nginx', 'no header', () => [], [401, 'ERR_CLIENT_CERT_ABSENT']],
    [
      'nginx',
      'the header of the other preset',
      () => [`Client-Cert: ${value.rfc9440}`],
      [401, 'ERR_CLIENT_CERT_ABSENT'],
    ],
    [
      'rfc9440',
      'the header of the other preset',
      () => [`X-SSL-Client-Cert: ${value.nginx}`],
      [401, 'ERR_CLIENT_CERT_ABSENT'],
    ],
    [
      'rfc9440',
      'H-07 the same line twice',
      () => [`Client-Cert: ${value.rfc9440}`, `Client-Cert: ${value.rfc9440}`],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'rfc9440',
      'H-07 two clients',
      () => [`Client-Cert: ${value.rfc9440}`, `CLIENT-CERT: ${value.bob}`],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'rfc9440',
      'H-07 two clients on one line',
      () => [`Client-Cert: ${value.rfc9440}, ${value.bob}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'H-07 the same line twice',
      () => [`X-SSL-Client-Cert: ${value.nginx}`, `x-ssl-client-cert: ${value.nginx}`],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'nginx',
      'H-07 once empty, once not',
      () => ['X-SSL-Client-Cert:', `X-SSL-Client-Cert: ${value.nginx}`],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'nginx',
      'H-08 an underscore twin',
      () => [`X-SSL-Client-Cert: ${value.nginx}`, `X_SSL_Client_Cert: ${value.nginx}`],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'nginx',
      'H-08 an underscore twin alone',
      () => [`X_SSL_Client_Cert: ${value.nginx}`],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'nginx',
      'H-06 its name in Connection',
      () => [`X-SSL-Client-Cert: ${value.nginx}`, 'Connection: close, X-SSL-Client-Cert'],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'nginx',
      'H-06 its name in Connection, and itself dropped on the way',
      () => ['Connection: close, x-ssl-client-cert'],
      [400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'],
    ],
    [
      'rfc9440',
      'base64url',
      () => [`Client-Cert: ${value.rfc9440.replaceAll('+', '-').replaceAll('/', '_')}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'rfc9440',
      'a missing colon',
      () => [`Client-Cert: ${value.rfc9440.slice(0, -1)}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    ['rfc9440', 'junk behind', () => [`Client-Cert: ${value.rfc9440} x`], [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED']],
    [
      'rfc9440',
      'a tab inside',
      () => [`Client-Cert: ${value.rfc9440.slice(0, 9)}\t${value.rfc9440.slice(9)}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'rfc9440',
      'a NUL inside: Node itself refuses',
      () => [`Client-Cert: ${value.rfc9440.slice(0, 9)}\0${value.rfc9440.slice(9)}`],
      [400, undefined],
    ],
    [
      'rfc9440',
      'H-08 a space before the colon: Node itself refuses',
      () => [`Client-Cert : ${value.rfc9440}`],
      [400, undefined],
    ],
    [
      'rfc9440',
      'a chain without the certificate',
      () => [`Client-Cert-Chain: ${value.chain}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'rfc9440',
      'one bad member in the chain',
      () => [`Client-Cert: ${value.rfc9440}`, `Client-Cert-Chain: ${value.chain}`, 'Client-Cert-Chain: :MII:'],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'rfc9440',
      'a member in the chain that is base64 of no certificate',
      () => [`Client-Cert: ${value.rfc9440}`, `Client-Cert-Chain: ${value.chain}, :AAAA:`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'rfc9440',
      'a trailing octet in the certificate',
      () => [
        `Client-Cert: ${byteSequence(Buffer.concat([alice.certificate.der, Buffer.of(0)]))}`,
        `Client-Cert-Chain: ${value.chain}`,
      ],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'rfc9440',
      'H-14 more than 64 KiB',
      () => [`Client-Cert: :${'A'.repeat(65_536)}:`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'H-14 more than 64 KiB',
      () => [`X-SSL-Client-Cert: ${'%0A'.repeat(30_000)}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'form encoding',
      () => [`X-SSL-Client-Cert: ${value.nginx.replaceAll('%20', '+')}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'lower-case escapes',
      () => [`X-SSL-Client-Cert: ${value.nginx.replaceAll('%2F', '%2f').replaceAll('%0A', '%0a')}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'two certificates',
      () => [`X-SSL-Client-Cert: ${value.nginx}${value.nginx}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'trailing garbage',
      () => [`X-SSL-Client-Cert: ${value.nginx}x`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'bare base64',
      () => [`X-SSL-Client-Cert: ${Buffer.from(alice.certificate.der).toString('base64')}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'a byte sequence',
      () => [`X-SSL-Client-Cert: ${value.rfc9440}`],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
    [
      'nginx',
      'H-10 the issuer’s DN for a certificate',
      () => ['X-SSL-Client-Cert: CN=alice'],
      [400, 'ERR_CLIENT_CERT_HEADER_MALFORMED'],
    ],
  ]
  for (const [preset, name, fields, expected] of refused) {
    test(`${preset}: ${name} is ${expected[0]} ${expected[1] ?? ''}`, async () => {
      const answer = await behindProxy(preset, ...fields())
      expect([answer.status, answer.body.startsWith('{') ? json(answer).code : undefined]).toEqual(expected)
    })
  }

  test('H-10: a certificate that nobody vouches for is refused, although the proxy passed it on', async () => {
    const stranger = await (await createTestPki({ name: 'Other' })).issue()
    const answer = await behindProxy('rfc9440', `Client-Cert: ${byteSequence(stranger.certificate.der)}`)
    expect(outcome(answer)).toEqual([403, 'ERR_CLIENT_CERT_UNKNOWN_ISSUER'])
  })

  test('H-10: an expired one, and one made for servers, are refused', async () => {
    const expired = await pki.issue({ notAfter: new Date(Date.now() - 1000) })
    const server = await pki.server()
    const chain = `Client-Cert-Chain: ${value.chain}`
    const ask = (der: Uint8Array) => behindProxy('rfc9440', `Client-Cert: ${byteSequence(der)}`, chain)
    expect(outcome(await ask(expired.certificate.der))).toEqual([403, 'ERR_CLIENT_CERT_EXPIRED'])
    expect(outcome(await ask(server.certificate.der))).toEqual([403, 'ERR_CLIENT_CERT_KEY_USAGE'])
  })

  test('H-09: a header that says the certificate was verified changes nothing', async () => {
    const answer = await behindProxy('nginx', 'X-SSL-Client-Verify: SUCCESS', 'X-SSL-Client-S-DN: CN=alice')
    expect(outcome(answer)).toEqual([401, 'ERR_CLIENT_CERT_ABSENT'])
  })

  test('the fields that belong to the answer: a challenge on 401 only', async () => {
    const absent = await behindProxy('nginx')
    const malformed = await behindProxy('nginx', 'X-SSL-Client-Cert: x')
    expect([absent.headers['www-authenticate'], malformed.headers['www-authenticate']]).toEqual([
      'ClientCertificate',
      undefined,
    ])
  })

  test('H-15: a certificate in a trailer is nobody’s', async () => {
    const { auth } = make('rfc9440')
    const listener = (async (request: http.IncomingMessage, response: http.ServerResponse) => {
      request.resume()
      await new Promise((resolve) => request.on('end', resolve))
      return bare(auth)(request as never, response as never)
    }) as never
    const answer = await raw(
      await serveHttp(listener),
      `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Client-Cert\r\n\r\n1\r\na\r\n0\r\nClient-Cert: ${value.rfc9440}\r\n\r\n`,
    )
    expect(outcome(answer)).toEqual([401, 'ERR_CLIENT_CERT_ABSENT'])
  })

  test('H-16: the second of two pipelined requests does not inherit the identity of the first', async () => {
    const { auth } = make('rfc9440')
    const port = await serveHttp(bare(auth))
    const text = await rawText(
      port,
      `GET /1 HTTP/1.1\r\nHost: x\r\nClient-Cert: ${value.rfc9440}\r\nClient-Cert-Chain: ${value.chain}\r\n\r\n` +
        'GET /2 HTTP/1.1\r\nHost: x\r\n\r\n' +
        `GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nClient-Cert: ${value.bob}\r\nClient-Cert-Chain: ${value.chain}\r\n\r\n`,
    )
    const answers = text.split(/(?=HTTP\/1\.1 )/).map(parseAnswer)
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 200])
    expect([answers[0]?.body, answers[2]?.body].map((body) => JSON.parse(body as string).cn)).toEqual(['alice', 'bob'])
  })

  test('C-04: a header flood that makes Node drop fields ends without an identity, never with another one', async () => {
    const flood = Array.from({ length: 2_500 }, (_, i) => `X-${i}: 1`)
    const answer = await behindProxy(
      'rfc9440',
      ...flood,
      `Client-Cert: ${value.rfc9440}`,
      `Client-Cert-Chain: ${value.chain}`,
    )
    // Node 20 drops what is over its limit in silence, later lines answer themselves.
    expect([400, 431]).toContain(answer.status)
  })
})

describe('from anybody else', () => {
  for (const preset of ['rfc9440', 'nginx'] as const) {
    test(`H-01 ${preset}: a forged header is refused, and never decoded, be it good or garbage`, async () => {
      const { auth, lines: log, decisions } = make(preset, '10.9.9.9')
      const port = await serveHttp(bare(auth))
      const header = preset === 'nginx' ? 'X-SSL-Client-Cert' : 'Client-Cert'
      const spies = [
        jest.spyOn(rfc9440, 'certificate'),
        jest.spyOn(rfc9440, 'chain' as never),
        jest.spyOn(escapedPem, 'certificate'),
      ]
      for (const text of [preset === 'nginx' ? value.nginx : value.rfc9440, 'garbage', ':', '%']) {
        const answer = await raw(port, lines(`${header}: ${text}`, `Client-Cert-Chain: ${value.chain}`))
        expect(outcome(answer)).toEqual([403, 'ERR_CLIENT_CERT_UNTRUSTED_PROXY'])
      }
      for (const spy of spies) {
        expect(spy).not.toHaveBeenCalled()
        spy.mockRestore()
      }
      expect(decisions).toHaveLength(4)
      expect(log[0]).toBe(
        `mtls-identity ERR_CLIENT_CERT_UNTRUSTED_PROXY: header ${header.toLowerCase()} from 127.0.0.1, not in proxyAddress('10.9.9.9') — add it if that is your proxy, or use unixSocket(); if not, somebody reaches this port directly`,
      )
    })
  }

  test('H-02: X-Forwarded-For, Forwarded and Express’s trust proxy do not make it the proxy', async () => {
    const { auth } = make('rfc9440', '10.9.9.9')
    for (const { listener } of frameworks) {
      const plan = {
        mounts: [{ authenticator: auth }],
        before: (carrier: Record<string, unknown>) => {
          const app = carrier.app as { set?: (name: string, value: unknown) => void; proxy?: boolean }
          app.set?.('trust proxy', true)
          app.proxy = true
        },
      }
      const answer = await raw(
        await serveHttp(listener(plan)),
        lines(
          'X-Forwarded-For: 10.9.9.9',
          'Forwarded: for=10.9.9.9',
          'X-Real-IP: 10.9.9.9',
          `Client-Cert: ${value.rfc9440}`,
          `Client-Cert-Chain: ${value.chain}`,
        ),
      )
      expect(answer.status).toBe(403)
    }
  })

  test('H-03: without the header a stranger is absent', async () => {
    const { auth } = make('rfc9440', '10.9.9.9')
    expect(outcome(await raw(await serveHttp(bare(auth)), lines()))).toEqual([401, 'ERR_CLIENT_CERT_ABSENT'])
  })
})

describe('forms of the peer’s address', () => {
  const fields = () => lines(`Client-Cert: ${value.rfc9440}`, `Client-Cert-Chain: ${value.chain}`)

  test('H-03: an IPv4 peer of a dual-stack listener (::ffff:127.0.0.1) is its IPv4 address', async () => {
    const seen: (string | undefined)[] = []
    const serve = (address: string) => {
      const listener = bare(make('rfc9440', address).auth) as (request: http.IncomingMessage, response: unknown) => void
      return serveHttp(
        ((request: http.IncomingMessage, response: unknown) => {
          seen.push(request.socket.remoteAddress)
          listener(request, response)
        }) as never,
        '::',
      )
    }
    expect((await raw(await serve('127.0.0.1'), fields())).status).toBe(200)
    expect((await raw(await serve('127.0.0.2'), fields())).status).toBe(403)
    expect((await raw(await serve('::1'), fields())).status).toBe(403)
    expect(new Set(seen)).toEqual(new Set(['::ffff:127.0.0.1']))
  })

  test('H-03: an IPv6 peer is itself, and no IPv4 range holds it', async () => {
    const serve = async (address: string) => serveHttp(bare(make('rfc9440', address).auth), '::1')
    expect((await raw(await serve('::1'), fields(), '::1')).status).toBe(200)
    expect((await raw(await serve('127.0.0.1'), fields(), '::1')).status).toBe(403)
  })

  test('H-03: a range of IPv6 that spans the mapped addresses does not admit IPv4 peers', async () => {
    const { auth } = make('rfc9440', '::/48')
    for (const host of ['127.0.0.1', '::']) {
      expect((await raw(await serveHttp(bare(auth), host), fields())).status).toBe(403)
    }
  })

  test('H-03: a peer of a Unix socket has no address and passes nothing, whatever it says', async () => {
    const path = join(folder, 'proxy.sock')
    const { auth, lines: log } = make('rfc9440', '127.0.0.1')
    await serveHttp(bare(auth), path)
    const answer = await raw(
      path,
      lines('X-Forwarded-For: 127.0.0.1', `Client-Cert: ${value.rfc9440}`, `Client-Cert-Chain: ${value.chain}`),
    )
    expect(outcome(answer)).toEqual([403, 'ERR_CLIENT_CERT_UNTRUSTED_PROXY'])
    expect(log[0]).toContain('from a peer without an address')
    expect(outcome(await raw(path, lines()))).toEqual([401, 'ERR_CLIENT_CERT_ABSENT'])
  })
})

describe('H-04: a header and a certificate of the connection', () => {
  test('header mode does not look at the connection: the proxy’s own certificate is nobody’s identity', async () => {
    const { auth } = make('rfc9440')
    const direct = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    const port = await serveHttps(direct, bare(auth))
    expect(outcome(await get(port, bob))).toEqual([401, 'ERR_CLIENT_CERT_ABSENT'])
    const headers = { 'Client-Cert': value.rfc9440, 'Client-Cert-Chain': value.chain }
    expect(json(await get(port, bob, { headers }))).toEqual({ cn: 'alice', via: 'proxy' })
  })

  test('direct mode does not look at the header', async () => {
    const direct = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    const port = await serveHttps(direct, bare(direct))
    const headers = { 'Client-Cert': value.rfc9440, 'Client-Cert-Chain': value.chain, 'X-SSL-Client-Cert': value.nginx }
    expect(json(await get(port, bob, { headers }))).toEqual({ cn: 'bob', via: 'tls' })
    expect(outcome(await get(port, undefined, { headers }))).toEqual([401, 'ERR_CLIENT_CERT_ABSENT'])
  })

  test('an identity says by which way it came, so that a rule can tell', async () => {
    const { auth } = make('rfc9440', '127.0.0.1', {
      rules: rules.custom('direct only', ({ via }) => via === 'tls', { remember: 'identity' }),
    })
    const headers = { 'Client-Cert': value.rfc9440, 'Client-Cert-Chain': value.chain }
    expect(outcome(await getPlain(await serveHttp(bare(auth)), { headers }))).toEqual([403, 'ERR_CLIENT_CERT_RULE'])
  })
})

describe('in HTTP/2 without TLS', () => {
  async function ask(headers: http2.OutgoingHttpHeaders, auth = make('rfc9440').auth) {
    const port = await listen(http2.createServer(bare(auth) as never) as unknown as net.Server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    try {
      const stream = session.request(headers)
      let body = ''
      const status = await new Promise<number>((resolve, reject) => {
        stream.on('response', ({ ':status': code }) => resolve(code ?? 0)).on('error', reject)
      })
      for await (const chunk of stream.setEncoding('utf8')) body += chunk
      return { status, body, headers: {}, connection: 0 }
    } finally {
      session.destroy()
    }
  }

  test('the same header is the same identity', async () => {
    const answer = await ask({ 'client-cert': value.rfc9440, 'client-cert-chain': value.chain })
    expect(json(answer)).toEqual({ cn: 'alice', via: 'proxy' })
  })

  test('H-07: two of them are two', async () => {
    const answer = await ask({ 'client-cert': [value.rfc9440, value.bob] as never, 'client-cert-chain': value.chain })
    expect(outcome(answer)).toEqual([400, 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'])
  })

  test('H-01: from a stranger it is refused', async () => {
    const answer = await ask({ 'client-cert': value.rfc9440 }, make('rfc9440', '10.9.9.9').auth)
    expect(outcome(answer)).toEqual([403, 'ERR_CLIENT_CERT_UNTRUSTED_PROXY'])
  })
})

describe('frameworks', () => {
  for (const framework of frameworks) {
    test(`${framework.name}: the four outcomes are 401, 400, 400 and 403, and their default answers say nothing`, async () => {
      const trusted = await serveHttp(framework.listener({ mounts: [{ authenticator: make('rfc9440').auth }] }))
      const strange = await serveHttp(
        framework.listener({ mounts: [{ authenticator: make('rfc9440', '10.9.9.9').auth }] }),
      )
      const own = `Client-Cert: ${value.rfc9440}`
      const answers = [
        await raw(trusted, lines()),
        await raw(trusted, lines('Client-Cert: x')),
        await raw(trusted, lines(own, own)),
        await raw(strange, lines(own)),
      ]
      expect(answers.map(({ status }) => status)).toEqual([401, 400, 400, 403])
      for (const { body } of answers) expect(body).not.toMatch(/ERR_|client-cert(?!ificate)|preset|10\.9/i)
      expect(json(await raw(trusted, lines(own, `Client-Cert-Chain: ${value.chain}`)))).toEqual({ cn: 'alice' })
    })
  }
})
