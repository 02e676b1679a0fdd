/** The channel `mtls-identity:identity`: what happens to clients beyond single decisions, each thing told once. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { burst } from '../../src/core/bursts.js'
import { makeGuard } from '../../src/core/guard.js'
import { createMount } from '../../src/core/mount.js'
import {
  type AuditEvent,
  type AuthenticatorOptions,
  createAuthenticator,
  forwardedHeader,
  type IdentityEvent,
  proxyAddress,
  rules,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, hour, noon, second } from '../support/pki.js'

let old: TestPki
let young: TestPki
let alice: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  old = await createTestPki({ now: noon, name: 'Old' })
  young = await createTestPki({ now: noon, name: 'Young' })
  alice = await old.issue({
    subject: 'CN=alice,O=Secret',
    notBefore: fromNoon(-200 * day),
    notAfter: fromNoon(100 * day),
  })
  stranger = await (await createTestPki({ now: noon, name: 'Other' })).issue({ subject: 'CN=mallory' })
})

const events: IdentityEvent[] = []
const hear = (event: unknown) => events.push(event as IdentityEvent)
beforeEach(() => subscribe('mtls-identity:identity', hear))
afterEach(() => {
  unsubscribe('mtls-identity:identity', hear)
  events.length = 0
})

const types = () => events.map(({ type }) => type)
const of = <T extends IdentityEvent['type']>(type: T) =>
  events.filter((event): event is Extract<IdentityEvent, { type: T }> => event.type === type)

function make(options: Partial<AuthenticatorOptions> = {}) {
  const clock = { now: noon.getTime() }
  let reading: object = {}
  const auth = createAuthenticator({
    trust: { old: old.trust, young: young.trust },
    revocation: 'none',
    log: false,
    source: { name: 'by hand', read: () => reading as never },
    now: () => clock.now,
    ...options,
  })
  const come = (
    { certificate, chain }: TestCredential,
    { session, address }: { session?: object; address?: string } = {},
  ) => {
    const presented = { certificate: certificate.der, intermediates: chain.map(({ der }) => der), via: 'tls' }
    reading = session === undefined ? { presented } : { presented, session }
    const request = { socket: { remoteAddress: address }, headers: {}, rawHeaders: [] }
    return auth.authenticate(request as unknown as IncomingMessage)
  }
  return { auth, clock, come }
}

describe('first-seen', () => {
  test('once for a client, by fingerprint; the event cannot be changed', async () => {
    const { come } = make()
    await come(alice)
    await come(alice)
    expect(events).toEqual([
      {
        type: 'first-seen',
        by: 'subject',
        certain: true,
        time: noon.toISOString(),
        fingerprint: alice.fingerprint,
        issuerFingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
        anchor: 'old',
        via: 'tls',
        notAfter: fromNoon(100 * day).toISOString(),
      },
    ])
    expect(Object.isFrozen(events[0])).toBe(true)
  })

  test('once also where a candidate policy decides beside the one in force, and is asked', async () => {
    const { auth, come } = make({ candidate: { trust: old.trust } })
    await auth.ready()
    await come(alice)
    await come(alice)
    for (let turn = 0; auth.candidateReport()?.decided !== 2 && turn < 200; turn++)
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect(auth.candidateReport()).toMatchObject({ decided: 2 })
    expect(types()).toEqual(['first-seen'])
    expect(auth.report().certificates).toMatchObject([{ requests: 2 }])
  })

  test('not for strangers, nor for whom a rule refuses', async () => {
    const { come } = make({ rules: rules.commonName('bob') })
    await come(stranger)
    await come(alice)
    expect(types()).toEqual([])
  })

  test.each<[string, object, Partial<AuthenticatorOptions>]>([
    ['principal', { names: { dns: ['a.test'] } }, { principalFrom: 'dns' as never }],
    ['principal', {}, { resolve: () => 'alice' }],
    ['uri', { names: { dns: ['a.test'], uri: ['urn:a', 'urn:b'] } }, {}],
    // A principal that is no text is the application's business.
    ['dns', { names: { dns: ['a.test'] } }, { resolve: () => ({ id: 1 }) }],
    ['subject', { names: { email: ['a@a.test'] } }, {}],
    ['email', { subject: '', names: { email: ['a@a.test'] } }, {}],
    ['certificate', { subject: '', names: { ip: ['10.0.0.1'] } }, {}],
  ])('a client is known by its %s (%j)', async (by, certificate, options) => {
    await make(options).come(await old.issue(certificate))
    expect(of('first-seen')).toMatchObject([{ by }])
  })
})

describe('moved', () => {
  test('not where a client is renewed by the same CA with the same key', async () => {
    const { come } = make()
    await come(alice)
    await come(await old.issue({ subject: 'CN=alice,O=Secret', key: alice }))
    expect(types()).toEqual(['first-seen'])
  })

  test('where it comes with another key, from another CA, or both; and told once for each place', async () => {
    const { come } = make()
    await come(alice)
    const otherKey = await old.issue({ subject: 'CN=alice,O=Secret' })
    const otherCa = await young.issue({ subject: 'CN=alice,O=Secret', key: alice })
    const both = await (await createTestPki({ now: noon })).issue({ subject: 'CN=alice,O=Secret' })
    for (const each of [otherKey, otherCa, alice, otherKey, otherCa]) await come(each)
    expect(of('moved')).toMatchObject([
      {
        fingerprint: otherKey.fingerprint,
        changed: ['key'],
        former: { fingerprint: alice.fingerprint },
        anchor: 'old',
      },
      {
        fingerprint: otherCa.fingerprint,
        changed: ['issuer'],
        former: { fingerprint: otherKey.fingerprint },
        anchor: 'young',
      },
    ])
    // One of a CA that is not trusted is nobody.
    await come(both)
    expect(of('moved')).toHaveLength(2)
    const twice = make()
    await twice.come(alice)
    await twice.come(await young.issue({ subject: 'CN=alice,O=Secret' }))
    expect(of('moved').at(-1)).toMatchObject({ changed: ['issuer', 'key'], former: { notAfter: expect.any(String) } })
  })

  test('a CA whose certificate was renewed is the same issuer', async () => {
    const again = await old.root.crossSign(old.intermediate)
    const { auth, come } = make()
    await come(alice)
    const next = await old.issue({ subject: 'CN=alice,O=Secret', key: alice })
    await come({ ...next, chain: [again] })
    const issuers = auth.report().certificates.map(({ ways }) => ways[0]?.issuer)
    expect(new Set(issuers).size).toBe(2)
    expect(types()).toEqual(['first-seen'])
  })
})

describe('expiring', () => {
  test('once for each threshold, also within a session that lives as long as the certificate', async () => {
    const { come, clock } = make()
    const session = {}
    for (let hours = 0; hours <= 100 * 24; hours += 6) {
      clock.now = fromNoon(hours * hour).getTime()
      await come(alice, { session })
    }
    expect(of('expiring').map(({ days, daysLeft, time }) => [days, daysLeft, time])).toEqual([
      [30, 29, fromNoon(70.25 * day).toISOString()],
      [7, 6, fromNoon(93.25 * day).toISOString()],
      [1, 0, fromNoon(99.25 * day).toISOString()],
    ])
  })

  test('the shortest of several at once, and none of a certificate that is renewed in time', async () => {
    const { come } = make()
    await come(await old.issue({ notBefore: fromNoon(-100 * day), notAfter: fromNoon(5 * day) }))
    expect(of('expiring')).toMatchObject([{ days: 7, daysLeft: 5 }])
    events.length = 0
    await come(await old.issue({ notAfter: fromNoon(90 * day) }))
    expect(of('expiring')).toEqual([])
  })

  test('a certificate of a day is not warned about on its first one', async () => {
    const { come, clock } = make({ expiry: { warnDays: [30, 7, 1, 0.25] } })
    const daily = await old.issue({ notBefore: noon, notAfter: fromNoon(day) })
    await come(daily)
    expect(of('expiring')).toEqual([])
    clock.now += 19 * hour
    await come(daily)
    expect(of('expiring')).toMatchObject([{ days: 0.25, daysLeft: 0 }])
  })

  test('nothing where no threshold is wanted', async () => {
    const { come } = make({ expiry: { warnDays: [] } })
    await come(await old.issue({ notBefore: fromNoon(-100 * day), notAfter: fromNoon(hour) }))
    expect(types()).toEqual(['first-seen'])
  })
})

describe('outdated', () => {
  test('once for a certificate that will not do under the next standard, with every reason; who meets it is not told of', async () => {
    const { auth, come } = make({ nextStandard: { curves: ['P-384'] } })
    await come(alice)
    await come(alice)
    expect(of('outdated')).toMatchObject([
      {
        fingerprint: alice.fingerprint,
        reasons: [0, 1, 2].map((depth) => ({ code: 'ERR_CLIENT_CERT_WEAK_KEY', depth, reason: expect.any(String) })),
      },
    ])
    expect(auth.report().certificates).toMatchObject([
      { outdated: [0, 1, 2].map((depth) => ({ code: 'ERR_CLIENT_CERT_WEAK_KEY', depth })) },
    ])
    const meets = make({ nextStandard: { curves: ['P-256'] } })
    await meets.come(alice)
    expect(of('outdated')).toHaveLength(1)
    expect(meets.auth.report().certificates).toMatchObject([{ outdated: [] }])
  })

  test('its reasons name nobody', async () => {
    const client = await old.issue({ subject: 'CN=alice', extendedKeyUsage: false })
    const { come } = make({
      profile: 'compatible',
      nextStandard: { requireExtendedKeyUsage: true, signatureAlgorithms: ['id-Ed25519'], curves: ['P-384'] },
    })
    await come(client)
    const [{ reasons } = { reasons: [] }] = of('outdated')
    expect(reasons.filter(({ depth }) => depth === 0).map(({ reason }) => reason)).toEqual([
      'EC key on curve 1.2.840.10045.3.1.7: the curve is not accepted',
      'ecdsa-with-SHA256: it is not accepted',
      'extendedKeyUsage without clientAuth',
    ])
    expect(JSON.stringify(events)).not.toContain('alice')
  })
})

test('O-03, O-01: names only when they are asked for, and nothing in them breaks out of a line', async () => {
  const hostile = await old.issue({ subject: [{ CN: ['x\r\nforged: yes\u001b[2J\u202e\u2028'] }] })
  await make({ auditNames: true }).come(hostile)
  expect(of('first-seen')).toMatchObject([
    { subject: expect.stringContaining('forged'), issuer: 'CN=Old Intermediate CA' },
  ])
  expect(JSON.stringify(events)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
  events.length = 0
  await make().come(hostile)
  expect(JSON.stringify(events)).not.toMatch(/forged|Intermediate/)
})

describe('burst', () => {
  const address = '192.0.2.7'

  test('of refusals from one address, whatever it presents: once a minute', async () => {
    const { come, clock } = make()
    const many = await Promise.all([1, 2, 3].map(() => young.issue({ notAfter: fromNoon(-second) })))
    for (let i = 0; i < burst.refusals - 1; i++) await come(many[i % 3] as TestCredential, { address })
    expect(of('burst')).toEqual([])
    for (let i = 0; i < 2 * burst.refusals; i++) await come(many[i % 3] as TestCredential, { address })
    const [first, ...others] = of('burst').filter((event) => event.of === 'address')
    expect(others).toEqual([])
    expect(first).toEqual({
      type: 'burst',
      of: 'address',
      address,
      time: noon.toISOString(),
      refusals: burst.refusals,
      seconds: 60,
      code: 'ERR_CLIENT_CERT_EXPIRED',
    })
    clock.now += burst.milliseconds
    for (let i = 0; i < burst.refusals; i++) await come(many[0] as TestCredential, { address })
    expect(of('burst').filter((event) => event.of === 'address')).toHaveLength(2)
  })

  test('not of as many within a longer time, nor of acceptances', async () => {
    const { come, clock } = make()
    for (let i = 0; i < 3 * burst.refusals; i++) {
      clock.now += burst.milliseconds / (burst.refusals - 1)
      await come(stranger, { address })
      await come(alice, { address })
    }
    expect(of('burst')).toEqual([])
  })

  test('of one certificate from many addresses', async () => {
    const { come } = make()
    for (let i = 0; i < burst.refusals; i++) await come(stranger, { address: `192.0.2.${i}` })
    expect(of('burst')).toMatchObject([{ of: 'certificate', fingerprint: stranger.fingerprint }])
    expect(of('burst')[0]).not.toHaveProperty('address')
  })

  test('an IPv6 host has a whole /64 to come from; an IPv4 address is one, however it is written', async () => {
    const { come } = make()
    for (let i = 0; i < burst.refusals; i++) await come(stranger, { address: `2001:db8:1:2::${i.toString(16)}` })
    for (let i = 0; i < burst.refusals; i++) await come(stranger, { address: `2001:db8:1:${i.toString(16)}::1` })
    for (let i = 0; i < burst.refusals; i++) await come(stranger, { address: i % 2 ? address : `::ffff:${address}` })
    const addresses = of('burst').map((event) => event.address)
    expect(addresses.filter((each) => each !== undefined)).toEqual(['2001:db8:1:2::/64', address])
  })

  test('nobody’s, where we could not decide', async () => {
    const { auth, come } = make()
    await auth.close()
    for (let i = 0; i < burst.refusals; i++) await come(alice, { address })
    expect(of('burst')).toEqual([])
  })

  test('behind a proxy: not the proxy’s, but a stranger’s who came around it', async () => {
    const source = forwardedHeader({ preset: 'rfc9440', from: proxyAddress('10.0.0.1') })
    const { auth } = make({ source })
    const header = `:${Buffer.from(stranger.certificate.der).toString('base64')}:`
    const ask = (remoteAddress: string, value?: string) => {
      const rawHeaders = value === undefined ? [] : ['Client-Cert', value]
      const headers = value === undefined ? {} : { 'client-cert': value }
      return auth.authenticate({ socket: { remoteAddress }, headers, rawHeaders } as never)
    }
    for (let i = 0; i < burst.refusals; i++) {
      await ask('10.0.0.1')
      await ask('10.0.0.1', ':junk')
      await ask('10.0.0.1', header)
    }
    expect(of('burst')).toMatchObject([{ of: 'certificate' }])
    for (let i = 0; i < burst.refusals; i++) await ask('10.0.0.9', header)
    expect(of('burst').at(-1)).toMatchObject({
      of: 'address',
      address: '10.0.0.9',
      code: 'ERR_CLIENT_CERT_UNTRUSTED_PROXY',
    })
  })

  test('behind a proxy: not the proxy’s either where a guard refuses its clients, or a mount after one that let them pass', async () => {
    const source = forwardedHeader({ preset: 'rfc9440', from: proxyAddress('10.0.0.1') })
    const { auth } = make({ source })
    const ways: string[] = []
    const hearDecision = (event: unknown) => {
      const { via, outcome, fingerprint } = event as AuditEvent
      ways.push(`${outcome} ${via} ${fingerprint === undefined ? 'nobody' : 'somebody'}`)
    }
    const response = { getHeader: () => undefined, setHeader: () => undefined }
    const first = createMount({ authenticator: auth, mode: 'report-only' })
    const second = createMount({ authenticator: auth })
    const guard = makeGuard(rules.commonName('nobody'))
    subscribe('mtls-identity:decision', hearDecision)
    for (const { certificate, chain } of [stranger, alice]) {
      const headers = {
        'client-cert': `:${Buffer.from(certificate.der).toString('base64')}:`,
        'client-cert-chain': chain.map(({ der }) => `:${Buffer.from(der).toString('base64')}:`).join(),
      }
      const rawHeaders = Object.entries(headers).flat()
      for (let i = 0; i < burst.refusals; i++) {
        const request = { socket: { remoteAddress: '10.0.0.1' }, headers, rawHeaders } as never
        await first(request, response)
        if ((await second(request, response)) === undefined) await guard(request)
      }
    }
    unsubscribe('mtls-identity:decision', hearDecision)
    expect(new Set(ways)).toEqual(new Set(['refused proxy somebody', 'accepted proxy somebody']))
    expect(new Set(of('burst').map((event) => event.of))).toEqual(new Set(['certificate']))
  })

  test('a request that two mounts refuse is one refusal', async () => {
    const { certificate, chain } = stranger
    const reading = {
      presented: { certificate: certificate.der, intermediates: chain.map(({ der }) => der), via: 'tls' },
    }
    const { auth } = make({ source: { name: 'by hand', read: () => reading as never } })
    const response = { getHeader: () => undefined, setHeader: () => undefined }
    const mounts = [createMount({ authenticator: auth, mode: 'report-only' }), createMount({ authenticator: auth })]
    const come = async () => {
      const request = { socket: { remoteAddress: address }, headers: {}, rawHeaders: [] } as never
      for (const mount of mounts) await mount(request, response)
    }
    for (let i = 0; i < burst.refusals - 1; i++) await come()
    expect(of('burst')).toEqual([])
    await come()
    expect(of('burst')).toHaveLength(2)
  })

  test('nothing is counted while nobody listens', async () => {
    unsubscribe('mtls-identity:identity', hear)
    const { come } = make()
    for (let i = 0; i < burst.refusals - 1; i++) await come(stranger, { address })
    subscribe('mtls-identity:identity', hear)
    await come(stranger, { address })
    expect(of('burst')).toEqual([])
  })
})
