import { ClientCertConfigError } from './errors.js'
import { wordsOf } from './help.js'
import { asError } from './stack.js'

/** What a provider is told: `signal` is aborted when it takes too long, or nobody wants its answer any more. */
export interface LoadContext {
  readonly signal: AbortSignal
}

export interface RefresherOptions<T> {
  /** What is loaded, for messages. */
  label: string
  load: (context: LoadContext) => T | Promise<T>
  /** Takes what was loaded whole, or throws and has changed nothing. */
  apply: (value: T) => void
  /** Hears why a load came to nothing. */
  failed: (error: Error) => void
  refreshMilliseconds: number
  timeoutMilliseconds: number
}

const firstBackoffMilliseconds = 1_000
/** Failures in a row after which `ready()` no longer waits: with the backoff, about three seconds. */
const patience = 3

interface Waiting {
  resolve: () => void
  reject: (error: Error) => void
}

/**
 * Loads something again and again: at once, then at an interval, after a failure sooner and sooner less. One load at a time. It keeps no
 * process alive, except until the first load has succeeded.
 */
export class Refresher<T> {
  readonly #options: RefresherOptions<T>
  #waiting: Waiting[] = []
  #running: Promise<Error | undefined> | undefined
  /** Whether the provider has been asked by the load under way: what it says may be of before. */
  #isAsked = false
  #next: Promise<Error | undefined> | undefined
  #abort: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #lastError: Error | undefined
  #loaded = false
  #closed = false

  constructor(options: RefresherOptions<T>) {
    this.#options = options
    void this.refresh()
  }

  /** Resolves when something was loaded. Rejects with the reason after three failures in a row; loading goes on all the same. */
  ready(): Promise<void> {
    if (this.#loaded) return Promise.resolve()
    if (this.#closed) return Promise.reject(new ClientCertConfigError(`${this.#options.label}: was closed`))
    if (this.#failures >= patience) return Promise.reject(this.#lastError)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /**
   * Loads now, or after the load under way: the provider is asked after the call, so that whoever took a CA out calls and it is out. One load for all who
   * call meanwhile. Resolves to what went wrong.
   */
  refresh(): Promise<Error | undefined> {
    if (this.#running !== undefined && this.#isAsked) {
      this.#next ??= this.#running.then(() => {
        this.#next = undefined
        return this.refresh()
      })
      return this.#next
    }
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      this.#isAsked = false
    })
    return this.#running
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    const error = new ClientCertConfigError(`${this.#options.label}: was closed`)
    this.#abort?.abort(error)
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  async #run(): Promise<Error | undefined> {
    clearTimeout(this.#timer)
    if (this.#closed) return new ClientCertConfigError(`${this.#options.label}: was closed`)
    let error: Error | undefined
    try {
      const value = await this.#load()
      if (this.#closed) return new ClientCertConfigError(`${this.#options.label}: was closed`)
      this.#options.apply(value)
    } catch (thrown) {
      error = asError(thrown)
    }
    if (!this.#closed) this.#settle(error)
    return error
  }

  /** A provider that ignores the signal is not waited for. */
  async #load(): Promise<T> {
    const { label, load, timeoutMilliseconds } = this.#options
    const abort = new AbortController()
    this.#abort = abort
    const late = new ClientCertConfigError(`${label}: no answer within ${timeoutMilliseconds} ms`)
    const timer = setTimeout(() => abort.abort(late), timeoutMilliseconds)
    const aborted = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true })
    })
    aborted.catch(() => {})
    try {
      const asked = Promise.resolve().then(() => {
        this.#isAsked = true
        return load({ signal: abort.signal })
      })
      return await Promise.race([asked, aborted])
    } finally {
      clearTimeout(timer)
    }
  }

  #settle(error: Error | undefined): void {
    const { failed, refreshMilliseconds } = this.#options
    this.#lastError = error
    this.#failures = error === undefined ? 0 : this.#failures + 1
    this.#loaded ||= error === undefined
    const backoff = Math.min(refreshMilliseconds, firstBackoffMilliseconds * 2 ** Math.min(this.#failures - 1, 20))
    // A tenth earlier or later: a fleet that was started at once shall not ask at once for ever.
    const delay = (error === undefined ? refreshMilliseconds : backoff) * (0.9 + Math.random() * 0.2)
    // A timer of Node that is asked to wait longer does not wait at all.
    this.#timer = setTimeout(() => void this.refresh(), Math.min(delay, longestTimer))
    if (this.#loaded) this.#timer.unref()
    if (error === undefined) for (const { resolve } of this.#waiting.splice(0)) resolve()
    else if (this.#failures >= patience) for (const { reject } of this.#waiting.splice(0)) reject(error)
    if (error !== undefined) failed(error)
  }
}

/** Milliseconds an option gives: whole, from `least` to what a timer of Node can wait (24 days). Throws with the range. */
export function millisecondsOf(option: string, value: unknown, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= longestTimer)
    return value as number
  throw new ClientCertConfigError(
    `${option}: is ${String(value)}, expected milliseconds from ${least} to ${longestTimer}`,
  )
}

export const longestTimer = 2_147_483_647

/** Our own words, or those of whatever a provider met: escaped and bounded, since they end in the operator's line. */
export const reasonOf = (error: Error): string =>
  error instanceof ClientCertConfigError ? error.message : wordsOf(error)
