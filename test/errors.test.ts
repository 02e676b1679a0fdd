import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import type {
  AbsentDetail,
  ClientCertErrorDetails,
  KeyUsageDetail,
  RuleDetail,
  UnknownIssuerDetail,
} from '../src/details.js'
import {
  type AnyClientCertError,
  asInternal,
  ClientCertConfigError,
  ClientCertError,
  type ClientCertErrorCode,
  deny,
  errorTable,
  isClientCertError,
  nearest,
  refuseUnknownOptions,
  withAnswer,
} from '../src/errors.js'
import { duration, quote, wordsOf } from '../src/help.js'
import { thrownBy } from './support/pki.js'

const at = new Date('2026-11-20T12:00:00Z')
const before = new Date('2026-11-18T09:00:00Z')

const absent = (cause: AbsentDetail['cause'], more: Partial<AbsentDetail> = {}): AbsentDetail => ({
  cause,
  requested: true,
  encrypted: true,
  ...more,
})
const around = {
  method: 'GET',
  path: '/p',
  agent: 'curl/8',
  origin: 'https://o.test',
  peer: '10.0.0.1',
  header: 'X-Client-Cert',
  protocol: 'TLSv1.3',
}
const issuer = (cause: UnknownIssuerDetail['cause']): UnknownIssuerDetail => ({
  cause,
  issuer: 'CN=I',
  root: 'CN=R',
  anchors: ['CN=A', 'CN=B'],
  anchorCount: 5,
  trust: './ca.pem',
})
const usage = (
  role: KeyUsageDetail['role'],
  extension: KeyUsageDetail['extension'],
  present: string[] | undefined,
): KeyUsageDetail => ({
  subject: 'CN=S',
  extension,
  role,
  required: extension === 'keyUsage' ? 'digitalSignature' : 'clientAuth',
  present,
})
const ruled = (reason: RuleDetail['reason'], hint?: string): RuleDetail => ({
  rule: 'dnsName("a.test")',
  reason,
  ...(hint === undefined ? {} : { hint }),
})

