/** Keys of rate limiters: who shares one, who never does, and what they say of whom. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  type Authenticator,
  type AuthenticatorOptions,
  type ClientIdentity,
  createAuthenticator,
  forwardedHeader,
  proxyAddress,
} from '../src/index.js'
import { addressKey, type RateLimitCarrier, type RateLimitUnit, rateLimitKey } from '../src/rate-limit.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestCredential,
  type TestPki,
} from '../src/testing.js'
import { byteSequence, requestWith } from './source/request.js'
import { type Call, connectHttp2, get, getPlain, raw } from './support/clients.js'
import { thrownBy } from './support/pki.js'
import {
  type Framework,
  folder,
  frameworks,
  type MountPlan,
  type Plan,
  serveHttp,
  serveHttp2,
  serveHttps,
} from './support/servers.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const alicesName = 'alice@acme.test'

let pki: TestPki
let partner: TestAuthority
let alice: TestCredential
let bob: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  partner = await createTestAuthority({ subject: 'CN=Partner CA' })
  alice = await pki.issue({ subject: 'CN=alice', names: { email: [alicesName] } })
  bob = await pki.issue({ subject: 'CN=bob', names: { email: ['bob@acme.test'] } })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=alice' })
})

const authenticatorWith = (options: Partial<AuthenticatorOptions> = {}) =>
  createAuthenticator({ trust: [pki.trust, partner.certificate.pem], revocation: 'none', log: false, ...options })

const onError: NonNullable<Plan['onError']> = ({ name, message, status }) => ({
  status: status ?? 500,
  body: { name, message },
})

/** The answer of a handler that makes the key of each request. */
function keys(framework: Framework, mounts: readonly MountPlan[], keyOf: (carrier: never) => string) {
  const handler: Plan['handler'] = ({ carrier }) => ({ key: keyOf(carrier as never) })
  return framework.listener({ mounts, handler, onError })
}

/** A function that asks a server of Express 5 for the key of a client. */
async function asking(
  unit: RateLimitUnit,
  options: Partial<AuthenticatorOptions> = {},
  mode: MountPlan['mode'] = 'required',
  keyOptions: { anonymous?: (carrier: RateLimitCarrier) => string | undefined } = {},
) {
  const authenticator = authenticatorWith(options)
  const mounts = [{ authenticator, mode }]
  const listener = keys(frameworks[0] as Framework, mounts, rateLimitKey(unit, keyOptions))
  const port = await serveHttps(authenticator, listener)
  return async (client?: TestCredential, call: Call = {}) => {
    const { body } = await get(port, client, call)
    const { key, message } = JSON.parse(body)
    return (key ?? message) as string
  }
}

