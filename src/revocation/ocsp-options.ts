import { type Description, descriptionOf, shownUrl } from '../description.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { quote } from '../help.js'
import { parseBundle } from '../trust/trust-bundle.js'
import type { CertIdHash } from '../x509/ocsp-request.js'
import { type CertificateChecker, isCertificateChecker } from './certificate-status.js'
import { describeChecker } from './checker.js'
import { createDocumentFetcher, type DocumentFetcher, type FetcherOptions } from './document-fetcher.js'
import { configuredUrl } from './fetch-url.js'
import { certificatesOf } from './fetcher-options.js'
import type { OcspPolicy } from './ocsp-answer.js'

/** The issuer of a certificate that is asked about. */
export interface OcspIssuer {
  /** RFC 4514 text. */
  readonly subject: string
  /** SHA-256 of its certificate, lower-case hex. */
  readonly fingerprint: string
}

/** Who is asked, and what is believed. Without `responder`, `fromCertificate` and `allowHosts` have to be said. */
export interface OcspOptions {
  /**
   * Who is asked: one http or https URL for all issuers, or a function of the issuer, which returns undefined where another way is to be taken.
   * Configured responders may be at private addresses.
   */
  responder?: string | ((issuer: OcspIssuer) => string | undefined)
  /**
   * Ask whom the certificate names (authorityInfoAccess), where `responder` names nobody. Only hosts in `allowHosts` are asked, only after the path
   * was verified. Default false: what a certificate says would otherwise decide where this server connects to.
   */
  fromCertificate?: boolean
  /** Hosts that certificates may name, `'ocsp.example'` or with everything below it `'.example'`. */
  allowHosts?: readonly string[]
  /** Networks in CIDR notation that are neither public nor otherwise allowed, and may be connected to. */
  allowPrivateNetworks?: readonly string[]
  /** Of the names and keys in a request. Default `'sha1'`, which every responder knows; it protects nothing (RFC 6960 §4.1.1). */
  hash?: CertIdHash
  /** `'get'`: requests of up to 255 octets go by GET, so that HTTP caches in between may answer (RFC 5019 §5). Default `'post'`. */
  method?: 'get' | 'post'
  /**
   * `'preferred'`: 32 random octets go with each request, and an answer with others is not believed. `'required'`: nor is one with none. Default
   * `'none'`: most large responders sign beforehand and ignore nonces, and caches cannot answer. Replays are bounded by nextUpdate then, and an
   * older answer never replaces a newer one.
   */
  nonce?: 'none' | 'preferred' | 'required'
  /** How far clocks may be apart: 86,400 at most. Default 300. */
  skewSeconds?: number
  /**
   * How old an answer may be, by its thisUpdate. Default 604,800 (7 days), and 300 for an answer without nextUpdate, whose responder has newer
   * information all the time (RFC 6960 §4.2.2.1). A number here is for both.
   */
  maxAgeSeconds?: number
  /**
   * How long an answer is used before it is asked for anew while it still serves: how soon a revocation is seen where responders sign for days.
   * Default 3,600; sooner where the answer or HTTP says so, never below 5.
   */
  refreshSeconds?: number
  /** Ask about the end entity only. Default false: about every certificate of the path but the anchor. */
  leafOnly?: boolean
  /** Certificates of responders, PEM or DER, whose answers are believed about every issuer (RFC 6960 §4.2.2.2). Default none. */
  responderCertificates?: string | Uint8Array
  /**
   * Which delegates are believed that say nothing about their own revocation (id-pkix-ocsp-nocheck, RFC 6960 §4.2.2.2.1). Default `'nocheck'`: none.
   * `'unchecked'`: all, until they end, as OpenSSL and Go do. A checker, `crl(…)` say: those that it finds good.
   */
  delegates?: 'nocheck' | 'unchecked' | CertificateChecker
  /** From the request to the last octet of the answer. Default 3,000. */
  timeoutMilliseconds?: number
  /** Certificates, PEM or DER, that https responders are verified with, instead of the public roots Node knows. Clients are never verified with them. */
  ca?: FetcherOptions['ca']
  /** Fetches for several checkers: `allowHosts`, `allowPrivateNetworks`, `timeoutMilliseconds` and `ca` are its own then. */
  fetcher?: DocumentFetcher
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
}

