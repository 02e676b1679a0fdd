import { hash } from 'node:crypto'
import type { ClientIdentity } from '../identity/identity.js'
import type { RememberedPath } from '../path/remembered-path.js'
import { quietly } from '../quietly.js'
import type { Ask, RevocationStatus } from '../revocation/checker.js'
import type { RuleOutcome } from '../rules/outcome.js'
import type { AnyRequest, PresentedChain } from '../source/source.js'
import { type AuditEvent, auditEvent, type DecisionDurations, type DecisionFacts, decisionChannel } from './audit.js'
import type { Bursts } from './bursts.js'
import type { Decision } from './decision.js'
import { type LogFunction, lineFor } from './log.js'
import { type RequestId, requestIdOf } from './request-id.js'
import { spoofingChannel, tellSpoofing } from './spoofing.js'

/** How a mount wants a decision reported; the decision itself does not depend on it. */
export interface Reporting {
  readonly enforced: boolean
  /** An absent certificate is no refusal at this mount. */
  readonly absentPasses: boolean
  /** Decided again, by ourselves: only a refusal is news. */
  readonly refusalsOnly?: boolean
  /** A mount in report-only mode has told of the same refusal. */
  readonly isToldAgain?: boolean
}

export const enforcing: Reporting = { enforced: true, absentPasses: false }

/**
 * Hears of every decision of one authenticator, at once and before anybody else: metrics, traces. It stands on the way of each request, so what it
 * does must cost next to nothing.
 */
export interface Observer {
  decided?(decision: Decision, facts: DecisionFacts): void
  /** The revocation checker answered about a path, or threw. */
  revocationAnswered?(status: RevocationStatus['status'] | 'failed', milliseconds: number): void
}

/** What `onDecision` is told beside the decision. */
export interface DecisionContext {
  /** Absent where a socket or a chain was decided about. */
  readonly request?: AnyRequest
  /** Path and revocation were not verified anew. */
  readonly remembered: boolean
  /** The decision for an audit log: what it says names nobody, unless `auditNames` says so. */
  readonly audit: AuditEvent
}

/** Who is told: a part of the settings. */
export interface Listeners {
  readonly log: LogFunction | undefined
  readonly onDecision: ((decision: Decision, context: DecisionContext) => void) | undefined
  readonly auditNames: boolean
  readonly requestId: RequestId | undefined
  readonly observers: readonly Observer[]
  readonly bursts: Bursts
}

/** Of refusals a mount let pass: one behind it that enforces tells of the same request. */
export const passedFacts = new WeakMap<Decision, DecisionFacts>()

/** Whether anybody would hear of an acceptance: nothing is prepared for nobody. */
export const isHeard = (listeners: Listeners): boolean =>
  listeners.observers.length > 0 || spoofingChannel.hasSubscribers || isAudited(listeners)

/** Whether anybody wants to know how long it took. */
export const isAudited = ({ onDecision }: Listeners): boolean =>
  onDecision !== undefined || decisionChannel.hasSubscribers

/** Tells observers, the operator's log, the application and the audit channel what was decided. */
export function report(
  listeners: Listeners,
  decision: Decision,
  reporting: Reporting,
  request: AnyRequest | undefined,
  facts: DecisionFacts,
): void {
  const { log, onDecision, auditNames, observers, bursts } = listeners
  if (reporting.refusalsOnly === true && decision.outcome === 'accepted') return
  if (decision.outcome !== 'accepted' && (!reporting.enforced || reporting.absentPasses))
    passedFacts.set(decision, facts)
  for (const observer of observers) {
    try {
      observer.decided?.(decision, facts)
    } catch {
      // Ours, and broken: what was decided stands.
    }
  }
  if (spoofingChannel.hasSubscribers) quietly(() => tellSpoofing(decision, request))
  const isRefusal = decision.outcome === 'refused' || (decision.outcome === 'absent' && !reporting.absentPasses)
  if (isRefusal && reporting.isToldAgain !== true) quietly(() => bursts.refused(decision, facts, request))
  if (isRefusal && log !== undefined) {
    quietly(() => log(lineFor(decision, requestIdOf(listeners, request)) as string, decision))
  }
  if (onDecision === undefined && !decisionChannel.hasSubscribers) return
  quietly(() => {
    const audit = auditEvent(decision, facts, auditNames, requestIdOf(listeners, request))
    if (decisionChannel.hasSubscribers) decisionChannel.publish(audit)
    const { remembered } = facts
    return onDecision?.(decision, request === undefined ? { remembered, audit } : { request, remembered, audit })
  })
}

/** Tells an observer of every decision from now on. Returns what stops it. */
export function observe(listeners: { observers: readonly Observer[] }, observer: Observer): () => void {
  listeners.observers = [...listeners.observers, observer]
  return () => {
    listeners.observers = listeners.observers.filter((other) => other !== observer)
  }
}

/** Asks revocation checkers, and tells observers what came of it. */
export function askingFor(listeners: { readonly observers: readonly Observer[] }): Ask {
  return async (question) => {
    const begun = performance.now()
    let status: RevocationStatus['status'] | 'failed' = 'failed'
    try {
      const answer = await question()
      status = answer.status
      return answer
    } finally {
      const taken = performance.now() - begun
      for (const observer of listeners.observers) quietly(() => observer.revocationAnswered?.(status, taken))
    }
  }
}

/** What is found out on the way of a request, whatever becomes of it. Milliseconds of a clock that only goes forward. */
export interface Trace {
  readonly begun: number
  authentication: number
  rules: number
  remembered: boolean
  presented?: PresentedChain
  identity?: ClientIdentity
  /** Kept whole until the decision is made. */
  path?: RememberedPath
  /** Of the rules, as far as they were asked. */
  outcome?: RuleOutcome | undefined
}

export const beginTrace = (): Trace => ({ begun: performance.now(), authentication: 0, rules: 0, remembered: false })

const noTime: DecisionDurations = Object.freeze({ total: 0, authentication: 0, rules: 0 })

/**
 * Of a decision that was made before.
 *
 * @param begun undefined where nobody wants to know how long it took
 */
export function factsOfKnown(identity: ClientIdentity, at: number, begun: number | undefined): DecisionFacts {
  const durations =
    begun === undefined ? noTime : Object.freeze({ total: performance.now() - begun, authentication: 0, rules: 0 })
  return { at, remembered: true, identity, via: identity.via, durations }
}

/** @param at milliseconds since 1970 */
export function factsOf(
  { begun, authentication, rules, remembered, presented, identity }: Trace,
  at: number,
): DecisionFacts {
  return {
    at,
    remembered,
    identity,
    // Hashed for whoever asks only.
    get fingerprint() {
      return presented && hash('sha256', presented.certificate, 'hex')
    },
    via: presented?.via,
    durations: Object.freeze({ total: performance.now() - begun, authentication, rules }),
  }
}
