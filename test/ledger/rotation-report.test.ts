/** `report()`: who came by which CA, and what may go. A clock that is set by hand, and certificates of two CAs. */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  type AnchorReport,
  type AuthenticatorOptions,
  createAuthenticator,
  type RotationReport,
  rules,
  TrustStore,
} from '../../src/index.js'
import { guardConnection } from '../../src/server/guard-connection.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { day, fromNoon, hour, minute, noon, thrownBy } from '../support/pki.js'

let old: TestPki
let young: TestPki
let alice: TestCredential
let renewed: TestCredential
let bob: TestCredential
beforeAll(async () => {
  old = await createTestPki({ now: noon, name: 'Old' })
  young = await createTestPki({ now: noon, name: 'Young' })
  const year = { notAfter: fromNoon(364 * day) }
  alice = await old.issue({ subject: 'CN=alice,O=Secret', ...year })
  renewed = await young.issue({
    subject: 'CN=alice,O=Secret',
    keyAlgorithm: 'RSA-2048',
    notAfter: fromNoon(364.5 * day),
  })
  bob = await old.issue({ subject: 'CN=bob', names: { dns: ['bob.test'] }, notAfter: fromNoon(20 * day) })
})

interface Presented {
  via?: 'tls' | 'proxy'
  session?: object
}

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
  const request = () => ({ socket: {}, headers: {}, rawHeaders: [] }) as unknown as IncomingMessage
  const come = ({ certificate, chain }: TestCredential, { via = 'tls', session }: Presented = {}) => {
    const presented = { certificate: certificate.der, intermediates: chain.map(({ der }) => der), via }
    reading = session === undefined ? { presented } : { presented, session }
    return auth.authenticate(request())
  }
  return { auth, clock, come }
}

const anchorOf = ({ anchors }: RotationReport, set: string) =>
  anchors.find((anchor) => anchor.set === set) as AnchorReport

const verdicts = (report: RotationReport) =>
  Object.fromEntries(report.anchors.map(({ set, safeToRemove, reason }) => [set, [safeToRemove, reason]]))

test('a certificate that was accepted: by which anchor and issuer, when, how often, and what it is made of', async () => {
  const { auth, clock, come } = make()
  await come(alice)
  clock.now += hour
  await come(alice, { via: 'proxy' })
  await come(alice, { via: 'proxy' })
  const { certificates } = auth.report()
  expect(certificates).toEqual([
    {
      fingerprint: alice.fingerprint,
      notBefore: fromNoon(-hour).toISOString(),
      notAfter: fromNoon(364 * day).toISOString(),
      daysLeft: 363,
      key: 'EC P-256',
      signature: 'ecdsa-with-SHA256',
      firstSeen: noon.toISOString(),
      lastSeen: fromNoon(hour).toISOString(),
      requests: 3,
      ways: [
        expect.objectContaining({ set: 'old', via: 'tls', requests: 1, lastSeen: noon.toISOString() }),
        expect.objectContaining({ set: 'old', via: 'proxy', requests: 2, firstSeen: fromNoon(hour).toISOString() }),
      ],
      outdated: [],
    },
  ])
  const [way] = certificates[0]?.ways ?? []
  expect(way?.anchor).toBe(anchorOf(auth.report(), 'old').fingerprint)
  expect(way?.issuer).toMatch(/^[0-9a-f]{64}$/)
  expect(way?.issuer).not.toBe(way?.anchor)
})

test('O-03: it names clients only when it is asked to; the operator’s own CAs have names', async () => {
  const quiet = make()
  await quiet.come(alice)
  const text = JSON.stringify(quiet.auth.report())
  expect(text).not.toMatch(/alice|Secret|Intermediate/)
  expect(text).toContain('CN=Old Root CA')
  const loud = make({ auditNames: true })
  await loud.come(alice)
  await loud.come(bob)
  expect(loud.auth.report().certificates).toMatchObject([
    { name: 'CN=alice,O=Secret', subject: 'CN=alice,O=Secret', issuer: 'CN=Old Intermediate CA' },
    { name: 'bob.test', subject: 'CN=bob' },
  ])
})

