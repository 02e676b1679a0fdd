/** Shadow mode: a candidate policy decides beside the enforced one. Where they differ is counted, and nothing else is another. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { renameSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { candidateOptionNames } from '../../src/core/candidate.js'
import { ExceptionList } from '../../src/core/exceptions.js'
import {
  type Authenticator,
  type AuthenticatorOptions,
  type CandidateEvent,
  type CandidateOptions,
  type CandidateReport,
  type CertificateSource,
  createAuthenticator,
  type Decision,
  denyList,
  type PresentedChain,
  type RevocationChecker,
  rules,
  TrustStore,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, noon, second, temporaryFolder, thrownBy } from '../support/pki.js'

let pki: TestPki
let other: TestPki
let alice: TestCredential
let bob: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  other = await createTestPki({ now: noon, name: 'Other' })
  alice = await pki.issue({ subject: 'CN=alice,O=Secret' })
  bob = await pki.issue({ subject: 'CN=bob' })
  stranger = await other.issue({ subject: 'CN=mallory' })
})

const folder = temporaryFolder()
const opened: Authenticator[] = []
afterEach(async () => {
  for (const auth of opened.splice(0)) await auth.close()
})

const chainOf = ({ certificate, chain }: TestCredential): PresentedChain => ({
  certificate: certificate.der,
  intermediates: chain.map(({ der }) => der),
  via: 'tls',
})

interface Scene extends Partial<AuthenticatorOptions> {
  candidate?: CandidateOptions
}

/** An authenticator whose clients are connections: one object for each, as a TLS session is. */
function make(options: Scene = {}) {
  const clock = { now: noon.getTime() }
  const lines: string[] = []
  const decisions: Decision[] = []
  const sessions = new Map<TestCredential, object>()
  const source: CertificateSource = {
    name: 'connections',
    read: (request) => {
      const client = (request as unknown as { client: TestCredential | undefined }).client
      if (client === undefined) {
        const absent = { cause: 'none-sent' as const, requested: undefined, encrypted: true }
        return { presented: undefined, absent }
      }
      const session = sessions.get(client) ?? {}
      sessions.set(client, session)
      return { presented: chainOf(client), session }
    },
  }
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    watch: false,
    source,
    log: (line) => lines.push(line),
    onDecision: (decision) => decisions.push(decision),
    now: () => clock.now,
    ...options,
  })
  opened.push(auth)
  const decide = (client: TestCredential | undefined, more: object = {}) =>
    auth.authenticate({ client, socket: {}, headers: {}, rawHeaders: [], ...more } as unknown as IncomingMessage)
  const verdict = async (client: TestCredential, more: object = {}) => verdictOf(await decide(client, more))
  return { auth, clock, lines, decisions, sessions, decide, verdict, report: () => settled(auth) }
}

const verdictOf = (decision: Decision) => (decision.outcome === 'accepted' ? 'accepted' : decision.error.code)

const turn = () => new Promise((resolve) => setImmediate(resolve))

const reportOf = (auth: Authenticator) => auth.candidateReport() as CandidateReport

/** The report once nothing is being compared any more. */
async function settled(auth: Authenticator): Promise<CandidateReport> {
  for (let i = 0; i < 5_000 && reportOf(auth).pending > 0; i++) await turn()
  expect(reportOf(auth).pending).toBe(0)
  return reportOf(auth)
}

const good: RevocationChecker = { name: 'good', generation: 0, check: () => ({ status: 'good' }) }
const revoked: RevocationChecker = {
  name: 'revoked',
  generation: 0,
  check: () => ({ status: 'revoked', depth: 0, reason: 'keyCompromise' }),
}
const unknown: RevocationChecker = {
  name: 'unknown',
  generation: 0,
  check: () => ({ status: 'unknown', reason: 'nobody answers' }),
}

