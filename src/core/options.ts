import { ClientCertConfigError, nearest, refuseUnknownOptions } from '../errors.js'
import type { Principal } from '../identity/identity.js'
import { dayMilliseconds, type ExpiryOptions, resolveExpiry } from '../ledger/expiry.js'
import { type NextStandard, resolveNextStandard } from '../path/next-standard.js'
import { type PathProfile, type ResolvedProfile, resolveProfile } from '../path/profile.js'
import type { RevocationChecker } from '../revocation/checker.js'
import { document, type RuleFile } from '../rules/document-rule.js'
import { isRule, partsOf, type Rule } from '../rules/rule.js'
import type { RuleDocument } from '../rules/rule-document.js'
import type { CertificateSource } from '../source/source.js'
import { tlsSocket } from '../source/tls-socket.js'
import { resolveTrust, type Trust } from '../trust/trust-option.js'
import type { TrustStore } from '../trust/trust-store.js'
import { warn } from '../warn.js'
import { Bursts } from './bursts.js'
import type { Decision } from './decision.js'
import { ExceptionList, type Exceptions } from './exceptions.js'
import { type LogFunction, stderrLog } from './log.js'
import { PrincipalMemory, type PrincipalSource, principalSources, type Resolve } from './principal.js'
import type { DecisionContext, Observer } from './reporting.js'
import type { RequestId } from './request-id.js'

export type { DecisionContext } from './reporting.js'

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
  /** What must hold of the identity on every request, beyond a valid path: a rule, a document, or `{ file }` with one, watched. */
  rules?: Rule | RuleDocument | RuleFile
  /** Default `'strict'`. `'compatible'` also admits an absent extendedKeyUsage and v1 end entities, as nginx and Azure API Management do. */
  profile?: 'strict' | 'compatible' | Partial<PathProfile>
  /** `false` for silence, or who gets the operator's lines. Default: stderr, at most one line per code and issuer, or rule, in ten seconds. */
  log?: false | LogFunction
  /**
   * Maps an identity to what your application calls it. Undefined, a rejection, an exception and no answer within ten seconds refuse. It never
   * sees the request; its answer is remembered for `principalLifetime`.
   */
  resolve?: Resolve
  /** Instead of `resolve`: the certificate's only name of this form is its principal. None, and a second one, refuse. */
  principalFrom?: string extends Principal ? PrincipalSource : never
  /** Milliseconds after which `resolve` is asked again for the same certificate. Default 300,000; at most a day. */
  principalLifetime?: number
  /**
   * Days before a client's certificate ends at which `mtls-identity:identity` hears of it, once each: `{ warnDays: [30, 7, 1] }` is the default. Those
   * longer than half of a certificate's lifetime do not apply to it.
   */
  expiry?: ExpiryOptions
  /**
   * What will be asked of certificates one day, as fields of `profile`: `{ minimumRsaBits: 3072 }`. Nobody is refused by it; `mtls-identity:identity`
   * and `report()` tell whose certificate falls short.
   */
  nextStandard?: NextStandard
  /** Certificates admitted although something is wrong with them, each until a day: a list, or `{ file }` with one, watched. */
  exceptions?: Exceptions
  /** Hears every decision. What it throws changes nothing. */
  onDecision?: (decision: Decision, context: DecisionContext) => void
  /** Lets `context.audit`, `report()` and the diagnostics channels name subject and issuer. Default false. */
  auditNames?: boolean
  /**
   * What your application calls a request, of which a client may be told: it is in the operator's line, in audit events, and in the answer to a refusal,
   * which says nothing else of its reason. What it throws counts as no name.
   */
  requestId?: RequestId
  /**
   * Another policy that decides beside this one, and nothing comes of it but `candidateReport()` and the channel `mtls-identity:candidate`. What
   * is left out is as it is here.
   */
  candidate?: CandidateOptions
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
}

/** What differs in a candidate policy. Each replaces the enforced one's whole: `profile: { … }` is over `'strict'` again. */
export type CandidateOptions = Partial<
  Pick<AuthenticatorOptions, 'trust' | 'intermediates' | 'rules' | 'revocation' | 'profile'>
