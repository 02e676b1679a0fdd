import { inTime } from '../deadline.js'
import { limits } from '../limits.js'
import type { DenyEntry } from './deny-entries.js'

/** Where entries come from, and what becomes of them. */
export interface DenySource {
  readonly load: () => readonly DenyEntry[] | Promise<readonly DenyEntry[]>
  /** Seconds between two calls. */
  readonly refresh: number
  /** Throws where they are wrong; then the former ones hold. */
  readonly take: (entries: readonly DenyEntry[]) => void
  readonly failed: (error: unknown) => void
}

/** Seconds between two calls until one has been answered. */
const firstRefresh = 5
/** Seconds after which a call is said to have failed. Its answer is taken all the same, if it comes before that of the next one. */
const patience = 30
const late = () => new Error(`load() has not answered within ${patience} s`)

/**
 * Asks a function for entries, again and again, whatever it does: it may throw, reject, hang, and answer out of order. What was asked for later is
 * newer, and is never replaced by what was asked for before.
 */
export class DenyLoads {
  /** Resolves when the first call has ended, or clients have waited long enough for it. Never rejects. */
  readonly started: Promise<void>
  readonly #source: DenySource
  #asked = 0
  #answered = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(source: DenySource) {
    this.#source = source
    this.started = inTime(this.#look(), limits.fetchMilliseconds, { isAwaited: false }).catch(() => {})
  }

  /** Calls the function now. Rejects where there are no entries. */
  async load(): Promise<void> {
    const number = ++this.#asked
    const entries = await this.#source.load()
    if (number <= this.#answered || this.#isClosed) return
    this.#source.take(entries)
    this.#answered = number
  }

  /** What was asked for until now counts no more. */
  overtake(): void {
    this.#answered = ++this.#asked
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  async #look(): Promise<void> {
    const { refresh, failed } = this.#source
    try {
      await inTime(this.load(), patience * 1000, { late, isAwaited: false })
    } catch (error) {
      if (!this.#isClosed) failed(error)
    }
    if (this.#isClosed) return
    const seconds = this.#answered === 0 ? Math.min(firstRefresh, refresh) : refresh
    this.#timer = setTimeout(() => void this.#look(), seconds * 1000)
    this.#timer.unref()
  }
}
