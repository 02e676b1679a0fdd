import { groupBy } from '../group-by.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { Certificate } from '../x509/certificate.js'
import { CRLReason } from '../x509/crl-entry.js'
import type { CertificateStatus, StatusQuestion } from './certificate-status.js'
import { freshUntil } from './crl-freshness.js'
import type { RevokedEntry } from './crl-index.js'
import { allReasons, isInScope, type PublicationPoint, publicationPoints, reasonsCovered } from './crl-scope.js'
import type { CrlSet } from './crl-set.js'
import { CrlSigners } from './crl-signers.js'
import { ended, missing, notBegun, notSigned, notUsable, onlyDelta, type Silence } from './crl-silence.js'
import { byAge, isAhead, type KnownCrl, replaces } from './known-crl.js'

export interface CrlPolicy {
  /** Milliseconds by which thisUpdate may lie ahead: clocks differ. */
  readonly skew: number
  /** Milliseconds after thisUpdate for which a CRL is believed; Infinity leaves it to nextUpdate, which it must have then. */
  readonly maxAge: number
  /** Certificates of CRL issuers that one client presents serve the next, too: one who leaves them out must not be judged by an older CRL. */
  readonly remembersSigners: boolean
}

/** What the CRLs of one scope say about a certificate, newest first. */
type Finding =
  | { readonly status: 'revoked'; readonly reason?: string; readonly since?: Date }
  | { readonly status: 'good'; readonly validUntil: number }
  | Silence

/**
 * RFC 5280 §6.3.3: the status of one certificate by CRLs. Differs from the RFC's loop where the loop's answer depends on the order of CRLs: every CRL
 * that is in scope is heard, one that lists the certificate decides, and only what is left unsaid by all of them is unknown.
 */
export class CrlStatus {
  readonly #policy: CrlPolicy
  readonly #signers: CrlSigners

  constructor(policy: CrlPolicy) {
    this.#policy = policy
    const unrevokedUntil = (path: CertificationPath, question: StatusQuestion) =>
      this.#unrevokedUntil(path, question as CrlQuestion)
    this.#signers = new CrlSigners(unrevokedUntil, policy.remembersSigners)
  }

  async of(question: StatusQuestion, crls: CrlSet): Promise<CertificateStatus> {
    return this.#answer({ ...question, crls, trail: [question.certificate] })
  }

  async #answer(question: CrlQuestion): Promise<CertificateStatus> {
    const { certificate, crls } = question
    let covered = 0
    let validUntil = Number.POSITIVE_INFINITY
    let silent: Silence | undefined
    for (const point of publicationPoints(certificate)) {
      for (const name of point.crlIssuers) {
        const inScope = crls.byIssuer(name).filter(({ crl }) => isInScope(crl, certificate, point))
        for (const scope of groupBy(inScope, (known) => known.scope).values()) {
          const finding = await this.#consult(scope, question)
          if (finding.status === 'revoked') return finding
          if (finding.status === 'silent') {
            silent ??= finding
            continue
          }
          // (d) (e) (l) the reasons it speaks for, and until when
          const added = coverage(scope, point) & ~covered
          if (added === 0) continue
          covered |= added
          validUntil = Math.min(validUntil, finding.validUntil)
        }
      }
    }
    if (covered === allReasons) return { status: 'good', validUntil }
    const { reason, fix } = silent ?? missing(question, crls, covered)
    return { status: 'unknown', reason, fix }
  }

  /** The newest CRLs of one scope, complete and delta. */
  async #consult(scope: readonly KnownCrl[], question: CrlQuestion): Promise<Finding> {
    const { certificate, at } = question
    const complete = await this.#newest(
      scope.filter(({ isDelta }) => !isDelta),
      question,
    )
    const delta = await this.#newest(
      scope.filter(({ isDelta }) => isDelta),
      question,
    )
    const bases = complete.signed
    const deltas = delta.signed.filter((each) => bases.length === 0 || bases.some((base) => isAhead(each, base)))
    for (const each of [...bases, ...deltas]) {
      if (each.flaw !== undefined) return notUsable(each, each.flaw)
    }

    for (const each of [...complete.former, ...delta.former]) {
      const entry = each.flaw === undefined ? find(each, certificate) : undefined
      if (entry !== undefined && !isLiftable(entry)) return revoked(entry)
    }

    // (i) (j) the delta CRL is asked first: what it says is newer
    let validUntil = Math.min(complete.until, delta.until)
    let isReleased = false
    for (const each of deltas) {
      const entry = find(each, certificate)
      if (entry !== undefined && entry.reason !== CRLReason.removeFromCRL) return revoked(entry)
      if (!this.#isFresh(each, at) || !bases.every((base) => isCombinable(each, base))) continue
      validUntil = Math.min(validUntil, this.#endOf(each))
      // (k) taken off the list since the complete CRL
      if (entry !== undefined) isReleased = true
    }
    for (const base of bases) {
      const entry = find(base, certificate)
      // §5.3.1: only what was on hold comes back
      const isBack = isReleased && entry?.reason === CRLReason.certificateHold
      if (entry !== undefined && !isBack) return revoked(entry)
      // (a) past its nextUpdate it says nothing about those it does not list
      if (!this.#isFresh(base, at)) return ended(base, this.#endOf(base), at)
      validUntil = Math.min(validUntil, this.#endOf(base))
    }
    if (bases.length > 0) return { status: 'good', validUntil }
    if (complete.unsigned !== undefined) return notSigned(complete.unsigned)
    return complete.early === undefined ? onlyDelta(scope[0] as KnownCrl) : notBegun(complete.early, at)
  }

  /**
   * A forged CRL replaces none; nor does one that was signed with another key, while the older one holds. To RFC 5280 all CRLs of one name and scope are
   * about the same certificates; but of a CA that was renewed with another key, AD CS and Vault sign one with each, and list there what that key signed.
   */
  async #newest(crls: readonly KnownCrl[], question: CrlQuestion): Promise<Newest> {
    const { at } = question
    const signed: KnownCrl[] = []
    const former: KnownCrl[] = []
    const keys = new Map<KnownCrl, Uint8Array>()
    let unsigned: KnownCrl | undefined
    let early: KnownCrl | undefined
    let until = Number.POSITIVE_INFINITY
    for (const known of [...crls].sort(byAge)) {
      const begins = known.crl.thisUpdate - this.#policy.skew
      if (!(begins <= at)) {
        early = known
        until = Math.min(until, begins - 1)
        continue
      }
      const isOver = !this.#isFresh(known, at)
      const newer = signed.filter((other) => replaces(other, known, isOver))
      const signer = await this.#signers.signerOf(known.crl, question)
      if (signer === undefined) {
        if (newer.length === 0) unsigned ??= known
        continue
      }
      const key = signer.certificate.publicKey.der
      known.signer = key
      if (newer.some((other) => Buffer.compare(keys.get(other) as Uint8Array, key) === 0)) continue
      if (newer.length > 0 && isOver) {
        former.push(known)
        continue
      }
      signed.push(known)
      keys.set(known, key)
      until = Math.min(until, signer.until)
    }
    return { signed, former, unsigned, early, until }
  }

  #isFresh(known: KnownCrl, at: number): boolean {
    return at <= this.#endOf(known)
  }

  #endOf({ crl }: KnownCrl): number {
    return freshUntil(crl, this.#policy.maxAge)
  }

  /**
   * §6.3.3 (f): validating the path of a CRL issuer includes asking who revoked it. About those above the certificate in question it is asked anyway;
   * that one itself, and those that wait for its answer, cannot vouch for themselves.
   */
  async #unrevokedUntil(path: CertificationPath, question: CrlQuestion): Promise<number | undefined> {
    const known = new Set(question.path.certificates.slice(question.depth + 1))
    let until = Number.POSITIVE_INFINITY
    for (const [depth, certificate] of path.certificates.entries()) {
      if (known.has(certificate)) continue
      if (question.trail.includes(certificate) || question.trail.length > limits.crlSigners) return undefined
      const issuer = path.certificates[depth + 1] ?? path.anchor.certificate
      const trail = [...question.trail, certificate]
      const answer = await this.#answer({ ...question, certificate, issuer, depth, path, trail })
      if (answer.status !== 'good') return undefined
      until = Math.min(until, answer.validUntil)
    }
    return until
  }
}

