import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { resolveProfile } from '../../src/path/profile.js'
import type { CertificateChecker, CertificateStatus } from '../../src/revocation/certificate-status.js'
import { createDocumentFetcher, FetchError } from '../../src/revocation/document-fetcher.js'
import { type OcspOptions, ocsp } from '../../src/revocation/ocsp-checker.js'
import { createTestPki } from '../../src/testing.js'
import {
  delegate,
  errorResponse,
  nonceExtension,
  ocspSigning,
  type ResponsePlan,
  respond,
  revoked,
  type SinglePlan,
  unknown,
} from '../support/ocsp-forge.js'
import { alice, ca, certIdOfForged, questionAbout, responderUrl, scene, strict } from '../support/ocsp-scene.js'
import { extKeyUsage, oid, primitive, sequence } from '../support/path-der.js'
import { forge, fromNoon, noon } from '../support/path-forge.js'
import { thrownBy } from '../support/pki.js'
import { startResponder } from '../support/responder.js'
import { closing } from '../support/revocation.js'

const [second, minute, hour] = [1000, 60_000, 3_600_000]
const at = noon.getTime()
const down = new FetchError('connect', responderUrl, 'connection refused')
const single = (plan: SinglePlan): ResponsePlan => ({ singles: [plan] })
const iso = (offset: number) => fromNoon(offset / second)
/** An answer that was signed this long after noon, and holds for an hour unless said otherwise. */
const signed = (offset: number, plan: SinglePlan = {}): ResponsePlan => ({
  producedAt: iso(offset),
  singles: [{ thisUpdate: iso(offset), nextUpdate: iso(offset + hour), ...plan }],
})
const reasonOf = (status: CertificateStatus) =>
  status.status === 'unknown'
    ? [status.reason, status.fix].filter((part) => part !== undefined).join(' — ')
    : status.status