/** Every code with every variant of its facts. A new code or cause does not compile until it is here. */
const samples: { [C in ClientCertErrorCode]: ClientCertErrorDetails[C][] } = {
  ERR_CLIENT_CERT_ABSENT: Object.values({
    'plain-http': absent('plain-http', { encrypted: false }),
    'not-requested': absent('not-requested', { requested: false }),
    'resumed-without': absent('resumed-without', around),
    'behind-proxy': absent('behind-proxy', around),
    'header-absent': absent('header-absent', { ...around, header: 'x-c', wasSent: true, whereToLook: 'look there' }),
    'header-unread': absent('header-unread', { ...around, header: 'X-C', presets: ['envoy', 'cloud-foundry'] }),
    'not-the-proxy': absent('not-the-proxy', { ...around, header: 'X-C', gate: 'proxyAddress()' }),
    preflight: absent('preflight', around),
    probe: absent('probe', around),
    'not-among-advertised': absent('not-among-advertised', {
      ...around,
      advertised: ['CN=A', 'CN=B'],
      advertisedCount: 7,
    }),
    'none-sent': absent('none-sent', around),
    'not-http': absent('not-http'),
  } satisfies Record<AbsentDetail['cause'], AbsentDetail>),
  ERR_CLIENT_CERT_MALFORMED: [
    { structure: 'the certificate', reason: 'r', offset: 7 },
    { structure: 'the certificate', reason: 'r' },
  ],
  ERR_CLIENT_CERT_VERSION: [
    { subject: 'CN=S', version: 1 },
    { subject: 'CN=S', version: 2 },
  ],
  ERR_CLIENT_CERT_UNKNOWN_ISSUER: Object.values({
    'missing-intermediate': issuer('missing-intermediate'),
    'lost-on-resumption': issuer('lost-on-resumption'),
    'self-signed': issuer('self-signed'),
    'not-trusted': issuer('not-trusted'),
  } satisfies Record<UnknownIssuerDetail['cause'], UnknownIssuerDetail>),
  ERR_CLIENT_CERT_SIGNATURE: [
    { issuer: 'CN=I' },
    { issuer: 'CN=I', expectedKeyId: 'aa'.repeat(20), trustedKeyId: 'bb'.repeat(20) },
  ],
  ERR_CLIENT_CERT_ALGORITHM: [{ subject: 'CN=S', algorithm: 'md5', reason: 'it is not accepted' }],
  ERR_CLIENT_CERT_WEAK_KEY: [
    { subject: 'CN=S', key: 'RSA 1024 bits', reason: 'minimum is 2048', setting: 'profile.minimumRsaBits' },
  ],
  ERR_CLIENT_CERT_EXPIRED: [{ subject: 'CN=S', notAfter: before, at }],
  ERR_CLIENT_CERT_NOT_YET_VALID: [{ subject: 'CN=S', notBefore: at, at: before }],
  ERR_CLIENT_CERT_BASIC_CONSTRAINTS: [{ subject: 'CN=S', reason: 'its basicConstraints say CA:FALSE' }],
  ERR_CLIENT_CERT_PATH_LENGTH: [{ subject: 'CN=S', pathLenConstraint: 0 }],
  ERR_CLIENT_CERT_KEY_USAGE: [
    usage('client', 'extendedKeyUsage', undefined),
    usage('client', 'extendedKeyUsage', ['serverAuth']),
    usage('client', 'extendedKeyUsage', ['a', 'b', 'c', 'd', 'e']),
    usage('client', 'keyUsage', ['keyEncipherment']),
    usage('issuer', 'keyUsage', []),
    usage('issuer', 'extendedKeyUsage', ['serverAuth']),
  ],
  ERR_CLIENT_CERT_CA_AS_CLIENT: [
    { subject: 'CN=S', selfIssued: true },
    { subject: 'CN=S', selfIssued: false },
  ],
  ERR_CLIENT_CERT_EXTENSION: [
    { subject: 'CN=S', oid: '1.2.3', critical: true, reason: 'r' },
    { subject: 'CN=S', oid: '1.2.3', critical: false, reason: 'r' },
    { subject: 'CN=S', oid: '1.2.3', critical: false, reason: 'constrains uncritically', fix: 'issue it critical' },
  ],
  ERR_CLIENT_CERT_NAME_CONSTRAINTS: (['excluded', 'not-permitted', 'not-supported'] as const).map((violation) => ({
    subject: 'CN=S',
    form: 'dNSName',
    name: 'a.test',
    violation,
  })),
  ERR_CLIENT_CERT_POLICY: [
    { subject: 'CN=S', required: undefined },
    { subject: 'CN=S', required: ['1.2.3', '1.2.4'] },
  ],
  ERR_CLIENT_CERT_BUDGET: [{ limit: 'signatures', maximum: 32 }],
  ERR_CLIENT_CERT_REVOKED: [
    { subject: 'CN=S' },
    { subject: 'CN=S', reason: 'keyCompromise', since: before },
    { subject: 'CN=S', since: new Date(Number.NaN) },
  ],
  ERR_CLIENT_CERT_REVOCATION_UNKNOWN: [{ subject: 'CN=S', reason: 'r' }],
  ERR_CLIENT_CERT_RULE: [
    ...Object.values({
      'did-not-hold': ruled('did-not-hold', 'the certificate has "b.test" — allow it in the rule'),
      threw: ruled('threw', 'database'),
      'timed-out': ruled('timed-out'),
      'not-true': ruled('not-true', 'a value of type number'),
    } satisfies Record<RuleDetail['reason'], RuleDetail>),
    ruled('did-not-hold'),
    ruled('threw'),
    ruled('not-true'),
  ],
  ERR_CLIENT_CERT_PRINCIPAL: [
    { subject: 'CN=S', fingerprint: 'ab'.repeat(32) },
    { subject: 'CN=S', fingerprint: 'ab'.repeat(32), reason: 'it has no dns name' },
  ],
  ERR_CLIENT_CERT_SVID: [{ name: 'spiffe://a.test/b', reason: 'no bundle of its trust domain a.test is configured' }],
  ERR_CLIENT_CERT_RENEGOTIATED: [{ protocol: 'TLSv1.2' }],
  ERR_CLIENT_CERT_UNTRUSTED_PROXY: [
    { peer: '127.0.0.6', header: 'X-C', gate: "proxyAddress('10.0.0.0/8')" },
    { peer: undefined, header: 'X-C', gate: 'g' },
  ],
  ERR_CLIENT_CERT_PROXY_REFUSED: [
    { header: 'x-v', verdict: 'FAILED:certificate has expired', accepts: 'SUCCESS' },
    { header: 'x-v', verdict: undefined, accepts: '0' },
  ],
  ERR_CLIENT_CERT_HEADER_MALFORMED: [{ header: 'X-C', preset: 'envoy', reason: 'wants Key=Value' }],
  ERR_CLIENT_CERT_HEADER_AMBIGUOUS: [{ header: 'X-C', cause: 'repeated', reason: 'occurs twice' }],
  ERR_CLIENT_CERT_RUNTIME: [{ runtime: 'Bun 1', reason: 'hides it' }],
  ERR_CLIENT_CERT_NOT_READY: [{ reason: 'the authenticator was closed' }],
  ERR_CLIENT_CERT_INTERNAL: [{ stage: 'deciding' }],
}