>

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
  'principalFrom',
  'principalLifetime',
  'expiry',
  'nextStandard',
  'exceptions',
  'onDecision',
  'auditNames',
  'requestId',
  'candidate',
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
  /** Stops watching the file of rules, where it was opened here. */
  readonly closeRules: () => void
  readonly profile: ResolvedProfile
  readonly log: LogFunction | undefined
  readonly principals: PrincipalMemory | undefined
  readonly principalFrom: PrincipalSource | undefined
  /** Days before the end of a certificate, the longest first. */
  readonly warnDays: readonly number[]
  readonly nextStandard: ResolvedProfile | undefined
  readonly exceptions: ExceptionList | undefined
  readonly onDecision: AuthenticatorOptions['onDecision']
  readonly auditNames: boolean
  readonly requestId: RequestId | undefined
  /** Of our own rooms: metrics and traces. They come and go; the list is replaced. */
  observers: readonly Observer[]
  readonly bursts: Bursts
  /** Of a candidate policy: the enforced one's. Nobody hears of what a candidate decides, and it closes nothing they share. */
  readonly enforced: Settings | undefined
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
  const { watch = true, source = tlsSocket(), log, onDecision, auditNames = false, requestId, now = Date.now } = options
  expectType('watch', watch, 'boolean')
  expectType('now', now, 'function')
  expectType('auditNames', auditNames, 'boolean')
  if (onDecision !== undefined) expectType('onDecision', onDecision, 'function')
  if (requestId !== undefined) expectType('requestId', requestId, 'function')
  if (log !== undefined && log !== false) expectType('log', log, 'function')
  if (typeof source?.read !== 'function')
    throw new ClientCertConfigError('source: expected tlsSocket(), forwardedHeader({ … }) or byPeer({ … })')
  const profile = resolveProfile(options.profile)
  const { nextStandard } = options
  const standards = {
    warnDays: resolveExpiry(options.expiry),
    nextStandard: nextStandard === undefined ? undefined : resolveNextStandard(nextStandard, profile),
  }
  const revocation = revocationOf(options)
  const rules = rulesOf(options.rules, watch)
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
    closeRules: () => closeRules(options.rules, rules),
    profile,
    log: log === false ? undefined : (log ?? stderrLog()),
    ...principalsOf(options),
    ...standards,
    exceptions: options.exceptions === undefined ? undefined : new ExceptionList(options.exceptions, now),
    onDecision,
    auditNames,
    requestId,
    observers: [],
    bursts: new Bursts(),
    enforced: undefined,
    now,
  }
}

function principalsOf({
  resolve,
  principalFrom,
  principalLifetime = 300_000,
}: AuthenticatorOptions): Pick<Settings, 'principals' | 'principalFrom'> {
  if (resolve !== undefined) expectType('resolve', resolve, 'function')
  if (resolve !== undefined && principalFrom !== undefined) {
    throw new ClientCertConfigError('resolve and principalFrom: both say who a client is — leave one out')
  }
  if (principalFrom !== undefined && !Object.hasOwn(principalSources, principalFrom)) {
    const known = Object.keys(principalSources)
    const near = nearest(String(principalFrom), known)
    throw new ClientCertConfigError(
      `principalFrom: unknown form ${JSON.stringify(principalFrom)}.${near ? ` Did you mean "${near}"?` : ` Known: ${known.join(', ')}`}`,
    )
  }
  if (!(Number.isSafeInteger(principalLifetime) && principalLifetime >= 0 && principalLifetime <= dayMilliseconds)) {
    throw new ClientCertConfigError(
      `principalLifetime: is ${principalLifetime}, expected milliseconds, a day (${dayMilliseconds}) at most`,
    )
  }
  return { principals: resolve && new PrincipalMemory(resolve, principalLifetime), principalFrom }
}

function rulesOf(given: AuthenticatorOptions['rules'], watch: boolean): Rule | undefined {
  if (given === undefined || isRule(given)) return given
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ClientCertConfigError(
      'rules: expected a rule — rules.any(rules.dnsName("a.test"), …); a function becomes one by rules.custom("name", fn)',
    )
  }
  return 'file' in given ? document({ watch, ...given }) : document(given)
}

/** A rule that was given belongs to whoever made it. */
function closeRules(given: AuthenticatorOptions['rules'], rules: Rule | undefined): void {
  if (rules !== undefined && rules !== given) for (const source of partsOf(rules).live) source.close()
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
      warn(
        'MTLS_NO_REVOCATION',
        "no revocation checking: a revoked certificate stays valid until it ends — say revocation: 'none' if that is meant",
      )
    }
    warned = true
    return 'none'
  }
  if (revocation === 'none' || typeof revocation?.check === 'function') return revocation
  throw new ClientCertConfigError(
    `revocation: expected 'none' or a checker, got ${describe(revocation)} — crl({ files: './clients.crl' }), ocsp({ responder: 'http://ocsp.example/' })`,
  )
}

function describe(revocation: unknown): string {
  if (typeof revocation === 'function') return 'a function — call it: crl({ … })'
  if (Array.isArray(revocation)) return 'a list — firstDefinite(…, …) asks several'
  return typeof revocation === 'string' ? JSON.stringify(revocation) : revocation === null ? 'null' : typeof revocation
}