test('requests of a session that is remembered are counted, each of them', async () => {
  const { auth, clock, come } = make()
  const session = {}
  for (let i = 0; i < 5; i++) {
    clock.now += 1
    await come(alice, { session })
  }
  expect(auth.report().certificates).toMatchObject([{ requests: 5, lastSeen: fromNoon(5).toISOString() }])
})

test('what we decide again by ourselves, about a connection that is open, is no request, but somebody who is there', async () => {
  const { auth, clock, come } = make()
  const decision = await come(alice)
  const socket = Object.assign(new EventEmitter(), { destroy: () => socket.emit('close') })
  clock.now += hour
  guardConnection(socket, decision)
  await new Promise((resolve) => setImmediate(resolve))
  expect(auth.report().certificates).toMatchObject([{ requests: 1, lastSeen: fromNoon(hour).toISOString() }])
  await come(alice)
  expect(auth.report().certificates).toMatchObject([{ requests: 2 }])
  socket.destroy()
})

test('strangers, and clients a rule refuses, are not in it', async () => {
  const stranger = await (await createTestPki({ now: noon, name: 'Other' })).issue({ subject: 'CN=mallory' })
  const { auth, come } = make({ rules: rules.not(rules.commonName('bob')) })
  const outcomes = [await come(stranger), await come(bob), await come(alice)].map(({ outcome }) => outcome)
  expect(outcomes).toEqual(['refused', 'refused', 'accepted'])
  expect(auth.report().certificates.map(({ fingerprint }) => fingerprint)).toEqual([alice.fingerprint])
})

