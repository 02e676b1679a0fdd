import { limits } from '../limits.js'
import { LruMap } from '../lru-map.js'
import type { FetchError, FetchFailure } from './fetch-error.js'

interface Failed {
  readonly error: FetchError
  readonly at: number
}

/** These cost nothing to find out again, or say nothing about the other side. */
const forgotten: readonly FetchFailure[] = ['refused-url', 'refused-host', 'busy', 'closed', 'internal']
/** These are about the host, whatever is asked of it. */
const ofTheHost: readonly FetchFailure[] = ['refused-address', 'dns', 'connect', 'tls']

/**
 * Failures, remembered for a moment: a dead responder then costs one deadline each moment, not one for every client.
 *
 * What fails for the host fails for all of its documents. A host that takes connections and stays silent may have one slow document only, which
 * must not stand for the others (of other issuers, perhaps): it counts as dead when as many in a row went unanswered as are asked at once.
 */
export class FailureMemory {
  readonly #documents = new LruMap<string, Failed>(limits.fetchFailures)
  readonly #hosts = new LruMap<string, { readonly failed: Failed | undefined; readonly silences: number }>(
    limits.fetchFailures,
  )
  readonly #milliseconds: number
  readonly #silencesOfTheDead: number

  constructor(milliseconds: number, silencesOfTheDead: number) {
    this.#milliseconds = milliseconds
    this.#silencesOfTheDead = silencesOfTheDead
  }

  /** What asking again would run into. A clock that was set back forgets. */
  recall(document: string, host: string, at: number): FetchError | undefined {
    const found = [this.#hosts.get(host)?.failed, this.#documents.get(document)].find(
      (failed) => failed !== undefined && failed.at <= at && at < failed.at + this.#milliseconds,
    )
    return found?.error
  }

  failed(document: string, host: string, error: FetchError, at: number): void {
    if (forgotten.includes(error.failure) || error.detail.remembered) return
    const failed = { error, at }
    const silences = isSilence(error) ? (this.#hosts.get(host)?.silences ?? 0) + 1 : 0
    const isDead = isOfTheHost(error) || silences >= this.#silencesOfTheDead
    this.#documents.set(document, failed)
    this.#hosts.set(host, { failed: isDead ? failed : this.#hosts.get(host)?.failed, silences })
  }

  succeeded(host: string): void {
    this.#hosts.set(host, { failed: undefined, silences: 0 })
  }
}

const isSilence = ({ failure, detail }: FetchError) => failure === 'timeout' && detail.phase === 'headers'

const isOfTheHost = ({ failure, detail }: FetchError) =>
  ofTheHost.includes(failure) || (failure === 'timeout' && detail.phase !== 'headers' && detail.phase !== 'body')
