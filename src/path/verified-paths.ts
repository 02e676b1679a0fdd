import { type AnyClientCertError, type ClientCertErrorCode, deny, isClientCertError } from '../errors.js'
import { groupBy } from '../group-by.js'
import type { Pin, TrustAnchor, TrustSnapshot } from '../trust/trust-snapshot.js'
import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import type { DistinguishedName } from '../x509/name.js'
import { Budget } from './budget.js'
import type { CertificationPath } from './certification-path.js'
import { mayIssue } from './extension-profile.js'
import { IssuerGraph } from './issuer-graph.js'
import type { IssuerMemory } from './issuer-memory.js'
import { checkPoint, checkPublicKey } from './key-policy.js'
import type { Leniency } from './leniency.js'
import type { ResolvedProfile } from './profile.js'
import { checkSignature } from './signature.js'
import { unknownIssuer } from './unknown-issuer.js'
import {
  checkEndEntityValidity,
  isWithinValidity,
  type PathInputs,
  type SignatureCheck,
  validatePath,
} from './validate-path.js'

/** Where issuers may come from, besides the anchors. None of it is trusted. */
export interface IssuerPool {
  /** What the peer sent after the end entity. */
  readonly presented: readonly Certificate[]
  /** What the operator configured. */
  readonly configured?: TrustSnapshot | undefined
  /** What was part of a verified path before. */
  readonly memory?: IssuerMemory
}

/** Paths one after the other; at the end, the reason against the best of those that failed. */
export type VerifiedPaths = Iterator<CertificationPath, AnyClientCertError, void>

/**
 * Every valid path from an end entity to an anchor, best first (RFC 4158). Ends with the reason against the best of those that failed; a budget
 * that runs out is thrown, because it proves nothing.
 *
 * Candidates are chained by name first and validated from the anchor down afterwards, so that no key an attacker chose is ever used
 * before an anchor has vouched for it.
 */
export function verifiedPaths(
  endEntity: Certificate,
  trust: TrustSnapshot,
  pool: IssuerPool,
  profile: ResolvedProfile,
  at: number,
  leniency?: Leniency,
): VerifiedPaths {
  const budget = new Budget(profile)
  const inputs = { profile, at, budget, isSignedBy: rememberSignatures(profile, budget, pool.memory), leniency }
  return new PathSearch(endEntity, trust, pool, inputs)
}

/** Not a generator: V8 leaves those in its interpreter when they run once a validation. */
class PathSearch implements VerifiedPaths {
  readonly #endEntity: Certificate
  readonly #trust: TrustSnapshot
  readonly #pool: IssuerPool
  readonly #inputs: PathInputs
  readonly #candidates: CandidatePaths
  #pin: Pin | undefined
  #best: Failure | undefined

  constructor(endEntity: Certificate, trust: TrustSnapshot, pool: IssuerPool, inputs: PathInputs) {
    this.#endEntity = endEntity
    this.#trust = trust
    this.#pool = pool
    this.#inputs = inputs
    this.#pin = trust.pinOf(endEntity)
    this.#candidates = new CandidatePaths(endEntity, trust, pool, inputs, (failure) => this.#fail(failure))
  }

