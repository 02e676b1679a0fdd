/** What stands beside the certificate: a verdict that may refuse, a fingerprint and a serial number that must agree. */
import { hash } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  createAuthenticator,
  type ForwardedHeaderOptions,
  forwardedHeader,
  type PresetName,
  proxyAddress,
  type Reading,
} from '../../src/index.js'
import { presets } from '../../src/source/presets.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Fields, products } from '../support/products.js'
import { readNow, requestWith, thrownBy } from './request.js'

let pki: TestPki
let alice: TestCredential
let bob: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  // Its serial number begins with the octet that DER hides behind 00.
  alice = await pki.issue({ subject: 'CN=alice', serialNumber: 'ABCDEF0102' })
  bob = await pki.issue({ subject: 'CN=bob' })
})

const from = proxyAddress('10.0.3.7')
const own = (preset: PresetName): Fields => products[preset].write(alice.certificate.der, [])
const read = (options: Omit<ForwardedHeaderOptions, 'from'>, fields: Fields): Reading =>
  readNow(forwardedHeader({ ...options, from }), requestWith(fields))
const codeOf = (call: () => unknown) => thrownBy(call).code?.replace('ERR_CLIENT_CERT_', '')
const isRead = (reading: Reading) =>
  Buffer.from(reading.presented?.certificate ?? []).equals(Buffer.from(alice.certificate.der))

