import { afterAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createAuthenticator } from '../../src/core/authenticator.js'
import { type StatusQuestion, statusOfPath } from '../../src/revocation/certificate-status.js'
import type { RevocationChecker } from '../../src/revocation/checker.js'
import { CrlHoldings } from '../../src/revocation/crl-holdings.js'
import { CrlStatus } from '../../src/revocation/crl-status.js'
import { known } from '../support/crl-answers.js'
import { forgeCrl } from '../support/crl-forge.js'
import { type Forged, forge, fromNoon, noon, pem, poolKey } from '../support/path-forge.js'

/**
 * Random histories of a small PKI, against a model that is much simpler than the engine: CAs revoke and publish, sources offer whatever was published
 * or forged before, the clock moves, clients come. MTLS_HISTORIES=20000 of them, from MTLS_HISTORY_SEED on; without it 500.
 */
const histories = Number(process.env.MTLS_HISTORIES ?? 500)
const seed = Number(process.env.MTLS_HISTORY_SEED ?? 1)

// ── The PKI ──────────────────────────────────────────────────────────────────────────────────────────────────────

const week = { notAfter: fromNoon(7 * 86_400) }
const root = forge({ subject: 'Root', key: poolKey(40), ...week })
const issuing = ['One', 'Two'].map((subject, i) =>
  forge({ subject, issuer: root, ca: true, key: poolKey(41 + i), serial: 100 + i, ...week }),
) as [Forged, Forged]
const cas = [root, ...issuing]
const stranger = poolKey(50)

/** Everybody who may be revoked: three clients of each issuing CA, and these CAs. */
const clients = issuing.flatMap((issuer, i) =>
  [0, 1, 2].map((n) => ({ ca: 1 + i, serial: 10 + n, certificate: forge({ issuer, serial: 10 + n, ...week }) })),
)
const subjects = [...clients, ...issuing.map((_, i) => ({ ca: 0, serial: 100 + i }))]

// ── What may happen ──────────────────────────────────────────────────────────────────────────────────────────────

const nth = fc.nat(200)
const anyCa = fc.nat(2)
const steps = {
  revoke: fc.record({ do: fc.constant('revoke' as const), whom: nth }),
  publish: fc.record({
    do: fc.constant('publish' as const),
    ca: anyCa,
    minutes: fc.integer({ min: 1, max: 600 }),
    isDelta: fc.boolean(),
  }),
  forge: fc.record({
    do: fc.constant('forge' as const),
    ca: anyCa,
    number: fc.nat(20),
    minutesAhead: fc.integer({ min: -60, max: 10 }),
    lists: fc.boolean(),
    isDelta: fc.boolean(),
  }),
  reload: fc.record({ do: fc.constant('reload' as const), source: fc.nat(1), picks: fc.array(nth, { maxLength: 5 }) }),
  latest: fc.record({ do: fc.constant('latest' as const), source: fc.nat(1) }),
  wait: fc.record({ do: fc.constant('wait' as const), minutes: fc.nat(240) }),
  request: fc.record({ do: fc.constant('request' as const), who: nth }),
}
type Step = ReturnType<typeof anyStep.generate>['value']
const anyStep = fc.oneof(
  { weight: 2, arbitrary: steps.revoke },
  { weight: 4, arbitrary: steps.publish },
  { weight: 1, arbitrary: steps.forge },
  { weight: 3, arbitrary: steps.reload },
  { weight: 3, arbitrary: steps.latest },
  { weight: 2, arbitrary: steps.wait },
  { weight: 4, arbitrary: steps.request },
)

interface Published {
  readonly der: Uint8Array
  readonly ca: number
  readonly number: number
  readonly nextUpdate: number
  readonly isDelta: boolean
  readonly isForged: boolean
  readonly listed: readonly number[]
}

const tally = { admitted: 0, revoked: 0, unknown: 0, mustAdmit: 0, mustRefuse: 0 }

/** One history: the world and the model side by side. */
class History {
  /** Seconds from noon. */
  #clock = 0
  readonly #published: Published[] = []
  readonly #revoked = new Set<number>()
  readonly #newest = cas.map(() => ({ number: 0, complete: 0 }))
  /** The model: what has been offered so far. */
  readonly #ingested = new Set<Published>()
  readonly #holdings = new CrlHoldings()
  readonly #authenticator = this.#makeAuthenticator()

