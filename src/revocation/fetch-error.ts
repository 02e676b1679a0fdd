import { shownUrl } from '../description.js'
import { quote } from '../help.js'
import { muteStack } from '../stack.js'

/** Why a document was not fetched. The list is closed: whoever switches over it has thought of everything. */
export type FetchFailure =
  /** Not a URL that is fetched: another scheme than http and https, user information, a malformed host, too long. Nothing was asked. */
  | 'refused-url'
  /** A certificate's URL whose host, or whose port at that host, the operator has not allowed. Nothing was asked, no DNS server either. */
  | 'refused-host'
  /** The host has an address that may not be connected to. */
  | 'refused-address'
  /** The host's name has no address. */
  | 'dns'
  /** No connection to the host. */
  | 'connect'
  /** No TLS with the host, or its certificate is not valid for its name. */
  | 'tls'
  /** The last octet had not arrived at the deadline. */
  | 'timeout'
  /** The answer is longer than its reader allows, or its header fields are. */
  | 'too-large'
  /** The answer points elsewhere (a 3xx status). It is not followed. */
  | 'redirect'
  /** Another status than 200. */
  | 'status'
  /** The answer is compressed, or encoded otherwise. */
  | 'encoding'
  /** The connection ended before the answer did. */
  | 'truncated'
  /** The answer is not HTTP/1. */
  | 'malformed'
  /** Too many requests to this host wait already, or this one waited until its deadline. */
  | 'busy'
  /** The fetcher was closed. */
  | 'closed'
  /** A bug: see `cause`. */
  | 'internal'

/** Where an exchange stood. */
export type FetchPhase = 'line' | 'dns' | 'connect' | 'tls' | 'headers' | 'body'

export interface FetchFailureDetail {
  /** The URL, quoted and cut, without its query, which may hold a key. */
  readonly url: string
  /** The fact, in words. What a peer had a say in is quoted and cut. */
  readonly reason: string
  readonly phase?: FetchPhase
  /** The status code of the answer. */
  readonly status?: number
  /** The code of Node or OpenSSL: `ECONNREFUSED`, `CERT_HAS_EXPIRED`. */
  readonly code?: string
  /** It was not tried again: the same, or its host, had failed a moment before. */
  readonly remembered?: true
}

/**
 * A document could not be fetched. `failure` is for programs, `message` for the operator. It has no stack: who caused it is elsewhere, and one may be
 * thrown for every client.
 *
 * @example
 * if (error instanceof FetchError && error.failure === 'timeout') console.warn(error.detail.url, error.detail.phase)
 */
export class FetchError extends Error {
  override readonly name = 'FetchError'
  readonly failure: FetchFailure
  readonly detail: FetchFailureDetail

  /** @param url as it was given; it is quoted here, without its query */
  constructor(
    failure: FetchFailure,
    url: string,
    reason: string,
    { cause, ...facts }: Omit<FetchFailureDetail, 'url' | 'reason'> & { cause?: unknown } = {},
  ) {
    const quoted = quote(shownUrl(url))
    const unmute = muteStack()
    super(`${quoted} was not fetched: ${reason}`, cause === undefined ? undefined : { cause })
    unmute()
    this.failure = failure
    this.detail = Object.freeze({ url: quoted, reason, ...facts })
  }
}

/** What to do where no public CA vouches for the server: `checker` has an option for it. */
export const caFix = (checker: 'crl' | 'ocsp'): string =>
  `is it the right server? ${checker}({ ca }) says who vouches for it, where no public CA does`
