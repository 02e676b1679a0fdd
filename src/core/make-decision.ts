import type { AnyClientCertError } from '../errors.js'
import type { RuleOutcome } from '../rules/outcome.js'
import { Given } from '../shared.js'
import type { AcceptedDecision, Decision } from './decision.js'
import type { Authentication } from './decision-memory.js'
import { applied } from './exceptions.js'

/** An acceptance, which may be remembered and handed out again and again: nobody who gets it can change it. */
export function acceptance(
  authentication: Authentication,
  { at, enforced, outcome }: { at: number; enforced: boolean; outcome: RuleOutcome | undefined },
): AcceptedDecision {
  const { identity, path, decidedAt, holdsUntil, exception } = authentication
  const decision: Fields = {}
  Facts.attach(decision, at === decidedAt ? authentication : { path, decidedAt: at, holdsUntil })
  Object.defineProperty(decision, 'decidedAt', Facts.decidedAt)
  decision.enforced = enforced
  decision.outcome = 'accepted'
  decision.identity = identity
  Object.defineProperty(decision, 'path', Facts.path)
  Object.defineProperty(decision, 'validUntil', Facts.validUntil)
  if (outcome !== undefined) decision.rules = outcome
  if (exception !== undefined) decision.exception = applied(exception.entry, exception.ignored)
  return Object.freeze(decision) as AcceptedDecision
}

type Fields = { -readonly [K in keyof AcceptedDecision]?: AcceptedDecision[K] }

type Made = Pick<Authentication, 'path' | 'decidedAt' | 'holdsUntil'>

/**
 * What the getters of an acceptance read, in a private field of that object: getters that closed over it would be two functions for each decision,
 * and with functions of its own no object shares its shape. Thousands of them are remembered.
 */
class Facts extends Given {
  readonly #made: Made

  private constructor(decision: object, made: Made) {
    super(decision)
    this.#made = made
  }

  static attach(decision: object, made: Made): void {
    new Facts(decision, made)
  }

  // Dates can be set; every reader gets its own.
  static readonly decidedAt = shown(function (this: Facts) {
    return new Date(this.#made.decidedAt)
  })
  static readonly validUntil = shown(function (this: Facts) {
    return new Date(this.#made.holdsUntil)
  })
  static readonly path = shown(function (this: Facts) {
    return this.#made.path.whole
  })
}

function shown(get: (this: Facts) => unknown): PropertyDescriptor {
  return { enumerable: true, get }
}

/** A refusal, or that there is no certificate. */
export function refusal(
  error: AnyClientCertError,
  { at, enforced, outcome }: { at: number; enforced: boolean; outcome?: RuleOutcome | undefined },
): Decision {
  const isAbsent = error.code === 'ERR_CLIENT_CERT_ABSENT'
  return Object.freeze({
    decidedAt: new Date(at),
    enforced,
    outcome: isAbsent ? 'absent' : 'refused',
    error,
    ...(outcome === undefined ? undefined : { rules: outcome }),
  })
}