  #makeAuthenticator() {
    const holdings = this.#holdings
    const status = new CrlStatus({ skew: 300_000, maxAge: Number.POSITIVE_INFINITY, remembersSigners: true })
    const checker = { statusOf: (question: StatusQuestion) => status.of(question, holdings.current()) }
    const revocation: RevocationChecker = {
      name: 'holdings',
      get generation() {
        return holdings.generation
      },
      check: (path, at, context) => statusOfPath(checker, path, at, context),
    }
    const now = () => noon.getTime() + this.#clock * 1000
    return createAuthenticator({
      trust: pem(root.der),
      intermediates: issuing.map(({ der }) => pem(der)),
      revocation,
      now,
      log: false,
    })
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'revoke':
        this.#revoked.add(step.whom % subjects.length)
        break
      case 'publish':
        this.#publish(step.ca, step.minutes, step.isDelta)
        break
      case 'forge':
        this.#forge(step)
        break
      case 'reload':
        if (this.#published.length > 0)
          this.#offer(
            step.source,
            step.picks.map((n) => this.#published[n % this.#published.length] as Published),
          )
        break
      case 'latest': {
        const genuine = this.#published.filter(({ isForged }) => !isForged)
        this.#offer(
          step.source,
          [0, 1, 2].flatMap((ca) => genuine.filter((one) => one.ca === ca && !one.isDelta).slice(-1)),
        )
        break
      }
      case 'wait':
        this.#clock += step.minutes * 60
        break
      case 'request':
        for (const next of [0, 1, 2]) await this.#request((step.who + next) % clients.length)
    }
  }

  #publish(ca: number, minutes: number, isDelta: boolean): void {
    // A CA publishes no two CRLs in one second.
    this.#clock++
    const newest = this.#newest[ca] as { number: number; complete: number }
    const [number, base] = [++newest.number, newest.complete]
    const delta = isDelta && base > 0
    if (!delta) newest.complete = number
    const listed = [...this.#revoked].filter((n) => subjects[n]?.ca === ca)
    const nextUpdate = this.#clock + minutes * 60
    const plan = { number, thisUpdate: this.#clock, nextUpdate, entries: entriesOf(listed), ...(delta ? { base } : {}) }
    const der = forgeCrl(cas[ca] as Forged, plan)
    this.#published.push({ der, ca, number, nextUpdate, isDelta: delta, isForged: false, listed })
  }

  #forge({ ca, number, minutesAhead, lists, isDelta }: Extract<Step, { do: 'forge' }>): void {
    const listed = lists ? subjects.map((_, n) => n).filter((n) => subjects[n]?.ca === ca) : []
    const [thisUpdate, nextUpdate] = [this.#clock + minutesAhead * 60, this.#clock + 86_400]
    const { key } = cas[ca] as Forged
    const plan = { number, thisUpdate, nextUpdate, entries: entriesOf(listed), signer: stranger, names: key }
    const der = forgeCrl(cas[ca] as Forged, isDelta ? { ...plan, base: 1 } : plan)
    this.#published.push({ der, ca, number, nextUpdate, isDelta, isForged: true, listed })
  }

  #offer(source: number, crls: readonly Published[]): void {
    const before = this.#holdings.offeredBy(`${source}`)
    const read = (der: Uint8Array) => before.find(({ crl }) => crl.der === der) ?? known(der)
    this.#holdings.offer(
      `${source}`,
      crls.map(({ der }) => read(der)),
    )
    for (const one of crls) this.#ingested.add(one)
  }

  /** The two promises, in the words of the model. */
  async #request(who: number): Promise<void> {
    const { ca, certificate } = clients[who] as (typeof clients)[number]
    const chain = [who, clients.length + ca - 1]
    const genuine = [...this.#ingested].filter(({ isForged }) => !isForged)
    const mustRefuse = genuine.some(({ listed }) => listed.some((n) => chain.includes(n)))
    const isFresh = (of: number) => {
      const complete = genuine.filter((one) => one.ca === of && !one.isDelta)
      const newest = complete.reduce<Published | undefined>(
        (a, b) => (a !== undefined && a.number > b.number ? a : b),
        undefined,
      )
      return newest !== undefined && this.#clock <= newest.nextUpdate
    }
    const mustAdmit = !chain.some((n) => this.#revoked.has(n)) && isFresh(0) && isFresh(ca)
    const decision = await this.#authenticator.authenticateChain({
      certificate: certificate.der,
      intermediates: [],
      via: 'tls',
    })
    const found = decision.outcome === 'accepted' ? 'accepted' : decision.error.code
    if (decision.outcome === 'accepted') tally.admitted++
    else if (decision.error.code === 'ERR_CLIENT_CERT_REVOKED') tally.revoked++
    else tally.unknown++
    if (mustRefuse) {
      tally.mustRefuse++
      expect(found).toBe('ERR_CLIENT_CERT_REVOKED')
    }
    if (mustAdmit) {
      tally.mustAdmit++
      expect(found).toBe('accepted')
    }
  }
}

const entriesOf = (listed: readonly number[]) =>
  listed.map((n) => ({ serial: (subjects[n] as (typeof subjects)[number]).serial }))

/** Every CA has published, and it was read: histories that begin in darkness end there. */
const beginning: Step[] = [
  ...[0, 1, 2].map((ca) => ({ do: 'publish' as const, ca, minutes: 300, isDelta: false })),
  { do: 'latest', source: 0 },
]

describe('over random histories', () => {
  test('once a revocation was read nobody it lists is admitted again; whom nobody revoked is admitted while the newest CRLs hold', async () => {
    const property = fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 40 }), async (taken) => {
      const history = new History()
      for (const step of [...beginning, ...taken]) await history.take(step)
    })
    await fc.assert(property, { numRuns: histories, seed })
  }, 3_600_000)

  afterAll(() => {
    if (process.env.MTLS_HISTORIES !== undefined) console.log(tally)
    // A generator under which nothing is ever promised proves nothing.
    expect(tally.mustAdmit).toBeGreaterThan(histories)
    expect(tally.mustRefuse).toBeGreaterThan(histories)
    expect(tally.unknown).toBeGreaterThan(histories / 2)
  })
})
