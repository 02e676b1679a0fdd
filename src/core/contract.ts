import type { TLSSocket } from 'node:tls'
import type { AnyClientCertError } from '../errors.js'
import type { Hold } from '../ledger/anchor-records.js'
import type { ReportOptions, RotationReport } from '../ledger/rotation-report.js'
import type { Rule } from '../rules/rule.js'
import type { AnyRequest, PresentedChain } from '../source/source.js'
import type { DecisionFacts } from './audit.js'
import type { CandidateReport } from './candidate-report.js'
import type { Decision } from './decision.js'
import type { Authentication } from './decision-memory.js'
import type { PolicyDescription } from './describe.js'
import type { Settings } from './options.js'
import type { Observer, Reporting } from './reporting.js'
import type { Standing } from './standing.js'

/** Decides who a client is. Made by `createAuthenticator`; one may serve any number of mounts, servers and sockets. */
export interface Authenticator {
  /** Decides about a request, by the configured source. Never rejects. */
  authenticate(request: AnyRequest): Promise<Decision>
  /** Decides about a connection without requests: upgrades, MQTT, bare TLS. Never rejects. */
  authenticateSocket(socket: TLSSocket): Promise<Decision>
  /** Decides about octets from elsewhere. Never rejects. */
  authenticateChain(chain: PresentedChain): Promise<Decision>
  /** Resolves when everything that was configured is loaded and fresh, the revocation checker's sources too; rejects with the reason where it is not. */
  ready(): Promise<void>
  /**
   * The effective policy as frozen data: anchors, rules, profile, revocation, source, exceptions, every dangerous switch, and a `policyHash` that is the
   * same wherever all that is the same. Remembered until something was read again.
   *
   * @example
   * logger.info(auth.describe().policyHash) // '3f9a5c0e6b1d2f4a'
   */
  describe(): PolicyDescription
  /**
   * Who was accepted by which CA since this process began, and what may be removed or must be renewed: anchors with `safeToRemove`, certificates, those
   * that expire, algorithms in use. Frozen, and plain data. Throws `ClientCertConfigError` for wrong options.
   *
   * @example
   * auth.report({ days: 45 }).anchors.filter(({ safeToRemove }) => safeToRemove)
   */
  report(options?: ReportOptions): RotationReport
  /**
   * How the candidate policy compares with the enforced one; undefined where there is no `candidate`.
   *
   * @example
   * auth.candidateReport()?.identities.filter(({ kind }) => kind === 'would-refuse')
   */
  candidateReport(): CandidateReport | undefined
  /**
   * Stops watching the files of `trust` and `intermediates`. Everything after it is refused with `ERR_CLIENT_CERT_NOT_READY`. What was given to it ready
   * made, a revocation checker or a `TrustStore`, may be another's too, and is for whoever made it to close.
   */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** @internal The door for mounts and guards of any copy of this package. */
export const internals = Symbol.for('mtls-identity/1.Authenticator')

/** Whether a value is an authenticator, made by any copy of this package. */
export const isAuthenticator = (value: unknown): value is AuthenticatorInternals =>
  typeof value === 'object' && value !== null && internals in value

export interface AuthenticatorInternals extends Authenticator {
  readonly [internals]: {
    /** A promise only where something has to be found out: what is remembered is there at once. */
    decide(request: AnyRequest, reporting: Reporting): Decision | Promise<Decision>
    report(decision: Decision, reporting: Reporting, request: AnyRequest | undefined, facts: DecisionFacts): void
    /** Looks once at a rule a guard asks beside the authenticator's own. */
    checkRule(rule: Rule): void
    /** Header fields decisions depend on. */
    readonly fields: readonly string[]
    readonly settings: Settings
    /** Decides again about what was accepted before, as it is remembered on a connection or in an identity. */
    decideAgain(standing: Standing, request: AnyRequest | undefined): Promise<Decision>
    /** The same of path and revocation alone, without rules. Resolves to the refusal, which was reported. */
    authenticateAgain(standing: Standing): Promise<Authentication | AnyClientCertError>
    /** What was accepted on a connection last, whether or not it holds. */
    standingOf(socket: object): Standing | undefined
    /** For an open connection, which keeps its anchor in use also without requests. */
    hold(connection: object): Hold
    /** Of each certificate that is in use, for metrics: see `daysLeftInUse`. */
    daysLeft(): readonly number[]
    /** Changes whenever remembered decisions have to be made again. */
    stamp(): string
    /** Tells an observer of every decision from now on. Returns what stops it. */
    observe(observer: Observer): () => void
  }
}
