import { openChannel, present } from '../event-channels.js'
import { escaped } from '../help.js'
import type { ClientIdentity } from '../identity/identity.js'
import { timeText } from '../moment.js'
import { decisive, isFailed, type RuleOutcome } from '../rules/outcome.js'
import type { Decision } from './decision.js'

/** Milliseconds: of all, of authentication (path, revocation, principal), of the rules. */
export interface DecisionDurations {
  readonly total: number
  readonly authentication: number
  readonly rules: number
}

/** A decision for an audit log: nothing in it names a person, unless `auditNames` says so, and nothing in it can break out of a line. */
export interface AuditEvent {
  /** ISO 8601, UTC. */
  readonly time: string
  /** What the application calls the request, where the option `requestId` says so: escaped. */
  readonly requestId?: string
  readonly outcome: Decision['outcome']
  /** False where a mount in report-only mode let the request pass whatever the outcome. */
  readonly enforced: boolean
  /** Of a refusal. */
  readonly code?: string
  /** SHA-256 of the client's certificate, where one was presented. */
  readonly fingerprint?: string
  /** SHA-256 of the CA certificate that issued it, where a path was valid. */
  readonly issuerFingerprint?: string
  /** The trust set of its anchor, where it has a name. */
  readonly anchor?: string
  readonly via?: 'tls' | 'proxy'
  /** The rule that decided: that did not hold, or that held as a whole. */
  readonly rule?: string
  /** Why a certificate was admitted although something is wrong with it. */
  readonly exception?: {
    readonly ignored: string
    readonly until: string
    readonly reason: string
    readonly uses: number
  }
  /** Path and revocation were not verified anew. */
  readonly remembered: boolean
  readonly durations: DecisionDurations
  /** With `auditNames`, where a path was valid: RFC 4514 text. */
  readonly subject?: string
  readonly issuer?: string
}

/** What is known around a decision. */
export interface DecisionFacts {
  /** Milliseconds since 1970 of the request, which is after the decision where that was remembered; NaN where the clock gave none. */
  readonly at: number
  readonly remembered: boolean
  readonly identity?: ClientIdentity | undefined
  /** Of what was presented, where there is no identity. */
  readonly fingerprint?: string | undefined
  readonly via?: 'tls' | 'proxy' | undefined
  readonly durations: DecisionDurations
}

/** Hears an {@link AuditEvent} for every decision, of every authenticator of the process. */
export const decisionChannel = openChannel<AuditEvent>('decision')

export function auditEvent(decision: Decision, facts: DecisionFacts, names: boolean, requestId?: string): AuditEvent {
  const { at, remembered, durations } = facts
  const identity = decision.outcome === 'accepted' ? decision.identity : facts.identity
  const exception = decision.outcome === 'accepted' ? decision.exception : undefined
  const { outcome, enforced } = decision
  return Object.freeze({
    time: timeText(at),
    outcome,
    enforced,
    ...present({
      requestId,
      code: decision.outcome === 'accepted' ? undefined : decision.error.code,
      fingerprint: identity?.fingerprint ?? facts.fingerprint,
      issuerFingerprint: identity?.issuerCertificate?.fingerprint,
      anchor: identity?.anchor.name && escaped(identity.anchor.name),
      via: identity?.via ?? facts.via,
      rule: decision.rules && escaped(decidingRule(decision.rules)),
      exception: exception && {
        ignored: exception.ignored,
        until: exception.until.toISOString(),
        reason: escaped(exception.reason),
        uses: exception.uses,
      },
      subject: names && identity !== undefined ? escaped(identity.subject.toString()) : undefined,
      issuer: names && identity !== undefined ? escaped(identity.issuer.toString()) : undefined,
    }),
    remembered,
    durations,
  })
}

const decidingRule = (outcome: RuleOutcome) => (isFailed(outcome) ? decisive(outcome).rule : outcome.rule)
