import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity, Principal } from '../identity/identity.js'
import { type PathProfile, type ResolvedProfile, resolveProfile } from '../path/profile.js'
import type { RevocationChecker } from '../revocation/checker.js'
import { isRule, type Rule } from '../rules/rule.js'
import type { AnyRequest, CertificateSource } from '../source/source.js'
import { tlsSocket } from '../source/tls-socket.js'
import { resolveTrust, type Trust } from '../trust/trust-option.js'
import type { TrustStore } from '../trust/trust-store.js'
import type { Decision } from './decision.js'
import { type LogFunction, stderrLog } from './log.js'

export interface AuthenticatorOptions {
  /**
   * The trust anchors: the CA that issues your clients' certificates. A path (PEM or DER, read now and watched), PEM text, DER octets,
   * `{ file }`, `{ directory }`, a `TrustStore`, a list of these, or named sets `{ partners: …, pinned: … }`. Never the system's roots.
   */
  trust: Trust
  /** Untrusted CA certificates to complete paths with: resumed TLS sessions and most proxies deliver the end entity only. */
  intermediates?: Trust
  /** `false`: files are read once. Default true: a changed file is read within two seconds, whole or not at all. */
  watch?: boolean
  /**
   * How long the last good files of `trust` and `intermediates` are believed while what should replace them cannot be read: milliseconds,
   * default a day, `Infinity` for ever. After it, everybody is refused with 503. A `TrustStore` has its own.
   */
  maxStaleness?: number
  /** Where the certificate comes from. Default `tlsSocket()`. */
  source?: CertificateSource
  /** `'none'`, or who answers for revocation. Omitted, nothing is checked and a warning says so. */
  revocation?: RevocationChecker | 'none'
  /** What must hold of the identity on every request, beyond a valid path. */
  rules?: Rule
  /** Default `'strict'`. `'compatible'` also admits an absent extendedKeyUsage and v1 end entities, as nginx and Azure API Management do. */
  profile?: 'strict' | 'compatible' | Partial<PathProfile>
  /** `false` for silence, or who gets the operator's lines. Default: stderr, at most one line per code and issuer in ten seconds. */
  log?: false | LogFunction
  /** Maps an identity to what your application calls it. Undefined, a rejection and an exception refuse. Remembered with the identity. */
  resolve?: (identity: ClientIdentity) => Principal | undefined | Promise<Principal | undefined>
  /** Hears every decision. What it throws changes nothing. */
  onDecision?: (decision: Decision, context: { request?: AnyRequest; remembered: boolean }) => void
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
}

/** @internal The names of all options; a test compares them with the README. */
export const optionNames: readonly (keyof AuthenticatorOptions)[] = [
  'trust',
  'intermediates',
  'watch',
  'maxStaleness',
  'source',
  'revocation',
  'rules',
  'profile',
  'log',
  'resolve',
  'onDecision',
  'now',
]

export interface Settings {
  readonly trust: TrustStore
  readonly intermediates: TrustStore | undefined
  /** The stores that were made here, and are closed with the authenticator. */
  readonly ownStores: readonly TrustStore[]
  readonly source: CertificateSource
  readonly revocation: RevocationChecker | 'none'
  readonly rules: Rule | undefined
  readonly profile: ResolvedProfile
  readonly log: LogFunction | undefined
  readonly resolve: AuthenticatorOptions['resolve']
  readonly onDecision: AuthenticatorOptions['onDecision']
  readonly now: () => number
}

/** Reads options once. Throws {@link ClientCertConfigError}, with the fix, for whatever is unknown, missing or contradictory. */
export function resolveOptions(options: AuthenticatorOptions): Settings {
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError(
      "createAuthenticator: expected options — createAuthenticator({ trust: './clients-ca.pem' })",
    )
  }
  refuseUnknownOptions('createAuthenticator', options, optionNames)
  refuseUndefined(options)
  const { watch = true, source = tlsSocket(), rules, log, resolve, onDecision, now = Date.now } = options
  expectType('watch', watch, 'boolean')
  expectType('now', now, 'function')
  if (resolve !== undefined) expectType('resolve', resolve, 'function')
  if (onDecision !== undefined) expectType('onDecision', onDecision, 'function')
  if (log !== undefined && log !== false) expectType('log', log, 'function')
  if (typeof source?.read !== 'function')
    throw new ClientCertConfigError('source: expected tlsSocket() or forwardedHeader({ … })')
  if (rules !== undefined && !isRule(rules)) {
    throw new ClientCertConfigError(
      'rules: expected a rule — rules.any(rules.dnsName("a.test"), …); a function becomes one by rules.custom("name", fn)',
    )
  }
  const profile = resolveProfile(options.profile)
  const revocation = revocationOf(options)
  const { maxStaleness } = options
  const trust = resolveTrust('trust', options.trust, watch, maxStaleness)
  const intermediates =
    options.intermediates === undefined
      ? undefined
      : resolveTrust('intermediates', options.intermediates, watch, maxStaleness)
  const ownStores = [trust, intermediates].filter(
    (store) => store !== undefined && store !== options.trust && store !== options.intermediates,
  )
  return {
    trust,
    intermediates,
    ownStores: ownStores as TrustStore[],
    source,
    revocation,
    rules,
    profile,
    log: log === false ? undefined : (log ?? stderrLog()),
    resolve,
    onDecision,
    now,
  }
}

/** `{ rules: undefined }` is a rule that was meant and got lost; to leave a check out, leave the option out. */
function refuseUndefined(options: AuthenticatorOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined)
      throw new ClientCertConfigError(`${name}: is undefined — leave the option out, or give it a value`)
  }
}

function expectType(name: string, value: unknown, type: 'boolean' | 'function'): void {
  if (typeof value !== type)
    throw new ClientCertConfigError(`${name}: expected a ${type}, got ${value === null ? 'null' : typeof value}`)
}

let warned = false

function revocationOf({ revocation }: AuthenticatorOptions): RevocationChecker | 'none' {
  if (revocation === undefined) {
    if (!warned) {
      process.emitWarning(
        "no revocation checking: a revoked certificate stays valid until it ends — say revocation: 'none' if that is meant",
        {
          type: 'MtlsIdentityWarning',
          code: 'MTLS_NO_REVOCATION',
        },
      )
    }
    warned = true
    return 'none'
  }
  if (revocation === 'none' || typeof revocation?.check === 'function') return revocation
  throw new ClientCertConfigError(`revocation: expected 'none' or a checker, got ${JSON.stringify(revocation)}`)
}