const validUntil = (status: CertificateStatus) => (status.status === 'good' ? status.validUntil : Number.NaN)
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('options', () => {
  test('ocsp() alone names what to write', () => {
    expect(thrownBy(() => ocsp())).toBe(
      "ClientCertConfigError: ocsp: there is nobody to ask — ocsp({ responder: 'http://ocsp.example/' }); or, to ask whom certificates name, ocsp({ fromCertificate: true, allowHosts: ['ocsp.example'] })",
    )
  })

  test.each<[string, unknown, RegExp]>([
    ['null', null, /expected options/],
    [
      'a misspelt option',
      { responder: responderUrl, nonse: 'none' },
      /unknown option "nonse"\. Did you mean "nonce"\?/,
    ],
    ['an undefined option', { responder: responderUrl, nonce: undefined }, /nonce is undefined/],
    ['fromCertificate without hosts', { fromCertificate: true }, /allowHosts: \['ocsp\.example'\]/],
    ['fromCertificate with an empty list', { fromCertificate: true, allowHosts: [] }, /allowHosts names none/],
    ['fromCertificate that is a word', { fromCertificate: 'yes' }, /fromCertificate is "yes" — write a boolean/],
    [
      'a responder that is no URL',
      { responder: 'ocsp.example' },
      /ocsp\(\{ responder \}\): "ocsp\.example": .* write it as 'http:/,
    ],
    ['a responder of another scheme', { responder: 'ldap://ocsp.example' }, /"ldap:\/\/ocsp\.example"/],
    ['a responder with a password in it', { responder: 'http://a:b@ocsp.example' }, /write it as/],
    ['a skew of more than a day', { responder: responderUrl, skewSeconds: 86_401 }, /whole seconds, 86400 at most/],
    [
      'an age of more than a year',
      { responder: responderUrl, maxAgeSeconds: 366 * 86_400 + 1 },
      /maxAgeSeconds is 31622401/,
    ],
    ['an unknown hash', { responder: responderUrl, hash: 'md5' }, /hash is "md5" — write 'sha1' or 'sha256'/],
    ['an unknown method', { responder: responderUrl, method: 'GET' }, /method is "GET" — write 'get' or 'post'/],
    ['an unknown nonce policy', { responder: responderUrl, nonce: true }, /nonce is a boolean/],
    ['a negative skew', { responder: responderUrl, skewSeconds: -1 }, /skewSeconds is -1/],
    ['a skew that is no number', { responder: responderUrl, skewSeconds: Number.NaN }, /skewSeconds is NaN/],
    ['an age as text', { responder: responderUrl, maxAgeSeconds: '300' }, /maxAgeSeconds is "300"/],
    ['leafOnly that is a number', { responder: responderUrl, leafOnly: 1 }, /leafOnly is a number — write a boolean/],
    ['a clock that is a time', { responder: responderUrl, now: 5 }, /now is a number — write a function/],
    [
      'delegates that nobody knows',
      { responder: responderUrl, delegates: 'all' },
      /delegates is "all" — write 'nocheck', 'unchecked' or a checker/,
    ],
    [
      'delegates of a checker for whole paths',
      { responder: responderUrl, delegates: { name: 'x', check: () => ({ status: 'good' }) } },
      /delegates is a object/,
    ],
    [
      'a path for responderCertificates',
      { responder: responderUrl, responderCertificates: './ocsp.pem' },
      /"\.\/ocsp\.pem", which is no PEM/,
    ],
    [
      'responderCertificates that are no certificate',
      { responder: responderUrl, responderCertificates: Buffer.from('x') },
      /responderCertificates/,
    ],
    ['a fetcher that is none', { responder: responderUrl, fetcher: {} }, /fetcher is a object/],
    ['a path for ca', { responder: responderUrl, ca: './ca.pem' }, /ocsp: ca: line 1: text outside of a block/],
    [
      'ca that is a number',
      { responder: responderUrl, ca: 5 },
      /ocsp: ca: expected PEM text or DER octets, got number/,
    ],
    [
      'ca beside a fetcher',
      { responder: responderUrl, fetcher: scene().fetcher, ca: Buffer.from(ca.der) },
      /ca is the fetcher's business/,
    ],
    [
      'hosts beside a fetcher',
      { responder: responderUrl, fetcher: scene().fetcher, allowHosts: ['a.example'] },
      /allowHosts is the fetcher's business/,
    ],
  ])('%s is refused at construction', (_, options, message) => {
    expect(thrownBy(() => ocsp(options as OcspOptions))).toMatch(message)
  })

  test('an https responder of a private CA is asked where `ca` vouches for it, and not where it does not', async () => {
    const operators = await createTestPki()
    const { tls } = await operators.server()
    const answer = respond(certIdOfForged(alice, ca), ca)
    const { url, requests } = await startResponder({ answer, tls, contentType: 'application/ocsp-response' })
    const ask = async (options: Partial<OcspOptions>) => {
      const checker = closing(ocsp({ responder: `${url}/`, now: () => at, ...options }))
      return checker.statusOf(questionAbout(alice, ca, at, strict))
    }
    expect(reasonOf(await ask({}))).toMatch(/was not fetched: no TLS with its host/)
    expect(reasonOf(await ask({ ca: (await createTestPki()).trust }))).toMatch(/no TLS with its host/)
    expect(requests).toHaveLength(0)
    expect((await ask({ ca: operators.trust })).status).toBe('good')
    expect((await ask({ fetcher: createDocumentFetcher({ ca: operators.trust }) })).status).toBe('good')
  })

  test('a responder per issuer; one that names nobody has nobody to ask', async () => {
    const asked: string[] = []
    const it = scene({
      responder: ({ subject, fingerprint }) => {
        asked.push(`${subject} ${fingerprint.length}`)
        return subject === 'CN=CA' ? 'http://a.test/' : undefined
      },
    })
    it.reply = it.says()
    expect((await it.ask()).status).toBe('good')
    expect([asked, it.requests.map(({ url }) => url)]).toEqual([['CN=CA 64'], ['http://a.test/']])
    const other = forge({ subject: 'Other CA' })
    expect(reasonOf(await it.ask({ issuer: other, leaf: forge({ subject: 'bob', issuer: other }) }))).toBe(
      'no OCSP responder is configured for "CN=Other CA", and its certificate names none over http — responder: has to name it, or leafOnly: true where only clients have one',
    )
  })

  test('a function that returns no URL is a broken checker, not an unknown status', async () => {
    const it = scene({ responder: () => 'nonsense' })
    await expect(it.ask()).rejects.toThrow('ocsp({ responder }): "nonsense"')
  })
})

