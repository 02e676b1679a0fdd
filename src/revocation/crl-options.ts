import { type Description, shownUrl } from '../description.js'
import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { configuredUrl } from './fetch-url.js'
import { certificatesOf, type FetcherOptions, fingerprintsOf } from './fetcher-options.js'

/** Where CRLs come from. At least one of `files`, `directory`, `urls` and `fromCertificate` has to be said. */
export interface CrlOptions {
  /** Paths of CRLs, PEM (one or many) or DER; read now and watched. */
  files?: string | readonly string[]
  /** A directory of them: `.crl .pem .der`; read now and watched. */
  directory?: string
  /** `http:` or `https:` addresses of CRLs, fetched at start and again before each ends. May be on a private network. */
  urls?: string | readonly string[]
  /**
   * Fetch what the certificate's own cRLDistributionPoints name: only once its path is verified, and only from `allowHosts`. The first request of each
   * CA waits for it.
   */
  fromCertificate?: boolean
  /** Hosts that certificates may send us to: `crl.example.com`, or `.example.com` for all below it. Required with `fromCertificate`. */
  allowHosts?: readonly string[]
  /** Networks in CIDR notation that addresses to fetch from may lie in although they are not public: `10.20.0.0/16`. */
  allowPrivateNetworks?: readonly string[]
  /** Certificates, PEM or DER, that https servers of CRLs are verified with, instead of the public roots Node knows. Clients are never verified with them. */
  ca?: FetcherOptions['ca']
  /** Ask about the end entity only. Default: about every certificate of the path but the anchor, as RFC 5280 §6.1.3 (a)(3) does. */
  leafOnly?: boolean
  /** Seconds after its thisUpdate for which a CRL is believed, where that is earlier than its nextUpdate. Default: nextUpdate alone decides. */
  maxAge?: number
  /** `false`: files are read once. Default true: a changed file is read within two seconds, whole or not at all. */
  watch?: boolean
  /** Octets of one fetched or read CRL. Default 64 MiB. */
  maximumBytes?: number
  /** Milliseconds a fetch may take, from the name's resolution to the last octet: 1 to 60,000. Default 3,000. */
  timeoutMilliseconds?: number
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
}

/** @internal The names of all options; a test compares them with the README. */
export const crlOptionNames: readonly (keyof CrlOptions)[] = [
  'files',
  'directory',
  'urls',
  'fromCertificate',
  'allowHosts',
  'allowPrivateNetworks',
  'ca',
  'leafOnly',
  'maxAge',
  'watch',
  'maximumBytes',
  'timeoutMilliseconds',
  'now',
]

export interface CrlSettings {
  readonly files: readonly string[]
  readonly directory: string | undefined
  readonly urls: readonly string[]
  readonly fromCertificate: boolean
  readonly allowHosts: readonly string[]
  readonly allowPrivateNetworks: readonly string[]
  /** PEM. */
  readonly ca: readonly string[] | undefined
  readonly leafOnly: boolean
  /** Milliseconds. */
  readonly maxAge: number
  readonly watch: boolean
  readonly maximumBytes: number
  readonly timeoutMilliseconds: number
  readonly clock: 'system' | 'custom'
  /** NaN where the operator's clock fails; whoever compares with it has to do so in favour of asking again. */
  readonly now: () => number
}

/** Reads the options once. Throws {@link ClientCertConfigError}, with the fix, for whatever is unknown, missing or contradictory. */
export function resolveCrlOptions(options: CrlOptions): CrlSettings {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw refuse(`expected options — ${example}`)
  refuseUnknownOptions('crl', options, crlOptionNames)
  refuseUndefinedOptions('crl', options)
  const { directory, fromCertificate = false, leafOnly = false, watch = true, now = Date.now } = options
  const { maxAge = Number.POSITIVE_INFINITY, maximumBytes = limits.crlBytes } = options
  const { timeoutMilliseconds = limits.fetchMilliseconds } = options
  if (directory !== undefined && (typeof directory !== 'string' || directory === ''))
    throw refuse('directory is not a path')
  if (typeof now !== 'function') throw refuse('now is not a function')
  if (options.maxAge !== undefined && !(typeof maxAge === 'number' && maxAge > 0 && Number.isFinite(maxAge)))
    throw refuse(`maxAge is a positive number of seconds, got ${shown(maxAge)}`)
  const settings: CrlSettings = {
    files: texts('files', options.files),
    directory,
    urls: texts('urls', options.urls).map((url) => configuredUrl('crl: urls', url)),
    fromCertificate: flag('fromCertificate', fromCertificate),
    allowHosts: texts('allowHosts', options.allowHosts),
    allowPrivateNetworks: texts('allowPrivateNetworks', options.allowPrivateNetworks),
    ca: options.ca === undefined ? undefined : certificatesOf('crl: ca', options.ca),
    leafOnly: flag('leafOnly', leafOnly),
    maxAge: maxAge * 1000,
    watch: flag('watch', watch),
    maximumBytes: integer('maximumBytes', maximumBytes, limits.crlBytes),
    timeoutMilliseconds: integer('timeoutMilliseconds', timeoutMilliseconds, 60_000),
    clock: now === Date.now ? 'system' : 'custom',
    now: steadily(now),
  }
  checkSources(settings)
  return settings
}

