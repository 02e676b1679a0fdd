import { isIP } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Description } from '../description.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { asError } from '../stack.js'
import { FailureMemory } from './failure-memory.js'
import { FetchError, type FetchPhase } from './fetch-error.js'
import { FetchPolicy, type FetchTarget } from './fetch-policy.js'
import { describeFetcher, type FetcherOptions, type FetcherSettings, resolveFetcherOptions } from './fetcher-options.js'
import { exchange, trustForServers } from './http-exchange.js'
import { freshUntil } from './http-freshness.js'
import { Turnstile } from './turnstile.js'

export type { FetchFailure, FetchFailureDetail, FetchPhase } from './fetch-error.js'
export { FetchError } from './fetch-error.js'
export type { FetcherOptions } from './fetcher-options.js'

/** What to fetch. */
export interface DocumentRequest {
  /** http or https. */
  readonly url: string
  /** Default `GET`. */
  readonly method?: 'GET' | 'POST'
  /** Of a `POST`, and only of it. */
  readonly body?: Uint8Array
  /** The media type of `body`. */
  readonly contentType?: string
  /** The media type of the document: `application/ocsp-response` (RFC 6960 Appendix A), `application/pkix-crl` (RFC 5280 §4.2.1.13). Answers of another one are not refused: many servers send `text/plain`. */
  readonly accept: string
  /** Octets of the document at most. */
  readonly maximumBytes: number
  /** True: the operator wrote this URL. False: it comes from a certificate. */
  readonly configured: boolean
}

export interface FetchedDocument {
  /** As they came: nothing about them is known. They are shared by all who asked for them at once, and not to be changed. */
  readonly bytes: Uint8Array
  /** The media type the server gives it, in lower case and without parameters. */
  readonly contentType: string | undefined
  /** When it was asked for: milliseconds since 1970. */
  readonly fetchedAt: number
  /**
   * Until when it is fresh by the answer's `Cache-Control` or `Expires` (RFC 9111 §4.2): milliseconds since 1970, `fetchedAt` where it is not to be
   * kept at all. It may shorten what the document says of itself, never lengthen it (RFC 5019 §6).
   */
  readonly freshUntil: number | undefined
}

/**
 * Fetches CRLs and OCSP responses. It keeps no documents: whoever verifies them does, lest an older one take the place of a newer one. It does
 * remember failures, for a moment.
 */
export interface DocumentFetcher {
  /**
   * Rejects with {@link FetchError} where there is no document, and with a TypeError for a request that nobody can have meant. It needs no
   * handler: a promise that is dropped ends no process, and disturbs nobody who waits for the same document.
   */
  fetch(request: DocumentRequest): Promise<FetchedDocument>
  /** Ends all that is under way with `closed`, and refuses what comes later. */
  close(): void
  /** How it is configured. */
  describe?(): Description
}

/**
 * Makes a fetcher: one for all checkers of a process, so that its bounds are bounds.
 *
 * URLs from certificates are fetched only from hosts in `allowHosts`, and only from global addresses unless `allowPrivateNetworks` has them. The
 * operator's own URLs may lead anywhere but to link-local addresses, cloud metadata and what is no unicast address.
 *
 * @throws ClientCertConfigError with the fix
 * @example
 * const fetcher = createDocumentFetcher({ allowHosts: ['.pki.example.com'] })
 * const accept = 'application/pkix-crl'
 * const { bytes } = await fetcher.fetch({ url: 'http://crl.pki.example.com/ca.crl', accept, maximumBytes: 1_000_000, configured: false })
 */
export function createDocumentFetcher(options: FetcherOptions = {}): DocumentFetcher {
  return new Fetcher(options)
}

/** One exchange, whoever waits for it. */
interface Flight {
  /** What it is for: requests with the same one share it. */
  readonly document: string
  readonly target: FetchTarget
  readonly order: Order
  readonly controller: AbortController
  /** By the clock that nobody sets. */
  readonly endsAt: number
  phase: FetchPhase
}