describe('what is asked', () => {
  test('by POST, with the CertID by SHA-1 and no nonce', async () => {
    const it = scene()
    it.reply = it.says()
    await it.ask()
    const body = sequence(sequence(sequence(sequence(certIdOfForged(alice, ca)))))
    expect(it.requests).toEqual([
      {
        url: responderUrl,
        method: 'POST',
        body,
        contentType: 'application/ocsp-request',
        accept: 'application/ocsp-response',
        maximumBytes: limits.ocspResponseBytes,
        configured: true,
      },
    ])
  })

  test('by GET where that is short enough, its base64 escaped; by POST where it is not', async () => {
    const it = scene({ method: 'get' })
    it.reply = it.says()
    await it.ask()
    const [request] = it.requests
    expect(request).toMatchObject({ method: 'GET', configured: true })
    expect(request?.body).toBeUndefined()
    expect(request?.url.slice(responderUrl.length)).toMatch(/^[A-Za-z0-9%]+$/)
    const sent = Buffer.from(decodeURIComponent(request?.url.slice(responderUrl.length) as string), 'base64')
    expect(sent).toEqual(Buffer.from(sequence(sequence(sequence(sequence(certIdOfForged(alice, ca)))))))
    for (const [length, method] of [
      [255 - (request?.url.length as number), 'GET'],
      [256 - (request?.url.length as number), 'POST'],
    ] as const) {
      const longer = scene({ method: 'get', responder: `${responderUrl}${'x'.repeat(length - 1)}/` })
      longer.reply = longer.says()
      await longer.ask()
      expect(longer.requests[0]?.method).toBe(method)
    }
  })

  test('by POST where the URL has a query, and with one slash between', async () => {
    const urls = ['http://ocsp.test/ocsp?ca=1', 'http://ocsp.test/ocsp']
    const requests = await Promise.all(
      urls.map(async (responder) => {
        const it = scene({ method: 'get', responder })
        it.reply = it.says()
        await it.ask()
        return it.requests[0]
      }),
    )
    expect(requests[0]).toMatchObject({ method: 'POST', url: urls[0] })
    expect(requests[1]?.url).toMatch(/^http:\/\/ocsp\.test\/ocsp\/M/)
  })

  test('with another nonce of 32 octets every time', async () => {
    const it = scene({ nonce: 'preferred' })
    it.reply = () => errorResponse(3)
    await it.ask()
    const nonces = it.requests.map(({ body }) =>
      Buffer.from(body as Uint8Array)
        .subarray(-34)
        .toString('hex'),
    )
    expect(it.requests).toHaveLength(3)
    expect(new Set(nonces).size).toBe(3)
    for (const nonce of nonces) expect(nonce.slice(0, 4)).toBe('0420')
  })
})

describe('whom certificates name', () => {
  const aia = (...urls: string[]) => ({
    oid: '1.3.6.1.5.5.7.1.1',
    critical: false,
    value: sequence(
      sequence(oid('1.3.6.1.5.5.7.48.2'), primitive(6, Buffer.from('http://ca-issuers.test/'))),
      ...urls.map((url) => sequence(oid('1.3.6.1.5.5.7.48.1'), primitive(6, Buffer.from(url)))),
    ),
  })
  const client = (...urls: string[]) => forge({ subject: 'bob', issuer: ca, extensions: [aia(...urls)] })

  test('is asked where that is said, and marked as not configured', async () => {
    const it = scene({ fromCertificate: true })
    const leaf = client('http://named.test/')
    it.reply = respond(certIdOfForged(leaf, ca), ca)
    expect((await it.ask({ leaf })).status).toBe('good')
    expect(it.requests.map(({ url, configured }) => [url, configured])).toEqual([['http://named.test/', false]])
  })

  test('is not asked where nothing is said, or somebody is configured', async () => {
    const silent = scene({ responder: () => undefined })
    expect((await silent.ask({ leaf: client('http://named.test/') })).status).toBe('unknown')
    expect(silent.requests).toEqual([])
    const it = scene({ fromCertificate: true, responder: responderUrl })
    it.reply = down
    await it.ask({ leaf: client('http://named.test/') })
    expect(it.requests.map(({ url, configured }) => [url, configured])).toEqual([[responderUrl, true]])
  })

  test('over http only, the second where the first may not be, and four at most', async () => {
    const it = scene({ fromCertificate: true })
    const leaf = client(
      'ldap://named.test/',
      'HTTP://one.test/',
      'https://two.test/',
      'http://3.test/',
      'http://4.test/',
      'http://5.test/',
    )
    it.reply = (request) =>
      request.url === 'https://two.test/'
        ? respond(certIdOfForged(leaf, ca), ca)
        : new FetchError('refused-host', request.url, 'it is not allowed')
    expect((await it.ask({ leaf })).status).toBe('good')
    expect(it.requests.map(({ url }) => url)).toEqual(['HTTP://one.test/', 'https://two.test/'])
    const refused = scene({ fromCertificate: true })
    refused.reply = ({ url }) => new FetchError('refused-host', url, 'it is not allowed')
    expect(reasonOf(await refused.ask({ leaf }))).toBe('OCSP: "http://4.test/" was not fetched: it is not allowed')
    expect(refused.requests).toHaveLength(4)
  })

  test('the second is not asked where the first took its time', async () => {
    const it = scene({ fromCertificate: true })
    it.reply = ({ url }) => {
      it.time += 1_001
      return new FetchError('timeout', url, 'it did not answer')
    }
    expect(reasonOf(await it.ask({ leaf: client('http://one.test/', 'http://two.test/') }))).toContain('one.test')
    expect(it.requests).toHaveLength(1)
  })

  test('a certificate that names nobody has an unknown status', async () => {
    const it = scene({ fromCertificate: true })
    expect(reasonOf(await it.ask())).toContain('its certificate names none over http')
    expect(it.requests).toEqual([])
  })
})