/** Which CRLs there are is the CAs' doing, and no part of it. */
export function describeCrl(settings: CrlSettings): Description {
  const { files, directory, urls, ca, maxAge, watch, now: ignored, ...others } = settings
  const hasFiles = files.length > 0 || directory !== undefined
  return {
    kind: 'crl',
    where: { files, directory },
    hasFiles,
    watch: hasFiles ? watch : undefined,
    urls: urls.map(shownUrl),
    ca: ca && fingerprintsOf(ca),
    maxAgeSeconds: Number.isFinite(maxAge) ? maxAge / 1000 : null,
    ...others,
  }
}

const example = "crl({ files: './clients.crl' })"

function checkSources(settings: CrlSettings): void {
  const { files, directory, urls, fromCertificate, allowHosts, allowPrivateNetworks, ca } = settings
  if (files.length + urls.length === 0 && directory === undefined && !fromCertificate) {
    throw refuse(`no source of CRLs — ${example}, or directory, urls, fromCertificate`)
  }
  if (fromCertificate && allowHosts.length === 0) {
    throw refuse(
      "fromCertificate: a certificate may name any host — say which are asked: allowHosts: ['crl.example.com']",
    )
  }
  if (!fromCertificate && allowHosts.length > 0)
    throw refuse('allowHosts is about the addresses in certificates — add fromCertificate: true')
  if (!fromCertificate && urls.length === 0 && allowPrivateNetworks.length > 0)
    throw refuse('allowPrivateNetworks is about CRLs that are fetched — add urls, or fromCertificate: true')
  if (!fromCertificate && urls.length === 0 && ca !== undefined)
    throw refuse(
      'ca is about https servers that CRLs are fetched from — add urls, or fromCertificate: true; who issues clients, trust says',
    )
}

/** One text or a list of them; an empty list is a mistake, like an empty text. */
function texts(name: string, given: string | readonly string[] | undefined): readonly string[] {
  if (given === undefined) return []
  const list: readonly unknown[] = typeof given === 'string' ? [given] : given
  const fits = Array.isArray(list) && list.length > 0 && list.every((item) => typeof item === 'string' && item !== '')
  if (!fits) throw refuse(`${name} is not a text or a list of texts: ${shown(given)}`)
  return Object.freeze([...new Set(list as readonly string[])])
}

function flag(name: string, given: unknown): boolean {
  if (typeof given !== 'boolean') throw refuse(`${name} is true or false, got ${shown(given)}`)
  return given
}

function integer(name: string, given: unknown, most: number): number {
  if (Number.isInteger(given) && (given as number) > 0 && (given as number) <= most) return given as number
  throw refuse(`${name} is a whole number from 1 to ${most}, got ${shown(given)}`)
}

/** A clock that fails must not end the process from within a timer. */
const steadily = (now: () => number) => () => {
  try {
    const at = now()
    return typeof at === 'number' ? at : Number.NaN
  } catch {
    return Number.NaN
  }
}

/** What was given, for a message: short, and whatever it is. */
function shown(given: unknown): string {
  if (typeof given === 'string') return quote(given)
  if (Array.isArray(given)) return given.length === 0 ? 'an empty list' : `a list with ${given.length} items`
  return typeof given === 'object' && given !== null ? 'an object' : String(given)
}

const refuse = (reason: string) => new ClientCertConfigError(`crl: ${reason}`)
