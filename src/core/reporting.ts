import { hash } from 'node:crypto'
import type { ClientIdentity } from '../identity/identity.js'
import { quietly } from '../quietly.js'
import type { AnyRequest, PresentedChain } from '../source/source.js'
import { auditEvent, type DecisionFacts, decisionChannel } from './audit.js'
import type { Decision } from './decision.js'
import { lineFor } from './log.js'
import type { Settings } from './options.js'

/** How a mount wants a decision reported; the decision itself does not depend on it. */
export interface Reporting {
  readonly enforced: boolean
  /** An absent certificate is no refusal at this mount. */
  readonly absentPasses: boolean
  /** Decided again, by ourselves: only a refusal is news. */
  readonly refusalsOnly?: boolean
}

export const enforcing: Reporting = { enforced: true, absentPasses: false }

/** Tells the operator's log, the application and the audit channel what was decided. */
export function report(
  { log, onDecision, auditNames }: Pick<Settings, 'log' | 'onDecision' | 'auditNames'>,
  decision: Decision,
  reporting: Reporting,
  request: AnyRequest | undefined,
  facts: DecisionFacts,
): void {
  if (reporting.refusalsOnly === true && decision.outcome === 'accepted') return
  const isRefusal = decision.outcome === 'refused' || (decision.outcome === 'absent' && !reporting.absentPasses)
  if (isRefusal && log !== undefined) quietly(() => log(lineFor(decision) as string, decision))
  if (onDecision === undefined && !decisionChannel.hasSubscribers) return
  quietly(() => {
    const audit = auditEvent(decision, facts, auditNames)
    if (decisionChannel.hasSubscribers) decisionChannel.publish(audit)
    const { remembered } = facts
    return onDecision?.(decision, request === undefined ? { remembered, audit } : { request, remembered, audit })
  })
}

/** What is found out on the way of a request, whatever becomes of it. Milliseconds of a clock that only goes forward. */
export interface Trace {
  readonly begun: number
  authentication: number
  rules: number
  remembered: boolean
  presented?: PresentedChain
  identity?: ClientIdentity
}

export const beginTrace = (): Trace => ({ begun: performance.now(), authentication: 0, rules: 0, remembered: false })

export function factsOf({ begun, authentication, rules, remembered, presented, identity }: Trace): DecisionFacts {
  return {
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