describe('answers', () => {
  test('good, with the time until which it need not be asked again', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    const status = await it.ask()
    expect(validUntil(status)).toBeGreaterThanOrEqual(at + 0.6 * hour)
    expect(validUntil(status)).toBeLessThanOrEqual(at + 0.9 * hour)
  })

  test('revoked, with reason and time', async () => {
    const it = scene()
    it.reply = it.says(single({ status: revoked(fromNoon(-3600), 1) }))
    expect(await it.ask()).toEqual({ status: 'revoked', reason: 'keyCompromise', since: fromNoon(-3600) })
  })

  test('unknown is not good, and says who does not know', async () => {
    const it = scene()
    it.reply = it.says(single({ status: unknown }))
    const expected =
      'OCSP responder "http://ocsp.test/" does not know this certificate — does it have what this CA has issued?'
    expect(reasonOf(await it.ask())).toBe(expected)
    expect(reasonOf(await it.ask())).toBe(expected)
    expect(it.requests).toHaveLength(1)
    it.time += 5 * second
    it.reply = it.says()
    expect((await it.ask()).status).toBe('good')
  })

  test('a key in the query of a responder is sent, and is in no reason', async () => {
    const it = scene({ responder: `${responderUrl}?key=s3cret` })
    const replies = [
      it.says(single({ status: unknown })),
      errorResponse(6),
      Buffer.from('<html>'),
      new FetchError('timeout', `${responderUrl}?key=s3cret`, 'no answer'),
    ]
    for (const reply of replies) {
      it.reply = reply
      expect(reasonOf(await it.ask())).toContain('"http://ocsp.test/?…"')
      it.time += 10 * second
    }
    expect(new Set(it.requests.map(({ url }) => url))).toEqual(new Set([`${responderUrl}?key=s3cret`]))
  })

  test.each<[string, Uint8Array | Error, string]>([
    ['unreachable', down, 'OCSP: "http://ocsp.test/" was not fetched: connection refused'],
    [
      'vouched for by nobody we know',
      new FetchError('tls', responderUrl, 'self-signed certificate'),
      'OCSP: "http://ocsp.test/" was not fetched: self-signed certificate — is it the right server? ocsp({ ca }) says who vouches for it, where no public CA does',
    ],
    [
      'an error status',
      errorResponse(6),
      'OCSP responder "http://ocsp.test/": it answered unauthorized — it does not answer for this issuer: is it the right responder?',
    ],
    [
      'malformed',
      Buffer.from('<html>'),
      'OCSP responder "http://ocsp.test/": its answer is malformed at octet 2: element is longer than what holds it — is an OCSP responder at that URL?',
    ],
    [
      'about somebody else',
      respond(certIdOfForged(forge({ issuer: ca }), ca), ca),
      "OCSP responder \"http://ocsp.test/\": it answered about another certificate — it may know the other hash only: hash: 'sha1' or 'sha256'",
    ],
  ])('one that is %s is named with what to do', async (_, reply, expected) => {
    const it = scene()
    it.reply = reply
    expect(reasonOf(await it.ask())).toBe(expected)
  })

  test('a page of a captive portal says so', async () => {
    const it = scene()
    it.reply = { bytes: Buffer.from('<html>'), contentType: 'text/html' }
    expect(reasonOf(await it.ask())).toContain('(it says "text/html") — is an OCSP responder at that URL?')
  })

  test('tryLater is asked again, twice', async () => {
    const it = scene()
    it.reply = () => (it.requests.length < 3 ? errorResponse(3) : it.says())
    expect((await it.ask()).status).toBe('good')
    expect(it.requests).toHaveLength(3)
    const never = scene()
    never.reply = errorResponse(3)
    expect(reasonOf(await never.ask())).toContain('it answered tryLater')
    expect(never.requests).toHaveLength(3)
  })

  test('who has waited is not made to wait for another try', async () => {
    const it = scene()
    it.reply = () => {
      it.time += 1_001
      return errorResponse(3)
    }
    expect((await it.ask()).status).toBe('unknown')
    expect(it.requests).toHaveLength(1)
  })

  test('a fetcher that has too much to do is asked again at once', async () => {
    const it = scene()
    it.reply = new FetchError('busy', responderUrl, 'too many requests wait already')
    expect((await it.ask()).status).toBe('unknown')
    it.reply = it.says()
    expect((await it.ask()).status).toBe('good')
  })

  test('an exception that is no failure to fetch is a broken checker', async () => {
    const it = scene()
    it.reply = new TypeError('a bug')
    await expect(it.ask()).rejects.toThrow('a bug')
    it.reply = it.says()
    expect((await it.ask()).status).toBe('good')
  })
})