const optionNames: readonly (keyof OcspOptions)[] = [
  'responder',
  'fromCertificate',
  'allowHosts',
  'allowPrivateNetworks',
  'hash',
  'method',
  'nonce',
  'skewSeconds',
  'maxAgeSeconds',
  'refreshSeconds',
  'leafOnly',
  'responderCertificates',
  'delegates',
  'timeoutMilliseconds',
  'ca',
  'fetcher',
  'now',
]

export interface OcspSettings {
  readonly responder: (issuer: OcspIssuer) => string | undefined
  /** As it was written: a URL, or a function. */
  readonly responderOption: OcspOptions['responder']
  readonly fromCertificate: boolean
  readonly hash: CertIdHash
  readonly method: 'get' | 'post'
  readonly leafOnly: boolean
  /** Milliseconds. */
  readonly refresh: number
  readonly policy: OcspPolicy
  /** Answers for delegates, where they are `'checked'`. */
  readonly delegateChecker: CertificateChecker | undefined
  readonly fetcher: DocumentFetcher
  /** It was made here, and is closed here. */
  readonly ownsFetcher: boolean
  readonly now: () => number
}

/** Reads options once. Throws {@link ClientCertConfigError}, with the fix, for whatever is unknown, missing or contradictory. */
export function resolveOcspOptions(options: OcspOptions): OcspSettings {
  if (typeof options !== 'object' || options === null) throw wrong('expected options', example)
  refuseUnknownOptions('ocsp', options, optionNames)
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) throw wrong(`${name} is undefined`, 'leave the option out, or give it a value')
  }
  const { hash = 'sha1', method = 'post', nonce = 'none', leafOnly = false, now = Date.now } = options
  oneOf('hash', hash, ['sha1', 'sha256'])
  oneOf('method', method, ['get', 'post'])
  oneOf('nonce', nonce, ['none', 'preferred', 'required'])
  typed('leafOnly', leafOnly, 'boolean')
  typed('now', now, 'function')
  const responder = responderOf(options)
  const { delegates, delegateChecker } = delegatesOf(options)
  const responders = respondersOf(options)
  const policy = {
    skew: milliseconds(options, 'skewSeconds', fiveMinutes, day),
    maxAge: maxAgeOf(options),
    nonce,
    delegates,
    responders,
  }
  return {
    responder,
    responderOption: options.responder,
    fromCertificate: options.fromCertificate === true,
    hash,
    method,
    leafOnly,
    refresh: milliseconds(options, 'refreshSeconds', hour, year),
    policy,
    delegateChecker,
    fetcher: fetcherOf(options),
    ownsFetcher: options.fetcher === undefined,
    now,
  }
}

export function describeOcsp(settings: OcspSettings): Description {
  const { responderOption, policy, refresh, delegateChecker, fetcher, now } = settings
  const { fromCertificate, hash, method, leafOnly } = settings
  return {
    kind: 'ocsp',
    responder: typeof responderOption === 'string' ? shownUrl(responderOption) : responderOption && 'function',
    where: { responder: typeof responderOption === 'function' ? responderOption.name : undefined },
    fromCertificate,
    hash,
    method,
    nonce: policy.nonce,
    skewSeconds: policy.skew / 1000,
    maxAgeSeconds: {
      withNextUpdate: policy.maxAge.withNextUpdate / 1000,
      withoutNextUpdate: policy.maxAge.withoutNextUpdate / 1000,
    },
    refreshSeconds: refresh / 1000,
    leafOnly,
    responderCertificates: policy.responders.map(({ fingerprint }) => fingerprint),
    delegates: delegateChecker === undefined ? policy.delegates : describeChecker(delegateChecker),
    fetcher: descriptionOf(fetcher, 'fetcher'),
    clock: now === Date.now ? 'system' : 'custom',
  }
}

const example = "ocsp({ responder: 'http://ocsp.example/' })"
const otherExample = "ocsp({ fromCertificate: true, allowHosts: ['ocsp.example'] })"

const wrong = (fact: string, fix: string) => new ClientCertConfigError(`ocsp: ${fact} — ${fix}`)

function oneOf(name: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string))
    throw wrong(`${name} is ${shown(value)}`, `write ${words.map((word) => `'${word}'`).join(' or ')}`)
}

function typed(name: string, value: unknown, type: 'boolean' | 'function'): void {
  if (typeof value !== type) throw wrong(`${name} is ${shown(value)}`, `write a ${type}`)
}

