import type { CertificationPath } from '../path/certification-path.js'
import type { Certificate } from '../x509/certificate.js'
import type { RevocationChecker, RevocationContext, RevocationStatus } from './checker.js'

/** One certificate of a validated path, as its status is asked for. */
export interface StatusQuestion {
  readonly certificate: Certificate
  /** Whose key verified it: the next certificate of the path, or the trust anchor. */
  readonly issuer: Certificate
  /** 0 is the end entity. */
  readonly depth: number
  readonly path: CertificationPath
  /** Milliseconds since 1970. */
  readonly at: number
  readonly context: RevocationContext
}

/** What is known of one certificate. */
export type CertificateStatus =
  /** `validUntil`: milliseconds since 1970, inclusive; Infinity where nothing but the checker's generation ends it. */
  | { readonly status: 'good'; readonly validUntil: number }
  | { readonly status: 'revoked'; readonly reason?: string; readonly since?: Date }
  /** What could not be learned, and what to do about it: two halves of the operator's sentence. */
  | { readonly status: 'unknown'; readonly reason: string; readonly fix?: string }

/** Answers for single certificates, so that combinators can ask one checker about one and another about the next. */
export interface CertificateChecker extends RevocationChecker {
  readonly generation: number
  /** It knows of revoked certificates only: a deny list. Its `good` says that it does not know of any revocation. */
  readonly onlyRevokes?: boolean
  /** It is also asked about a pinned end entity, which has no issuer whose CRL could list it. */
  readonly answersForPinned?: boolean
  /** It is asked about end entities only, and their issuers are left to others. */
  readonly leafOnly?: boolean
  statusOf(question: StatusQuestion): CertificateStatus | Promise<CertificateStatus>
}

/** One of ours: whoever made it waits for it, and closes it. */
export interface ManagedChecker extends CertificateChecker {
  ready(): Promise<void>
  close(): void
}

export const isCertificateChecker = (checker: RevocationChecker): checker is CertificateChecker =>
  typeof (checker as Partial<CertificateChecker>).statusOf === 'function'

/** Which certificates of a path are asked about. */
export interface Extent {
  /** The end entity only. */
  readonly leafOnly?: boolean
  /** Also a pinned end entity, which is its own anchor and has no issuer to ask. */
  readonly pinned?: boolean
}

/**
 * RFC 5280 §6.1.3 (a)(3) for every certificate of the path but the anchor. One that is revoked decides, wherever it stands and whatever could not be
 * learned about the others.
 */
export async function statusOfPath(
  checker: Pick<CertificateChecker, 'statusOf'>,
  path: CertificationPath,
  at: Date,
  context: RevocationContext,
  extent: Extent = {},
): Promise<RevocationStatus> {
  const questions = questionsOf(path, at.getTime(), context, extent)
  // A checker that throws instead of rejecting must not leave the others' rejections to nobody.
  const answers = await Promise.all(questions.map(async (question) => checker.statusOf(question)))
  let unknown: RevocationStatus | undefined
  let validUntil = Number.POSITIVE_INFINITY
  for (const [depth, answer] of answers.entries()) {
    if (answer.status === 'revoked') return { ...answer, depth }
    if (answer.status === 'good') validUntil = Math.min(validUntil, answer.validUntil)
    else unknown ??= { ...answer, depth }
  }
  if (unknown !== undefined) return unknown
  return validUntil === Number.POSITIVE_INFINITY
    ? { status: 'good' }
    : { status: 'good', validUntil: new Date(validUntil) }
}

function questionsOf(
  path: CertificationPath,
  at: number,
  context: RevocationContext,
  { leafOnly = false, pinned = false }: Extent,
): StatusQuestion[] {
  const { certificates, anchor } = path
  if (isPinned(path) && !pinned) return []
  return certificates.slice(0, leafOnly ? 1 : undefined).map((certificate, depth) => ({
    certificate,
    issuer: certificates[depth + 1] ?? anchor.certificate,
    depth,
    path,
    at,
    context,
  }))
}

/** Whether a checker is to be asked: who combines several leaves out those that are not. */
export const isAskedAbout = ({ depth, path }: StatusQuestion, checker: CertificateChecker): boolean =>
  (depth === 0 || checker.leafOnly !== true) && (checker.answersForPinned === true || !isPinned(path))

/** An end entity that was trusted by itself. */
export const isPinned = ({ certificates, anchor }: CertificationPath): boolean => certificates[0] === anchor.certificate
