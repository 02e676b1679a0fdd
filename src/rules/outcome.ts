import { quote } from '../help.js'
import { limits } from '../limits.js'

/** Why a rule does not hold: it was asked and said so, or it is broken, which refuses too and is no answer that `not` could turn round. */
export type RuleReason = 'did-not-hold' | 'threw' | 'timed-out' | 'not-true'

interface Asked {
  /** The rule as it was written. */
  readonly rule: string
  /** What it looked at: values of the certificate, quoted and cut. */
  readonly found?: string
  /** What came of the rules it is made of, as far as they were asked: at most `limits.outcomeEntries`, and the one that decided. */
  readonly of?: readonly RuleOutcome[]
  /** Which of `of` decided. */
  readonly decidedBy?: number
}

/** What came of a rule, and of the rules it is made of: a tree. For operators; nothing of it reaches a client. */
export type RuleOutcome = Asked &
  (
    | { readonly holds: true }
    | {
        readonly holds: false
        readonly reason: RuleReason
        /** One sentence for the operator: what the certificate has instead. */
        readonly hint?: string
      }
  )

export type FailedOutcome = RuleOutcome & { holds: false }

/** Only `true` holds, whatever a rule from elsewhere says. */
export const isFailed = (outcome: RuleOutcome): outcome is FailedOutcome => outcome.holds !== true

/** The innermost rule that made the whole not hold. */
export function decisive(outcome: FailedOutcome): FailedOutcome {
  let at: FailedOutcome = outcome
  for (;;) {
    const { of, decidedBy } = at
    const inner = decidedBy === undefined ? undefined : of?.[decidedBy]
    if (inner === undefined || inner.holds) return at
    at = inner
  }
}

/** The outcome of a combination, bounded: of many rules that were asked the first are kept, and the one that decided. */
export function combined(
  rule: string,
  verdict: { holds: true } | { holds: false; reason: RuleReason; hint?: string },
  asked: readonly RuleOutcome[],
  decidedBy: number | undefined,
): RuleOutcome {
  const kept = asked.slice(0, limits.outcomeEntries)
  let place = decidedBy
  if (place !== undefined && place >= kept.length) place = kept.push(asked[place] as RuleOutcome) - 1
  const of = Object.freeze(kept)
  return Object.freeze({ rule, ...verdict, of, ...(place === undefined ? {} : { decidedBy: place }) })
}

/** An outcome as lines of text, the whole first, what it is made of indented below; `names: false` leaves out what the certificate says. */
export function outcomeLines(outcome: RuleOutcome, { names }: { names: boolean }): string[] {
  const lines: string[] = []
  const write = (at: RuleOutcome, depth: number) => {
    if (lines.length > limits.outcomeLines) return
    if (lines.length === limits.outcomeLines) {
      lines.push('…')
      return
    }
    lines.push('  '.repeat(Math.min(depth, 16)) + lineOf(at, names))
    for (const inner of at.of ?? []) write(inner, depth + 1)
  }
  write(outcome, 0)
  return lines
}

function lineOf(outcome: RuleOutcome, names: boolean): string {
  const rule = quote(outcome.rule).slice(1, -1).replaceAll('\\"', '"')
  const found = names && outcome.found !== undefined ? ` (found ${outcome.found})` : ''
  const word = outcome.holds ? 'held' : words[outcome.reason]
  return `${word}: ${rule}${found}`
}

const words: { readonly [R in RuleReason]: string } = {
  'did-not-hold': 'did not hold',
  threw: 'threw, which refuses',
  'timed-out': 'did not answer in time, which refuses',
  'not-true': 'returned something else than a boolean, which refuses',
}