describe('what is remembered', () => {
  test('an answer serves until it should be refreshed; then it still serves, and a newer one is fetched', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    const until = validUntil(await it.ask())
    it.time = until - 1
    expect(validUntil(await it.ask())).toBe(until)
    expect(it.requests).toHaveLength(1)

    it.time = until
    it.reply = it.says(signed(until - at))
    expect(validUntil(await it.ask())).toBe(Math.min(at + hour, until + 5 * second))
    await turn()
    expect(it.requests).toHaveLength(2)
    expect(validUntil(await it.ask())).toBeGreaterThan(at + hour)
  })

  test('where no newer one can be had, it serves until its end and the skew, and then no longer', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    await it.ask()
    it.reply = down
    for (const [time, expected] of [
      [hour - 1, 'good'],
      [hour, 'good'],
      [hour + 5 * minute, 'good'],
      [hour + 5 * minute + 1, 'unknown'],
    ] as const) {
      it.time = at + time
      const status = await it.ask()
      expect([time, status.status]).toEqual([time, expected])
      if (status.status === 'good') expect(status.validUntil).toBeLessThanOrEqual(at + hour + 5 * minute)
      await turn()
    }
  })

  test('one that holds for days is asked for anew every refreshSeconds, and serves if there is nobody to ask', async () => {
    for (const [options, most] of [
      [{}, hour],
      [{ refreshSeconds: 600 }, 10 * minute],
      [{ refreshSeconds: 0 }, (5 * second) / 0.9],
    ] as const) {
      const it = scene(options)
      it.reply = it.says(signed(0, { nextUpdate: iso(100 * hour) }))
      const until = validUntil(await it.ask())
      expect(until - at).toBeGreaterThanOrEqual(Math.max(5 * second, 0.6 * most) - 1)
      expect(until - at).toBeLessThanOrEqual(0.9 * most + 1)
      it.reply = down
      it.time = until
      expect((await it.ask()).status).toBe('good')
      await turn()
      it.time = at + 99 * hour
      expect([(await it.ask()).status, it.requests.length]).toEqual(['good', 3])
      await turn()
    }
  })

  test('a refresh that fails is tried again after a moment, not at every request', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    it.time = validUntil(await it.ask())
    it.reply = down
    for (let i = 0; i < 5; i++) {
      expect((await it.ask()).status).toBe('good')
      await turn()
    }
    expect(it.requests).toHaveLength(2)
    it.time += 5 * second
    await it.ask()
    expect(it.requests).toHaveLength(3)
  })

  test('HTTP freshness shortens, and never lengthens', async () => {
    const it = scene()
    it.reply = { bytes: it.says(signed(0)), freshUntil: at + minute }
    expect(validUntil(await it.ask())).toBeLessThanOrEqual(at + minute)
    it.time = at + minute
    it.reply = it.says(signed(minute, { status: revoked() }))
    expect((await it.ask()).status).toBe('revoked')
    const longer = scene()
    longer.reply = { bytes: longer.says(signed(0)), freshUntil: at + 100 * hour }
    expect(validUntil(await longer.ask())).toBeLessThanOrEqual(at + hour)
  })

  test('an answer that is not to be kept is not asked for at every request', async () => {
    const it = scene()
    it.reply = { bytes: it.says(signed(0)), freshUntil: at }
    await it.ask()
    it.time += 4 * second
    expect(validUntil(await it.ask())).toBe(at + 5 * second)
    expect(it.requests).toHaveLength(1)
    it.time += second
    await it.ask()
    expect(it.requests).toHaveLength(2)
  })

  test('without nextUpdate, for as long as maxAgeSeconds says', async () => {
    const it = scene({ maxAgeSeconds: 60, skewSeconds: 0 })
    it.reply = it.says(signed(0, { nextUpdate: false }))
    expect(validUntil(await it.ask())).toBeLessThanOrEqual(at + minute)
    it.reply = down
    it.time = at + minute
    expect((await it.ask()).status).toBe('good')
    it.time++
    expect((await it.ask()).status).toBe('unknown')
  })

  test('a thousand requests at once are one', async () => {
    const it = scene()
    it.reply = async () => {
      await turn()
      return it.says()
    }
    const statuses = await Promise.all(Array.from({ length: 1_000 }, () => it.ask()))
    expect(new Set(statuses.map(({ status }) => status))).toEqual(new Set(['good']))
    expect(it.requests).toHaveLength(1)
  })

  test('a failure is one for all who wait, is not tried again for a moment, and does not spoil the next', async () => {
    const it = scene()
    it.reply = async () => {
      await turn()
      return down
    }
    const statuses = await Promise.all(Array.from({ length: 100 }, () => it.ask()))
    expect(new Set(statuses.map(({ status }) => status))).toEqual(new Set(['unknown']))
    it.reply = it.says()
    it.time += 5 * second - 1
    expect((await it.ask()).status).toBe('unknown')
    expect(it.requests).toHaveLength(1)
    it.time++
    expect((await it.ask()).status).toBe('good')
  })

  test('a clock that was set back neither uses an answer of its future nor sticks to a failure', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    await it.ask()
    it.time -= hour
    it.reply = down
    expect((await it.ask()).status).toBe('unknown')
    it.time -= hour
    it.reply = it.says(signed(-2 * hour))
    expect((await it.ask()).status).toBe('unknown')
    expect(it.requests).toHaveLength(3)
  })

  test('a certificate of the same serial number of another issuer is another one', async () => {
    const it = scene()
    const [twinCa, key] = [forge({ subject: 'CA' }), forge({ subject: 'Other CA', key: ca.key })]
    const mine = forge({ subject: 'x', issuer: ca, serial: 0x77 })
    it.reply = respond(certIdOfForged(mine, ca), ca)
    expect((await it.ask({ leaf: mine })).status).toBe('good')
    for (const issuer of [twinCa, key]) {
      const theirs = forge({ subject: 'x', issuer, serial: 0x77 })
      expect((await it.ask({ leaf: theirs, issuer })).status).toBe('unknown')
    }
    expect(it.requests).toHaveLength(3)
  })

  test('an answer accepted under one profile is not one under a stricter', async () => {
    const it = scene()
    const lax = resolveProfile({ signatureAlgorithms: ['ecdsa-with-SHA1', 'ecdsa-with-SHA256'] })
    it.reply = it.says({ algorithm: [sequence(oid('1.2.840.10045.4.1')), 'sha1'] })
    expect((await it.ask({ profile: lax })).status).toBe('good')
    expect(reasonOf(await it.ask())).toContain('"ecdsa-with-SHA1": it is not accepted')
    expect((await it.ask({ profile: lax })).status).toBe('good')
    expect(it.requests).toHaveLength(2)
    // One that both accept serves both.
    it.time += 5 * second
    it.reply = it.says()
    expect([(await it.ask()).status, (await it.ask({ profile: lax })).status]).toEqual(['good', 'good'])
  })
})

