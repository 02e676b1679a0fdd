import type { AuthenticatorInternals } from '../core/contract.js'
import { internals } from '../core/contract.js'
import type { TrustStore } from '../trust/trust-store.js'
import type { DecisionCounts } from './decision-counts.js'

export type Labels = Readonly<Record<string, string>>

/** One value at the moment of a scrape. */
export type Sample = readonly [labels: Labels, value: number]

/** An authenticator that is measured, by the name its series have. */
export interface Measured {
  readonly name: string
  readonly authenticator: AuthenticatorInternals
  readonly counts: DecisionCounts
}

interface Described {
  /** As Prometheus names it. */
  readonly name: string
  readonly help: string
  /** Beside `authenticator`, where there is one. All of them have few values: what a client brings is in none. */
  readonly labels: readonly string[]
}

/** What is read when somebody scrapes. */
export interface ReadInstrument extends Described {
  readonly kind: 'counter' | 'gauge'
  /** What the workers of a cluster come to together, where that is not their sum. */
  readonly together?: 'min' | 'max'
  read(measured: Measured): Iterable<Sample>
}

/** What is recorded as it happens. Seconds. */
export interface RecordedInstrument extends Described {
  readonly kind: 'histogram'
  readonly buckets: readonly number[]
}

/** Of the whole process, without `authenticator`. */
export interface ProcessInstrument extends Described {
  readonly kind: 'counter'
}

export type Instrument = ReadInstrument | RecordedInstrument | ProcessInstrument

/** A validation takes a tenth of a millisecond; one that waits for an OCSP responder, seconds. */
const buckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export const validationSeconds: RecordedInstrument = {
  name: 'mtls_identity_validation_seconds',
  help: 'Seconds that path, revocation and principal of a certificate took that was not remembered.',
  kind: 'histogram',
  labels: ['outcome'],
  buckets,
}

export const revocationSeconds: RecordedInstrument = {
  name: 'mtls_identity_revocation_seconds',
  help: 'Seconds the revocation checker took to answer about a path; status failed: it threw.',
  kind: 'histogram',
  labels: ['status'],
  buckets,
}

const decisions: ReadInstrument = {
  name: 'mtls_identity_decisions_total',
  help: 'Decisions. A guard that refuses whom the mount accepted is one of its own. remembered: path and revocation were not verified anew. enforced="false": report-only.',
  kind: 'counter',
  labels: ['outcome', 'code', 'via', 'remembered', 'enforced'],
  *read({ counts }) {
    for (const { outcome, code, via, remembered, enforced, count } of counts.all()) {
      yield [{ outcome, code, via, remembered: String(remembered), enforced: String(enforced) }, count]
    }
  },
}

const wouldRefuse: ReadInstrument = {
  name: 'mtls_identity_would_refuse_total',
  help: 'Requests that a mount in report-only mode let pass, and one that enforces would have refused.',
  kind: 'counter',
  labels: ['code'],
  *read({ counts }) {
    const byCode = new Map<string, number>()
    for (const { outcome, code, enforced, count } of counts.all()) {
      if (outcome !== 'accepted' && !enforced) byCode.set(code, (byCode.get(code) ?? 0) + count)
    }
    for (const [code, count] of byCode) yield [{ code }, count]
  },
}

const seconds = (milliseconds: number) => milliseconds / 1000

function* stores({ authenticator }: Measured): Generator<[name: string, store: TrustStore]> {
  const { trust, intermediates } = authenticator[internals].settings
  yield ['trust', trust]
  if (intermediates !== undefined) yield ['intermediates', intermediates]
}

const storeRead: ReadInstrument = {
  name: 'mtls_identity_store_read_timestamp_seconds',
  help: 'When the certificates of a store were last read well. Files that are watched are read when they change.',
  kind: 'gauge',
  together: 'min',
  labels: ['store'],
  *read(measured) {
    for (const [store, { readAt }] of stores(measured)) if (readAt !== undefined) yield [{ store }, seconds(readAt)]
  },
}

const storeFailing: ReadInstrument = {
  name: 'mtls_identity_store_failing',
  help: '1 while a store could not be read when it was tried last, so that something older holds.',
  kind: 'gauge',
  together: 'max',
  labels: ['store'],
  *read(measured) {
    for (const [store, { isFailing }] of stores(measured)) yield [{ store }, Number(isFailing)]
  },
}

const storeUsable: ReadInstrument = {
  name: 'mtls_identity_store_usable',
  help: '0 while a store must not be believed, not loaded yet or older than maxStaleness: everybody is refused.',
  kind: 'gauge',
  together: 'min',
  labels: ['store'],
  *read(measured) {
    for (const [store, { unusable }] of stores(measured)) yield [{ store }, Number(unusable === undefined)]
  },
}

