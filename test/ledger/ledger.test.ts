/** The ledger's memory: bounded, and exact about when each anchor was used last, whatever it had to forget. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { KnownClient } from '../../src/core/decision-memory.js'
import { TrustStore } from '../../src/index.js'
import { Ledger, lastSeenOf } from '../../src/ledger/ledger.js'
import { rotationReport } from '../../src/ledger/rotation-report.js'
import { type Appearance, ClientHistory } from '../../src/ledger/unusual.js'
import { RememberedPath } from '../../src/path/remembered-path.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, noon, present, second } from '../support/pki.js'

const most = 16
let old: TestPki
let young: TestPki
/** One key for all of them: what is asked is how many are remembered. */
let clients: TestCredential[]
let known: KnownClient[]
beforeAll(async () => {
  old = await createTestPki({ now: noon, name: 'Old' })
  young = await createTestPki({ now: noon, name: 'Young' })
  const key = await old.issue()
  const issue = (pki: TestPki, i: number) =>
    pki.issue({ subject: `CN=client ${i}`, key, notAfter: fromNoon(300 * day) })
  clients = await Promise.all(Array.from({ length: 3 * most }, (_, i) => issue(i === 0 ? old : young, i)))
  known = await Promise.all(clients.map(knownClient))
})

async function knownClient(credential: TestCredential): Promise<KnownClient> {
  const { decision } = await present(credential, { trust: old.trust + young.trust })
  if (decision.outcome !== 'accepted') throw decision.error
  const { identity } = decision
  const path = new RememberedPath(decision.path)
  const decidedAt = noon.getTime()
  const made = {
    identity,
    path,
    decidedAt,
    holdsUntil: decidedAt,
    provenUntil: decidedAt,
    epoch: [0, 0, 0, 0] as const,
  }
  return { ...made, enforced: undefined, reported: undefined, compared: undefined, sighting: undefined }
}

function make(trust: TrustStore = TrustStore.parse(old.trust + young.trust)) {
  const clock = { now: noon.getTime() }
  const settings = { trust, warnDays: [], nextStandard: undefined, auditNames: false, now: () => clock.now }
  const ledger = new Ledger(settings, most)
  const fresh = known.map((each) => ({ ...each, sighting: undefined }) as KnownClient)
  const see = (from: number, to = from + 1) => {
    for (const each of fresh.slice(from, to)) {
      clock.now += second
      ledger.see(each, clock.now, true)
    }
  }
  const report = (days = 30) => rotationReport(ledger, { days }, false, clock.now)
  return { ledger, clock, see, report, fresh }
}

const fingerprints = (from: number, to?: number) => clients.slice(from, to).map(({ fingerprint }) => fingerprint)

describe('at most so many certificates are remembered', () => {
  test('up to the limit, all of them', () => {
    const { ledger, see, report } = make()
    see(0, most)
    expect([ledger.size, ledger.forgotten]).toEqual([most, 0])
    expect(report()).toMatchObject({ forgotten: 0, capacity: most })
  })

  test('one more, and who was not seen for longest is forgotten, although he was the last to be entered', () => {
    const { ledger, see, report } = make()
    see(0, most)
    see(0, most - 1)
    see(most)
    expect([ledger.size, ledger.forgotten]).toEqual([most, 1])
    const left = report().certificates.map(({ fingerprint }) => fingerprint)
    expect(left).not.toContain(clients[most - 1]?.fingerprint)
    expect([...left].sort()).toEqual([...fingerprints(0, most - 1), ...fingerprints(most, most + 1)].sort())
  })

  test('whoever is forgotten and comes back is entered anew', () => {
    const { see, report, fresh } = make()
    see(0, 2 * most)
    expect(report().certificates.map(({ fingerprint }) => fingerprint)).not.toContain(clients[0]?.fingerprint)
    // What is remembered with its session still has its old place in hand.
    expect(fresh[0]?.sighting).toBeDefined()
    see(0)
    expect(report().certificates[0]).toMatchObject({ fingerprint: clients[0]?.fingerprint, requests: 1 })
  })
})

describe('what was forgotten is not unknown', () => {
  const oldAnchor = ({ anchors }: ReturnType<ReturnType<typeof make>['report']>) => {
    const found = anchors.find(({ subject }) => subject === 'CN=Old Root CA')
    if (found === undefined) throw new Error('no such anchor')
    return found
  }

  test('its anchor keeps the time it was seen last: it is safe to remove when that is long ago, and not before', () => {
    const { clock, see, report } = make()
    clock.now += 5 * day
    see(0)
    const seen = new Date(clock.now).toISOString()
    see(1, 3 * most)
    expect(report().certificates.map(({ fingerprint }) => fingerprint)).not.toContain(clients[0]?.fingerprint)
    clock.now = noon.getTime() + 34 * day
    see(2 * most, 3 * most)
    expect(oldAnchor(report())).toMatchObject({
      certificates: 0,
      forgotten: 1,
      lastSeen: seen,
      safeToRemove: false,
      reason: 'seen',
    })
    clock.now += 2 * day
    see(2 * most, 3 * most)
    expect(oldAnchor(report())).toMatchObject({ lastSeen: seen, safeToRemove: true, reason: 'unused' })
  })

  test('a request of somebody forgotten, on a session that is still remembered, counts for its anchor', () => {
    const { clock, see, report } = make()
    see(0, 3 * most)
    clock.now += 40 * day
    see(0)
    const seen = new Date(clock.now).toISOString()
    see(1, 3 * most)
    expect(oldAnchor(report())).toMatchObject({ lastSeen: seen, safeToRemove: false, reason: 'seen' })
  })
})

