import { quote } from '../help.js'
import type { Decision } from './decision.js'
import { LineLimit, withLeftOut } from './line-limit.js'

/** Gets one line for every refusal: `mtls-identity CODE: fact — fix`. */
export type LogFunction = (line: string, decision: Decision) => void

/** The operator's line for a refusal; undefined for an acceptance. Safe to print: what came from a peer is escaped and bounded. */
export function lineFor(decision: Decision, requestId?: string): string | undefined {
  if (decision.outcome === 'accepted') return undefined
  const { code, help } = decision.error
  return `mtls-identity ${decision.enforced ? '' : '(report-only) '}${code}: ${help}${requestId === undefined ? '' : ` (request ${requestId})`}`
}

/** Writes lines to stderr, one per code and issuer, or rule, in ten seconds; the next one says how many were left out. */
export function stderrLog(): LogFunction {
  const limit = new LineLimit()
  return (line, decision) => {
    const left = limit.admit(...keyOf(decision), decision.decidedAt.getTime())
    if (left !== undefined) process.stderr.write(`${withLeftOut(line, left)}\n`)
  }
}

function keyOf(decision: Decision): [code: string, subject: string] {
  if (decision.outcome === 'accepted') return ['accepted', '']
  const { code, detail } = decision.error
  if ('issuer' in detail) return [code, quote(detail.issuer)]
  // Whoever writes rules tries one route after the other, and wants to read about each.
  return [code, quote('rule' in detail ? detail.rule : 'cause' in detail ? detail.cause : '')]
}