describe.each(frameworks)('$name', (framework) => {
  const serve = async (authenticator: Authenticator, mounts: readonly MountPlan[], unit: RateLimitUnit) => {
    const port = await serveHttps(authenticator, keys(framework, mounts, rateLimitKey(unit)))
    return async (client?: TestCredential) => JSON.parse((await get(port, client)).body)
  }

  test('a client has the key of its unit, and no other client has it', async () => {
    const authenticator = authenticatorWith({ principalFrom: 'email' })
    const expected: [RateLimitUnit, string][] = [
      ['principal', `principal:${sha256(alicesName)}`],
      ['fingerprint', `fingerprint:${alice.fingerprint}`],
      [({ subject }) => subject.toString(), `own:${sha256('CN=alice')}`],
    ]
    for (const [unit, key] of expected) {
      const ask = await serve(authenticator, [{ authenticator }], unit)
      expect(await ask(alice)).toEqual({ key })
      const { key: other } = await ask(bob)
      expect(other).toEqual(expect.any(String))
      expect(other).not.toBe(key)
    }
  })

  test('a limiter that clientCert() does not stand before is a 500 that says so', async () => {
    const authenticator = authenticatorWith()
    for (const mounts of [[], [{ authenticator, skip: () => true }]]) {
      const ask = await serve(authenticator, mounts, 'fingerprint')
      expect(await ask(alice)).toEqual({
        name: 'ClientCertConfigError',
        message: expect.stringMatching(/never ran for this request, or skipped it — app\.use\(clientCert\(.*before/),
      })
    }
    const ask = await serve(authenticator, [{ authenticator }], 'fingerprint')
    expect(await ask(alice)).toEqual({ key: `fingerprint:${alice.fingerprint}` })
  })

  test('who has no identity is told apart by address, whatever else it presents', async () => {
    const authenticator = authenticatorWith()
    const optional = await serve(authenticator, [{ authenticator, mode: 'optional' }], 'fingerprint')
    expect(await optional()).toEqual({ key: 'address:127.0.0.1' })
    const reporting = await serve(authenticator, [{ authenticator, mode: 'report-only' }], 'fingerprint')
    expect(await reporting(stranger)).toEqual({ key: 'address:127.0.0.1' })
    expect(await reporting(alice)).toEqual({ key: `fingerprint:${alice.fingerprint}` })
  })
})

describe('over HTTP/2', () => {
  test('clients have keys, and so have those without a certificate', async () => {
    const authenticator = authenticatorWith()
    const listener = keys(
      frameworks.find(({ name }) => name === 'Koa 3') as Framework,
      [{ authenticator, mode: 'optional' }],
      rateLimitKey('fingerprint'),
    )
    const port = await serveHttp2(authenticator, listener)
    const keyOf = async (client?: TestCredential) => (await (await connectHttp2(port, { client })).get()).body
    expect(JSON.parse(await keyOf(alice))).toEqual({ key: `fingerprint:${alice.fingerprint}` })
    expect(JSON.parse(await keyOf())).toEqual({ key: 'address:127.0.0.1' })
  })
})

describe('what a renewed certificate keeps', () => {
  const names = { email: [alicesName] }
  test.each([
    ['principal', true, true],
    ['publicKeyPin', true, false],
    ['fingerprint', false, false],
  ] as const)('%s: with the same key %s, with a new key %s', async (unit, sameKey, newKey) => {
    const ask = await asking(unit, { principalFrom: 'email' })
    const key = await ask(alice)
    expect(key).toMatch(new RegExp(`^${unit}:`))
    expect((await ask(await pki.issue({ subject: 'CN=alice', names, key: alice }))) === key).toBe(sameKey)
    expect((await ask(await pki.issue({ subject: 'CN=alice', names }))) === key).toBe(newKey)
  })
})

describe('the unit issuer', () => {
  test('is one key for all clients of a CA, and another for those of another', async () => {
    const ask = await asking('issuer')
    const key = await ask(alice)
    expect(key).toMatch(/^issuer:[\w+/]{43}=$/)
    expect(await ask(bob)).toBe(key)
    expect(await ask(await partner.issue({ subject: 'CN=alice' }))).not.toBe(key)
    expect(await ask(await pki.root.issue())).not.toBe(key)
  })

  test('stays with a CA of several certificates, whichever of them the client sends', async () => {
    const [root, other] = [
      await createTestAuthority({ subject: 'CN=A' }),
      await createTestAuthority({ subject: 'CN=B' }),
    ]
    const issuing = await root.issueAuthority({ subject: 'CN=Issuing' })
    const crossed = await other.crossSign(issuing)
    const client = await issuing.issue()
    const crossing = { ...client, tls: { key: client.tls.key, cert: client.certificate.pem + crossed.pem } }
    const trust = [root.certificate.pem, other.certificate.pem]
    const keysBy = async (unit: RateLimitUnit) =>
      Promise.all([client, crossing].map(async (way) => (await asking(unit, { trust }))(way)))
    const [certificate, another] = await keysBy(({ issuerCertificate }) => issuerCertificate?.fingerprint ?? '')
    expect(certificate).not.toBe(another)
    const [key, same] = await keysBy('issuer')
    expect(same).toBe(key)
  })

  test('is the name of the issuer where the certificate itself is pinned', async () => {
    const pinned = await createSelfSigned({ subject: 'CN=sensor 7' })
    const ask = await asking('issuer', { trust: { pinned: pinned.certificate.pem } })
    expect(await ask(pinned)).toBe(`issuerName:${sha256('CN=sensor 7')}`)
  })
})

describe('the unit principal', () => {
  test.each([
    [
      'an object',
      { id: 7, name: 'Acme' },
      /the principal is object, and only a string is a key — rateLimitKey\(\(\{ p/,
    ],
    ['a number', 7, /the principal is number/],
    ['nothing, without resolve', undefined, /has no principal — createAuthenticator\(\{ principalFrom: 'email' \}\)/],
  ])('%s is no key: 500, and never one for all', async (_, principal, message) => {
    const ask = await asking('principal', principal === undefined ? {} : { resolve: () => principal })
    expect(await ask(alice)).toMatch(message)
  })

  test('of an object, a function names what is meant', async () => {
    const unit = ({ principal }: ClientIdentity) => (principal as { name: string }).name
    const ask = await asking(unit, { resolve: () => ({ id: 7, name: 'Acme' }) })
    expect(await ask(alice)).toBe(`own:${sha256('Acme')}`)
    expect(await ask(bob)).toBe(await ask(alice))
  })
})

describe('a function of the identity', () => {
  test.each([
    ['undefined', undefined],
    ['an empty string', ''],
    ['object', ['a.test']],
    ['null', null],
  ])('that returns %s is a 500 that names the client, not a key for all such', async (kind, value) => {
    const ask = await asking(() => value as never)
    expect(await ask(alice)).toBe(
      `rateLimitKey: the function returned ${kind} for the client with the fingerprint ${alice.fingerprint}, expected a string that is not empty`,
    )
  })

  test('that throws is a 500', async () => {
    const ask = await asking(() => {
      throw new Error('the table is not loaded')
    })
    expect(await ask(alice)).toBe('the table is not loaded')
  })

  test('is asked once for each identity', async () => {
    const unit = jest.fn(({ subject }: ClientIdentity) => subject.toString())
    const ask = await asking(unit)
    for (const client of [alice, bob, alice, bob, alice]) await ask(client)
    expect(unit).toHaveBeenCalledTimes(2)
  })
})

describe('nobody gets the key of another', () => {
  test('by choosing what a key is made of', async () => {
    const authenticator = { principalFrom: 'email' } as const
    const victim = await (await asking('principal', authenticator))(alice)
    const chosen = await Promise.all([
      asking('principal', { resolve: () => victim }).then((ask) => ask(bob)),
      asking(() => victim).then((ask) => ask(bob)),
      asking('principal', authenticator, 'optional', { anonymous: () => victim }).then((ask) => ask()),
      asking('principal', authenticator, 'optional', { anonymous: () => alicesName }).then((ask) => ask()),
      addressKey(() => victim)(requestWith([])),
      addressKey(() => alicesName)(requestWith([])),
    ])
    expect(new Set([victim, ...chosen]).size).toBe(chosen.length + 1)
    for (const key of chosen) expect(key).not.toContain(victim)
  })

  test('and no key names a person, breaks out of a line or grows', async () => {
    const hostile = `${alicesName}\r\nFLUSHALL\u2028{slot}${'x'.repeat(100_000)}`
    const made = [
      await (await asking('principal', { resolve: () => hostile }))(alice),
      await (await asking(() => hostile))(alice),
      await (await asking('issuer'))(alice),
      await (await asking('publicKeyPin'))(alice),
      await (await asking('fingerprint'))(alice),
      await (await asking('principal', {}, 'optional', { anonymous: () => hostile }))(),
      addressKey(() => hostile)(requestWith([])),
    ]
    for (const key of made) expect(key).toMatch(/^[A-Za-z]+:[\w+/=]{43,64}$/)
  })
})

describe('addresses', () => {
  const cases: [address: string | undefined, key: string][] = [
    ['192.0.2.7', 'address:192.0.2.7'],
    ['::ffff:192.0.2.7', 'address:192.0.2.7'],
    ['::FFFF:c000:0207', 'address:192.0.2.7'],
    ['2001:db8:1:2::1', 'address:2001:db8:1:2::/64'],
    ['2001:DB8:1:2:ffff:ffff:ffff:ffff', 'address:2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', 'address:2001:db8:1:3::/64'],
    ['2001:db8::1', 'address:2001:db8:0:0::/64'],
    ['2001:db8::1:0:0:1', 'address:2001:db8:0:0::/64'],
    ['::1', 'address:0:0:0:0::/64'],
    ['fe80::1%eth0', 'address:fe80:0:0:0::/64'],
    [undefined, 'address:none'],
    ['', 'address:none'],
    ['unknown', `address:${sha256('unknown')}`],
    ['192.0.2.7, 198.51.100.1', `address:${sha256('192.0.2.7, 198.51.100.1')}`],
  ]
  test.each(cases)('%s: %s', (address, key) => {
    const given = addressKey(() => address)
    // Twice: the second time it is remembered.
    expect([given(requestWith([])), given(requestWith([]))]).toEqual([key, key])
  })

  test.each(cases.slice(0, 11))('%s as the address of a connection: %s', (address, key) => {
    const request = requestWith([], address ?? null)
    expect(addressKey()(request)).toBe(key)
    expect(addressKey()({ req: request })).toBe(key)
  })

  test('are known before clientCert() ran, in Express and Koa', async () => {
    for (const framework of frameworks) {
      const port = await serveHttp(keys(framework, [], addressKey()))
      expect(JSON.parse((await getPlain(port)).body)).toEqual({ key: 'address:127.0.0.1' })
    }
  })

  test('peers of a Unix socket have none, and are one client', async () => {
    const path = join(folder, 'limited.sock')
    await serveHttp(keys(frameworks[0] as Framework, [], addressKey()), path)
    const { body } = await raw(path, 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    expect(JSON.parse(body)).toEqual({ key: 'address:none' })
  })

  test('behind a proxy are the proxy’s, unless the application says where the client’s is', async () => {
    const authenticator = authenticatorWith({
      source: forwardedHeader({ preset: 'rfc9440', from: proxyAddress('127.0.0.1') }),
      intermediates: pki.intermediate.certificate.pem,
    })
    const mounts: MountPlan[] = [{ authenticator, mode: 'optional' }]
    const seen = async (keyOf: (carrier: never) => string, headers: Record<string, string>) => {
      const port = await serveHttp(keys(frameworks[0] as Framework, mounts, keyOf))
      return JSON.parse((await getPlain(port, { headers })).body).key
    }
    const forwarded = { 'x-forwarded-for': '2001:db8:1:2::7' }
    const anonymous = (carrier: RateLimitCarrier) =>
      (carrier as { headers: Record<string, string> }).headers['x-forwarded-for']
    expect(await seen(rateLimitKey('fingerprint'), forwarded)).toBe('address:127.0.0.1')
    expect(await seen(rateLimitKey('fingerprint', { anonymous }), forwarded)).toBe('anonymous:2001:db8:1:2::/64')
    // What a client writes about itself has no say where it has an identity.
    const withCertificate = { ...forwarded, 'client-cert': byteSequence(alice.certificate.der) }
    expect(await seen(rateLimitKey('fingerprint', { anonymous }), withCertificate)).toBe(
      `fingerprint:${alice.fingerprint}`,
    )
  })
})

describe('mistakes are errors at construction', () => {
  test.each([
    [() => rateLimitKey('fingerprints' as never), /unknown unit "fingerprints"\. Did you mean "fingerprint"\?$/],
    [
      () => rateLimitKey('subject' as never),
      /unknown unit "subject"\. Known: principal, .*issuer, or a function of the i/,
    ],
    [() => rateLimitKey('toString' as never), /unknown unit "toString"/],
    [() => rateLimitKey(undefined as never), /unknown unit undefined\. Known: /],
    [
      () => rateLimitKey('issuer', { anonymus: () => '' } as never),
      /unknown option "anonymus"\. Did you mean "anonymous"\?/,
    ],
    [() => rateLimitKey('issuer', { anonymous: undefined } as never), /anonymous is undefined/],
    [() => rateLimitKey('issuer', { anonymous: 'ip' } as never), /anonymous is a function of the request, got string/],
    [() => addressKey(undefined), /the function is undefined — addressKey\(\) if/],
    [() => addressKey('ip' as never), /addressKey is a function of the request, got string/],
  ])('%s', (make, message) => {
    const text = thrownBy(make)
    expect(text).toMatch(/^ClientCertConfigError: /)
    expect(text).toMatch(message)
  })

  test.each([
    [
      () => rateLimitKey('issuer')(undefined as never),
      /^ClientCertConfigError: rateLimitKey: the key is made of a request/,
    ],
    [() => addressKey()('10.0.0.1' as never), /^ClientCertConfigError: addressKey: .*, got string$/],
    [
      () => addressKey(() => 7 as never)(requestWith([])),
      /^ClientCertConfigError: addressKey returned number, expected/,
    ],
  ])('or where the key is made: %s', (make, message) => {
    expect(thrownBy(make)).toMatch(message)
  })

  test('and what is right is not', () => {
    for (const unit of ['principal', 'publicKeyPin', 'fingerprint', 'issuer', () => 'a'] as const) {
      expect(rateLimitKey(unit, { anonymous: () => 'a' })).toEqual(expect.any(Function))
    }
  })
})
