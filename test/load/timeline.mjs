/** Clocks of two processes of one machine, and the time a message takes between them: milliseconds. */
const slack = 5
/** How late the end of a connection may be heard of whose identity no longer held: a round of the supervisor's watch, on a machine that is behind. */
const closingMilliseconds = 10_000

/**
 * What may rightly be answered to one group of clients, over time. While a change is under way, what was right before and what will be right
 * after it both are; from the moment it is known to be done, only the latter is.
 */
export class Timeline {
  /** @type {{ from: number, verdicts: readonly string[] }[]} */
  #spans = []

  constructor(...verdicts) {
    this.from(0, ...verdicts)
  }

  /** From that moment on (milliseconds since 1970), these verdicts are right and no others. */
  from(moment, ...verdicts) {
    this.#spans.push({ from: moment, verdicts })
  }

  /** Something begins to change. Call what is returned when it is done. */
  change(...verdicts) {
    const before = this.#spans.at(-1).verdicts
    this.from(Date.now(), ...new Set([...before, ...verdicts]))
    return () => this.from(Date.now(), ...verdicts)
  }

  /** Whether that is a right answer to a request that was sent and answered in this time. */
  allows(verdict, sent, received) {
    const right = this.#within(sent, received)
    // The supervisor closes connections of clients that were accepted before, and no others.
    if (verdict !== 'closed') return right.has(verdict)
    const lately = this.#within(sent - closingMilliseconds, received)
    return (
      this.#spans.some(({ verdicts }) => verdicts.includes('accepted')) && (lately.size > 1 || !lately.has('accepted'))
    )
  }

  /** For whoever reads what was wrong. */
  describe(sent, received) {
    return [...this.#within(sent, received)].join(' or ')
  }

  #within(from, to) {
    const first = this.#spans.findLastIndex((span) => span.from <= from - slack)
    const right = new Set()
    for (const span of this.#spans.slice(Math.max(first, 0))) {
      if (span.from <= to + slack) for (const verdict of span.verdicts) right.add(verdict)
    }
    return right
  }
}
