/** `mtls-identity:spoofing`: who spoke in the place of a proxy, over real sockets; and that what was said is not repeated. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import {
  allOf,
  anyOf,
  byPeer,
  type CertificateSource,
  channels,
  createAuthenticator,
  type ForwardedHeaderOptions,
  forwardedHeader,
  proxyAddress,
  proxySecret,
  rules,
  type SpoofingEvent,
  type TrustedProxy,
  tlsSocket,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { byteSequence } from '../source/request.js'
import { connectHttp2, get, getPlain, json, lines, raw } from '../support/clients.js'
import { bare, frameworks, serveHttp, serveHttp2, serveHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let fields: string[]
beforeAll(async () => {
  pki = await createTestPki({ name: 'Clients' })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
  fields = [
    `Client-Cert: ${byteSequence(alice.certificate.der)}`,
    `Client-Cert-Chain: ${byteSequence(pki.intermediate.certificate.der)}`,
  ]
})

let events: SpoofingEvent[] = []
const hear = (event: SpoofingEvent) => events.push(event)
beforeEach(() => {
  events = []
  channels.spoofing.subscribe(hear)
})
afterEach(() => {
  channels.spoofing.unsubscribe(hear)
})

const authenticatorOf = (
  source: CertificateSource,
  rule = rules.any(rules.commonName('alice'), rules.commonName('bob')),
) =>
  createAuthenticator({
    trust: pki.trust,
    intermediates: pki.intermediate.certificate.pem,
    revocation: 'none',
    log: false,
    source,
    rules: rule,
  })
const header = (from: TrustedProxy, headers?: ForwardedHeaderOptions['headers']) =>
  forwardedHeader({ preset: 'rfc9440', from, ...(headers === undefined ? {} : { headers }) })
const here = proxyAddress('127.0.0.1')
const elsewhere = proxyAddress('10.0.3.7')
const untrusted = 'ERR_CLIENT_CERT_UNTRUSTED_PROXY'
const ambiguous = 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS'
const address = '127.0.0.1'
const right = 'r'.repeat(32)
const wrong = 'w'.repeat(32)
const secret = (of = right) => proxySecret({ header: 'X-Proxy-Secret', secrets: [of] })

describe('what the spoofing channel hears', () => {
  const of = (name: string, value: string) => `${name}: ${value}`
  const attempts: [name: string, source: () => CertificateSource, sent: () => string[], event: object | undefined][] = [
    ['nothing of a proxy that is trusted', () => header(here), () => fields, undefined],
    ['nothing of a stranger who sends no header', () => header(elsewhere), () => [], undefined],
    [
      'a header from a peer that may not send it',
      () => header(elsewhere),
      () => fields,
      { kind: 'untrusted-peer', header: 'client-cert', code: untrusted },
    ],
    [
      'the chain alone, too',
      () => header(elsewhere),
      () => fields.slice(1),
      { kind: 'untrusted-peer', header: 'client-cert-chain', code: untrusted },
    ],
    [
      'byPeer: a header from a direct peer',
      () => byPeer({ proxy: header(elsewhere), direct: tlsSocket() }),
      () => fields,
      { kind: 'untrusted-peer', header: 'client-cert', code: untrusted },
    ],
    [
      'an underscore twin',
      () => header(here),
      () => [...fields, of('Client_Cert', 'x')],
      { kind: 'look-alike', header: 'client-cert', code: ambiguous },
    ],
    [
      'a dot twin',
      () => header(here),
      () => [of('client.cert', 'x')],
      { kind: 'look-alike', header: 'client-cert', code: ambiguous },
    ],
    [
      'the header twice',
      () => header(here),
      () => [...fields, ...fields],
      { kind: 'repeated', header: 'client-cert', code: ambiguous },
    ],
    [
      'its name in Connection',
      () => header(here),
      () => [...fields, of('Connection', 'close, Client-Cert')],
      { kind: 'in-connection', header: 'client-cert', code: ambiguous },
    ],
    [
      'so many fields that Node may have dropped one',
      () => header(here),
      () => [...fields, ...Array.from({ length: limits.headerFields - 4 }, (_, i) => of(`x${i}`, ''))],
      { kind: 'too-many-fields', header: 'client-cert', code: ambiguous },
    ],
    [
      'a header beside it that speaks of another certificate',
      () => header(here, { fingerprint: 'X-Fingerprint' }),
      () => [...fields, of('X-Fingerprint', 'ab'.repeat(32))],
      { kind: 'disagreeing', header: 'x-fingerprint', code: ambiguous },
    ],
    [
      'a wrong secret beside a certificate',
      () => header(secret()),
      () => [...fields, of('X-Proxy-Secret', wrong)],
      { kind: 'wrong-secret', header: 'x-proxy-secret', code: untrusted },
    ],
    [
      'a wrong secret alone: somebody guesses',
      () => header(secret()),
      () => [of('X-Proxy-Secret', wrong)],
      { kind: 'wrong-secret', header: 'x-proxy-secret', code: 'ERR_CLIENT_CERT_ABSENT' },
    ],
    [
      'two secrets, one of them right',
      () => header(secret()),
      () => [...fields, of('X-Proxy-Secret', right), of('x-proxy-secret', wrong)],
      { kind: 'wrong-secret', header: 'x-proxy-secret', code: untrusted },
    ],
    [
      'a secret that is longer than any',
      () => header(secret()),
      () => [...fields, of('X-Proxy-Secret', 'x'.repeat(1_025))],
      { kind: 'wrong-secret', header: 'x-proxy-secret', code: untrusted },
    ],
    ['nothing of the right secret', () => header(secret()), () => [...fields, of('X-Proxy-Secret', right)], undefined],
    [
      'nothing of a secret that the second gate knows',
      () => header(anyOf(secret(wrong), secret())),
      () => [...fields, of('X-Proxy-Secret', right)],
      undefined,
    ],
    [
      'the right secret from a wrong address',
      () => header(allOf(elsewhere, secret())),
      () => [...fields, of('X-Proxy-Secret', right)],
      { kind: 'untrusted-peer', header: 'client-cert', code: untrusted },
    ],
    [
      'no secret at all',
      () => header(secret()),
      () => fields,
      { kind: 'untrusted-peer', header: 'client-cert', code: untrusted },
    ],
  ]
  test.each(attempts)('%s', async (_, source, sent, event) => {
    const auth = authenticatorOf(source())
    const port = await serveHttp(bare(auth), undefined, { maxHeaderSize: 300_000 })
    const answer = await raw(port, lines(...sent()))
    expect(events).toEqual(event === undefined ? [] : [{ ...event, address }])
    // Who heard of it changed nothing: an attempt is refused, and the rest is decided as ever.
    if (event !== undefined) expect(json(answer).code).toBe((event as SpoofingEvent).code)
    else expect(json(answer)).toEqual(sent().length > 0 ? { cn: 'alice', via: 'proxy' } : expect.anything())
  })

  test('O-01, O-03: nothing that was said is in it', async () => {
    const auth = authenticatorOf(header(secret()))
    const port = await serveHttp(bare(auth))
    await raw(port, lines(...fields, `X-Proxy-Secret: ${wrong}`))
    await raw(port, lines('Client-Cert: forged'))
    expect(events).toHaveLength(2)
    expect(JSON.stringify(events)).not.toMatch(/www|forged|alice|:MII/)
    expect(events.every((event) => Object.isFrozen(event))).toBe(true)
  })

  test('a client that is accepted by its own certificate and guesses at the secret: said on remembered decisions, too', async () => {
    const auth = authenticatorOf(byPeer({ proxy: header(secret()), direct: tlsSocket() }))
    const port = await serveHttps(auth, bare(auth))
    const guess = { headers: { 'X-Proxy-Secret': wrong } }
    for (let i = 0; i < 2; i++) expect(json(await get(port, bob, guess))).toEqual({ cn: 'bob', via: 'tls' })
    expect(json(await get(port, bob))).toEqual({ cn: 'bob', via: 'tls' })
    const event = { kind: 'wrong-secret', header: 'x-proxy-secret', address }
    expect(events).toEqual([event, event])
  })

  test('HTTP/2: the same, for each stream', async () => {
    const auth = authenticatorOf(byPeer({ proxy: header(elsewhere), direct: tlsSocket() }))
    const port = await serveHttp2(auth, bare(auth))
    const client = await connectHttp2(port, { client: bob })
    for (let i = 0; i < 2; i++) await client.get({ headers: { 'client-cert': ':eA==:' } })
    expect((await client.get()).status).toBe(200)
    const event = { kind: 'untrusted-peer', header: 'client-cert', code: untrusted, address }
    expect(events).toEqual([event, event])
  })

  test.each(frameworks)(
    '$name: one request is one event, however many mounts and guards decide, in report-only mode too',
    async ({ listener }) => {
      const auth = authenticatorOf(header(elsewhere))
      const app = listener({
        mounts: [
          { authenticator: auth, mode: 'report-only' },
          { authenticator: auth, mode: 'report-only' },
          { authenticator: auth },
        ],
      })
      const port = await serveHttp(app)
      const answer = await getPlain(port, { headers: { 'client-cert': ':eA==:' } })
      expect(answer.status).toBe(403)
      expect(events).toEqual([{ kind: 'untrusted-peer', header: 'client-cert', code: untrusted, address }])
    },
  )

  test('O-05: a slow listener, and one who comes and goes, change no answer', async () => {
    const auth = authenticatorOf(header(elsewhere))
    const port = await serveHttp(bare(auth))
    const slow = () => {
      const until = Date.now() + 50
      while (Date.now() < until);
    }
    channels.spoofing.subscribe(slow)
    const first = await raw(port, lines(...fields))
    channels.spoofing.unsubscribe(slow)
    channels.spoofing.unsubscribe(hear)
    const second = await raw(port, lines(...fields))
    expect([json(first).code, json(second).code]).toEqual([untrusted, untrusted])
    expect(events).toHaveLength(1)
  })
})