describe('replays', () => {
  test('an older good does not take back a revocation', async () => {
    const it = scene()
    it.reply = it.says(signed(0, { status: revoked(noon, 6) }))
    expect((await it.ask()).status).toBe('revoked')
    for (const offset of [-10 * minute, -second, 0]) {
      it.time = at + hour
      it.reply = it.says(signed(offset, { nextUpdate: iso(3 * hour) }))
      expect((await it.ask()).status).toBe('revoked')
    }
  })

  test('an older good does not take the place of a newer one that ended', async () => {
    const it = scene()
    it.reply = it.says(signed(0, { nextUpdate: iso(minute) }))
    await it.ask()
    it.time = at + 10 * minute
    it.reply = it.says(signed(-minute, { nextUpdate: iso(hour) }))
    expect(reasonOf(await it.ask())).toBe(
      'OCSP responder "http://ocsp.test/": its answer is of 2026-11-20T11:59:00Z, and one of 2026-11-20T12:00:00Z was seen before — a replay, or one of several responders lags behind',
    )
    it.time += 5 * second
    it.reply = it.says(signed(0, { nextUpdate: iso(hour) }))
    expect((await it.ask()).status).toBe('good')
  })

  test('a newer unknown takes the place of a good one, and says that something changed', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    await it.ask()
    const { generation } = it.checker
    it.time = at + hour
    it.reply = it.says(signed(minute, { status: unknown }))
    expect((await it.ask()).status).toBe('unknown')
    expect(it.checker.generation).toBe(generation + 1)
  })

  test('what was unknown may have been issued in the same second', async () => {
    const it = scene()
    it.reply = it.says(signed(0, { status: unknown }))
    await it.ask()
    it.time += 5 * second
    it.reply = it.says(signed(0))
    expect((await it.ask()).status).toBe('good')
  })
})