const codes = Object.keys(samples) as ClientCertErrorCode[]
const all = codes.flatMap((code) =>
  samples[code].map((detail, i): [string, AnyClientCertError] => [
    `${code} ${i}`,
    deny(code, detail as never, { depth: 1, cause: new Error('c') }) as AnyClientCertError,
  ]),
)

describe('the table', () => {
  test('has a row for every code, and a code for every row', () => {
    expect(Object.keys(errorTable).sort()).toEqual([...codes].sort())
  })

  test.each(codes)('%s has a status of 400 to 599, a meaning and a source, and cannot be changed', (code) => {
    const row = errorTable[code]
    expect([400, 401, 403, 500, 503]).toContain(row.status)
    expect(row.meaning).toMatch(/^\S.{6,}/)
    expect(row.source).toMatch(/^(RFC \d+ §|RFC \d+$|X509-SVID §|-$)/)
    expect(() => Object.assign(row, { status: 200 })).toThrow(TypeError)
  })

  test('401 is for absence alone; what may end by itself is 503; what is ours is 500', () => {
    const of = (status: number) =>
      codes.filter((code) => errorTable[code].status === status).map((code) => code.slice('ERR_CLIENT_CERT_'.length))
    expect(of(401)).toEqual(['ABSENT'])
    expect(of(503)).toEqual(['REVOCATION_UNKNOWN', 'NOT_READY'])
    expect(of(500)).toEqual(['RUNTIME', 'INTERNAL'])
    expect(of(400)).toEqual(['HEADER_MALFORMED', 'HEADER_AMBIGUOUS'])
  })
})

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