test('ways of one certificate are bounded too, and the oldest leaves its time with its anchor', () => {
  const { ledger, clock, fresh } = make()
  const [first] = fresh as [KnownClient]
  for (let i = 0; i < 3 * most; i++) {
    const { identity, path } = first
    const anchor = { ...path.anchor, name: `set ${i}` }
    clock.now += second
    ledger.see(
      { ...first, identity, path: new RememberedPath({ ...path.whole, anchor }), sighting: undefined },
      clock.now,
      true,
    )
  }
  const [client, ...others] = ledger.clients
  expect(others).toEqual([])
  expect(client?.sightings).toHaveLength(16)
  expect(client && lastSeenOf(client)).toBe(clock.now)
  const times = [...ledger.anchors.all].map(({ set, lastSeen }) => [set, lastSeen])
  expect(times[0]).toEqual(['set 0', noon.getTime() + second])
})

test('of anchors that are trusted no more, a thousand are remembered', async () => {
  let content = young.trust
  const trust = TrustStore.from(() => content, { refresh: day / 24 })
  await trust.ready()
  const { ledger, clock, fresh } = make(trust)
  const [first] = fresh as [KnownClient]
  for (let i = 0; i < 1_100; i++) {
    const anchor = { ...first.path.anchor, name: `set ${i}` }
    const hold = ledger.anchors.hold({})
    hold.by({ anchor })
    hold.release()
    clock.now += 1
  }
  for (const record of ledger.anchors.all) record.since = undefined
  content = old.trust + young.trust
  await trust.refresh()
  const records = [...ledger.anchors.all]
  expect(records.filter(({ since }) => since === undefined)).toHaveLength(1_000)
  expect(records.some(({ set }) => set === 'set 99')).toBe(false)
  expect(records.some(({ set }) => set === 'set 100')).toBe(true)
  trust.close()
  ledger.close()
})

test('after close() it hears of no reload', async () => {
  let content = young.trust
  const trust = TrustStore.from(() => content, { refresh: day / 24 })
  await trust.ready()
  const { ledger, report } = make(trust)
  content = old.trust + young.trust
  ledger.close()
  await trust.refresh()
  expect(report().anchors.map(({ subject }) => subject)).toEqual(['CN=Young Root CA'])
  trust.close()
})

test('what it is told is worth nothing to the client: whatever goes wrong in it, nothing is thrown', () => {
  const { ledger, fresh } = make()
  const [first] = fresh as [KnownClient]
  const broken = { ...first, identity: undefined } as never
  expect(() => ledger.see(broken, noon.getTime(), true)).not.toThrow()
  expect(ledger.size).toBe(0)
})

describe('the history of clients', () => {
  const appearance = (key: string, issuerKey = 'ca'): Appearance => ({
    fingerprint: `${issuerKey} ${key}`,
    issuerFingerprint: issuerKey,
    notAfter: 0,
    issuerKey,
    key,
  })

  test('says that it is not certain once it has forgotten anybody', () => {
    const history = new ClientHistory(2)
    const meet = (name: string) => history.meet(name, appearance('k'))
    expect(['a', 'b', 'c', 'd'].map(meet)).toEqual([
      { type: 'first-seen', certain: true },
      { type: 'first-seen', certain: true },
      { type: 'first-seen', certain: true },
      { type: 'first-seen', certain: false },
    ])
    expect(meet('d')).toBeUndefined()
    expect(meet('a')).toEqual({ type: 'first-seen', certain: false })
  })

  test('remembers sixteen keys of a client: one that comes back later is told of again', () => {
    const history = new ClientHistory()
    const changes = (key: number) => history.meet('a', appearance(`key ${key}`))?.type
    expect(changes(0)).toBe('first-seen')
    for (let key = 1; key < 16; key++) expect(changes(key)).toBe('moved')
    expect(changes(0)).toBeUndefined()
    expect(changes(16)).toBe('moved')
    expect(changes(0)).toBe('moved')
  })
})

test('events that nobody hears cost nothing but a look', () => {
  const heard: unknown[] = []
  const hear = (event: unknown) => heard.push(event)
  const { see } = make()
  see(0)
  subscribe('mtls-identity:identity', hear)
  see(0)
  see(1)
  unsubscribe('mtls-identity:identity', hear)
  expect(heard).toMatchObject([{ type: 'first-seen', fingerprint: clients[1]?.fingerprint }])
})
