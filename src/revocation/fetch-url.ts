import { isIP } from 'node:net'
import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { FetchError } from './fetch-error.js'

/** A URL that may be fetched as far as it alone tells, taken apart. */
export interface FetchUrl {
  /** Without the fragment, which is never sent. */
  readonly href: string
  /** Scheme, host and port. */
  readonly origin: string
  readonly isSecure: boolean
  /** A name in lower case without final dot, or an address without brackets. */
  readonly host: string
  readonly port: number
  /** The path and the query, as they are sent. */
  readonly path: string
}

/**
 * Reads an http or https URL. A host is what the WHATWG URL standard makes of it, as Node does: `0x7f.1` and `2130706433` are 127.0.0.1. What that
 * standard would mend without a word (blanks, line breaks, backslashes, missing slashes) and what could hide the host (user information) is
 * refused, and so are hosts that are not ASCII: RFC 9549 §3 has certificates carry A-labels.
 *
 * @throws FetchError with `refused-url`.
 */
export function parseFetchUrl(text: string): FetchUrl {
  const refuse = (reason: string) => new FetchError('refused-url', String(text), reason)
  if (typeof text !== 'string') throw refuse(`it is no text but ${text === null ? 'null' : typeof text}`)
  if (text.length > limits.fetchUrlCharacters) {
    throw refuse(`it has ${text.length} characters, ${limits.fetchUrlCharacters} at most are fetched`)
  }
  if (!/^https?:/i.test(text)) throw refuse('only http and https are fetched')
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes('\\')) {
    throw refuse('it has characters that no URL has — a host that is not ASCII is written in A-labels, xn--…')
  }
  const authority = /^https?:\/\/([^/?#]+)/i.exec(text)?.[1]
  if (authority === undefined || !URL.canParse(text)) throw refuse('it is not a URL')
  if (authority.includes('@')) throw refuse('it has user information before its host')
  const url = new URL(text)
  const host = hostOf(url)
  if (host === undefined) throw refuse('its host is neither a name nor an address')
  if (url.port === '0') throw refuse('there is no port 0')
  url.hash = ''
  url.hostname = url.hostname.replace(/\.$/, '')
  const isSecure = url.protocol === 'https:'
  const port = url.port === '' ? defaultPort(isSecure) : Number(url.port)
  return { href: url.href, origin: url.origin, isSecure, host, port, path: url.pathname + url.search }
}

/**
 * Checks a URL that an operator wrote, when it is written.
 *
 * @param where how it was written: `ocsp({ url })`
 * @throws ClientCertConfigError with the fix
 * @example configuredUrl('ocsp({ url })', 'http://ocsp.example.com/')
 */
export function configuredUrl(where: string, url: string): string {
  try {
    return parseFetchUrl(url).href
  } catch (error) {
    if (!(error instanceof FetchError)) throw error
    throw new ClientCertConfigError(
      `${where}: ${error.detail.url}: ${error.detail.reason} — write it as 'http://ocsp.example.com/'`,
    )
  }
}

export const defaultPort = (isSecure: boolean): number => (isSecure ? 443 : 80)

/** Undefined for a host that DNS could not have. Underscores are no host names by RFC 952, but names of hosts all the same. */
function hostOf({ hostname }: URL): string | undefined {
  const bracketed = /^\[(.*)\]$/.exec(hostname)?.[1]
  if (bracketed !== undefined) return bracketed
  const host = hostname.replace(/\.$/, '')
  if (isIP(host) === 4) return host
  const isName =
    host.length <= 253 && host.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  return isName ? host : undefined
}

/** Hosts whose URLs in certificates are fetched. */
export class AllowedHosts {
  readonly #entries: readonly { host: string; isSuffix: boolean; port: number | undefined }[]

  /** @throws ClientCertConfigError with the fix */
  constructor(entries: readonly string[]) {
    this.#entries = entries.map(parseEntry)
  }

  holds({ host, port, isSecure }: FetchUrl): boolean {
    return this.#entries.some(
      (entry) =>
        (entry.isSuffix ? host.endsWith(entry.host) : host === entry.host) &&
        (entry.port ?? defaultPort(isSecure)) === port,
    )
  }
}

function parseEntry(entry: unknown): { host: string; isSuffix: boolean; port: number | undefined } {
  const refuse = (reason: string) => new ClientCertConfigError(`allowHosts: ${reason}`)
  if (typeof entry !== 'string') throw refuse(`expected host names, got ${entry === null ? 'null' : typeof entry}`)
  if (entry.includes('*')) throw refuse(`${quote(entry)} has a wildcard — '.example.com' allows what lies below it`)
  const [, dot, text = '', port] = /^(\.?)([^:[\]]+|\[[^[\]]+\])(?::(\d{1,5}))?$/.exec(entry) ?? []
  const url = URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : undefined
  const host = url === undefined || url.host !== text.toLowerCase() ? undefined : hostOf(url)
  if (host === undefined || (dot === '.' && isIP(host) !== 0)) {
    throw refuse(
      `${quote(entry)} is no host — 'crl.example.com', '.example.com', or with a port 'crl.example.com:8080'`,
    )
  }
  if (port !== undefined && (Number(port) === 0 || Number(port) > 65_535)) throw refuse(`${quote(entry)}: no such port`)
  return { host: `${dot}${host}`, isSuffix: dot === '.', port: port === undefined ? undefined : Number(port) }
}
