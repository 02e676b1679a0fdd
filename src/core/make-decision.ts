import type { AnyClientCertError } from '../errors.js'
import type { RuleOutcome } from '../rules/outcome.js'
import type { AcceptedDecision, Decision } from './decision.js'
import type { Authentication } from './decision-memory.js'
import { applied } from './exceptions.js'

/** An acceptance, which may be remembered and handed out again and again: nobody who gets it can change it. */
export function acceptance(
  { identity, path, holdsUntil, exception }: Authentication,
  { at, enforced, outcome }: { at: number; enforced: boolean; outcome: RuleOutcome | undefined },
): AcceptedDecision {
  return Object.freeze({
    // Dates can be set; every reader gets its own.
    get decidedAt() {
      return new Date(at)
    },
    enforced,
    outcome: 'accepted' as const,
    identity,
    path,
    get validUntil() {
      return new Date(holdsUntil)
    },
    ...(outcome === undefined ? undefined : { rules: outcome }),
    ...(exception === undefined ? undefined : { exception: applied(exception.entry, exception.ignored) }),
  })
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