describe('revocations', () => {
  test('the generation rises with each, and with nothing else', async () => {
    const it = scene()
    const { generation } = it.checker
    it.reply = it.says(signed(0))
    await it.ask()
    it.reply = down
    it.time = at + hour
    await it.ask()
    it.reply = it.says(signed(hour))
    it.time += 5 * second
    await it.ask()
    expect(it.checker.generation).toBe(generation)
    it.time = at + 2 * hour
    it.reply = it.says(signed(2 * hour, { status: revoked() }))
    expect((await it.ask()).status).toBe('revoked')
    expect(it.checker.generation).toBe(generation + 1)
    await it.ask()
    expect(it.checker.generation).toBe(generation + 1)
  })

  test('one that is learned in the background raises it too', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    it.time = validUntil(await it.ask())
    const { generation } = it.checker
    it.reply = it.says(signed(minute, { status: revoked() }))
    expect((await it.ask()).status).toBe('good')
    await turn()
    expect(it.checker.generation).toBe(generation + 1)
    expect((await it.ask()).status).toBe('revoked')
  })

  test.each([undefined, 0, 1, 2, 3, 4, 5, 9, 10])(
    'with reason %s they are for good: nobody is asked again',
    async (reason) => {
      const it = scene()
      it.reply = it.says(signed(0, { status: revoked(noon, reason) }))
      await it.ask()
      it.time = at + 1_000 * hour
      it.reply = it.says(signed(1_000 * hour))
      expect((await it.ask()).status).toBe('revoked')
      expect(it.requests).toHaveLength(1)
    },
  )

  test('on hold they last until a newer answer lifts them, however long nobody can be reached', async () => {
    const it = scene()
    it.reply = it.says(signed(0, { status: revoked(noon, 6) }))
    await it.ask()
    it.reply = down
    it.time = at + 100 * hour
    expect(await it.ask()).toEqual({ status: 'revoked', reason: 'certificateHold', since: noon })
    it.time += 5 * second
    it.reply = it.says(signed(100 * hour))
    expect((await it.ask()).status).toBe('good')
  })

  test('a hold may become a revocation for good; that also where its answer is the older one', async () => {
    const it = scene()
    it.reply = it.says(signed(0))
    await it.ask()
    it.time = at + hour
    it.reply = it.says(signed(-minute, { status: revoked(noon, 1), nextUpdate: iso(2 * hour) }))
    expect(await it.ask()).toMatchObject({ status: 'revoked', reason: 'keyCompromise' })
  })

  test('one that was seen under any profile counts under all', async () => {
    const it = scene()
    const lax = resolveProfile({ signatureAlgorithms: ['ecdsa-with-SHA1'] })
    it.reply = it.says({ algorithm: [sequence(oid('1.2.840.10045.4.1')), 'sha1'], singles: [{ status: revoked() }] })
    expect((await it.ask({ profile: lax })).status).toBe('revoked')
    expect((await it.ask()).status).toBe('revoked')
    expect(it.requests).toHaveLength(1)
  })
})

