import type { AnyClientCertError, ClientCertErrorCode } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import type { Sighting } from '../ledger/sighting.js'
import { LruMap } from '../lru-map.js'
import type { RememberedPath } from '../path/remembered-path.js'
import type { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { Difference } from './candidate-report.js'
import type { AcceptedDecision } from './decision.js'
import type { ExceptionEntry } from './exceptions.js'

/** How a certificate came. */
type Via = ClientIdentity['via']

/** What an authentication was made with. A remembered one holds only while all of it is the same. */
export interface Epoch {
  readonly trust: TrustSnapshot
  readonly intermediates: TrustSnapshot | undefined
  readonly revocation: number
  /** Of the rules and exceptions: rises when a document or a list they read has changed. */
  readonly rules: number
}

/** Path and revocation of one end entity, verified at one moment. Rules are not part of it. */
export interface Authentication {
  readonly identity: ClientIdentity
  readonly path: RememberedPath
  /** Milliseconds since 1970. */
  readonly decidedAt: number
  /** Milliseconds since 1970, inclusive. */
  readonly holdsUntil: number
  /** The same by path and revocation alone: what `resolve` said ends for the next request, not within one that waits for it, or for a rule. */
  readonly provenUntil: number
  /** What admitted it, and what was overlooked. */
  readonly exception?: { readonly entry: ExceptionEntry; readonly ignored: ClientCertErrorCode } | undefined
}

export interface Refusal {
  readonly error: AnyClientCertError
  readonly decidedAt: number
  readonly holdsUntil: number
}

export type Remembered<T> = T & { readonly epoch: EpochNumbers }

/** What the candidate policy says of a client who is accepted: that it makes a difference, or none. */
export type Comparison = Remembered<{
  readonly decidedAt: number
  readonly holdsUntil: number
  readonly difference: Difference | undefined
}>

/**
 * An authentication that is remembered, with what was decided of it: the same decision for every request, as long as rules depend on nothing
 * else. One for mounts that enforce, one for those in report-only mode.
 */
export interface KnownClient extends Remembered<Authentication> {
  enforced: AcceptedDecision | undefined
  reported: AcceptedDecision | undefined
  compared: Comparison | undefined
  /** Its place in the ledger, once it was accepted. */
  sighting: Sighting | undefined
}

/** Generations, not snapshots: what is remembered must not keep a replaced store alive. */
type EpochNumbers = readonly [trust: number, intermediates: number, revocation: number, rules: number]

/** Distinct certificates an authenticator remembers of each way they come: about 1 KB each, their octets, and what an application asked for. */
const acceptances = 10_000
/** Refusals have a room of their own, so that a flood of garbage never drives out a client that was accepted. */
const refusals = 1_000
const refusalMilliseconds = 10_000

/**
 * Remembers who was authenticated: by the end entity's DER for acceptances, by everything that was presented for refusals, and per TLS
 * session in front of both. Every use checks time and generation.
 */
export class DecisionMemory {
  #epoch: EpochNumbers = [0, 0, 0, 0]
  readonly #sessions = new WeakMap<object, KnownClient>()
  readonly #accepted = {
    tls: new LruMap<string, KnownClient>(acceptances),
    proxy: new LruMap<string, KnownClient>(acceptances),
  }
  readonly #refused = new LruMap<string, Remembered<Refusal>>(refusals)

  ofSession(session: object, epoch: Epoch, at: number): KnownClient | undefined {
    return holding(this.#sessions.get(session), epoch, at)
  }

  /** What was accepted on a session last, whether or not it holds. */
  lastOfSession(session: object): Authentication | undefined {
    return this.#sessions.get(session)
  }

  /** @param fingerprint SHA-256 of its DER */
  ofCertificate(via: Via, fingerprint: string, epoch: Epoch, at: number): KnownClient | undefined {
    return holding(this.#accepted[via].get(fingerprint), epoch, at)
  }

  refusalOf(key: string, epoch: Epoch, at: number): Refusal | undefined {
    return holding(this.#refused.get(key), epoch, at)
  }

  remember(session: object | undefined, authentication: Authentication, epoch: Epoch): KnownClient {
    const { identity, path, decidedAt, holdsUntil, provenUntil, exception } = authentication
    const known: KnownClient = {
      identity,
      path,
      decidedAt,
      holdsUntil,
      provenUntil,
      exception,
      epoch: this.#numbersOf(epoch),
      enforced: undefined,
      reported: undefined,
      compared: undefined,
      sighting: undefined,
    }
    // Its own text of the fingerprint: one for the identity and the map.
    this.#accepted[identity.via].set(path.fingerprint, known)
    if (session !== undefined) this.#sessions.set(session, known)
    return known
  }

  /** A further session of a client that is known. */
  rememberSession(session: object, known: KnownClient): void {
    this.#sessions.set(session, known)
  }

  /**
   * Remembers a refusal for a short while. What may end by itself is not remembered: revocation that is unknown, a certificate that
   * becomes valid, and what went wrong in us.
   */
  rememberRefusal(key: string, error: AnyClientCertError, epoch: Epoch, at: number): void {
    if (error.status >= 500 || error.code === 'ERR_CLIENT_CERT_NOT_YET_VALID') return
    const holdsUntil = at + refusalMilliseconds
    this.#refused.set(key, { error, decidedAt: at, holdsUntil, epoch: this.#numbersOf(epoch) })
  }

  /** One list for all that was made with the same. */
  #numbersOf(epoch: Epoch): EpochNumbers {
    if (!isOf(this.#epoch, epoch)) {
      this.#epoch = numbersOf(epoch)
    }
    return this.#epoch
  }
}

/**
 * The one place that says whether something remembered still holds. A clock that was set back makes everything anew; what held for its own request
 * alone is asked anew by the next one, in the same millisecond too.
 */
export function holding<T extends Remembered<{ decidedAt: number; holdsUntil: number }>>(
  remembered: T | undefined,
  epoch: Epoch,
  at: number,
): T | undefined {
  if (remembered === undefined) return undefined
  const { decidedAt, holdsUntil } = remembered
  const current = at >= decidedAt && at <= holdsUntil && decidedAt < holdsUntil
  return current && isOf(remembered.epoch, epoch) ? remembered : undefined
}

export const numbersOf = ({ trust, intermediates, revocation, rules }: Epoch): EpochNumbers => [
  trust.generation,
  intermediates?.generation ?? 0,
  revocation,
  rules,
]

const isOf = (numbers: EpochNumbers, { trust, intermediates, revocation, rules }: Epoch) =>
  numbers[0] === trust.generation &&
  numbers[1] === (intermediates?.generation ?? 0) &&
  numbers[2] === revocation &&
  numbers[3] === rules
