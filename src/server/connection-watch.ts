import { type AuthenticatorInternals, internals } from '../core/contract.js'
import { type AnyClientCertError, deny } from '../errors.js'
import { limits } from '../limits.js'
import { momentOrNone } from '../moment.js'

/** Something that stays open as long as an identity holds. */
export interface Watched {
  /** Milliseconds since 1970: looked at again when it is later, or earlier than it was, or either is NaN. */
  validUntil: number
  decidedAt: number
  /** Whether something it depends on, beside the authenticator, has changed since. */
  isChanged?(): boolean
  /** Decides again; resolves to the refusal. One that rejects refuses. */
  check(): Promise<AnyClientCertError | undefined>
  /** Called at most once. */
  end(error: AnyClientCertError): void
}

const intervalMilliseconds = 1_000
/** Until rules that may say something else without anything having changed, by the clock or by themselves, are asked again. */
export const recheckMilliseconds = 60_000
/** Checked before others get their turn: the first of each certificate validates a path, which takes a quarter of a millisecond. */
const atOnce = 32

/** What cannot be asked is due. */
function isDue(watched: Watched, at: number): boolean {
  try {
    return watched.isChanged?.() === true || !(at >= watched.decidedAt && at <= watched.validUntil)
  } catch {
    return true
  }
}

/** A check that fails refuses: one that stood still would keep all others open. */
async function checked(watched: Watched): Promise<AnyClientCertError | undefined> {
  try {
    return await watched.check()
  } catch (cause) {
    return deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'looking at an open connection again' }, { cause })
  }
}

/**
 * Looks after all that is open under one authenticator: one timer, which keeps no process alive and stands still while nothing is open. Every
 * second it compares clock and generations; a reload of trust is heard at once.
 */
class ConnectionWatch {
  readonly #authenticator: AuthenticatorInternals
  readonly #open = new Set<Watched>()
  #stop: (() => void) | undefined
  #stamp = ''
  #running = false
  #doubts = 0

  constructor(authenticator: AuthenticatorInternals) {
    this.#authenticator = authenticator
  }

  get size(): number {
    return this.#open.size
  }

  /** @param decidedUnder the stamp before it was decided about, where that is known: what has changed since is looked at at once */
  add(watched: Watched, decidedUnder?: string): void {
    this.#open.add(watched)
    this.#start()
    if (decidedUnder === undefined || decidedUnder !== this.stamp()) void this.#look(watched)
  }

  remove(watched: Watched): void {
    this.#open.delete(watched)
    if (this.#open.size > 0) return
    this.#stop?.()
    this.#stop = undefined
  }

  #start(): void {
    if (this.#stop !== undefined) return
    const { settings } = this.#authenticator[internals]
    this.#stamp = this.stamp()
    const look = () => void this.#tick()
    const timer = setInterval(look, intervalMilliseconds)
    timer.unref()
    const soon = () => queueMicrotask(look)
    const stops = [settings.trust, settings.intermediates].map((store) => store?.onReload(soon))
    this.#stop = () => {
      clearInterval(timer)
      for (const stop of stops) stop?.()
    }
  }

  async #tick(): Promise<void> {
    if (this.#running) return
    const stamp = this.stamp()
    const isChanged = stamp !== this.#stamp
    const at = this.clock()
    const due = [...this.#open].filter((watched) => isChanged || isDue(watched, at))
    this.#stamp = stamp
    if (due.length === 0) return
    this.#running = true
    for (let from = 0; from < due.length; from += atOnce) {
      await this.#lookAt(due.slice(from, from + atOnce))
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#running = false
    // What changed meanwhile is not left to the next second.
    if (this.#stop !== undefined && this.stamp() !== stamp) void this.#tick()
  }

  /** One whose answer never comes must not keep the others from being looked at. */
  async #lookAt(batch: readonly Watched[]): Promise<void> {
    const waiting = new Set(batch)
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limits.connectionDecisionMilliseconds)
      timer.unref()
    })
    const look = async (watched: Watched) => {
      await this.#look(watched)
      waiting.delete(watched)
    }
    await Promise.race([Promise.all(batch.map(look)), late])
    clearTimeout(timer)
    for (const watched of waiting) this.#end(watched, tooLate())
  }

  async #look(watched: Watched): Promise<void> {
    if (!this.#open.has(watched)) return
    const error = await checked(watched)
    if (error !== undefined) this.#end(watched, error)
  }

  #end(watched: Watched, error: AnyClientCertError): void {
    if (!this.#open.has(watched)) return
    this.remove(watched)
    try {
      watched.end(error)
    } catch {
      // A connection that cannot even be destroyed must not keep the others from being looked at.
    }
  }

  /** What an application's clock or checker throws is a change: then everything is decided again, which denies. */
  stamp(): string {
    try {
      return this.#authenticator[internals].stamp()
    } catch {
      return `unknown ${++this.#doubts}`
    }
  }

  /** Milliseconds since 1970; NaN, after which everything is due, where the application's clock throws. */
  clock(): number {
    return momentOrNone(this.#authenticator[internals].settings)
  }
}

const tooLate = () =>
  deny('ERR_CLIENT_CERT_NOT_READY', {
    reason: `nothing was decided within ${limits.connectionDecisionMilliseconds} ms — look at resolve, rules and revocation`,
  })

const watches = new WeakMap<object, ConnectionWatch>()

export function watchOf(authenticator: AuthenticatorInternals): ConnectionWatch {
  const known = watches.get(authenticator)
  if (known !== undefined) return known
  const made = new ConnectionWatch(authenticator)
  watches.set(authenticator, made)
  return made
}