describe('delegates whose status somebody else knows', () => {
  const signer = forge({ subject: 'responder', issuer: ca, extensions: [extKeyUsage([ocspSigning])] })
  const plan = (offset: number, single: SinglePlan = {}): ResponsePlan => ({
    ...signed(offset, single),
    signer: signer.key,
    certificates: [signer.der],
  })
  function crl(): CertificateChecker & {
    answer: CertificateStatus
    generation: number
    asked: string[]
    isReady: boolean
  } {
    return {
      name: 'crl',
      generation: 1,
      asked: [],
      isReady: false,
      answer: { status: 'good', validUntil: Number.POSITIVE_INFINITY },
      statusOf({ certificate, issuer }) {
        this.asked.push(`${certificate.subject} of ${issuer.subject}`)
        return this.answer
      },
      check: () => ({ status: 'good' }),
      async ready() {
        this.isReady = true
      },
    }
  }

  test('are believed while it is good', async () => {
    const delegates = crl()
    const it = scene({ delegates })
    it.reply = it.says(plan(0))
    expect((await it.ask()).status).toBe('good')
    expect(delegates.asked).toEqual(['CN=responder of CN=CA'])
    await it.checker.ready?.()
    expect(delegates.isReady).toBe(true)
  })

  test.each<[CertificateStatus, string]>([
    [
      { status: 'revoked', reason: 'keyCompromise' },
      'OCSP responder "http://ocsp.test/": its delegate "CN=responder" is revoked — have the CA certify another one',
    ],
    [
      { status: 'unknown', reason: 'no CRL' },
      'OCSP responder "http://ocsp.test/": its delegate "CN=responder" is of unknown status (no CRL) — have the CA certify another one',
    ],
  ])('are not where it is %j', async (answer, expected) => {
    const delegates = crl()
    const it = scene({ delegates })
    delegates.answer = answer
    it.reply = it.says(plan(0))
    expect(reasonOf(await it.ask())).toBe(expected)
    it.time += 5 * second
    it.reply = it.says(plan(0, { status: revoked() }))
    expect((await it.ask()).status).toBe('unknown')
  })

  test('are not believed for longer than that holds, also where it holds for less than before', async () => {
    const delegates = crl()
    const it = scene({ delegates })
    it.reply = it.says(plan(0))
    await it.ask()
    delegates.generation++
    delegates.answer = { status: 'good', validUntil: at + minute }
    it.reply = down
    expect((await it.ask()).status).toBe('unknown')
    it.time += 5 * second
    it.reply = it.says(plan(1000))
    expect(validUntil(await it.ask())).toBeLessThanOrEqual(at + minute)
  })

  test('end when that ends', async () => {
    const delegates = crl()
    const it = scene({ delegates })
    delegates.answer = { status: 'good', validUntil: at + minute }
    it.reply = it.says(plan(0))
    expect(validUntil(await it.ask())).toBeLessThanOrEqual(at + minute)
    it.time = at + minute + 1
    it.reply = down
    expect((await it.ask()).status).toBe('unknown')
  })

  test('are asked about anew when that has changed, and their answers are no longer believed', async () => {
    const delegates = crl()
    const it = scene({ delegates })
    it.reply = it.says(plan(0))
    await it.ask()
    await it.ask()
    expect(delegates.asked).toHaveLength(1)
    const { generation } = it.checker
    delegates.generation++
    expect(it.checker.generation).toBe(generation + 1)
    expect((await it.ask()).status).toBe('good')
    await it.ask()
    expect([delegates.asked.length, it.requests.length]).toEqual([2, 1])
    delegates.answer = { status: 'revoked' }
    delegates.generation++
    expect((await it.ask()).status).toBe('unknown')
  })

  test('with ocsp-nocheck nobody is asked', async () => {
    const delegates = crl()
    const it = scene({ delegates })
    const told = delegate(ca)
    it.reply = it.says({ signer: told.key, certificates: [told.der] })
    expect((await it.ask()).status).toBe('good')
    expect(delegates.asked).toEqual([])
  })
})

describe('configured responders', () => {
  test('PEM and DER', async () => {
    const own = forge({ subject: 'own responder' })
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(own.der)
      .toString('base64')
      .replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
    for (const responderCertificates of [pem, own.der]) {
      const it = scene({ responderCertificates })
      it.reply = it.says({ signer: own.key })
      expect((await it.ask()).status).toBe('good')
    }
    const without = scene()
    without.reply = without.says({ signer: own.key })
    expect(reasonOf(await without.ask())).toContain('which is neither "CN=CA" nor a delegate it came with')
  })
})

describe('nonces', () => {
  const echo = (it: ReturnType<typeof scene>) => () => {
    const body = Buffer.from(it.requests.at(-1)?.body as Uint8Array)
    return it.says({ extensions: [nonceExtension(body.subarray(-32))] })
  }
  test.each(['preferred', 'required'] as const)('%s: ours is sent and comes back', async (nonce) => {
    const it = scene({ nonce })
    it.reply = echo(it)
    expect((await it.ask()).status).toBe('good')
  })

  test('none comes back: enough where it is preferred', async () => {
    for (const [nonce, expected] of [
      ['preferred', 'good'],
      ['required', 'unknown'],
    ] as const) {
      const it = scene({ nonce })
      it.reply = it.says()
      expect((await it.ask()).status).toBe(expected)
    }
  })

  test('yesterday’s comes back: never', async () => {
    for (const nonce of ['preferred', 'required'] as const) {
      const it = scene({ nonce })
      it.reply = it.says({ extensions: [nonceExtension(Buffer.alloc(32, 9))] })
      expect(reasonOf(await it.ask())).toContain('its answer has the nonce of another request')
    }
  })
})

describe('the end', () => {
  test('a closed checker knows nothing, and who waits is told', async () => {
    const it = scene()
    it.reply = errorResponse(3)
    const waiting = it.ask()
    await turn()
    it.checker.close?.()
    expect(reasonOf(await waiting)).toBe('the OCSP checker was closed')
    it.reply = it.says()
    expect(reasonOf(await it.ask())).toBe('the OCSP checker was closed')
    // A fetcher that was given is somebody else's.
    expect(it.fetcher.closed).toBe(false)
  })

  test('ready() resolves: nothing is loaded beforehand', async () => {
    await expect(scene().checker.ready?.()).resolves.toBeUndefined()
  })
})

test('a refresh that fails by a bug ends no process, and the answer serves', async () => {
  const it = scene()
  it.reply = it.says(signed(0))
  it.time = validUntil(await it.ask())
  it.reply = new TypeError('a bug')
  expect((await it.ask()).status).toBe('good')
  await turn()
  await turn()
})