const shown = (value: unknown) => (typeof value === 'string' ? quote(value) : `a ${typeof value}`)

function responderOf({
  responder,
  fromCertificate = false,
  allowHosts,
  fetcher,
}: OcspOptions): OcspSettings['responder'] {
  typed('fromCertificate', fromCertificate, 'boolean')
  if (responder === undefined && !fromCertificate)
    throw wrong('there is nobody to ask', `${example}; or, to ask whom certificates name, ${otherExample}`)
  if (fromCertificate && fetcher === undefined && (!Array.isArray(allowHosts) || allowHosts.length === 0)) {
    throw wrong(
      'fromCertificate lets certificates name hosts to connect to, and allowHosts names none that they may',
      otherExample,
    )
  }
  if (responder === undefined) return () => undefined
  if (typeof responder === 'function') return (issuer) => checkUrl(responder(issuer))
  const url = checkUrl(responder)
  return () => url
}

/** Also of what a function returns: a mistake there is the operator's, and refuses with 500 until it is mended. */
function checkUrl(url: unknown): string | undefined {
  if (url === undefined) return undefined
  if (typeof url !== 'string') throw wrong(`responder is a ${typeof url}`, example)
  return configuredUrl('ocsp({ responder })', url)
}

function milliseconds(
  options: OcspOptions,
  name: 'skewSeconds' | 'maxAgeSeconds' | 'refreshSeconds',
  fallback: number,
  longest: number,
): number {
  const seconds = options[name] ?? fallback
  if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > longest) {
    throw wrong(
      `${name} is ${typeof seconds === 'number' ? seconds : shown(seconds)}`,
      `write whole seconds, ${longest} at most`,
    )
  }
  return seconds * 1000
}

const [fiveMinutes, hour, day, year] = [300, 3_600, 86_400, 366 * 86_400]

function maxAgeOf(options: OcspOptions): OcspPolicy['maxAge'] {
  return {
    withNextUpdate: milliseconds(options, 'maxAgeSeconds', 7 * day, year),
    withoutNextUpdate: milliseconds(options, 'maxAgeSeconds', fiveMinutes, year),
  }
}

function delegatesOf({
  delegates = 'nocheck',
}: OcspOptions): Pick<OcspSettings, 'delegateChecker'> & Pick<OcspPolicy, 'delegates'> {
  if (delegates === 'nocheck' || delegates === 'unchecked') return { delegates, delegateChecker: undefined }
  if (typeof delegates === 'object' && delegates !== null && isCertificateChecker(delegates))
    return { delegates: 'checked', delegateChecker: delegates }
  throw wrong(
    `delegates is ${shown(delegates)}`,
    "write 'nocheck', 'unchecked' or a checker that answers for single certificates, crl(…) say",
  )
}

function respondersOf({ responderCertificates }: OcspOptions): OcspPolicy['responders'] {
  if (responderCertificates === undefined) return []
  const isText = typeof responderCertificates === 'string'
  if (!isText && !(responderCertificates instanceof Uint8Array))
    throw wrong(`responderCertificates is ${shown(responderCertificates)}`, 'write PEM text or DER octets')
  if (isText && !responderCertificates.includes('-----BEGIN'))
    throw wrong(
      `responderCertificates is ${shown(responderCertificates)}, which is no PEM`,
      "readFileSync('./ocsp-responder.pem', 'utf8')",
    )
  return parseBundle('ocsp: responderCertificates', responderCertificates, 'pinned')
}

function fetcherOf(options: OcspOptions): DocumentFetcher {
  const { fetcher, allowHosts, allowPrivateNetworks, timeoutMilliseconds, ca, now } = options
  const given = { allowHosts, allowPrivateNetworks, timeoutMilliseconds, ca: ca && certificatesOf('ocsp: ca', ca) }
  const own = Object.entries(given).filter(([, value]) => value !== undefined)
  if (fetcher === undefined) return createDocumentFetcher(Object.fromEntries([...own, ...(now ? [['now', now]] : [])]))
  if (typeof fetcher?.fetch !== 'function')
    throw wrong(`fetcher is ${shown(fetcher)}`, 'leave it out, or write createDocumentFetcher({ … })')
  if (own.length === 0) return fetcher
  throw wrong(
    `${own[0]?.[0]} is the fetcher's business where one is given`,
    `createDocumentFetcher({ ${own[0]?.[0]}: … })`,
  )
}