describe('what a candidate would refuse is counted, by whom and why; what it accepts too is the same', () => {
  const cases: { name: string; differs: () => CandidateOptions; agrees: () => CandidateOptions; code: string }[] = [
    {
      name: 'trust',
      differs: () => ({ trust: other.trust }),
      agrees: () => ({ trust: [other.trust, pki.trust] }),
      code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    },
    {
      name: 'rules',
      differs: () => ({ rules: rules.commonName('bob') }),
      agrees: () => ({ rules: rules.commonName('alice') }),
      code: 'ERR_CLIENT_CERT_RULE',
    },
    {
      name: 'revocation',
      differs: () => ({ revocation: revoked }),
      agrees: () => ({ revocation: good }),
      code: 'ERR_CLIENT_CERT_REVOKED',
    },
    {
      name: 'revocation that does not know',
      differs: () => ({ revocation: unknown }),
      agrees: () => ({ revocation: good }),
      code: 'ERR_CLIENT_CERT_REVOCATION_UNKNOWN',
    },
    {
      name: 'profile',
      differs: () => ({ profile: { curves: ['P-384'] } }),
      agrees: () => ({ profile: { curves: ['P-256'] } }),
      code: 'ERR_CLIENT_CERT_WEAK_KEY',
    },
  ]
  test.each(cases)('$name', async ({ differs, agrees, code }) => {
    const differing = make({ candidate: differs() })
    expect([await differing.verdict(alice), await differing.verdict(alice)]).toEqual(['accepted', 'accepted'])
    expect(await differing.report()).toMatchObject({
      decided: 2,
      same: 0,
      skipped: 0,
      differences: { 'would-refuse': { [code]: 2 }, 'would-admit': {} },
      identities: [{ kind: 'would-refuse', code, fingerprint: alice.fingerprint, count: 2 }],
      forgotten: 0,
    })
    const agreeing = make({ candidate: agrees() })
    expect([await agreeing.verdict(alice), await agreeing.verdict(alice)]).toEqual(['accepted', 'accepted'])
    expect(await agreeing.report()).toMatchObject({
      decided: 2,
      same: 2,
      differences: { 'would-refuse': {}, 'would-admit': {} },
      identities: [],
    })
  })

  test('intermediates: who sends none finds them there, or not', async () => {
    const bare = { ...alice, chain: [] }
    const intermediates = pki.intermediate.certificate.pem
    const differing = make({ intermediates, candidate: { intermediates: other.intermediate.certificate.pem } })
    expect(await differing.verdict(bare)).toBe('accepted')
    expect((await differing.report()).differences['would-refuse']).toEqual({ ERR_CLIENT_CERT_UNKNOWN_ISSUER: 1 })
    // Left out, they are the enforced policy's.
    const agreeing = make({ intermediates, candidate: { trust: [pki.trust, other.trust] } })
    expect(await agreeing.verdict(bare)).toBe('accepted')
    expect(await agreeing.report()).toMatchObject({ decided: 1, same: 1 })
  })
})

describe('what a candidate would admit is counted with the code of the enforced policy', () => {
  test('another CA: the client is refused all the same, and one that both refuse is the same', async () => {
    const third = await (await createTestPki({ now: noon, name: 'Third' })).issue()
    const { verdict, report } = make({ candidate: { trust: { old: pki.trust, new: other.trust } } })
    expect([await verdict(stranger), await verdict(stranger), await verdict(third)]).toEqual(
      Array(3).fill('ERR_CLIENT_CERT_UNKNOWN_ISSUER'),
    )
    const { differences, same, identities } = await report()
    expect(differences).toEqual({ 'would-refuse': {}, 'would-admit': { ERR_CLIENT_CERT_UNKNOWN_ISSUER: 2 } })
    expect(same).toBe(1)
    expect(identities).toMatchObject([
      { kind: 'would-admit', fingerprint: stranger.fingerprint, anchor: 'new', count: 2 },
    ])
  })

  test('other rules: what they refuse for another reason is the same', async () => {
    const { verdict, report } = make({
      rules: rules.commonName('carol'),
      candidate: { rules: rules.commonName('bob') },
    })
    expect([await verdict(alice), await verdict(bob)]).toEqual(['ERR_CLIENT_CERT_RULE', 'ERR_CLIENT_CERT_RULE'])
    expect(await report()).toMatchObject({
      same: 1,
      differences: { 'would-refuse': {}, 'would-admit': { ERR_CLIENT_CERT_RULE: 1 } },
      identities: [{ fingerprint: bob.fingerprint, rule: 'commonName("carol")' }],
    })
  })

  test('without a certificate there is nothing to decide, for either', async () => {
    const { decide, report } = make({ candidate: { trust: other.trust } })
    expect(verdictOf(await decide(undefined))).toBe('ERR_CLIENT_CERT_ABSENT')
    expect(await report()).toMatchObject({ decided: 0, skipped: 0, pending: 0 })
  })
})

