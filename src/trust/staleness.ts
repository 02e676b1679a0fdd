import { ClientCertConfigError } from '../errors.js'
import { millisecondsOf } from '../refresher.js'

const dayMilliseconds = 86_400_000

/** Counts how long something could not be read, by a timer: a wall clock that is set back does not make it younger. */
export class Staleness {
  readonly #maximum: number
  readonly #over: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #isOver = false

  /** @param maximum milliseconds; Infinity where the last good one is believed for ever */
  constructor(maximum: number | undefined, over: () => void) {
    this.#maximum = maxStalenessOf('maxStaleness', maximum)
    this.#over = over
  }

  /** Milliseconds. */
  get maximum(): number {
    return this.#maximum
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * Takes note of an attempt to read. Files that are watched are fresh while they do not change: their time begins with a failure. What is
   * asked for begins to age with every answer.
   */
  note(isGood: boolean, agesAtOnce: boolean): void {
    if (isGood) {
      this.stop()
      this.#isOver = false
    }
    if (isGood && !agesAtOnce) return
    if (this.#timer !== undefined || this.#isOver || this.#maximum === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#isOver = true
      this.#over()
    }, this.#maximum)
    this.#timer.unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** Throws {@link ClientCertConfigError} for what is no time. */
export function maxStalenessOf(option: string, value: number | undefined): number {
  if (value === undefined) return dayMilliseconds
  if (value === Number.POSITIVE_INFINITY) return value
  if (typeof value !== 'number')
    throw new ClientCertConfigError(`${option}: expected milliseconds or Infinity, got ${typeof value}`)
  return millisecondsOf(option, value, 1_000)
}