class Fetcher implements DocumentFetcher {
  readonly #settings: FetcherSettings
  readonly #policy: FetchPolicy
  readonly #failures: FailureMemory
  /** The operator's URLs have their own, so that those of certificates cannot crowd them out. */
  readonly #turnstiles: { readonly configured: Turnstile; readonly certificates: Turnstile }
  readonly #flights = new Map<string, { readonly flight: Flight; readonly promise: Promise<FetchedDocument> }>()
  /** A lookup cannot be called off, and each holds one of the few threads of the process: one at a time for each host. */
  readonly #lookups = new Map<string, Promise<readonly string[]>>()
  #secureContext: SecureContext | undefined
  #isClosed = false

  constructor(options: FetcherOptions) {
    this.#settings = resolveFetcherOptions(options)
    const { allowHosts, allowPrivateNetworks, concurrencyPerHost, failureMilliseconds } = this.#settings
    this.#policy = new FetchPolicy(allowHosts, allowPrivateNetworks)
    this.#failures = new FailureMemory(failureMilliseconds, concurrencyPerHost)
    const bounds = { inside: concurrencyPerHost, waiting: limits.fetchesWaiting }
    this.#turnstiles = {
      configured: new Turnstile({ ...bounds, places: Number.POSITIVE_INFINITY }),
      certificates: new Turnstile({ ...bounds, places: limits.fetchHosts }),
    }
  }

  describe(): Description {
    return describeFetcher(this.#settings)
  }

  fetch(request: DocumentRequest): Promise<FetchedDocument> {
    const promise = this.#join(request)
    promise.catch(() => {})
    return promise
  }

  close(): void {
    this.#isClosed = true
    for (const { flight } of this.#flights.values()) flight.controller.abort(closed(flight.target.href))
  }

  async #join(request: DocumentRequest): Promise<FetchedDocument> {
    const order = readRequest(request)
    if (this.#isClosed) throw closed(String(order.url))
    const target = this.#policy.target(order.url, order.configured)
    const document = keyOf(target, order)
    const shared = this.#flights.get(document)
    if (shared !== undefined) return shared.promise
    this.#refuseToRepeat(document, target)
    const endsAt = performance.now() + this.#settings.timeoutMilliseconds
    const flight: Flight = { document, target, order, controller: new AbortController(), endsAt, phase: 'line' }
    const promise = this.#depart(flight)
    this.#flights.set(document, { flight, promise })
    return promise
  }

  /** The deadline is set here, once: waiting, resolving, connecting and reading share it. */
  async #depart(flight: Flight): Promise<FetchedDocument> {
    const { document, target, controller } = flight
    const { timeoutMilliseconds, now } = this.#settings
    const deadline = setTimeout(() => controller.abort(late(flight, timeoutMilliseconds)), timeoutMilliseconds)
    deadline.unref()
    try {
      const fetched = await this.#fly(flight)
      this.#failures.succeeded(hostKey(target))
      return fetched
    } catch (cause) {
      const error =
        cause instanceof FetchError ? cause : new FetchError('internal', target.href, 'an unexpected error', { cause })
      this.#failures.failed(document, hostKey(target), error, now())
      throw error
    } finally {
      clearTimeout(deadline)
      this.#flights.delete(document)
    }
  }

  async #fly(flight: Flight): Promise<FetchedDocument> {
    const { document, target, order, controller } = flight
    const { signal } = controller
    const turnstile = this.#turnstiles[target.configured ? 'configured' : 'certificates']
    const turn = turnstile.enter(target.origin, signal)
    if (turn === undefined) throw new FetchError('busy', target.href, 'too many requests wait already')
    const leave = await turn
    try {
      // Those who were before it in the line may have found the host dead, or have left it no time.
      this.#refuseToRepeat(document, target)
      if (performance.now() >= flight.endsAt) throw late(flight, this.#settings.timeoutMilliseconds)
      flight.phase = 'dns'
      const addresses = this.#policy.acceptable(target, await this.#addressesOf(target, signal))
      const fetchedAt = this.#settings.now()
      const { bytes, headers } = await exchange({
        ...order,
        target,
        addresses,
        secureContext: () => (this.#secureContext ??= trustForServers(this.#settings.ca)),
        signal,
        enter: (phase) => {
          flight.phase = phase
        },
      })
      const contentType = mediaType(headers['content-type'])
      return Object.freeze({ bytes, contentType, fetchedAt, freshUntil: freshUntil(headers, fetchedAt) })
    } finally {
      leave()
    }
  }

  #refuseToRepeat(document: string, target: FetchTarget): void {
    const failure = this.#failures.recall(document, hostKey(target), this.#settings.now())
    if (failure !== undefined) throw again(failure, target)
  }

  async #addressesOf(target: FetchTarget, signal: AbortSignal): Promise<readonly string[]> {
    if (isIP(target.host) !== 0) return [target.host]
    const pending = this.#lookups.get(target.host) ?? this.#lookUp(target)
    try {
      return await unlessAborted(pending, signal)
    } catch (error) {
      if (error instanceof FetchError) throw error
      const { code, message } = asError(error) as NodeJS.ErrnoException
      const facts = code === undefined ? {} : { code }
      throw new FetchError('dns', target.href, `its host is not found (${quote(code ?? message)})`, {
        phase: 'dns',
        ...facts,
      })
    }
  }

  #lookUp({ host, href, configured }: FetchTarget): Promise<readonly string[]> {
    if (!configured && this.#lookups.size >= limits.fetchHosts)
      throw new FetchError('busy', href, 'too many names are being resolved already')
    const ask = async () => {
      const addresses: unknown = await this.#settings.lookup(host)
      if (!Array.isArray(addresses) || addresses.some((address) => typeof address !== 'string'))
        throw new TypeError('lookup resolves to a list of addresses')
      return addresses as string[]
    }
    const pending = ask().finally(() => this.#lookups.delete(host))
    this.#lookups.set(host, pending)
    return pending
  }
}

