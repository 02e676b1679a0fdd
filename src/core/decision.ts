import type { AnyClientCertError } from '../errors.js'
import { quote } from '../help.js'
import type { ClientIdentity } from '../identity/identity.js'
import type { CertificationPath } from '../path/certification-path.js'
import { outcomeLines, type RuleOutcome } from '../rules/outcome.js'
import type { AppliedException } from './exceptions.js'

/** What was decided about one request, connection or chain; where the same was decided before and nothing has changed, that decision. */
export type Decision = {
  /** When it was decided: before the request, where it was remembered. */
  readonly decidedAt: Date
  /** False where a mount in report-only mode let the request pass whatever the outcome. */
  readonly enforced: boolean
  /** What came of the rules, as a tree; undefined where there are none, or where the path was refused before. For operators only. */
  readonly rules?: RuleOutcome
} & (
  | {
      readonly outcome: 'accepted'
      readonly identity: ClientIdentity
      readonly path: CertificationPath
      /** The instant after which it must be decided anew: the earliest notAfter of the path, or what revocation said. */
      readonly validUntil: Date
      /** The operator's dated exception without which it would have been refused. */
      readonly exception?: AppliedException
    }
  | { readonly outcome: 'absent'; readonly error: AnyClientCertError }
  | { readonly outcome: 'refused'; readonly error: AnyClientCertError }
)

export type AcceptedDecision = Extract<Decision, { outcome: 'accepted' }>

/**
 * A decision in a few lines for a log: what was decided, why, and what came of every rule that was asked. What a peer wrote is escaped and cut.
 *
 * @param options `names: false` leaves out what the certificate says
 * @example
 * onDecision: (decision) => decision.outcome === 'refused' && logger.info(explain(decision))
 */
export function explain(decision: Decision, { names = true }: { names?: boolean } = {}): string {
  const tree = decision.rules === undefined ? [] : outcomeLines(decision.rules, { names }).map((line) => `  ${line}`)
  return [headline(decision, names), ...tree].join('\n')
}

function headline(decision: Decision, names: boolean): string {
  const enforced = decision.enforced ? '' : ' (report-only)'
  if (decision.outcome === 'accepted') {
    const { identity, validUntil } = decision
    const who = names ? `${quote(identity.subject.toString())} ` : ''
    const by =
      decision.exception === undefined
        ? ''
        : `, by an exception of ${decision.exception.ignored}: ${quote(decision.exception.reason)}`
    return `accepted${enforced}: ${who}${identity.fingerprint}, until ${validUntil.toISOString()}${by}`
  }
  const { code, help } = decision.error
  return names ? `${decision.outcome}${enforced}: ${code}: ${help}` : `${decision.outcome}${enforced}: ${code}`
}
