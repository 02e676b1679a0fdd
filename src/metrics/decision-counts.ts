import type { DecisionFacts } from '../core/audit.js'
import type { Decision } from '../core/decision.js'
import type { Observer } from '../core/reporting.js'

/** One way a decision can be, and how many were. Every field is one of few: nothing a client brings makes another. */
export interface DecisionCount {
  readonly outcome: Decision['outcome']
  /** `'none'` of an acceptance. */
  readonly code: string
  /** `'none'` where nothing was presented, or could be read. */
  readonly via: 'tls' | 'proxy' | 'none'
  readonly remembered: boolean
  readonly enforced: boolean
  readonly count: number
}

const ways = ['tls', 'proxy', 'none'] as const

/** Counts decisions. An acceptance costs an addition to a list; refusals are told apart by their code first. */
export class DecisionCounts implements Observer {
  readonly #accepted = counters()
  readonly #refused = new Map<string, { readonly outcome: Decision['outcome']; readonly counts: Float64Array }>()

  decided(decision: Decision, { via, remembered }: DecisionFacts): void {
    const at = slotOf(via, remembered, decision.enforced)
    if (decision.outcome === 'accepted') {
      this.#accepted[at] = (this.#accepted[at] as number) + 1
      return
    }
    const { code } = decision.error
    const key = `${decision.outcome} ${code}`
    const known = this.#refused.get(key) ?? { outcome: decision.outcome, counts: counters() }
    this.#refused.set(key, known)
    known.counts[at] = (known.counts[at] as number) + 1
  }

  *all(): Generator<DecisionCount> {
    yield* countsOf('accepted', 'none', this.#accepted)
    for (const [key, { outcome, counts }] of this.#refused)
      yield* countsOf(outcome, key.split(' ')[1] as string, counts)
  }
}

const counters = () => new Float64Array(ways.length * 4)

function slotOf(via: DecisionFacts['via'], remembered: boolean, enforced: boolean): number {
  const way = via === 'tls' ? 0 : via === 'proxy' ? 1 : 2
  return way * 4 + (remembered ? 2 : 0) + (enforced ? 1 : 0)
}

function* countsOf(outcome: Decision['outcome'], code: string, counts: Float64Array): Generator<DecisionCount> {
  for (const [at, count] of counts.entries()) {
    if (count === 0) continue
    const via = ways[at >> 2] as DecisionCount['via']
    yield { outcome, code, via, remembered: (at & 2) !== 0, enforced: (at & 1) !== 0, count }
  }
}