describe('H-09: a verdict can refuse, and cannot admit', () => {
  const withStatus = Object.entries(presets).filter(([, { status }]) => status !== undefined)

  describe.each(withStatus)('%s', (name, { status }) => {
    const preset = name as PresetName
    const options = { preset, headers: { ...products[preset].headers, status: 'X-Verdict' } }
    const accepts = status?.accepts as string

    test('its one accepting value does not refuse', () => {
      expect(isRead(read(options, [...own(preset), ['x-verdict', accepts]]))).toBe(true)
    })

    test.each([
      'NONE',
      'FAILED',
      'FAILED:certificate has expired',
      'success',
      'Success',
      'SUCCESS ',
      'SUCCESS, FAILED',
      'SUCCESS, SUCCESS',
      'NONE, SUCCESS',
      '0, 10',
      'GENEROUS',
      'OK',
      'TRUE',
      'yes',
      '00',
      '0.0',
      '-0',
      '+0',
      '10',
      '21',
      '2',
      '(null)',
      '%30',
    ])('%j refuses', (verdict) => {
      expect(codeOf(() => read(options, [...own(preset), ['X-Verdict', verdict]]))).toBe('PROXY_REFUSED')
    })

    test('none at all refuses, and an empty one', () => {
      expect(codeOf(() => read(options, own(preset)))).toBe('PROXY_REFUSED')
      expect(codeOf(() => read(options, [...own(preset), ['X-Verdict', '']]))).toBe('PROXY_REFUSED')
    })

    test('two of them are ambiguous, also where both accept', () => {
      const twice: Fields = [...own(preset), ['X-Verdict', accepts], ['x-verdict', accepts]]
      expect(codeOf(() => read(options, twice))).toBe('HEADER_AMBIGUOUS')
      const twin: Fields = [...own(preset), ['X-Verdict', accepts], ['X_Verdict', accepts]]
      expect(codeOf(() => read(options, twin))).toBe('HEADER_AMBIGUOUS')
      const listed: Fields = [...own(preset), ['X-Verdict', accepts], ['Connection', 'x-verdict']]
      expect(codeOf(() => read(options, listed))).toBe('HEADER_AMBIGUOUS')
    })

    test('row 39: the accepting one without a certificate is malformed: the proxy has lost it', () => {
      const { code, detail } = thrownBy(() => read(options, [['X-Verdict', accepts]])) as never as {
        code: string
        detail: Record<string, string>
      }
      expect([code, detail.reason]).toEqual([
        'ERR_CLIENT_CERT_HEADER_MALFORMED',
        `is empty where x-verdict says ${accepts}`,
      ])
    })

    test('so is one that comes with the product’s own way to say "none", and a chain with it', () => {
      for (const none of products[preset].none) {
        expect(codeOf(() => read(options, [...none, ['X-Verdict', accepts]]))).toBe('HEADER_MALFORMED')
      }
    })

    test('a refusing one without a certificate is a refusal: the client had one', () => {
      expect(codeOf(() => read(options, [['X-Verdict', 'FAILED:lib(0)::reason(10)']]))).toBe('PROXY_REFUSED')
    })

    test('what it says of a client without a certificate is absence', () => {
      for (const verdict of ['', ...(status?.none ?? [])]) {
        expect(read(options, [['X-Verdict', verdict]])).toMatchObject({ absent: { cause: 'header-absent' } })
      }
    })
  })

  test('a preset without a verdict of its own needs to be told which value accepts', () => {
    const headers = { status: 'X-Verdict' }
    expect(() => forwardedHeader({ preset: 'caddy', from, headers })).toThrow('sends no verdict of its own')
    const options = { preset: 'caddy' as const, headers, statusAccepts: 'fine' }
    expect(isRead(read(options, [...own('caddy'), ['X-Verdict', 'fine']]))).toBe(true)
    expect(codeOf(() => read(options, [...own('caddy'), ['X-Verdict', 'Fine']]))).toBe('PROXY_REFUSED')
  })

  test('Azure Application Gateway says PASSTHROUGH where it verifies nothing, and the operator says that it may', () => {
    const preset = 'azure-application-gateway' as const
    const headers = { status: 'X-Verdict' }
    const passthrough = { preset, headers, statusAccepts: 'PASSTHROUGH' }
    expect(isRead(read(passthrough, [...own(preset), ['X-Verdict', 'PASSTHROUGH']]))).toBe(true)
    expect(read(passthrough, [['X-Verdict', 'NONE']])).toMatchObject({ absent: { cause: 'header-absent' } })
    expect(codeOf(() => read(passthrough, [...own(preset), ['X-Verdict', 'NONE']]))).toBe('PROXY_REFUSED')
    expect(codeOf(() => read({ preset, headers }, [...own(preset), ['X-Verdict', 'PASSTHROUGH']]))).toBe(
      'PROXY_REFUSED',
    )
  })

  test('a verdict that accepts admits nobody whose certificate does not', async () => {
    const stranger = await (await createTestPki({ name: 'Stranger' })).issue({ subject: 'CN=alice' })
    const auth = createAuthenticator({
      trust: pki.trust,
      intermediates: pki.intermediate.certificate.pem,
      revocation: 'none',
      log: false,
      source: forwardedHeader({ preset: 'nginx', from, headers: { status: 'X-Verdict' } }),
    })
    const ask = async (credential: TestCredential, verdict: string) =>
      (
        await auth.authenticate(
          requestWith([...products.nginx.write(credential.certificate.der, []), ['X-Verdict', verdict]]),
        )
      ).outcome
    expect(await ask(alice, 'SUCCESS')).toBe('accepted')
    expect(await ask(stranger, 'SUCCESS')).toBe('refused')
    // The certificate is remembered by now; the verdict is looked at all the same.
    expect(await ask(alice, 'FAILED:certificate revoked')).toBe('refused')
    expect(await ask(alice, 'SUCCESS')).toBe('accepted')
  })
})