describe('the sentence for the operator', () => {
  test.each(all)('%s: one fact, one fix, one line', (_, { help }) => {
    expect(help).toMatch(/^\S.{10,} — \S.{6,}$/u)
    expect(help).not.toMatch(/undefined|NaN|\[object|Invalid Date|null/)
    expect(help).not.toMatch(unprintable)
    expect(help.length).toBeLessThanOrEqual(1_500)
  })

  /** Everything a peer, a proxy or a broken rule might put there. */
  const hostile = [
    `a\nmtls-identity ERR_FAKE: b`,
    'a\r\n\tb\u0000c\u001b[2J\u007f\u0085\u009b',
    '\u202e\u202a\u2066\u2069\u200b\u200f\u061c\u180e\ufeff\u2028\u2029\u00ad',
    '\u{e0041}\u{e0042}\u{1d173}\ud800',
    'x'.repeat(100_000),
    '\u200b'.repeat(100_000),
    '"\\'.repeat(50_000),
    '\0'.repeat(300),
  ]

  test.each(hostile.map((text) => [JSON.stringify(text.slice(0, 12)), text]))('P-15: hostile values, %s', (_, text) => {
    const poison = (value: unknown): unknown => {
      if (typeof value === 'string') return text
      if (Array.isArray(value)) return value.map(poison)
      if (typeof value !== 'object' || value === null || value instanceof Date) return value
      return Object.fromEntries(
        Object.entries(value).map(([key, each]) => [
          key,
          ['cause', 'role', 'extension', 'violation'].includes(key) ? each : poison(each),
        ]),
      )
    }
    for (const code of codes) {
      for (const detail of samples[code]) {
        const poisoned = poison(detail) as Record<string, unknown>
        if (code === 'ERR_CLIENT_CERT_RULE') poisoned.reason = (detail as RuleDetail).reason
        const { help } = deny(code, poisoned as never, { depth: 1, cause: new Error(text) })
        expect([code, unprintable.test(help)]).toEqual([code, false])
        expect([code, help.length > 1_500]).toEqual([code, false])
      }
    }
  })

  test('what was thrown is named, whatever it was', () => {
    const helpOf = (cause: unknown) => deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'x' }, { cause }).help
    expect(helpOf(new RangeError('no'))).toMatch(/refused: "RangeError: no" — this is a bug: please report it/)
    for (const cause of [undefined, null, 1, 'text', Symbol('s'), Object.create(null), () => 1])
      expect(helpOf(cause)).toMatch(/^unexpected error in x, refused: ".+" — /)
  })

  test('what the application wrote is the application’s to mend', () => {
    const helpOf = (stage: string, ofApplication: 'yes' | 'perhaps') =>
      asInternal(new Error('down'), stage, ofApplication).help
    expect(helpOf('resolve()', 'yes')).toBe('resolve() failed, which refuses: "Error: down" — mend it, or what it asks')
    expect(helpOf('the revocation checker "our database"', 'perhaps')).toBe(
      'the revocation checker "our database" failed, which refuses: "Error: down" — mend it; if it is one of this package, please report it',
    )
  })

  test('of a provider’s error the code of its cause is said: fetch says "fetch failed" and no more', () => {
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    expect(wordsOf(new TypeError('fetch failed', { cause }))).toBe('"fetch failed" (ECONNREFUSED)')
    for (const code of [undefined, 7, 'ECONN\nREFUSED', 'x'.repeat(65)]) {
      const other = Object.assign(new Error('connect'), { code })
      expect(wordsOf(new TypeError('fetch failed', { cause: other }))).toBe('"fetch failed"')
    }
    expect(wordsOf(new Error('503'))).toBe('"503"')
  })

  test('PEM where DER is wanted is called that', () => {
    const helpOf = (reason: string, offset: number) =>
      deny('ERR_CLIENT_CERT_MALFORMED', { structure: 'the certificate', reason, offset }).help
    expect(helpOf('expected tag 0x30, found 0x2d', 0)).toMatch(/^the certificate is PEM text where DER is wanted — /)
    expect(helpOf('expected tag 0x30, found 0x2d', 4)).toMatch(/is malformed at octet 4/)
    expect(helpOf('expected tag 0x30, found 0x31', 0)).toMatch(/is malformed at octet 0/)
  })

  test.each<[string, RegExp]>([
    ["proxySecret({ header: 'X-Proxy-Secret' })", /let it set this field to one of the secrets/],
    ['proxyCertificate(authenticator)', /give it a client certificate that is accepted here/],
    ['unixSocket()', /let it come through the Unix socket, or admit its address/],
    ["proxyAddress('10.0.0.1')", /add it if that is your proxy, or use unixSocket\(\)/],
    ["allOf(proxyAddress('10.0.0.1'), unixSocket())", /see which of these it does not pass/],
  ])('a peer that does not pass %s is told of what would', (gate, fix) => {
    const { help } = deny('ERR_CLIENT_CERT_UNTRUSTED_PROXY', { peer: '10.9.9.9', header: 'x-c', gate })
    expect(help).toMatch(fix)
    expect(help).toMatch(/; if not, somebody reaches this port directly$/)
  })

  test.each<[string, string]>([
    ['plain', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a\nb', '"a\\nb"'],
    ['\u202ea', '"\\u202ea"'],
    ['\u{e0041}', '"\\udb40\\udc41"'],
    ['äñ中😀', '"äñ中😀"'],
    ['x'.repeat(256), `"${'x'.repeat(256)}"`],
    ['x'.repeat(257), `"${'x'.repeat(255)}…"`],
    ['\n'.repeat(128), `"${'\\n'.repeat(128)}"`],
    ['\n'.repeat(129), `"${'\\n'.repeat(127)}…"`],
  ])('quote(%j)', (value, quoted) => {
    expect(quote(value)).toBe(quoted)
  })

  test('an escape is never cut in two: what is quoted is JSON as long as it is whole', () => {
    for (let length = 240; length < 260; length++) {
      for (const tail of ['\n', '\u202e', '"', '\\', '\u{e0041}']) {
        expect(() => JSON.parse(quote('x'.repeat(length) + tail.repeat(9)))).not.toThrow()
      }
    }
  })

  test.each<[number, string]>([
    [0, 'less than a second'],
    [999, 'less than a second'],
    [1_000, '1 s'],
    [61_000, '1 min 1 s'],
    [310_000, '5 min 10 s'],
    [3_600_000, '1 h'],
    [183_600_000, '2 d 3 h'],
    [86_400_000 * 400, '400 d'],
    [-310_000, '5 min 10 s'],
  ])('duration(%i)', (milliseconds, text) => {
    expect(duration(milliseconds)).toBe(text)
  })
})

