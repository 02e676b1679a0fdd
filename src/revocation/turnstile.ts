interface Line {
  inside: number
  /** In the order of their arrival. */
  readonly waiting: Set<() => void>
}

/**
 * Lets a bounded number at once do something at each of several places; others wait there, in lines of bounded length. A place is remembered
 * while somebody is at it.
 */
export class Turnstile {
  readonly #lines = new Map<string, Line>()
  readonly #bounds: { readonly inside: number; readonly waiting: number; readonly places: number }

  constructor(bounds: { inside: number; waiting: number; places: number }) {
    this.#bounds = bounds
  }

  /**
   * Resolves, when it is one's turn, to what must be called on leaving; rejects with the signal's reason if that comes first. Undefined where even
   * the line is full, or where there are too many lines.
   */
  enter(place: string, signal: AbortSignal): Promise<() => void> | undefined {
    const line = this.#lines.get(place) ?? this.#open(place)
    if (line === undefined) return undefined
    if (line.inside < this.#bounds.inside) {
      line.inside++
      return Promise.resolve(this.#leaving(place, line))
    }
    return line.waiting.size < this.#bounds.waiting ? this.#wait(place, line, signal) : undefined
  }

  #open(place: string): Line | undefined {
    if (this.#lines.size >= this.#bounds.places) return undefined
    const line: Line = { inside: 0, waiting: new Set() }
    this.#lines.set(place, line)
    return line
  }

  #wait(place: string, line: Line, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        line.waiting.delete(enter)
        reject(signal.reason)
      }
      const enter = () => {
        signal.removeEventListener('abort', giveUp)
        resolve(this.#leaving(place, line))
      }
      line.waiting.add(enter)
      signal.addEventListener('abort', giveUp)
    })
  }

  /** Who leaves hands the place on: it is never empty while somebody waits for it. */
  #leaving(place: string, line: Line): () => void {
    return () => {
      const [next] = line.waiting
      if (next !== undefined) {
        line.waiting.delete(next)
        next()
      } else if (--line.inside === 0) this.#lines.delete(place)
    }
  }
}