interface Newest {
  /** Those that are signed, begun, and replaced by none. */
  readonly signed: readonly KnownCrl[]
  /** Those that are over, and replaced only by what was signed with another key: what they revoked for good stays so. */
  readonly former: readonly KnownCrl[]
  /** Beside them, the newest that is not signed. */
  readonly unsigned: KnownCrl | undefined
  /** The first of those that have not begun. */
  readonly early: KnownCrl | undefined
  /** Milliseconds since 1970, inclusive: after that a signer has ended, or a CRL begins that may say otherwise. */
  readonly until: number
}

interface CrlQuestion extends StatusQuestion {
  readonly crls: CrlSet
  /** The certificates whose status is being asked for: this one, and those below it that wait for the answer. */
  readonly trail: readonly Certificate[]
}

/** §5.3.1: of everything that is revoked, only what was on hold can come back. */
const isLiftable = ({ reason }: RevokedEntry) =>
  reason === CRLReason.certificateHold || reason === CRLReason.removeFromCRL

const find = ({ index }: KnownCrl, { serialNumber, issuer }: Certificate) => index.find(serialNumber, issuer)

/** All of a scope have the same issuingDistributionPoint. */
const coverage = ([first]: readonly KnownCrl[], point: PublicationPoint): number =>
  first === undefined ? 0 : reasonsCovered(first.crl, point)

/**
 * §5.2.4 (c) (d), §6.3.3 (c): the delta starts from a CRL that is not newer than this one, follows this one, and was signed with the same key. It must
 * not be the older by time either: a certificate that is taken off the list comes back.
 */
function isCombinable({ crl: delta }: KnownCrl, { crl: base }: KnownCrl): boolean {
  const { deltaCRLIndicator, cRLNumber: number } = delta.extensions
  const { cRLNumber } = base.extensions
  if (deltaCRLIndicator === undefined || number === undefined || cRLNumber === undefined) return false
  if (cRLNumber < deltaCRLIndicator || number <= cRLNumber || delta.thisUpdate < base.thisUpdate) return false
  const [a, b] = [
    delta.extensions.authorityKeyIdentifier?.keyIdentifier,
    base.extensions.authorityKeyIdentifier?.keyIdentifier,
  ]
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

const reasonNames = new Map(Object.entries(CRLReason).map(([name, code]) => [code as number, name]))

function revoked({ reason, revocationDate }: { reason: number | undefined; revocationDate: number }): Finding {
  const name = reason === undefined ? undefined : reasonNames.get(reason)
  return { status: 'revoked', since: new Date(revocationDate), ...(name === undefined ? {} : { reason: name }) }
}