  next(): IteratorResult<CertificationPath, AnyClientCertError> {
    const pin = this.#pin
    if (pin !== undefined) {
      this.#pin = undefined
      return { done: false, value: this.#pinned(pin) }
    }
    for (;;) {
      const candidate = this.#candidates.next()
      if (candidate === undefined) break
      const policies = this.#validate(candidate)
      if (policies !== undefined) {
        return { done: false, value: toPath(candidate.path, candidate.anchor, [...policies], this.#inputs.leniency) }
      }
    }
    return { done: true, value: this.#best?.error ?? unknownIssuer(this.#endEntity, this.#pool.presented, this.#trust) }
  }

  /** A pinned end entity is trusted by itself; only time and key strength can speak against it. */
  #pinned(pin: Pin): CertificationPath {
    const { profile, at, leniency } = this.#inputs
    checkEndEntityValidity(this.#endEntity, at, leniency)
    checkPublicKey(this.#endEntity, 0, leniency?.profile ?? profile)
    checkPoint(this.#endEntity, 0)
    return toPath([this.#endEntity], { ...pin, certificate: this.#endEntity }, [], leniency)
  }

  #validate({ path, anchor }: Candidate): ReadonlySet<string> | undefined {
    try {
      return validatePath(path, anchor.certificate, this.#inputs)
    } catch (error) {
      if (!isClientCertError(error) || error.code === 'ERR_CLIENT_CERT_BUDGET') throw error
      this.#fail({ error, rank: rankOf(error) })
      return undefined
    }
  }

  #fail(failure: Failure): void {
    if (this.#best === undefined || failure.rank > this.#best.rank) this.#best = failure
  }
}

function toPath(
  certificates: readonly Certificate[],
  anchor: TrustAnchor,
  policies: readonly string[],
  leniency: Leniency | undefined,
): CertificationPath {
  const endOf = (certificate: Certificate) =>
    leniency?.expired === true && certificate === certificates[0] ? leniency.until - 1000 : certificate.notAfter
  let notAfter = endOf(anchor.certificate)
  for (const certificate of certificates) notAfter = Math.min(notAfter, endOf(certificate))
  // Before anybody sees them: they may be remembered, for other clients.
  for (let depth = 1; depth < certificates.length; depth++) (certificates[depth] as Certificate).freeze()
  return Object.freeze({
    certificates: Object.freeze(certificates),
    anchor,
    notAfter,
    policies: Object.freeze(policies),
  }) as CertificationPath
}

interface Candidate {
  path: readonly Certificate[]
  anchor: TrustAnchor
}

/** How far the search has come at one certificate of the path that is being built. */
interface Step {
  readonly certificate: Certificate
  readonly anchors: readonly TrustAnchor[]
  nextAnchor: number
  issuers: readonly Certificate[] | undefined
  nextIssuer: number
}

/**
 * Paths chained by name (RFC 4158 §2), depth first: from each certificate to the anchors that may have issued it, then on to other issuers. The
 * steps are a list and not calls, so that a maze of certificates costs build steps and nothing else.
 */
class CandidatePaths {
  readonly #steps: Step[]
  readonly #trust: TrustSnapshot
  readonly #pool: IssuerPool
  readonly #inputs: PathInputs
  readonly #fail: (failure: Failure) => void
  #found: Map<Certificate, readonly Certificate[]> | undefined
  #presented: ReadonlyMap<string, readonly Certificate[]> | undefined
  #graph: IssuerGraph | undefined

  constructor(
    endEntity: Certificate,
    trust: TrustSnapshot,
    pool: IssuerPool,
    inputs: PathInputs,
    fail: (failure: Failure) => void,
  ) {
    this.#steps = [stepFrom(endEntity, trust)]
    this.#trust = trust
    this.#pool = pool
    this.#inputs = inputs
    this.#fail = fail
  }

  next(): Candidate | undefined {
    const { budget } = this.#inputs
    for (let step = this.#steps.at(-1); step !== undefined; step = this.#steps.at(-1)) {
      const anchor = step.anchors[step.nextAnchor++]
      if (anchor !== undefined) {
        budget.spendBuildStep()
        return { path: this.#steps.map(({ certificate }) => certificate), anchor }
      }
      step.issuers ??= this.#issuersOf(step.certificate)
      const issuer = step.issuers[step.nextIssuer++]
      if (issuer === undefined) {
        this.#steps.pop()
        continue
      }
      budget.spendBuildStep()
      const isLoop = this.#steps.some(({ certificate }) => isSameEntity(certificate, issuer))
      if (!isLoop) this.#steps.push(stepFrom(issuer, this.#trust))
    }
    return undefined
  }

  #issuersOf(certificate: Certificate): readonly Certificate[] {
    const { profile } = this.#inputs
    const issuers = this.#inOrder(certificate)
    if (issuers.length === 0 || this.#length() < profile.maxIntermediates) return issuers
    // No more that count; those that do not may still lead to an anchor.
    const uncounted = issuers.filter(({ isSelfIssued }) => isSelfIssued)
    if (uncounted.length < issuers.length) this.#fail({ error: tooLong(profile), rank: 0 })
    return uncounted
  }

  /** Best first, those from which no anchor is reached left out. One candidate needs no order: that is what most paths have. */
  #inOrder(certificate: Certificate): readonly Certificate[] {
    const known = this.#found?.get(certificate)
    if (known !== undefined) return known
    const candidates = this.#candidates(certificate)
    if (candidates.length < 2) return candidates
    const { at } = this.#inputs
    // Up to the first choice there was one way only, so that its map holds whatever is looked at after it.
    this.#graph ??= new IssuerGraph(certificate, this.#trust, (each) => this.#candidates(each))
    const graph = this.#graph
    const better = (a: Certificate, b: Certificate) =>
      preference(b, certificate, at) - preference(a, certificate, at) || graph.distanceOf(a) - graph.distanceOf(b)
    const issuers = candidates.filter((issuer) => graph.distanceOf(issuer) < Number.POSITIVE_INFINITY).sort(better)
    this.#found ??= new Map()
    this.#found.set(certificate, issuers)
    return issuers
  }

  #candidates({ issuer }: Certificate): readonly Certificate[] {
    const { presented, configured, memory } = this.#pool
    const found = [...this.#presentedBy(issuer, presented)]
    for (const { certificate } of configured?.bySubject(issuer) ?? []) found.push(certificate)
    for (const certificate of memory?.bySubject(issuer) ?? []) found.push(certificate)
    // What was sent is what is remembered, in most cases.
    if (found.every((candidate) => candidate === found[0])) return found.slice(0, 1)
    return [...new Map(found.map((candidate) => [candidate.fingerprint, candidate])).values()]
  }

  #presentedBy(name: DistinguishedName, presented: readonly Certificate[]): readonly Certificate[] {
    if (presented.length < 4) return presented.filter(({ subject }) => subject.equals(name))
    this.#presented ??= groupBy(presented, ({ subject }) => subject.comparisonKey)
    return this.#presented.get(name.comparisonKey) ?? []
  }

  /** Intermediates as RFC 5280 §4.2.1.9 counts them: self-issued ones, which carry a CA from key to key, do not count. */
  #length(): number {
    return this.#steps.filter(({ certificate }, depth) => depth > 0 && !certificate.isSelfIssued).length
  }
}

function stepFrom(certificate: Certificate, trust: TrustSnapshot): Step {
  return { certificate, anchors: anchorsFor(certificate, trust), nextAnchor: 0, issuers: undefined, nextIssuer: 0 }
}

const tooLong = ({ maxIntermediates }: ResolvedProfile) =>
  deny('ERR_CLIENT_CERT_BUDGET', {
    limit: 'intermediates (profile.maxIntermediates)',
    maximum: maxIntermediates,
  })

/** RFC 4158 §2.4.1: the same name with the same key twice in one path is a loop. */
const isSameEntity = (a: Certificate, b: Certificate) =>
  a === b || (a.publicKey.isWrittenAs(b.publicKey) && a.subject.equals(b.subject))

/** Those whose key identifier agrees come first (RFC 4158 §3.5.12); the others stay candidates, because it is a hint only. */
function anchorsFor({ issuer, extensions }: Certificate, trust: TrustSnapshot): readonly TrustAnchor[] {
  const namesakes = trust.bySubject(issuer)
  const keyIdentifier = extensions.authorityKeyIdentifier?.keyIdentifier
  if (namesakes.length < 2 || keyIdentifier === undefined) return namesakes
  const agreeing = new Set(trust.byKeyIdentifier(issuer, keyIdentifier))
  return [...agreeing, ...namesakes.filter((anchor) => !agreeing.has(anchor))]
}

/** RFC 4158 §3.5: a key identifier that agrees weighs most, then being a CA, then being valid now. */
function preference(candidate: Certificate, subject: Certificate, at: number): number {
  const wanted = subject.extensions.authorityKeyIdentifier?.keyIdentifier
  const has = candidate.extensions.subjectKeyIdentifier
  const agreement = wanted === undefined || has === undefined ? 1 : Buffer.compare(wanted, has) === 0 ? 2 : 0
  const valid = isWithinValidity(candidate, at) ? 1 : 0
  return agreement * 4 + (mayIssue(candidate) ? 2 : 0) + valid
}

/** No signature is computed twice in one validation; one that was verified before, for these very objects, not even once. */
function rememberSignatures(
  profile: ResolvedProfile,
  budget: Budget,
  memory: IssuerMemory | undefined,
): SignatureCheck {
  // At most `maxSignatures` of them: a list is looked through faster than a map is made.
  const answers: { certificate: Certificate; key: SubjectPublicKeyInfo; answer: boolean }[] = []
  return (certificate, depth, key) => {
    if (memory?.isSignedBy(certificate, key) === true) return true
    const known = answers.find((item) => item.certificate === certificate && item.key === key)
    if (known !== undefined) return known.answer
    const answer = checkSignature(certificate, depth, key, profile, budget)
    answers.push({ certificate, key, answer })
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
