import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { limits } from '../limits.js'

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
  /** Networks in CIDR notation that addresses of certificates may lie in although they are not public: `10.20.0.0/16`. */
  allowPrivateNetworks?: readonly string[]
  /** Ask about the end entity only. Default: about every certificate of the path but the anchor, as RFC 5280 §6.1.3 (a)(3) does. */
  leafOnly?: boolean
  /** Seconds after its thisUpdate for which a CRL is believed, where that is earlier than its nextUpdate. Default: nextUpdate alone decides. */
  maxAge?: number
  /** `false`: files are read once. Default true: a changed file is read within two seconds, whole or not at all. */
  watch?: boolean
  /** Octets of one fetched or read CRL. Default 64 MiB. */
  maximumBytes?: number
  /** Milliseconds a fetch may take, from the name's resolution to the last octet. Default 3,000. */
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
  readonly leafOnly: boolean
  /** Milliseconds. */
  readonly maxAge: number
  readonly watch: boolean
  readonly maximumBytes: number
  readonly timeoutMilliseconds: number | undefined
  readonly now: () => number
}

/** Reads the options once. Throws {@link ClientCertConfigError}, with the fix, for whatever is unknown, missing or contradictory. */
export function resolveCrlOptions(options: CrlOptions): CrlSettings {
  if (typeof options !== 'object' || options === null) throw refuse(`expected options — ${example}`)
  refuseUnknownOptions('crl', options, crlOptionNames)
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) throw refuse(`${name} is undefined — leave the option out, or give it a value`)
  }
  const { directory, fromCertificate = false, leafOnly = false, watch = true, now = Date.now } = options
  const settings: CrlSettings = {
    files: texts('files', options.files),
    directory,
    urls: texts('urls', options.urls),
    fromCertificate: flag('fromCertificate', fromCertificate),
    allowHosts: texts('allowHosts', options.allowHosts),
    allowPrivateNetworks: texts('allowPrivateNetworks', options.allowPrivateNetworks),
    leafOnly: flag('leafOnly', leafOnly),
    maxAge:
      options.maxAge === undefined ? Number.POSITIVE_INFINITY : positive('maxAge', options.maxAge, 'seconds') * 1000,
    watch: flag('watch', watch),
    maximumBytes: positive('maximumBytes', options.maximumBytes ?? limits.crlBytes, 'octets'),
    timeoutMilliseconds:
      options.timeoutMilliseconds === undefined
        ? undefined
        : positive('timeoutMilliseconds', options.timeoutMilliseconds, 'milliseconds'),
    now,
  }
  if (directory !== undefined && (typeof directory !== 'string' || directory === ''))
    throw refuse('directory is not a path')
  if (typeof now !== 'function') throw refuse('now is not a function')
  checkSources(settings)
  return settings
}

const example = "crl({ files: './clients.crl' })"

function checkSources({ files, directory, urls, fromCertificate, allowHosts, maximumBytes }: CrlSettings): void {
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
  if (maximumBytes > limits.crlBytes) throw refuse(`maximumBytes is more than ${limits.crlBytes}`)
}

/** One text or a list of them; an empty list is a mistake, like an empty text. */
function texts(name: string, given: string | readonly string[] | undefined): readonly string[] {
  if (given === undefined) return []
  const list: readonly unknown[] = typeof given === 'string' ? [given] : given
  const fits = Array.isArray(list) && list.length > 0 && list.every((item) => typeof item === 'string' && item !== '')
  if (!fits) throw refuse(`${name} is not a text or a list of texts: ${JSON.stringify(given)}`)
  return Object.freeze([...(list as readonly string[])])
}

function flag(name: string, given: unknown): boolean {
  if (typeof given !== 'boolean') throw refuse(`${name} is true or false, got ${JSON.stringify(given)}`)
  return given
}

function positive(name: string, given: unknown, unit: string): number {
  if (typeof given === 'number' && given > 0 && Number.isFinite(given)) return given
  throw refuse(`${name} is a positive number of ${unit}, got ${JSON.stringify(given)}`)
}

const refuse = (reason: string) => new ClientCertConfigError(`crl: ${reason}`)