describe('what a client may read', () => {
  test.each(all)('%s: the message holds no detail and no code', (_, error) => {
    expect([
      'client certificate required',
      'client certificate refused',
      'client certificate could not be checked',
    ]).toContain(error.message)
    expect(error.expose).toBe(false)
    expect(error.statusCode).toBe(error.status)
  })

  test('the text of an error, as frameworks print it in development, holds no place in our source', () => {
    for (const [, error] of all) {
      expect(error.stack).not.toMatch(/\n|\bat\b|\.ts|node:/)
      expect(String(error)).toBe(`ClientCertError: ${error.message}`)
    }
  })

  test('making one leaves the stack traces of others alone, and its cause keeps its own', () => {
    const limit = Error.stackTraceLimit
    const cause = new Error('inner')
    const error = deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'x' }, { cause })
    expect(Error.stackTraceLimit).toBe(limit)
    expect(new Error('next').stack).toMatch(/\n\s+at /)
    expect(error.cause).toBe(cause)
    expect('cause' in deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'x' })).toBe(false)
  })

  test('a 401 carries a challenge, a 503 says when to come back, a 403 neither', () => {
    expect(deny('ERR_CLIENT_CERT_ABSENT', absent('none-sent')).headers).toEqual({
      'Cache-Control': 'no-store',
      'WWW-Authenticate': 'ClientCertificate',
    })
    expect(deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'x' }).headers).toEqual({
      'Cache-Control': 'no-store',
      'Retry-After': '5',
    })
    expect(deny('ERR_CLIENT_CERT_RENEGOTIATED', { protocol: 'x' }).headers).toEqual({ 'Cache-Control': 'no-store' })
  })
})

describe('withAnswer', () => {
  const error = deny(
    'ERR_CLIENT_CERT_EXPIRED',
    { subject: 'CN=S', notAfter: before, at },
    { depth: 2, cause: 'c' },
  ) as AnyClientCertError

  test('changes status and headers, and keeps code, message, facts, depth, cause and help', () => {
    const answered = withAnswer(error, { status: 401 })
    expect([answered.status, answered.message, answered.headers]).toEqual([
      401,
      error.message,
      { 'Cache-Control': 'no-store', 'WWW-Authenticate': 'ClientCertificate' },
    ])
    expect([answered.code, answered.detail, answered.depth, answered.cause, answered.help]).toEqual([
      error.code,
      error.detail,
      2,
      'c',
      error.help,
    ])
    expect(answered).not.toBe(error)
    expect(error.status).toBe(403)
    expect(withAnswer(error, { status: 503 }).headers).toEqual({ 'Cache-Control': 'no-store', 'Retry-After': '5' })
  })

  test('exposeReason names the code and its meaning, and still no detail', () => {
    const exposed = withAnswer(error, { exposeReason: true })
    expect([exposed.message, exposed.expose]).toEqual([
      'client certificate refused: ERR_CLIENT_CERT_EXPIRED, after notAfter',
      true,
    ])
    expect(exposed.message).not.toContain('CN=S')
    expect(withAnswer(error, { exposeReason: false }).expose).toBe(false)
    expect(withAnswer(error, {}).message).toBe(error.message)
  })

  test('no answer of any code ever holds a detail', () => {
    for (const code of codes) {
      const secret = 'CN=secret-subject'
      const detail = Object.fromEntries(
        Object.entries(samples[code][0] as object).map(([key, value]) => [
          key,
          typeof value === 'string' ? secret : value,
        ]),
      )
      const made = deny(code, detail as never) as AnyClientCertError
      for (const given of [made, withAnswer(made, { exposeReason: true }), withAnswer(made, { status: 404 })]) {
        expect(`${given.message} ${JSON.stringify(given.headers)} ${given.stack}`).not.toContain('secret')
      }
    }
  })
})

