import type { AnyClientCertError, ClientCertErrorCode } from '../errors.js'
import { openChannel, present } from '../event-channels.js'
import type { ClientIdentity } from '../identity/identity.js'
import { limits } from '../limits.js'
import { LruMap } from '../lru-map.js'
import { timeText } from '../moment.js'
import { auditEvent } from './audit.js'
import type { AcceptedDecision, Decision } from './decision.js'

/**
 * `'would-refuse'`: the enforced policy accepts, the candidate refuses with `code`. `'would-admit'`: the enforced one refuses with `code`, the
 * candidate accepts.
 */
export type DifferenceKind = 'would-refuse' | 'would-admit'

/** Whom the two policies differ about, and why: plain data that names nobody, unless `auditNames` says so. */
export interface DifferingIdentity {
  readonly kind: DifferenceKind
  /** Of the policy that refuses. */
  readonly code: ClientCertErrorCode
  /** SHA-256 of the client's certificate. */
  readonly fingerprint: string
  /** SHA-256 of the CA certificate that issued it, on the path of the policy that accepts. */
  readonly issuerFingerprint?: string
  /** The trust set of that path's anchor, where it has a name. */
  readonly anchor?: string
  /** The rule that refuses, where one does. */
  readonly rule?: string
  /** With `auditNames`: RFC 4514 text. */
  readonly subject?: string
  readonly issuer?: string
  /** With `auditNames`: the operator's sentence for the refusal. */
  readonly help?: string
}

/** What subscribers of the diagnostics channel `mtls-identity:candidate` hear, once for each identity, kind and code. */
export interface CandidateEvent extends DifferingIdentity {
  /** ISO 8601, UTC. */
  readonly time: string
}

export interface CandidateDifference extends DifferingIdentity {
  /** Decisions of the enforced policy that were or would be others. */
  readonly count: number
  /** ISO 8601, UTC. */
  readonly firstSeen: string
  readonly lastSeen: string
}

/** How a candidate policy compares with the enforced one, as frozen data that JSON can carry. `skipped` and `pending` are no part of `decided`. */
export interface CandidateReport {
  /** ISO 8601, UTC: when the authenticator was made. */
  readonly since: string
  /** Why the candidate cannot decide now, where it cannot: a store of its own is not loaded, or too old. */
  readonly notReady?: string
  /** Decisions of the enforced policy that both were asked about. */
  readonly decided: number
  /** Of these, the ones both policies accept, or both refuse. */
  readonly same: number
  /** Decisions the candidate was not asked about, because too many waited for it, or because one of the two was not ready. */
  readonly skipped: number
  /** Decisions the candidate is being asked about. */
  readonly pending: number
  /** How many decisions differ, by kind and code. */
  readonly differences: { readonly [K in DifferenceKind]: { readonly [C in ClientCertErrorCode]?: number } }
  /** Whom they are about, those with the most decisions first. At most 10,000: whoever was seen longest ago is forgotten. */
  readonly identities: readonly CandidateDifference[]
  /** How many of `identities` were forgotten. They still count in `differences`. */
  readonly forgotten: number
}

/** Hears a {@link CandidateEvent} for every identity two policies differ about, of every authenticator of the process. */
export const candidateChannel = openChannel<CandidateEvent>('candidate')

/** One identity, kind and code, while it is remembered. */
export interface Difference {
  readonly identity: DifferingIdentity
  readonly firstSeen: number
  /** Milliseconds since 1970. */
  lastSeen: number
  count: number
  /** Of its kind and code. */
  readonly total: { count: number }
}

export type RefusedDecision = Exclude<Decision, AcceptedDecision>

/** Counts what two policies differ about: by kind and code, and in bounded memory by identity. */
export class DifferenceTally {
  readonly #since: number
  readonly #names: boolean
  readonly #totals: { readonly [K in DifferenceKind]: Map<ClientCertErrorCode, { count: number }> } = {
    'would-refuse': new Map(),
    'would-admit': new Map(),
  }
  readonly #identities = new LruMap<string, Difference>(limits.candidateDifferences)
  #remembered = 0
  same = 0
  skipped = 0
  pending = 0

  /** @param since milliseconds since 1970, NaN where the clock gave none */
  constructor(since: number, names: boolean) {
    this.#since = since
    this.#names = names
  }

  /** The record of a difference, which was made and published where there was none. Counts nothing. */
  find(kind: DifferenceKind, refused: RefusedDecision, identity: ClientIdentity, at: number): Difference {
    const { code } = refused.error
    const key = `${kind} ${code} ${identity.fingerprint}`
    const known = this.#identities.get(key)
    if (known !== undefined) return known
    const difference: Difference = {
      identity: differing(kind, refused.error, describe(refused, identity, this.#names), this.#names),
      firstSeen: at,
      lastSeen: at,
      count: 0,
      total: this.#totalOf(kind, code),
    }
    this.#identities.set(key, difference)
    this.#remembered++
    if (candidateChannel.hasSubscribers) {
      candidateChannel.publish(Object.freeze({ time: timeText(at), ...difference.identity }) satisfies CandidateEvent)
    }
    return difference
  }

  /** @param at milliseconds since 1970 of the last one */
  count(difference: Difference | undefined, at: number, times = 1): void {
    if (difference === undefined) {
      this.same += times
      return
    }
    difference.count += times
    difference.total.count += times
    difference.lastSeen = at
  }

  report(notReady: string | undefined): CandidateReport {
    const { same, skipped, pending } = this
    const identities = [...this.#identities.values()]
    const differing = Object.values(this.#totals).flatMap((totals) => [...totals.values()])
    return Object.freeze({
      since: timeText(this.#since),
      ...(notReady === undefined ? {} : { notReady }),
      decided: differing.reduce((sum, { count }) => sum + count, same),
      same,
      skipped,
      pending,
      differences: Object.freeze({
        'would-refuse': this.#countsOf('would-refuse'),
        'would-admit': this.#countsOf('would-admit'),
      }),
      identities: Object.freeze(identities.sort((a, b) => b.count - a.count).map(reported)),
      forgotten: this.#remembered - identities.length,
    })
  }

  #totalOf(kind: DifferenceKind, code: ClientCertErrorCode): { count: number } {
    const total = this.#totals[kind].get(code) ?? { count: 0 }
    this.#totals[kind].set(code, total)
    return total
  }

  #countsOf(kind: DifferenceKind): { readonly [C in ClientCertErrorCode]?: number } {
    return Object.freeze(Object.fromEntries([...this.#totals[kind]].map(([code, { count }]) => [code, count])))
  }
}

/** What an audit log would say of the refusal and of whom it hits; one way of escaping and of leaving names out. */
function describe(refused: RefusedDecision, identity: ClientIdentity, names: boolean) {
  const durations = { total: 0, authentication: 0, rules: 0 }
  return auditEvent(refused, { at: Number.NaN, remembered: false, identity, durations }, names)
}

function differing(
  kind: DifferenceKind,
  { code, help }: AnyClientCertError,
  { fingerprint = '', issuerFingerprint, anchor, rule, subject, issuer }: ReturnType<typeof describe>,
  names: boolean,
): DifferingIdentity {
  return Object.freeze({
    kind,
    code,
    fingerprint,
    ...present({ issuerFingerprint, anchor, rule, subject, issuer, help: names ? help : undefined }),
  })
}

const reported = ({ identity, count, firstSeen, lastSeen }: Difference): CandidateDifference =>
  Object.freeze({ ...identity, count, firstSeen: timeText(firstSeen), lastSeen: timeText(lastSeen) })