/** A request as it was when it was made. */
type Order = ReturnType<typeof readRequest>

/** A programmer's mistake rejects as such: it is no failure to fetch, and is not remembered. */
function readRequest({ url, method = 'GET', body, contentType, accept, maximumBytes, configured }: DocumentRequest) {
  const refuse = (what: string) => new TypeError(`fetch(request): ${what}`)
  if (method !== 'GET' && method !== 'POST') throw refuse('method is GET or POST')
  if ((method === 'POST') !== body instanceof Uint8Array) throw refuse('a POST has a body of octets, a GET has none')
  if (contentType !== undefined && body === undefined) throw refuse('contentType is that of the body')
  for (const type of [accept, contentType ?? '*/*']) {
    if (typeof type !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(type))
      throw refuse('accept and contentType are media types')
  }
  if (!Number.isSafeInteger(maximumBytes) || maximumBytes <= 0) throw refuse('maximumBytes is a number of octets')
  if (typeof configured !== 'boolean') throw refuse('configured is true or false: who wrote the URL?')
  return { url, method, body: body && Buffer.from(body), contentType, accept, maximumBytes, configured }
}

/** Requests are the same if the same answer satisfies them. */
function keyOf(target: FetchTarget, { method, body, contentType, accept, maximumBytes }: Order): string {
  const octets = body?.toString('base64')
  return [target.configured, method, target.href, accept, maximumBytes, contentType, octets].join(' ')
}

/** What certificates' URLs run into is not held against the operator's. */
const hostKey = ({ configured, origin }: FetchTarget) => `${configured} ${origin}`

const closed = (url: string) => new FetchError('closed', url, 'the fetcher was closed')

function late({ target, phase }: Flight, milliseconds: number): FetchError {
  if (phase === 'line') {
    return new FetchError('busy', target.href, `its turn had not come within ${milliseconds} ms`, { phase })
  }
  return new FetchError('timeout', target.href, `not complete within ${milliseconds} ms (${meanwhile[phase]})`, {
    phase,
  })
}

const meanwhile = {
  dns: 'resolving its host',
  connect: 'connecting',
  tls: 'in the TLS handshake',
  headers: 'waiting for the answer',
  body: 'reading the answer',
}

const again = ({ failure, detail: { url: _, reason, ...facts } }: FetchError, { href }: FetchTarget) =>
  new FetchError(failure, href, reason, { ...facts, remembered: true })

/** RFC 9110 §8.3.1: two tokens. Whatever else the server may have written is nobody's business. */
function mediaType(field: string | undefined): string | undefined {
  const type = field?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type.length <= 128 && /^[!#-'*+.0-9^-z|~-]+\/[!#-'*+.0-9^-z|~-]+$/.test(type) ? type : undefined
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject)
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason))
  })
}
