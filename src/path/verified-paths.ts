import { type AnyClientCertError, type ClientCertErrorCode, deny, isClientCertError } from '../errors.js'
import type { TrustAnchor, TrustSnapshot } from '../trust/trust-snapshot.js'
import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import { Budget } from './budget.js'
import { mayIssue } from './extension-profile.js'
import { checkPublicKey } from './key-policy.js'
import type { ResolvedProfile } from './profile.js'
import { checkSignature } from './signature.js'
import { unknownIssuer } from './unknown-issuer.js'
import { checkValidity, isWithinValidity, type SignatureCheck, validatePath } from './validate-path.js'

declare const verified: unique symbol

/** A path that was validated (RFC 5280 §6): only {@link verifiedPaths} makes one. */
export interface CertificationPath {
  /** End entity first, then the issuers; the anchor is not in it. */
  readonly certificates: readonly Certificate[]
  readonly anchor: TrustAnchor
  /** Milliseconds since 1970: the earliest notAfter of all its certificates, the anchor included. */
  readonly notAfter: number
  readonly [verified]: true
}

/** Where issuers may come from, besides the anchors. None of it is trusted. */
export interface IssuerPool {
  /** What the peer sent after the end entity. */
  readonly presented: readonly Certificate[]
  /** What the operator configured, or what was part of a verified path before. */
  bySubject(name: Certificate['issuer']): readonly Certificate[]
}

/**
 * Every valid path from an end entity to an anchor, best first (RFC 4158). Ends by returning the reason against the best of those that
 * failed; a budget that runs out is thrown, because it proves nothing.
 *
 * Candidates are chained by name first and validated from the anchor down afterwards, so that no key an attacker chose is ever used
 * before an anchor has vouched for it.
 */
export function* verifiedPaths(
  endEntity: Certificate,
  trust: TrustSnapshot,
  pool: IssuerPool,
  profile: ResolvedProfile,
  at: number,
): Generator<CertificationPath, AnyClientCertError, void> {
  const pin = trust.pinOf(endEntity)
  if (pin !== undefined) {
    checkPinned(endEntity, profile, at)
    yield toPath([endEntity], pin)
  }
  const budget = new Budget(profile)
  const isSignedBy = rememberSignatures(profile, budget)
  let best: Failure | undefined
  const fail = (failure: Failure) => {
    if (best === undefined || failure.rank > best.rank) best = failure
  }
  for (const { path, anchor } of candidatePaths([endEntity], trust, pool, profile, at, budget, fail)) {
    try {
      validatePath(path, anchor.certificate, profile, at, isSignedBy)
    } catch (error) {
      if (!isClientCertError(error) || error.code === 'ERR_CLIENT_CERT_BUDGET') throw error
      fail({ error, rank: rankOf(error) })
      continue
    }
    yield toPath(path, anchor)
  }
  return best?.error ?? unknownIssuer(endEntity, pool.presented, trust)
}

function toPath(certificates: readonly Certificate[], anchor: TrustAnchor): CertificationPath {
  const notAfter = Math.min(anchor.certificate.notAfter, ...certificates.map((certificate) => certificate.notAfter))
  return Object.freeze({
    certificates: Object.freeze([...certificates]),
    anchor,
    notAfter,
  }) as CertificationPath
}

/** A pinned end entity is trusted by itself; only time and key strength can speak against it. */
function checkPinned(certificate: Certificate, profile: ResolvedProfile, at: number): void {
  checkValidity(certificate, 0, at)
  checkPublicKey(certificate, 0, profile)
}

interface Candidate {
  path: readonly Certificate[]
  anchor: TrustAnchor
}

function* candidatePaths(
  path: readonly Certificate[],
  trust: TrustSnapshot,
  pool: IssuerPool,
  profile: ResolvedProfile,
  at: number,
  budget: Budget,
  fail: (failure: Failure) => void,
): Generator<Candidate, void, void> {
  const last = path.at(-1) as Certificate
  for (const anchor of anchorsFor(last, trust)) {
    budget.spendBuildStep()
    yield { path, anchor }
  }
  const issuers = issuersFor(last, pool, at)
  if (issuers.length > 0 && lengthOf(path) >= profile.maxIntermediates) {
    fail({ error: tooLong(profile), rank: 0 })
    return
  }
  for (const issuer of issuers) {
    budget.spendBuildStep()
    if (path.some((member) => isSameEntity(member, issuer))) continue
    yield* candidatePaths([...path, issuer], trust, pool, profile, at, budget, fail)
  }
}