describe('headers that say again what the certificate says', () => {
  const hexOf = (text: string) => text.toUpperCase()
  const colons = (text: string) => text.replace(/..(?=.)/g, '$&:')
  const sha256 = () => alice.fingerprint
  const sha1 = () => hash('sha1', alice.certificate.der, 'hex')

  test.each<[string, PresetName, () => string]>([
    ['nginx: SHA-1, lower case', 'nginx', sha1],
    ['HAProxy: SHA-1, upper case', 'haproxy', () => hexOf(sha1())],
    ['HAProxy: SHA-256, upper case', 'haproxy', () => hexOf(sha256())],
    ['Caddy: SHA-256, lower case', 'caddy', sha256],
    ['with colons', 'cloudfront', () => colons(sha256())],
    ['Google Cloud: base64', 'google-cloud', () => Buffer.from(sha256(), 'hex').toString('base64')],
    [
      'Google Cloud: base64 without padding',
      'google-cloud',
      () => Buffer.from(sha256(), 'hex').toString('base64').slice(0, -1),
    ],
  ])('a fingerprint that agrees is read: %s', (_, preset, value) => {
    const options = { preset, headers: { ...products[preset].headers, fingerprint: 'X-Fingerprint' } }
    expect(isRead(read(options, [...own(preset), ['X-Fingerprint', value()]]))).toBe(true)
    const other = [...value()]
      .map((c, i, all) => (i === all.length - 3 ? (c === 'a' || c === 'A' ? 'B' : 'A') : c))
      .join('')
    expect(codeOf(() => read(options, [...own(preset), ['X-Fingerprint', other]]))).toBe('HEADER_AMBIGUOUS')
  })

  test.each<[string, PresetName, string]>([
    ['nginx: upper-case hexadecimal', 'nginx', 'ABCDEF0102'],
    ['with the sign octet', 'haproxy', '00ABCDEF0102'],
    ['CloudFront: colons, lower case', 'cloudfront', 'ab:cd:ef:01:02'],
    ['Caddy: decimal', 'caddy', BigInt('0xABCDEF0102').toString()],
    ['Traefik: decimal', 'traefik', BigInt('0xABCDEF0102').toString()],
  ])('a serial number that agrees is read: %s', (_, preset, value) => {
    const options = { preset, headers: { ...products[preset].headers, serialNumber: 'X-Serial' } }
    expect(isRead(read(options, [...own(preset), ['X-Serial', value]]))).toBe(true)
    const last = value.slice(-1)
    for (const other of [
      `${value.slice(0, -1)}${last === '3' ? '4' : '3'}`,
      `${value}1`,
      `1${value}`,
      `0x${value}`,
      '',
      ' ',
      '-1',
      'x'.repeat(1000),
    ]) {
      const fields: Fields = [...own(preset), ['X-Serial', other]]
      expect([other, codeOf(() => read(options, fields))]).toEqual([other, 'HEADER_AMBIGUOUS'])
    }
  })

  test('one that is missing refuses, one that came twice, and one beside no certificate', () => {
    const options = { preset: 'nginx' as const, headers: { fingerprint: 'X-F', serialNumber: 'X-S' } }
    const complete: Fields = [...own('nginx'), ['X-F', alice.fingerprint], ['X-S', 'ABCDEF0102']]
    expect(isRead(read(options, complete))).toBe(true)
    expect(codeOf(() => read(options, complete.slice(0, -1)))).toBe('HEADER_AMBIGUOUS')
    expect(codeOf(() => read(options, [...complete, ['x-s', 'ABCDEF0102']]))).toBe('HEADER_AMBIGUOUS')
    expect(codeOf(() => read(options, complete.slice(1)))).toBe('HEADER_MALFORMED')
    expect(
      read(options, [
        ['X-F', ''],
        ['X-S', ''],
      ]),
    ).toMatchObject({ absent: { cause: 'header-absent' } })
  })

  test('another client’s fingerprint refuses, also where the certificate is remembered', async () => {
    const auth = createAuthenticator({
      trust: pki.trust,
      intermediates: pki.intermediate.certificate.pem,
      revocation: 'none',
      log: false,
      source: forwardedHeader({ preset: 'nginx', from, headers: { fingerprint: 'X-F' } }),
    })
    const ask = async (fingerprint: string) => {
      const decision = await auth.authenticate(requestWith([...own('nginx'), ['X-F', fingerprint]]))
      return decision.outcome === 'accepted' ? 'accepted' : decision.error.code
    }
    expect(await ask(alice.fingerprint)).toBe('accepted')
    expect(await ask(alice.fingerprint)).toBe('accepted')
    expect(await ask(bob.fingerprint)).toBe('ERR_CLIENT_CERT_HEADER_AMBIGUOUS')
  })
})

