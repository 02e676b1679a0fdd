import type { Description } from '../description.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { limits } from '../limits.js'
import { parseBundle } from '../trust/trust-bundle.js'
import { formatPem } from '../x509/pem.js'
import { resolveHost } from './http-exchange.js'

/** How documents are fetched. An unknown name and an explicit `undefined` are errors. */
export interface FetcherOptions {
  /**
   * Hosts whose URLs in certificates are fetched: `'crl.example.com'`, `'.example.com'` for all below it, on port 80 (http) and 443 (https);
   * `'crl.example.com:8080'` on that port only. Default: none, and no URL of a certificate is fetched.
   */
  allowHosts?: readonly string[]
  /**
   * Networks, as CIDR ranges, to which connections may be made besides what is allowed anyway: global addresses for URLs from certificates; private
   * ones and loopback, too, for URLs the operator wrote. Default: none.
   */
  allowPrivateNetworks?: readonly string[]
  /** Milliseconds from the call to the last octet: 1 to 60,000. Default 3,000. */
  timeoutMilliseconds?: number
  /** Requests at once to one host and port: 1 to 64. Default 4, counted apart for URLs from certificates. */
  concurrencyPerHost?: number
  /** Milliseconds for which a failure answers for what would fail again: 0 to 60,000. Default 5,000. */
  failureMilliseconds?: number
  /** Certificates, PEM or DER, that https servers are verified with, instead of the public roots Node knows. Clients are never verified with them. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
  /** All addresses of a host name. Default: the system's. */
  lookup?: (host: string) => Promise<readonly string[]>
}

const optionNames: readonly (keyof FetcherOptions)[] = [
  'allowHosts',
  'allowPrivateNetworks',
  'timeoutMilliseconds',
  'concurrencyPerHost',
  'failureMilliseconds',
  'ca',
  'now',
  'lookup',
]

export interface FetcherSettings {
  readonly allowHosts: readonly string[]
  readonly allowPrivateNetworks: readonly string[]
  readonly timeoutMilliseconds: number
  readonly concurrencyPerHost: number
  readonly failureMilliseconds: number
  /** PEM. */
  readonly ca: readonly string[] | undefined
  readonly now: () => number
  readonly lookup: (host: string) => Promise<readonly string[]>
}

/** Reads options once. Throws {@link ClientCertConfigError}, with the fix. What is in the lists, their readers check. */
export function resolveFetcherOptions(options: FetcherOptions): FetcherSettings {
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError('createDocumentFetcher: expected options, or nothing')
  }
  refuseUnknownOptions('createDocumentFetcher', options, optionNames)
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined)
      throw new ClientCertConfigError(`${name}: is undefined — leave the option out, or give it a value`)
  }
  const { now = Date.now, lookup = resolveHost } = options
  if (typeof now !== 'function') throw new ClientCertConfigError(`now: expected a function, got ${typeof now}`)
  if (typeof lookup !== 'function') throw new ClientCertConfigError(`lookup: expected a function, got ${typeof lookup}`)
  return {
    allowHosts: list('allowHosts', options.allowHosts),
    allowPrivateNetworks: list('allowPrivateNetworks', options.allowPrivateNetworks),
    timeoutMilliseconds: integer(
      'timeoutMilliseconds',
      options.timeoutMilliseconds ?? limits.fetchMilliseconds,
      1,
      60_000,
    ),
    concurrencyPerHost: integer('concurrencyPerHost', options.concurrencyPerHost ?? limits.fetchesPerHost, 1, 64),
    failureMilliseconds: integer(
      'failureMilliseconds',
      options.failureMilliseconds ?? limits.fetchFailureMilliseconds,
      0,
      60_000,
    ),
    ca: options.ca === undefined ? undefined : certificatesOf('ca', options.ca),
    now,
    lookup,
  }
}

export function describeFetcher({ ca, now, lookup, ...others }: FetcherSettings): Description {
  return {
    kind: 'fetcher',
    ca: ca && fingerprintsOf(ca),
    clock: now === Date.now ? 'system' : 'custom',
    lookup: lookup === resolveHost ? 'system' : 'custom',
    ...others,
  }
}

function list(name: string, value: readonly string[] = []): readonly string[] {
  if (!Array.isArray(value))
    throw new ClientCertConfigError(`${name}: expected a list, got ${typeof value} — write [ … ]`)
  return [...value]
}

function integer(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new ClientCertConfigError(`${name}: expected a whole number from ${least} to ${most}, got ${String(value)}`)
}

/** SHA-256 of each, for a description. */
export const fingerprintsOf = (ca: readonly string[]): readonly string[] =>
  ca.flatMap((pem) => parseBundle('ca', pem, 'pinned').map(({ fingerprint }) => fingerprint))

/** PEM of each. Node passes over what it cannot read in `ca`: it is read here first. Throws {@link ClientCertConfigError}. */
export function certificatesOf(where: string, ca: NonNullable<FetcherOptions['ca']>): readonly string[] {
  const parts = Array.isArray(ca) ? ca : [ca]
  if (parts.length === 0)
    throw new ClientCertConfigError(`${where}: is an empty list — leave it out for the public roots`)
  return parts.flatMap((part: unknown) => {
    if (typeof part !== 'string' && !(part instanceof Uint8Array))
      throw new ClientCertConfigError(`${where}: expected PEM text or DER octets, got ${typeof part}`)
    return parseBundle(where, part, 'pinned').map(({ der }) => formatPem('CERTIFICATE', der))
  })
}