describe('an anchor is safe to remove', () => {
  test('when nobody has come by it for as long as was asked, others have, and all that time was watched', async () => {
    const { auth, clock, come } = make()
    await come(alice)
    await come(renewed)
    expect(verdicts(auth.report())).toEqual({ old: [false, 'seen'], young: [false, 'seen'] })
    clock.now += 30 * day
    await come(renewed)
    // Seen at the very moment the window begins: still within it.
    expect(verdicts(auth.report())).toEqual({ old: [false, 'seen'], young: [false, 'seen'] })
    clock.now += 1
    expect(verdicts(auth.report())).toEqual({ old: [true, 'unused'], young: [false, 'seen'] })
    expect(verdicts(auth.report({ days: 60 })).old).toEqual([false, 'seen'])
    await come(alice)
    expect(verdicts(auth.report()).old).toEqual([false, 'seen'])
  })

  test('not before the process has watched for that long, although nobody came', async () => {
    const { auth, clock, come } = make()
    clock.now += 29 * day
    await come(renewed)
    expect(verdicts(auth.report()).old).toEqual([false, 'watched-too-short'])
    expect(anchorOf(auth.report(), 'old')).toMatchObject({ since: noon.toISOString() })
    expect(anchorOf(auth.report(), 'old')).not.toHaveProperty('lastSeen')
    expect(verdicts(auth.report({ days: 29 })).old).toEqual([true, 'unused'])
  })

  test('not where nobody came at all: a spare server knows nothing', async () => {
    const { auth, clock } = make()
    clock.now += 365 * day
    expect(verdicts(auth.report())).toEqual({ old: [false, 'no-traffic'], young: [false, 'no-traffic'] })
  })

  test('not while a connection that was opened by it is open', async () => {
    const { auth, clock, come } = make()
    const decision = await come(alice)
    const socket = Object.assign(new EventEmitter(), { destroy: () => socket.emit('close') })
    guardConnection(socket, decision)
    clock.now += 40 * day
    await come(renewed)
    expect(verdicts(auth.report()).old).toEqual([false, 'connected'])
    expect(anchorOf(auth.report(), 'old').connections).toBe(1)
    socket.destroy()
    // It was in use until now.
    expect(verdicts(auth.report()).old).toEqual([false, 'seen'])
    expect(anchorOf(auth.report(), 'old')).toMatchObject({ connections: 0, lastSeen: fromNoon(40 * day).toISOString() })
    clock.now += 31 * day
    await come(renewed)
    expect(verdicts(auth.report()).old).toEqual([true, 'unused'])
  })

  test('and is watched from its return on, where it was not trusted for a while', async () => {
    let pem = old.trust + young.trust
    const trust = TrustStore.from(() => pem, { refresh: hour })
    const { auth, clock, come } = make({ trust })
    await auth.ready()
    const reload = async (content: string) => {
      pem = content
      await trust.refresh()
    }
    const fingerprint = (await come(alice)) && (auth.report().certificates[0]?.ways[0]?.anchor as string)
    const verdict = () => auth.report().anchors.find((anchor) => anchor.fingerprint === fingerprint)
    clock.now += 31 * day
    await reload(young.trust)
    await come(renewed)
    expect(verdict()).toMatchObject({ trusted: false, reason: 'not-trusted', certificates: 0 })
    expect(verdict()).not.toHaveProperty('since')
    clock.now += day
    await reload(old.trust + young.trust)
    clock.now += 29 * day
    await come(renewed)
    expect(verdict()).toMatchObject({ trusted: true, safeToRemove: false, reason: 'watched-too-short' })
    clock.now += day
    await come(renewed)
    expect(verdict()).toMatchObject({ safeToRemove: true, reason: 'unused', since: fromNoon(32 * day).toISOString() })
    trust.close()
  })

  test('not where the clock gave no time when its last connection ended', async () => {
    const { auth, clock, come } = make()
    const decision = await come(alice)
    const socket = Object.assign(new EventEmitter(), { destroy: () => socket.emit('close') })
    const stop = guardConnection(socket, decision)
    clock.now = Number.NaN
    stop()
    stop()
    clock.now = fromNoon(90 * day).getTime()
    await come(renewed)
    expect(verdicts(auth.report()).old).toEqual([false, 'seen'])
    expect(auth.report().unusedAnchors).toEqual([])
  })

  test('not because the clock of the machine was set: no process has watched for longer than it lives', async () => {
    const system = { now: 0 }
    const spy = jest.spyOn(Date, 'now').mockImplementation(() => system.now)
    try {
      const { auth, come } = make({ now: Date.now })
      system.now = noon.getTime()
      await come(renewed)
      expect(verdicts(auth.report()).old).toEqual([false, 'watched-too-short'])
      const { since } = anchorOf(auth.report(), 'old')
      expect(since).toBe(noon.toISOString())
      // As long as the clock has been right it may say so; seconds by which it is set are nothing.
      system.now += minute
      await come(renewed)
      expect(verdicts(auth.report({ days: minute / day })).old).toEqual([true, 'unused'])
    } finally {
      spy.mockRestore()
    }
  })

  test('not because the clock of the machine jumped ahead, or the machine slept: nobody could come in the time that was skipped', async () => {
    const system = { now: noon.getTime() }
    const spies = [
      jest.spyOn(Date, 'now').mockImplementation(() => system.now),
      jest.spyOn(performance, 'now').mockImplementation(() => system.now - noon.getTime() + 400 * day - skipped),
    ]
    let skipped = 0
    const skip = (milliseconds: number) => {
      system.now += milliseconds
      skipped += milliseconds
    }
    try {
      const { auth, come } = make({ now: Date.now })
      system.now += 35 * day
      await come(alice)
      skip(40 * day)
      await come(renewed)
      expect(verdicts(auth.report())).toEqual({ old: [false, 'watched-too-short'], young: [false, 'seen'] })
      // Watched from then on; and as well where it is set back, and right again, between two requests.
      system.now += 31 * day
      await come(renewed)
      expect(verdicts(auth.report()).old).toEqual([true, 'unused'])
      skip(-60 * day)
      await come(alice)
      skip(60 * day)
      await come(renewed)
      expect(verdicts(auth.report()).old).toEqual([false, 'watched-too-short'])
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
  })

  test('not where its certificate is the renewed one of a CA whose former one vouches as long as it holds', async () => {
    const root = { name: 'Twin', now: noon }
    const ca = await createTestPki(root)
    const again = await ca.root.crossSign(ca.root, { notAfter: fromNoon(900 * day) })
    const client = await ca.issue({ subject: 'CN=dora', notAfter: fromNoon(300 * day) })
    const { auth, clock, come } = make({ trust: { former: ca.trust, next: again.pem, young: young.trust } })
    clock.now += 31 * day
    await come(client)
    expect(verdicts(auth.report())).toEqual({
      former: [false, 'seen'],
      next: [false, 'needed-later'],
      young: [true, 'unused'],
    })
    // The other way round the one that is not used ends first.
    const turned = make({ trust: { next: again.pem, former: ca.trust } })
    turned.clock.now += 31 * day
    await turned.come(client)
    expect(verdicts(turned.auth.report())).toEqual({ next: [false, 'seen'], former: [true, 'unused'] })
  })

  test('not where one key is pinned with several names, and only the last of them comes', async () => {
    const self = await createTestPki({ now: noon })
    const key = await self.root.issue({ subject: 'CN=carol' })
    const other = await self.root.issue({ subject: 'CN=dave', key, notAfter: fromNoon(90 * day) })
    const { auth, clock, come } = make({ trust: { pinnedKeys: key.certificate.pem + other.certificate.pem } })
    clock.now += 31 * day
    expect((await come(other)).outcome).toBe('accepted')
    const verdict = (fingerprint: string) => {
      const found = auth.report().anchors.find((anchor) => anchor.fingerprint === fingerprint)
      return found?.reason
    }
    expect([verdict(key.fingerprint), verdict(other.fingerprint)]).toEqual(['unused', 'seen'])
  })

  test('a connection that two look after is one, and is open until both have let it go', async () => {
    const { auth, come } = make()
    const decision = await come(alice)
    const socket = Object.assign(new EventEmitter(), { destroy: () => socket.emit('close') })
    const stops = [guardConnection(socket, decision), guardConnection(socket, decision)]
    const connections = () => anchorOf(auth.report(), 'old').connections
    expect(connections()).toBe(1)
    stops[0]?.()
    stops[0]?.()
    expect(connections()).toBe(1)
    stops[1]?.()
    expect(connections()).toBe(0)
  })

  test('never where the clock that should tell is broken', async () => {
    let now = Number.NaN
    const { auth, come } = make({ now: () => now })
    now = fromNoon(100 * day).getTime()
    await come(renewed)
    expect(verdicts(auth.report()).old).toEqual([false, 'watched-too-short'])
    expect(auth.report()).not.toHaveProperty('since')
  })
})

test('who is still on the old CA: those without a later certificate are counted apart', async () => {
  const { auth, come } = make()
  await come(alice)
  await come(bob)
  await come(renewed)
  expect(anchorOf(auth.report(), 'old')).toMatchObject({ certificates: 2, notRenewed: 1 })
  const successors = Object.fromEntries(
    auth.report().certificates.map(({ fingerprint, successor }) => [fingerprint, successor]),
  )
  expect(successors).toEqual({
    [alice.fingerprint]: renewed.fingerprint,
    [bob.fingerprint]: undefined,
    [renewed.fingerprint]: undefined,
  })
})

test('anchors nobody used are named', async () => {
  const { auth, come } = make()
  await come(alice)
  const report = auth.report()
  expect(report.unusedAnchors).toEqual([anchorOf(report, 'young').fingerprint])
  await come(renewed)
  expect(auth.report().unusedAnchors).toEqual([])
})

test('a CA that only changed its set is not told of as one that is not trusted, while it is', async () => {
  const named = (name: string) =>
    new TrustSnapshot([
      ...TrustStore.parse(old.trust)
        .current()
        .anchors.map(({ certificate }) => ({ certificate, name })),
      ...TrustStore.parse(young.trust).current().anchors,
    ])
  let snapshot = named('before')
  const trust = TrustStore.assemble({ label: 'memory', load: () => snapshot })
  const reading = make({ trust })
  await reading.come(alice)
  snapshot = named('after')
  trust.reload()
  expect(verdicts(reading.auth.report())).toEqual({
    after: [false, 'watched-too-short'],
    undefined: [false, 'watched-too-short'],
  })
  snapshot = TrustStore.parse(young.trust).current()
  trust.reload()
  expect(verdicts(reading.auth.report())).toMatchObject({ before: [true, 'not-trusted'], after: [true, 'not-trusted'] })
})

test('a CA in two sets is no unused anchor where somebody came by one of them', async () => {
  const { auth, come } = make({ trust: { first: old.trust, second: old.trust, young: young.trust } })
  await come(alice)
  const report = auth.report()
  expect(verdicts(report).second).toEqual([false, 'watched-too-short'])
  expect(report.unusedAnchors).toEqual([anchorOf(report, 'young').fingerprint])
})

test('a key that is pinned by the certificates of several years is one anchor, whichever of them comes', async () => {
  const self = await createTestPki({ now: noon })
  const key = await self.root.issue({ subject: 'CN=carol' })
  const again = await self.root.issue({ subject: 'CN=carol', key })
  const { auth, come } = make({ trust: { pinnedKeys: key.certificate.pem + again.certificate.pem } })
  await come(again)
  expect(auth.report().anchors.map(({ reason }) => reason)).toEqual(['seen', 'seen'])
})

test('a pinned client is its own anchor, by certificate and by key, and is not named', async () => {
  const self = await createTestPki({ now: noon })
  const key = await self.root.issue({ subject: 'CN=carol' })
  const again = await self.root.issue({ subject: 'CN=carol', key })
  const { auth, come } = make({ trust: { pinnedKeys: key.certificate.pem, old: old.trust } })
  expect((await come(again)).outcome).toBe('accepted')
  const { anchors, certificates } = auth.report()
  expect(anchors.find(({ pinned }) => pinned === 'key')).toMatchObject({ certificates: 1, reason: 'seen' })
  expect(certificates[0]?.ways[0]).not.toHaveProperty('issuer')
  expect(JSON.stringify(auth.report())).not.toContain('carol')
})

test('certificates that end soon, the first first; not those that have ended or were replaced', async () => {
  const { auth, clock, come } = make()
  const soon = await young.issue({ subject: 'CN=soon', notAfter: fromNoon(10 * day) })
  await come(bob)
  await come(soon)
  await come(alice)
  expect(auth.report().expiring).toEqual([soon.fingerprint, bob.fingerprint])
  expect(auth.report({ expiringDays: 15 }).expiring).toEqual([soon.fingerprint])
  clock.now += hour
  await come(await young.issue({ subject: 'CN=soon', notAfter: fromNoon(200 * day) }))
  expect(auth.report().expiring).toEqual([bob.fingerprint])
  // Two of one name that are both in use are two: each must be renewed.
  await come(soon)
  expect(auth.report().expiring).toEqual([soon.fingerprint, bob.fingerprint])
  clock.now += 11 * day
  expect(auth.report().expiring).toEqual([bob.fingerprint])
})

test('algorithms and key sizes in use, of those seen within the window', async () => {
  const { auth, clock, come } = make()
  await come(alice)
  await come(bob)
  await come(renewed)
  const report = auth.report()
  expect(report.keys).toEqual([
    { key: 'EC P-256', certificates: 2 },
    { key: 'RSA 2048', certificates: 1 },
  ])
  expect(report.signatures).toEqual([{ signature: 'ecdsa-with-SHA256', certificates: 3 }])
  clock.now += 2 * day
  await come(renewed)
  expect(auth.report({ days: 1 }).keys).toEqual([{ key: 'RSA 2048', certificates: 1 }])
})

test('it is plain data, and nobody can change it', async () => {
  const { auth, come } = make()
  await come(alice)
  const report = auth.report()
  expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  const all = (value: unknown): object[] =>
    typeof value === 'object' && value !== null ? [value, ...Object.values(value).flatMap(all)] : []
  expect(all(report).filter((part) => !Object.isFrozen(part))).toEqual([])
  expect(all(report).length).toBeGreaterThan(10)
})

test.each([
  [{ day: 30 }, 'ClientCertConfigError: report: unknown option "day". Did you mean "days"?'],
  [{ days: undefined }, 'ClientCertConfigError: report: days is undefined — leave the option out, or give it a value'],
  [{ days: 0 }, 'ClientCertConfigError: report: days is 0, expected a number of days above 0'],
  [{ days: Number.NaN }, 'ClientCertConfigError: report: days is null, expected a number of days above 0'],
  [{ expiringDays: '30' }, 'ClientCertConfigError: report: expiringDays is "30", expected a number of days above 0'],
  [null, 'ClientCertConfigError: report: expected options — auth.report({ days: 30 })'],
])('wrong options are refused: %j', (options, message) => {
  expect(thrownBy(() => make().auth.report(options as never))).toBe(message)
})