describe('nobody hears of what a candidate decides', () => {
  test('no lines, no onDecision, no audit events but those there are without one', async () => {
    const audits: unknown[] = []
    const hear = (event: unknown) => audits.push(event)
    subscribe('mtls-identity:decision', hear)
    const heard: object[] = []
    try {
      for (const candidate of [undefined, { trust: other.trust }]) {
        const { decide, lines, decisions, auth } = make(candidate === undefined ? {} : { candidate })
        for (const client of [alice, stranger, alice, undefined]) await decide(client)
        if (candidate !== undefined) {
          const { differences } = await settled(auth)
          expect(differences).toEqual({
            'would-refuse': { ERR_CLIENT_CERT_UNKNOWN_ISSUER: 2 },
            'would-admit': { ERR_CLIENT_CERT_UNKNOWN_ISSUER: 1 },
          })
        }
        heard.push({ lines, verdicts: decisions.map(verdictOf), audits: audits.splice(0).length })
      }
    } finally {
      unsubscribe('mtls-identity:decision', hear)
    }
    expect(heard[1]).toEqual(heard[0])
    expect(heard[0]).toMatchObject({ audits: 4, lines: { length: 2 } })
  })

  test('an exception counts the clients it admitted, not those a candidate would', async () => {
    const expired = await pki.issue({ notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) })
    const entry = { ignore: ['expired'] as const, until: fromNoon(day), reason: 'renewal is on its way' }
    const { decide, report, verdict } = make({
      exceptions: [{ fingerprint: expired.fingerprint, ...entry }],
      candidate: { profile: { curves: ['P-256'] } },
    })
    for (const uses of [1, 2, 3]) {
      expect(await decide(expired)).toMatchObject({ outcome: 'accepted', exception: { uses } })
      await report()
    }
    // They are a part of both policies.
    expect(await report()).toMatchObject({ decided: 3, same: 3 })
    const others = await pki.issue({ notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) })
    expect(await verdict(others)).toBe('ERR_CLIENT_CERT_EXPIRED')
    expect(await report()).toMatchObject({ decided: 4, same: 4 })
  })

  test('a source is not told to remember what only the candidate accepts', async () => {
    const accepted = jest.fn()
    const told = (client: TestCredential) => ({
      name: 'remembering',
      read: () => ({ presented: chainOf(client), accepted }),
    })
    const candidate = { trust: [pki.trust, other.trust] }
    const refusing = make({ source: told(stranger), candidate })
    await refusing.decide(stranger)
    expect((await refusing.report()).differences['would-admit']).toEqual({ ERR_CLIENT_CERT_UNKNOWN_ISSUER: 1 })
    expect(accepted).not.toHaveBeenCalled()
    const accepting = make({ source: told(alice), candidate })
    await accepting.decide(alice)
    await accepting.report()
    expect(accepted).toHaveBeenCalledTimes(1)
  })
})