describe('a decoder of the operator’s', () => {
  const decoder = { certificate: (value: string) => (value === 'none' ? undefined : [Buffer.from(value, 'hex')]) }
  const options = { decoder, headers: { certificate: 'X-Own' } }
  const value = () => Buffer.from(alice.certificate.der).toString('hex')

  test('reads what it knows, says "none" in its way, and is held to DER', () => {
    expect(isRead(read(options, [['X-Own', value()]]))).toBe(true)
    expect(read(options, [['X-Own', 'none']])).toMatchObject({ absent: { cause: 'header-absent' } })
    expect(codeOf(() => read(options, [['X-Own', `${value()}00`]]))).toBe('HEADER_MALFORMED')
    expect(codeOf(() => read(options, [['X-Own', 'zz']]))).toBe('HEADER_MALFORMED')
    for (const odd of [[], ['text'], [undefined], [new Uint8Array()]]) {
      const source = { decoder: { certificate: () => odd as never }, headers: { certificate: 'X-Own' } }
      expect(codeOf(() => read(source, [['X-Own', 'x']]))).toBe('HEADER_MALFORMED')
    }
  })

  test('what it throws refuses', async () => {
    const source = forwardedHeader({
      from,
      headers: { certificate: 'X-Own' },
      decoder: {
        certificate: () => {
          throw new TypeError('a bug')
        },
      },
    })
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, source })
    expect(await auth.authenticate(requestWith([['X-Own', 'x']]))).toMatchObject({ error: { status: 500 } })
  })
})

describe('options', () => {
  const cases: [given: object, said: string][] = [
    [{ preset: 'nginx', decoder: { certificate: () => [] } }, 'exclude each other'],
    [{ decoder: {}, headers: { certificate: 'X' } }, 'decoder is { certificate(value) }'],
    [{ decoder: { certificate: () => [] } }, 'needs the field it reads'],
    [{ preset: 'nginx', trustedHops: 1 }, "which preset 'nginx' does not send"],
    [{ preset: 'envoy', trustedHops: -1 }, 'whole number from 0'],
    [{ preset: 'envoy', trustedHops: 0.5 }, 'whole number from 0'],
    [{ preset: 'envoy', trustedHops: '1' }, 'whole number from 0'],
    [{ preset: 'nginx', statusAccepts: 'SUCCESS' }, 'statusAccepts needs the header'],
    [{ preset: 'nginx', headers: { status: 'X' }, statusAccepts: '' }, 'sends no verdict of its own'],
    [{ preset: 'nginx', headers: { status: undefined } }, 'status is undefined'],
    [{ preset: undefined, decoder: undefined }, 'unknown preset undefined'],
    [{ preset: 'nginx', trustedHops: undefined }, 'trustedHops is undefined'],
    [{ preset: 'nginx', headers: { status: 'x-ssl-client-cert' } }, 'two of headers name the same header'],
    [{ preset: 'nginx', headers: { status: 'x_ssl_client_cert' } }, 'in dashes, dots and underscores only'],
    [{ preset: 'haproxy', headers: { chain: [] } }, 'a name, a list of names, or false'],
    [{ preset: 'haproxy', headers: { chain: ['a', 'A'] } }, 'name the same header'],
    [{ preset: 'traefik', headers: { chain: 'X-Chain' } }, 'has no chain header'],
  ]
  test.each(cases)('%j: %s', (given, said) => {
    expect(() => forwardedHeader({ ...given, from } as never)).toThrow(said)
  })
})