const tooLong = ({ maxIntermediates }: ResolvedProfile) =>
  deny('ERR_CLIENT_CERT_BUDGET', {
    limit: 'intermediates (profile.maxIntermediates)',
    maximum: maxIntermediates,
  })

/** Intermediates of a path as RFC 5280 §4.2.1.9 counts them: self-issued ones, which carry a CA from key to key, do not count. */
const lengthOf = (path: readonly Certificate[]) => path.slice(1).filter(({ isSelfIssued }) => !isSelfIssued).length

/** RFC 4158 §2.4.1: the same name with the same key twice in one path is a loop. */
const isSameEntity = (a: Certificate, b: Certificate) =>
  a === b || (Buffer.compare(a.publicKey.der, b.publicKey.der) === 0 && a.subject.equals(b.subject))

/** Those whose key identifier agrees come first (RFC 4158 §3.5.12); the others stay candidates, because it is a hint only. */
function* anchorsFor(certificate: Certificate, trust: TrustSnapshot): Generator<TrustAnchor, void, void> {
  const keyIdentifier = certificate.extensions.authorityKeyIdentifier?.keyIdentifier
  const agreeing = keyIdentifier === undefined ? [] : trust.byKeyIdentifier(certificate.issuer, keyIdentifier)
  yield* agreeing
  for (const anchor of trust.bySubject(certificate.issuer)) if (!agreeing.includes(anchor)) yield anchor
}

function issuersFor(certificate: Certificate, pool: IssuerPool, at: number): readonly Certificate[] {
  const { issuer } = certificate
  const found = [...pool.presented.filter(({ subject }) => subject.equals(issuer)), ...pool.bySubject(issuer)]
  if (found.length < 2) return found
  const distinct = [...new Map(found.map((candidate) => [candidate.fingerprint, candidate])).values()]
  return distinct.sort((a, b) => preference(b, certificate, at) - preference(a, certificate, at))
}

/** RFC 4158 §3.5: a key identifier that agrees weighs most, then being a CA, then being valid now. */
function preference(candidate: Certificate, subject: Certificate, at: number): number {
  const wanted = subject.extensions.authorityKeyIdentifier?.keyIdentifier
  const has = candidate.extensions.subjectKeyIdentifier
  const agreement = wanted === undefined || has === undefined ? 1 : Buffer.compare(wanted, has) === 0 ? 2 : 0
  const valid = isWithinValidity(candidate, at) ? 1 : 0
  return agreement * 4 + (mayIssue(candidate) ? 2 : 0) + valid
}

function rememberSignatures(profile: ResolvedProfile, budget: Budget): SignatureCheck {
  const known = new Map<Certificate, Map<SubjectPublicKeyInfo, boolean>>()
  return (certificate, depth, key) => {
    const answers = known.get(certificate) ?? new Map<SubjectPublicKeyInfo, boolean>()
    known.set(certificate, answers)
    let answer = answers.get(key)
    if (answer === undefined) {
      answer = checkSignature(certificate, depth, key, profile, budget)
      answers.set(key, answer)
    }
    return answer
  }
}

interface Failure {
  error: AnyClientCertError
  /** The higher, the nearer this path came to being valid, and the more its reason tells. */
  rank: number
}

/** A path of which another key signed a part says least; otherwise the nearer to the end entity the reason, the more was verified. */
function rankOf(error: AnyClientCertError): number {
  const weight = specificity[error.code] ?? 10
  return weight * 100 - (error.depth ?? 0)
}

const specificity: { readonly [C in ClientCertErrorCode]?: number } = {
  ERR_CLIENT_CERT_SIGNATURE: 1,
  ERR_CLIENT_CERT_ALGORITHM: 2,
}