describe('a candidate that is broken changes nothing', () => {
  const failing: [string, Partial<RevocationChecker>][] = [
    [
      'throws',
      {
        check: () => {
          throw new Error('broken')
        },
      },
    ],
    ['rejects', { check: () => Promise.reject(new Error('broken')) }],
  ]
  test.each(failing)('a checker that %s is an internal error it would have', async (_, broken) => {
    const { verdict, lines, report } = make({ candidate: { revocation: { ...good, ...broken } } })
    expect([await verdict(alice), await verdict(alice)]).toEqual(['accepted', 'accepted'])
    expect((await report()).differences).toEqual({
      'would-refuse': { ERR_CLIENT_CERT_INTERNAL: 2 },
      'would-admit': {},
    })
    expect(lines).toEqual([])
  })

  test('a checker whose generation cannot be read: it is not asked, and that is counted', async () => {
    let isBroken = true
    const revocation = {
      ...good,
      get generation() {
        if (isBroken) throw new Error('broken')
        return 1
      },
    }
    const { verdict, report } = make({ candidate: { revocation } })
    expect([await verdict(alice), await verdict(alice), await verdict(stranger)]).toEqual([
      'accepted',
      'accepted',
      'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    ])
    expect(await report()).toMatchObject({ decided: 0, skipped: 3 })
    isBroken = false
    await verdict(alice)
    expect(await report()).toMatchObject({ decided: 1, same: 1, skipped: 3 })
  })

  test(`one that never answers is asked about ${limits.candidateDecisions} decisions, and the others are counted as skipped`, async () => {
    const check = jest.fn(() => new Promise<never>(() => {}))
    const { verdict, auth } = make({ candidate: { revocation: { name: 'hanging', check } } })
    const clients = await Promise.all(Array.from({ length: limits.candidateDecisions + 3 }, () => pki.issue()))
    for (const client of clients.slice(0, limits.candidateDecisions)) expect(await verdict(client)).toBe('accepted')
    expect(reportOf(auth)).toMatchObject({ skipped: 0, pending: limits.candidateDecisions })
    for (const client of clients.slice(limits.candidateDecisions)) expect(await verdict(client)).toBe('accepted')
    for (let i = 0; check.mock.calls.length < limits.candidateDecisions && i < 5_000; i++) await turn()
    expect(check).toHaveBeenCalledTimes(limits.candidateDecisions)
    expect(reportOf(auth)).toMatchObject({ decided: 0, skipped: 3, pending: limits.candidateDecisions })
    // A client it is being asked about takes no further place.
    expect(await verdict(clients[0] as TestCredential)).toBe('accepted')
    expect(reportOf(auth)).toMatchObject({ decided: 0, skipped: 3, pending: limits.candidateDecisions + 1 })
  })

  test('one that is slow answers after the request was, and then for all that came meanwhile', async () => {
    let answer: (status: { status: 'good' }) => void = () => {}
    const check = jest.fn(() => new Promise<{ status: 'good' }>((resolve) => (answer = resolve)))
    const { verdict, auth, report } = make({ candidate: { revocation: { name: 'slow', generation: 0, check } } })
    for (let i = 0; i < 5; i++) expect(await verdict(alice)).toBe('accepted')
    await turn()
    expect(reportOf(auth)).toMatchObject({ decided: 0, pending: 5 })
    answer({ status: 'good' })
    expect(await report()).toMatchObject({ decided: 5, same: 5, skipped: 0 })
    expect(check).toHaveBeenCalledTimes(1)
  })

  test('nothing of it is done before the decision is there', async () => {
    const order: string[] = []
    const asked = jest.fn(() => {
      order.push('candidate')
      return true
    })
    const { decide, report } = make({ candidate: { rules: rules.custom('noting', asked) } })
    await decide(alice).then(() => order.push('decided'))
    order.push('answered')
    expect(asked).not.toHaveBeenCalled()
    await report()
    expect(order).toEqual(['decided', 'answered', 'candidate'])
  })

  test('one that never loads: it is not asked, ready() does not wait, and the report says why', async () => {
    const trust = TrustStore.from(() => new Promise<never>(() => {}), { label: 'the new CA' })
    const { auth, verdict, report } = make({ candidate: { trust } })
    await auth.ready()
    expect([await verdict(alice), await verdict(alice), await verdict(stranger)]).toEqual([
      'accepted',
      'accepted',
      'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    ])
    expect(await report()).toMatchObject({
      notReady: 'the new CA is not loaded yet',
      decided: 0,
      skipped: 3,
      identities: [],
    })
    trust.close()
  })

  test('one that loads later is asked from then on', async () => {
    let give: (pem: string) => void = () => {}
    const trust = TrustStore.from(() => new Promise<string>((resolve) => (give = resolve)))
    const { verdict, report } = make({ candidate: { trust } })
    await verdict(alice)
    expect(await report()).toMatchObject({ notReady: expect.any(String), skipped: 1 })
    give(other.trust)
    await trust.ready()
    await verdict(alice)
    const late = await report()
    expect(late.notReady).toBeUndefined()
    expect(late).toMatchObject({ decided: 1, skipped: 1, identities: [{ fingerprint: alice.fingerprint, count: 1 }] })
    trust.close()
  })

  test('an enforced policy that is not ready itself is no difference', async () => {
    const trust = TrustStore.from(() => new Promise<never>(() => {}))
    const { verdict, report } = make({ trust, candidate: { trust: pki.trust } })
    expect(await verdict(alice)).toBe('ERR_CLIENT_CERT_NOT_READY')
    expect(await report()).toMatchObject({ decided: 0, skipped: 1 })
    trust.close()
  })
})

describe('the second decision is remembered as the first is', () => {
  test('the candidate’s checker and rules are asked once for a client', async () => {
    const check = jest.fn(good.check)
    const holds = jest.fn(() => true)
    const { verdict, report } = make({
      candidate: { revocation: { ...good, check }, rules: rules.custom('once', holds, { remember: 'identity' }) },
    })
    for (let i = 0; i < 4; i++) {
      await verdict(alice)
      await report()
    }
    expect(await report()).toMatchObject({ decided: 4, same: 4 })
    expect([check.mock.calls.length, holds.mock.calls.length]).toEqual([1, 1])
  })

  test('nothing is left to do in the background for a client both know', async () => {
    const { verdict, auth } = make({ candidate: { trust: other.trust } })
    await verdict(alice)
    await settled(auth)
    await verdict(alice)
    expect(reportOf(auth)).toMatchObject({ decided: 2, pending: 0, identities: [{ count: 2 }] })
  })

  test('a further connection of the same client is no news', async () => {
    const { verdict, auth, sessions } = make({ candidate: { trust: other.trust } })
    await verdict(alice)
    await settled(auth)
    sessions.clear()
    await verdict(alice)
    expect(reportOf(auth)).toMatchObject({ decided: 2, pending: 0 })
  })

  test('a refusal by the candidate stands for ten seconds, and ends where its cause does', async () => {
    const check = jest.fn<RevocationChecker['check']>(() => ({ status: 'unknown', reason: 'nobody answers' }))
    const { verdict, report, clock } = make({ candidate: { revocation: { ...good, check } } })
    await verdict(alice)
    await report()
    clock.now += 10 * second
    await verdict(alice)
    await report()
    expect(check).toHaveBeenCalledTimes(1)
    check.mockImplementation(good.check)
    clock.now += 1
    await verdict(alice)
    expect(await report()).toMatchObject({
      same: 1,
      differences: { 'would-refuse': { ERR_CLIENT_CERT_REVOCATION_UNKNOWN: 2 } },
    })
    expect(check).toHaveBeenCalledTimes(2)
  })

  test('a candidate that accepts is asked again when that ends', async () => {
    const validUntil = fromNoon(second)
    const check = jest.fn<RevocationChecker['check']>(() => ({ status: 'good', validUntil }))
    const { verdict, report, clock } = make({ candidate: { revocation: { ...good, check } } })
    for (const [ahead, times] of [
      [0, 1],
      [second, 1],
      [second + 1, 2],
    ] as const) {
      clock.now = noon.getTime() + ahead
      await verdict(alice)
      await report()
      expect(check).toHaveBeenCalledTimes(times)
    }
  })

  test('a rule that looks at the request is asked about each, with that request and in its context', async () => {
    const storage = new AsyncLocalStorage<string>()
    const rule = rules.custom('header', (_, request) => request?.headers['x-team'] === storage.getStore())
    const { verdict, report } = make({ candidate: { rules: rule } })
    const ask = (header: string, store: string) =>
      storage.run(store, () => verdict(alice, { headers: { 'x-team': header } }))
    const verdicts = await Promise.all([ask('blue', 'blue'), ask('red', 'red'), ask('red', 'blue'), ask('red', 'red')])
    expect(verdicts).toEqual(Array(4).fill('accepted'))
    expect(await report()).toMatchObject({ same: 3, differences: { 'would-refuse': { ERR_CLIENT_CERT_RULE: 1 } } })
    // Nothing of that is remembered.
    await ask('blue', 'red')
    expect(await report()).toMatchObject({ same: 3, differences: { 'would-refuse': { ERR_CLIENT_CERT_RULE: 2 } } })
    // Nor does one wait for another's.
    await ask('blue', 'blue')
    await ask('red', 'blue')
    expect(await report()).toMatchObject({ same: 4, differences: { 'would-refuse': { ERR_CLIENT_CERT_RULE: 3 } } })
  })

  test('an enforced rule that looks at the request: each outcome is compared', async () => {
    const rule = rules.custom('header', (_, request) => request?.headers['x-team'] === 'blue')
    const { verdict, report } = make({ rules: rule, candidate: { rules: rules.commonName('alice') } })
    expect(await verdict(alice, { headers: { 'x-team': 'blue' } })).toBe('accepted')
    expect(await verdict(alice, { headers: {} })).toBe('ERR_CLIENT_CERT_RULE')
    expect(await verdict(alice, { headers: { 'x-team': 'blue' } })).toBe('accepted')
    expect(await report()).toMatchObject({
      same: 2,
      differences: { 'would-refuse': {}, 'would-admit': { ERR_CLIENT_CERT_RULE: 1 } },
    })
  })

  test('it decides of the same moment: what ends before its turn has not ended', async () => {
    const brief = await pki.issue({ notAfter: fromNoon(second) })
    const { verdict, report, clock } = make({ candidate: { trust: [pki.trust, other.trust] } })
    clock.now += second
    expect(await verdict(brief)).toBe('accepted')
    clock.now += second
    expect(await report()).toMatchObject({ decided: 1, same: 1 })
    expect(await verdict(brief)).toBe('ERR_CLIENT_CERT_EXPIRED')
    expect(await report()).toMatchObject({ decided: 2, same: 2 })
  })

  test('octets that were handed over may be written to afterwards', async () => {
    const { auth, report } = make({ candidate: { rules: rules.commonName('bob') } })
    const { certificate, intermediates, via } = chainOf(alice)
    const mine = Uint8Array.from(certificate)
    const others = intermediates.map((der) => Uint8Array.from(der))
    expect(verdictOf(await auth.authenticateChain({ certificate: mine, intermediates: others, via }))).toBe('accepted')
    for (const octets of [mine, ...others]) octets.fill(0)
    expect(await report()).toMatchObject({
      differences: { 'would-refuse': { ERR_CLIENT_CERT_RULE: 1 } },
      identities: [{ fingerprint: alice.fingerprint }],
    })
  })
})

describe('what the candidate decides is decided anew', () => {
  test('when its trust is another', async () => {
    let pem = pki.trust
    const trust = TrustStore.from(() => pem, { refresh: 3_600_000 })
    const { verdict, report } = make({ candidate: { trust } })
    await trust.ready()
    await verdict(alice)
    expect(await report()).toMatchObject({ decided: 1, same: 1 })
    pem = other.trust
    await trust.refresh()
    await verdict(alice)
    expect(await report()).toMatchObject({
      same: 1,
      differences: { 'would-refuse': { ERR_CLIENT_CERT_UNKNOWN_ISSUER: 1 } },
    })
    trust.close()
  })

  test('when a list of its checker is another', async () => {
    const path = folder('denied.txt')
    writeFileSync(path, '# nobody\n')
    const list = denyList({ file: path })
    await list.ready()
    const { verdict, report } = make({ candidate: { revocation: list } })
    await verdict(alice)
    expect(await report()).toMatchObject({ decided: 1, same: 1 })
    const { generation } = list
    writeFileSync(`${path}.new`, `${alice.fingerprint}\n`)
    renameSync(`${path}.new`, path)
    for (let i = 0; i < 400 && list.generation === generation; i++) await new Promise((ok) => setTimeout(ok, 25))
    await verdict(alice)
    expect(await report()).toMatchObject({ same: 1, differences: { 'would-refuse': { ERR_CLIENT_CERT_REVOKED: 1 } } })
    list.close()
  }, 15_000)

  test('when the enforced policy’s is: a reload of what both share', async () => {
    const trust = TrustStore.parse(pki.trust)
    const check = jest.fn(good.check)
    const { verdict, report } = make({ trust, candidate: { revocation: { ...good, check } } })
    await verdict(alice)
    await report()
    trust.reload()
    await verdict(alice)
    expect(await report()).toMatchObject({ decided: 2, same: 2 })
    expect(check).toHaveBeenCalledTimes(1)
  })
})

describe('the report', () => {
  test('is frozen, plain data, and names nobody', async () => {
    const { verdict, report, clock } = make({
      trust: { partners: pki.trust },
      candidate: { rules: rules.issuedBy(other.root.certificate.pem) },
    })
    await verdict(alice)
    clock.now += second
    await verdict(alice)
    const made = await report()
    expect(JSON.parse(JSON.stringify(made))).toEqual(made)
    expect(made.since).toBe(noon.toISOString())
    expect(made.identities).toEqual([
      {
        kind: 'would-refuse',
        code: 'ERR_CLIENT_CERT_RULE',
        fingerprint: alice.fingerprint,
        issuerFingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
        anchor: 'partners',
        rule: expect.stringContaining('issuedBy('),
        count: 2,
        firstSeen: noon.toISOString(),
        lastSeen: fromNoon(second).toISOString(),
      },
    ])
    expect(JSON.stringify(made)).not.toMatch(/alice|Secret|Intermediate/)
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(made)).toBe(true)
  })

  test('with auditNames it has names, and the sentence for the operator', async () => {
    const { verdict, report } = make({ auditNames: true, candidate: { trust: other.trust } })
    await verdict(alice)
    expect((await report()).identities).toMatchObject([
      {
        subject: 'CN=alice,O=Secret',
        issuer: 'CN=Test Intermediate CA',
        help: expect.stringContaining('Test Root CA'),
      },
    ])
  })

  test('is undefined where there is no candidate', () => {
    expect(make().auth.candidateReport()).toBeUndefined()
  })

  test('those with the most decisions come first', async () => {
    const { verdict, report } = make({ candidate: { trust: other.trust } })
    for (const client of [alice, bob, bob]) await verdict(client)
    expect((await report()).identities.map(({ fingerprint, count }) => [fingerprint, count])).toEqual([
      [bob.fingerprint, 2],
      [alice.fingerprint, 1],
    ])
  })

  test('`mtls-identity:candidate` tells of each identity, kind and code once', async () => {
    const events: CandidateEvent[] = []
    const hear = (event: unknown) => events.push(event as CandidateEvent)
    subscribe('mtls-identity:candidate', hear)
    try {
      const { verdict, report, sessions, clock } = make({ candidate: { trust: other.trust } })
      for (const client of [alice, alice, stranger]) await verdict(client)
      await report()
      sessions.clear()
      clock.now += 20 * second
      for (const client of [alice, stranger]) await verdict(client)
      await report()
    } finally {
      unsubscribe('mtls-identity:candidate', hear)
    }
    expect(events).toMatchObject([
      { time: noon.toISOString(), kind: 'would-refuse', fingerprint: alice.fingerprint },
      { time: noon.toISOString(), kind: 'would-admit', fingerprint: stranger.fingerprint },
    ])
    expect(events.every(Object.isFrozen)).toBe(true)
  })
})

describe('mistakes in a candidate', () => {
  const mistakes: [string, unknown, string][] = [
    ['an option it has not', { trsut: './ca.pem' }, 'candidate: unknown option "trsut". Did you mean "trust"?'],
    ['an option of the authenticator', { log: false }, 'candidate: unknown option "log"'],
    ['an option that got lost', { rules: undefined }, 'candidate: rules is undefined'],
    ['nothing', {}, 'candidate: nothing differs in it'],
    ['no object', 'compatible', 'candidate: expected what differs'],
    ['a file that is missing', { trust: './nowhere.pem' }, 'candidate: trust: '],
    ['a rule that is none', { rules: () => true }, 'candidate: rules: expected a rule'],
    ['a checker that is none', { revocation: [] }, 'candidate: revocation: expected'],
    ['a profile that is none', { profile: 'lax' }, 'candidate: profile'],
  ]
  test.each(mistakes)('%s', (_, candidate, message) => {
    expect(thrownBy(() => make({ candidate: candidate as CandidateOptions }))).toContain(
      `ClientCertConfigError: ${message}`,
    )
  })

  test('anchors that have all ended; in time they had not', async () => {
    const trust = (await createTestPki({ now: noon })).trust
    const far = fromNoon(100 * 365 * day).getTime()
    const options = { trust: TrustStore.parse(pki.trust), candidate: { trust } }
    expect(thrownBy(() => make({ ...options, now: () => far }))).toMatch(/every certificate in it has ended/)
    expect(() => make({ ...options, now: () => noon.getTime() })).not.toThrow()
  })

  test('its options are those that say who is accepted', () => {
    expect([...candidateOptionNames].sort()).toEqual(['intermediates', 'profile', 'revocation', 'rules', 'trust'])
  })
})

describe('what is opened, and what is shared', () => {
  afterEach(() => void jest.restoreAllMocks())

  test('close() stops what waits, and closes what was opened for the candidate alone', async () => {
    const file = folder('rules.json')
    writeFileSync(file, '{"allow":{"commonName":"bob"}}')
    const close = jest.fn()
    const stores = jest.spyOn(TrustStore.prototype, 'close')
    const { auth, verdict } = make({
      watch: true,
      candidate: { trust: other.trust, rules: { file }, revocation: { ...good, close } },
    })
    await verdict(alice)
    expect(reportOf(auth)).toMatchObject({ pending: 1, skipped: 0 })
    await auth.close()
    expect(stores).toHaveBeenCalledTimes(2)
    expect(reportOf(auth)).toMatchObject({ pending: 0, skipped: 1, decided: 0 })
    await turn()
    expect(reportOf(auth)).toMatchObject({ pending: 0, skipped: 1, decided: 0 })
    // Given ready made, it may be another's too.
    expect(close).not.toHaveBeenCalled()
  })

  test('a candidate that cannot be made leaves nothing open', () => {
    const stores = jest.spyOn(TrustStore.prototype, 'close')
    expect(thrownBy(() => make({ candidate: { trust: './nowhere.pem' } }))).toContain('candidate: ')
    // Its own, that was begun, and the enforced policy's.
    expect(stores.mock.contexts.map((store) => (store as TrustStore).label)).toEqual(['./nowhere.pem', 'PEM text'])
  })

  test('exceptions are closed once; what both share is asked for its CAs and its ended anchors once', async () => {
    const lists = jest.spyOn(ExceptionList.prototype, 'close')
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const attach = jest.fn()
    const ended = await createTestPki({ now: fromNoon(-100 * 365 * day), name: 'Ended' })
    const options = { trust: [pki.trust, ended.trust], exceptions: [], revocation: { ...good, attach } }
    const { auth } = make({ ...options, candidate: { profile: 'compatible' } })
    expect(attach).toHaveBeenCalledTimes(1)
    expect(warnings).toHaveBeenCalledTimes(1)
    await auth.close()
    expect(lists).toHaveBeenCalledTimes(1)
    // What is the candidate's own is asked for it.
    const own = jest.fn()
    make({ ...options, candidate: { trust: [other.trust, ended.trust], revocation: { ...good, attach: own } } })
    expect([attach.mock.calls.length, own.mock.calls.length]).toEqual([2, 1])
    expect(warnings).toHaveBeenCalledTimes(3)
  })

  test('its own anchors that end are warned about by the clock of now, not by that of the last decision', async () => {
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const trust = TrustStore.parse(other.trust)
    const { verdict, report, clock } = make({ candidate: { trust } })
    await verdict(alice)
    await report()
    trust.reload()
    expect(warnings).not.toHaveBeenCalled()
    clock.now += 100 * 365 * day
    trust.reload()
    expect(warnings).toHaveBeenCalledTimes(1)
  })
})