/** By the name of their trust set, which the operator gave; `default` without one. */
function anchorsBySet({ authenticator }: Measured): Map<string, number[]> {
  const sets = new Map<string, number[]>()
  for (const { certificate, name = 'default' } of authenticator[internals].settings.trust.current().anchors) {
    const ends = sets.get(name) ?? []
    sets.set(name, ends)
    ends.push(certificate.notAfter)
  }
  return sets
}

const anchors: ReadInstrument = {
  name: 'mtls_identity_trust_anchors',
  help: 'Trust anchors, by trust set.',
  kind: 'gauge',
  together: 'max',
  labels: ['set'],
  *read(measured) {
    for (const [set, ends] of anchorsBySet(measured)) yield [{ set }, ends.length]
  },
}

const anchorExpiry: ReadInstrument = {
  name: 'mtls_identity_trust_anchor_expiry_timestamp_seconds',
  help: 'The earliest notAfter of the trust anchors of a set.',
  kind: 'gauge',
  together: 'min',
  labels: ['set'],
  *read(measured) {
    for (const [set, ends] of anchorsBySet(measured)) {
      yield [{ set }, seconds(ends.reduce((first, end) => Math.min(first, end)))]
    }
  },
}

function freshness({ authenticator }: Measured) {
  const { revocation } = authenticator[internals].settings
  return revocation === 'none' ? undefined : revocation.freshness?.()
}

const crls: ReadInstrument = {
  name: 'mtls_identity_crls',
  help: 'CRLs that are in use.',
  kind: 'gauge',
  together: 'max',
  labels: [],
  *read(measured) {
    const known = freshness(measured)
    if (known !== undefined) yield [{}, known.crls]
  },
}

const crlIssued: ReadInstrument = {
  name: 'mtls_identity_crl_this_update_timestamp_seconds',
  help: 'thisUpdate of the oldest CRL in use.',
  kind: 'gauge',
  together: 'min',
  labels: [],
  *read(measured) {
    const issued = freshness(measured)?.thisUpdate
    if (issued !== undefined) yield [{}, seconds(issued.getTime())]
  },
}

const crlExpiry: ReadInstrument = {
  name: 'mtls_identity_crl_next_update_timestamp_seconds',
  help: 'The earliest nextUpdate of the CRLs in use: after it, whose status that CRL tells are refused with 503.',
  kind: 'gauge',
  together: 'min',
  labels: [],
  *read(measured) {
    const end = freshness(measured)?.nextUpdate
    if (end !== undefined) yield [{}, seconds(end.getTime())]
  },
}

const policy: ReadInstrument = {
  name: 'mtls_identity_policy_info',
  help: '1, with the hash of the policy in force: one value over a fleet where all of it is configured the same.',
  kind: 'gauge',
  together: 'max',
  labels: ['policy_hash'],
  *read({ authenticator }) {
    yield [{ policy_hash: authenticator.describe().policyHash }, 1]
  },
}

const dangers: ReadInstrument = {
  name: 'mtls_identity_dangerous_switches',
  help: 'Switches that make decisions weaker than they are by default: see describe().dangerous.',
  kind: 'gauge',
  together: 'max',
  labels: [],
  *read({ authenticator }) {
    yield [{}, authenticator.describe().dangerous.length]
  },
}

const clientDays = [1, 7, 30, 90] as const

const clients: ReadInstrument = {
  name: 'mtls_identity_clients',
  help: 'Certificates of clients that came, and have neither ended nor given way to a younger one of the same client; those that end within so many days, and any.',
  kind: 'gauge',
  labels: ['expires_within_days'],
  *read({ authenticator }) {
    const left = authenticator[internals].daysLeft()
    for (const days of clientDays) yield [{ expires_within_days: `${days}` }, left.filter((each) => each < days).length]
    yield [{ expires_within_days: 'any' }, left.length]
  },
}

const candidate: ReadInstrument = {
  name: 'mtls_identity_candidate_differences_total',
  help: 'Decisions that the candidate policy would make otherwise; code is that of the policy that refuses.',
  kind: 'counter',
  labels: ['kind', 'code'],
  *read({ authenticator }) {
    const report = authenticator.candidateReport()
    for (const [kind, codes] of Object.entries(report?.differences ?? {})) {
      for (const [code, count] of Object.entries(codes)) yield [{ kind, code }, count]
    }
  },
}

/** What is measured of an authenticator. */
export const authenticatorInstruments: readonly (ReadInstrument | RecordedInstrument)[] = Object.freeze([
  decisions,
  wouldRefuse,
  validationSeconds,
  revocationSeconds,
  storeRead,
  storeFailing,
  storeUsable,
  anchors,
  anchorExpiry,
  crls,
  crlIssued,
  crlExpiry,
  clients,
  policy,
  dangers,
  candidate,
])