describe('isClientCertError', () => {
  const error = deny('ERR_CLIENT_CERT_RENEGOTIATED', { protocol: 'TLSv1.2' })

  test('knows errors of another copy of this package by their brand', () => {
    const otherCopy = Object.assign(new Error('x'), { [Symbol.for('mtls-identity/1.ClientCertError')]: true })
    expect(isClientCertError(otherCopy)).toBe(true)
    expect(isClientCertError(error)).toBe(true)
  })

  test('C-08: a look-alike without the brand is none, whatever its name, code and class say', () => {
    const { name, code, detail, status, message } = error
    const lookAlikes: unknown[] = [
      { name, code, detail, status, message },
      Object.assign(new Error(message), { name, code, detail, status }),
      JSON.parse(JSON.stringify(error)),
      { ...error, [Symbol.for('mtls-identity/1.ClientCertError')]: 'true' },
      { 'Symbol(mtls-identity/1.ClientCertError)': true },
      { [Symbol('mtls-identity/1.ClientCertError')]: true },
      new ClientCertConfigError('x'),
      code,
      undefined,
      null,
      true,
      () => error,
    ]
    for (const value of lookAlikes) expect(isClientCertError(value)).toBe(false)
  })
})

test('toJSON tells what a client may read, inspect what an operator needs', () => {
  const error = deny('ERR_CLIENT_CERT_PATH_LENGTH', { subject: 'CN=\nS', pathLenConstraint: 0 }, { depth: 1 })
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    name: 'ClientCertError',
    message: 'client certificate refused',
    status: 403,
  })
  const exposed = withAnswer(error, { exposeReason: true })
  expect(JSON.parse(JSON.stringify(exposed))).toMatchObject({ code: error.code, status: 403 })
  expect(JSON.stringify(exposed)).not.toContain('CN=')
  expect(inspect(error)).toContain('ERR_CLIENT_CERT_PATH_LENGTH')
  expect(error).toBeInstanceOf(ClientCertError)
  expect(error).toBeInstanceOf(Error)
})

describe('mistakes of the operator', () => {
  test('a ClientCertConfigError is a TypeError that answers 500 and exposes nothing', () => {
    const error = new ClientCertConfigError('x')
    expect([error.name, error.code, error.status, error.statusCode, error.expose]).toEqual([
      'ClientCertConfigError',
      'ERR_CLIENT_CERT_CONFIG',
      500,
      500,
      false,
    ])
    expect(error).toBeInstanceOf(TypeError)
  })

  test('unknown options are refused, with what may have been meant', () => {
    const known = ['trust', 'intermediates', 'revocation']
    const refuse = (options: object) => thrownBy(() => refuseUnknownOptions('f', options, known))
    expect(refuse({ trustStore: 1 })).toBe(
      'ClientCertConfigError: f: unknown option "trustStore". Did you mean "trust"?',
    )
    expect(refuse({ truts: 1 })).toMatch(/Did you mean "trust"\?/)
    expect(refuse({ REVOCATION: 1 })).toMatch(/Did you mean "revocation"\?/)
    expect(refuse({ x: 1 })).toMatch(/unknown option "x"\. Known: trust, intermediates, revocation/)
    expect(refuse({ trust: 1, constructor: 1 })).toMatch(/unknown option "constructor"/)
    expect(refuse(JSON.parse('{"__proto__":1}'))).toMatch(/unknown option "__proto__"/)
    expect(() => refuseUnknownOptions('f', { trust: undefined }, known)).not.toThrow()
  })

  test('nearest: two edits, or a part of the word; a short word is not near everything', () => {
    expect(nearest('intermediate', ['intermediates'])).toBe('intermediates')
    expect(nearest('P-265', ['P-256', 'P-384'])).toBe('P-256')
    expect(nearest('completelyOther', ['trust'])).toBeUndefined()
    expect(nearest('', ['trust'])).toBeUndefined()
  })
})
