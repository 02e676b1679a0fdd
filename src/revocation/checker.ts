import { inTime } from '../deadline.js'
import { type Description, descriptionOf } from '../description.js'
import { type AnyClientCertError, asInternal, ClientCertError, deny } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { ResolvedProfile } from '../path/profile.js'
import type { IssuerPool } from '../path/verified-paths.js'
import { isThenable } from '../thenable.js'
import type { Certificate } from '../x509/certificate.js'

/** What a checker learned about a whole path. */
export type RevocationStatus =
  /**
   * Every certificate it answers for is good; `validUntil` is when it has to be asked again. Without it, and without `generation` on the
   * checker, it is asked on every request.
   */
  | { readonly status: 'good'; readonly validUntil?: Date }
  | { readonly status: 'revoked'; readonly depth: number; readonly reason?: string; readonly since?: Date }
  | { readonly status: 'unknown'; readonly reason: string; readonly fix?: string; readonly depth?: number }

/** How old what a checker answers from is, and when it ends. */
export interface RevocationFreshness {
  /** CRLs it has now. */
  readonly crls: number
  /** The oldest thisUpdate, and the earliest nextUpdate, of the CRLs; undefined where none has one. */
  readonly thisUpdate?: Date | undefined
  readonly nextUpdate?: Date | undefined
}

/** The earliest of some instants, in milliseconds since 1970. */
export function earliest(instants: readonly (number | undefined)[]): Date | undefined {
  const known = instants.filter((instant) => instant !== undefined)
  return known.length === 0 ? undefined : new Date(known.reduce((first, instant) => Math.min(first, instant)))
}

/** What a path was validated with: who signs revocation data has a path of its own. */
export interface RevocationContext {
  readonly profile: ResolvedProfile
  /** Where certificates of CRL issuers may come from. None of it is trusted. */
  readonly pool: IssuerPool
}

/**
 * Answers whether certificates of a validated path were revoked (RFC 5280 §6.1.3 (a)(3)). Resolve to `unknown` when the status could not be
 * learned, which refuses with 503; reject only when the checker itself is broken, which refuses with 500.
 */
export interface RevocationChecker {
  readonly name: string
  /** Rises when what the checker knows has changed, so that remembered decisions are made again. */
  readonly generation?: number
  check(path: CertificationPath, at: Date, context: RevocationContext): RevocationStatus | Promise<RevocationStatus>
  /** Hears which CAs are trusted, so that it can warn of those it knows nothing about. Called once, by each authenticator that uses it. */
  attach?(issuers: () => readonly Certificate[]): void
  /**
   * Resolves when everything that was configured is loaded and fresh; rejects with the reason where it is not. May be called again and again, by a
   * readiness probe. `Authenticator.ready()` waits for it.
   */
  ready?(): Promise<void>
  /**
   * Stops timers, watches and connections; from then on every status is unknown, which refuses. For whoever made the checker: an authenticator never
   * closes one, because another may use it too. None of what it stops keeps a process alive.
   */
  close?(): void
  /** Of the documents it answers from, for metrics. */
  freshness?(): RevocationFreshness
  /** How it is configured, for `authenticator.describe()`: asked again when `generation` has changed. Without it, `{ kind: 'custom', name }`. */
  describe?(): Description
}

/** What a checker says of itself. */
export const describeChecker = (checker: RevocationChecker): Description => descriptionOf(checker, checker.name)

/** How a checker is asked: whoever wants to know how long that takes asks himself. */
export type Ask = (question: () => RevocationStatus | Promise<RevocationStatus>) => Promise<RevocationStatus>

export interface UnrevokedPath {
  readonly path: CertificationPath
  /** Milliseconds since 1970 until which the checker's answer holds; Infinity without one. */
  readonly holdsUntil: number
}

/**
 * The first path that is valid and not revoked: a revoked cross-certificate must not hide a good path. Throws the reason against the best
 * path where there is none.
 */
export async function firstUnrevoked(
  paths: Iterator<CertificationPath, AnyClientCertError, void>,
  checker: RevocationChecker | 'none',
  at: number,
  context: RevocationContext,
  ask: Ask = async (question) => question(),
): Promise<UnrevokedPath> {
  let refusal: AnyClientCertError | undefined
  for (;;) {
    const { value, done } = paths.next()
    if (done) throw refusal ?? value
    if (checker === 'none') return { path: value, holdsUntil: Number.POSITIVE_INFINITY }
    const answer = await ask(() => answerOf(checker, value, new Date(at), context))
    if (answer.status === 'good') {
      // An answer that says neither until when it holds nor when it changes holds for this request.
      const untold = checker.generation === undefined ? at : Number.POSITIVE_INFINITY
      const holdsUntil = answer.validUntil?.getTime() ?? untold
      if (holdsUntil >= at) return { path: value, holdsUntil }
    }
    refusal ??= refusalFor(answer, value)
  }
}

/** What a checker throws carries its name: it may be the application's own. */
async function answerOf(
  checker: RevocationChecker,
  path: CertificationPath,
  at: Date,
  context: RevocationContext,
): Promise<RevocationStatus> {
  try {
    const answer = checker.check(path, at, context)
    return isThenable(answer) ? await inTime(answer, limits.revocationMilliseconds, { isAwaited: false }) : answer
  } catch (thrown) {
    throw asInternal(thrown, `the revocation checker ${quote(String(checker.name))}`, 'perhaps')
  }
}

function refusalFor(answer: RevocationStatus, path: CertificationPath): AnyClientCertError {
  const depth = 'depth' in answer ? (answer.depth ?? 0) : 0
  const subject = (path.certificates[depth] ?? path.anchor.certificate).subject.toString()
  if (answer.status === 'revoked') {
    const { reason, since } = answer
    const detail = {
      subject,
      ...(reason === undefined ? {} : { reason }),
      ...(since === undefined ? {} : { since }),
    }
    return deny('ERR_CLIENT_CERT_REVOKED', detail, { depth })
  }
  const stale = { reason: 'the answer is no longer valid', fix: undefined }
  const { reason, fix } = answer.status === 'unknown' ? answer : stale
  const detail = fix === undefined ? { subject, reason } : { subject, reason, fix }
  return new ClientCertError('ERR_CLIENT_CERT_REVOCATION_UNKNOWN', detail, { depth })
}
