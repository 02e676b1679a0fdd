import { groupBy } from '../group-by.js'
import { duration, instant, quote } from '../help.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { Certificate } from '../x509/certificate.js'
import { CRLReason } from '../x509/crl-entry.js'
import type { CertificateStatus, StatusQuestion } from './certificate-status.js'
import { allReasons, isInScope, type PublicationPoint, publicationPoints, reasonsCovered } from './crl-scope.js'
import type { CrlSet } from './crl-set.js'
import { CrlSigners } from './crl-signers.js'
import { byAge, type KnownCrl, replaces } from './known-crl.js'

export interface CrlPolicy {
  /** Milliseconds by which thisUpdate may lie ahead: clocks differ. */
  readonly skew: number
  /** Milliseconds after thisUpdate for which a CRL is believed; Infinity leaves it to nextUpdate, which it must have then. */
  readonly maxAge: number
}

/** What the CRLs of one scope say about a certificate, newest first. */
type Finding =
  | { readonly status: 'revoked'; readonly reason?: string; readonly since?: Date }
  | { readonly status: 'good'; readonly validUntil: number }
  | { readonly status: 'silent'; readonly reason: string; readonly fix: string }

/**
 * RFC 5280 §6.3.3: the status of one certificate by CRLs. Differs from the RFC's loop where the loop's answer depends on the order of CRLs: every CRL
 * that is in scope is heard, one that lists the certificate decides, and only what is left unsaid by all of them is unknown.
 */
export class CrlStatus {
  readonly #policy: CrlPolicy
  readonly #signers = new CrlSigners((path, question) => this.#isUnrevoked(path, question as CrlQuestion))

  constructor(policy: CrlPolicy) {
    this.#policy = policy
  }

  async of(question: StatusQuestion, crls: CrlSet): Promise<CertificateStatus> {
    return this.#answer({ ...question, crls, trail: [question.certificate] })
  }

  async #answer(question: CrlQuestion): Promise<CertificateStatus> {
    const { certificate, crls } = question
    let covered = 0
    let validUntil = Number.POSITIVE_INFINITY
    let silent: Extract<Finding, { status: 'silent' }> | undefined
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
    const { reason, fix } = silent ?? missing(question, covered)
    return { status: 'unknown', reason, fix }
  }

  /** The newest CRLs of one scope, complete and delta. */
  async #consult(scope: readonly KnownCrl[], question: CrlQuestion): Promise<Finding> {
    const { certificate, at } = question
    const [complete, unsigned] = await this.#newest(
      scope.filter(({ isDelta }) => !isDelta),
      question,
    )
    const [deltas] = await this.#newest(
      scope.filter(({ isDelta }) => isDelta),
      question,
    )
    const newer = deltas.filter((delta) => complete.every((base) => isNewer(delta, base)))
    const unusable = [...complete, ...newer].find(({ unusableExtension }) => unusableExtension !== undefined)
    if (unusable !== undefined) return notUnderstood(unusable)

    // (i) (j) the delta CRL is asked first: what it says is newer
    let validUntil = Number.POSITIVE_INFINITY
    let isReleased = false
    for (const delta of newer) {
      const entry = find(delta, certificate)
      if (entry !== undefined && entry.reason !== CRLReason.removeFromCRL) return revoked(entry)
      if (this.#endOf(delta) < at || !complete.every((base) => isCombinable(delta, base))) continue
      validUntil = Math.min(validUntil, this.#endOf(delta))
      // (k) taken off the list since the complete CRL
      if (entry !== undefined) isReleased = true
    }
    for (const base of complete) {
      const entry = find(base, certificate)
      if (entry !== undefined && !isReleased) return revoked(entry)
      // (a) past its nextUpdate it says nothing about those it does not list
      const end = this.#endOf(base)
      if (end < at) return ended(base, end, at)
      validUntil = Math.min(validUntil, end)
    }
    if (complete.length > 0) return { status: 'good', validUntil }
    return unsigned === undefined ? onlyDelta(question) : notSigned(unsigned)
  }

  /** Those that are signed, begun, and replaced by none; beside them the newest that is not signed. A forged CRL replaces none. */
  async #newest(
    crls: readonly KnownCrl[],
    question: CrlQuestion,
  ): Promise<[newest: readonly KnownCrl[], unsigned: KnownCrl | undefined]> {
    const { at } = question
    const found: KnownCrl[] = []
    let unsigned: KnownCrl | undefined
    for (const known of [...crls].sort(byAge)) {
      if (known.crl.thisUpdate > at + this.#policy.skew) continue
      if (found.some((newer) => replaces(newer, known, at))) continue
      if (await this.#signers.isSigned(known.crl, question)) {
        known.isSigned = true
        found.push(known)
      } else unsigned ??= known
    }
    return [found, unsigned]
  }

  /** Milliseconds since 1970 until which a CRL is fresh. §5.1.2.5 requires nextUpdate; without one only the operator's maxAge can tell. */
  #endOf({ crl: { thisUpdate, nextUpdate } }: KnownCrl): number {
    const { maxAge } = this.#policy
    if (nextUpdate === undefined)
      return maxAge === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : thisUpdate + maxAge
    return Math.min(nextUpdate, thisUpdate + maxAge)
  }

  /** §6.3.3 (f): validating the path of a CRL issuer includes asking who revoked it; whoever is being asked about already cannot vouch for itself. */
  async #isUnrevoked(path: CertificationPath, question: CrlQuestion): Promise<boolean> {
    const known = new Set(question.path.certificates)
    for (const [depth, certificate] of path.certificates.entries()) {
      if (known.has(certificate)) continue
      if (question.trail.includes(certificate) || question.trail.length > limits.crlSigners) return false
      const issuer = path.certificates[depth + 1] ?? path.anchor.certificate
      const trail = [...question.trail, certificate]
      const answer = await this.#answer({ ...question, certificate, issuer, depth, path, trail })
      if (answer.status !== 'good') return false
    }
    return true
  }
}

interface CrlQuestion extends StatusQuestion {
  readonly crls: CrlSet
  /** The certificates whose status is being asked for: this one, and those below it that wait for the answer. */
  readonly trail: readonly Certificate[]
}

const find = ({ index }: KnownCrl, { serialNumber, issuer }: Certificate) => index.find(serialNumber, issuer)

/** All of a scope have the same issuingDistributionPoint. */
const coverage = ([first]: readonly KnownCrl[], point: PublicationPoint): number =>
  first === undefined ? 0 : reasonsCovered(first.crl, point)

/** §5.2.4 (d): the complete CRL does not know yet what the delta says. */
function isNewer({ crl: delta }: KnownCrl, { crl: base }: KnownCrl): boolean {
  const [number, complete] = [delta.extensions.cRLNumber, base.extensions.cRLNumber]
  return number !== undefined && complete !== undefined ? number > complete : delta.thisUpdate > base.thisUpdate
}

/** §5.2.4 (c), §6.3.3 (c): the delta starts from a CRL that is not newer than this one, and was signed with the same key. */
function isCombinable({ crl: delta }: KnownCrl, { crl: base }: KnownCrl): boolean {
  const { deltaCRLIndicator } = delta.extensions
  const { cRLNumber } = base.extensions
  if (deltaCRLIndicator === undefined || cRLNumber === undefined || cRLNumber < deltaCRLIndicator) return false
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

const nameOf = ({ crl }: KnownCrl) => quote(crl.issuer.toString())

function ended(known: KnownCrl, end: number, at: number): Finding {
  const reason =
    end === Number.NEGATIVE_INFINITY
      ? `CRL of ${nameOf(known)} (${known.where}) has no nextUpdate`
      : `CRL of ${nameOf(known)} ended ${duration(at - end)} ago (${instant(new Date(end))}, ${known.where})`
  const fix =
    end === Number.NEGATIVE_INFINITY ? 'have the CA write one, or crl({ maxAge })' : 'fix the job that renews it'
  return { status: 'silent', reason, fix }
}

const notSigned = (known: KnownCrl): Finding => ({
  status: 'silent',
  reason: `CRL of ${nameOf(known)} (${known.where}) is signed by no certificate of that name under this trust anchor that may sign CRLs`,
  fix: 'is it the CRL of another CA of the same name? A separate CRL issuer belongs into intermediates',
})

const notUnderstood = (known: KnownCrl): Finding => ({
  status: 'silent',
  reason: `CRL of ${nameOf(known)} (${known.where}) has the critical extension ${known.unusableExtension}, which is not known here or must not be critical`,
  fix: 'it must not be used (RFC 5280 §5.2); have the CA issue one without it',
})

const onlyDelta = ({ certificate }: CrlQuestion): Finding => ({
  status: 'silent',
  reason: `there is no complete CRL for ${quote(certificate.subject.toString())}, whose CA issued a delta CRL only or one that has not begun`,
  fix: 'add the complete CRL',
})

function missing({ certificate, depth }: CrlQuestion, covered: number) {
  const [subject, issuer] = [quote(certificate.subject.toString()), quote(certificate.issuer.toString())]
  const role = depth === 0 ? 'client' : 'intermediate'
  const fix = depth === 0 ? `add the CRL of ${issuer}` : `add the CRL of ${issuer}, or crl({ leafOnly: true })`
  const reason =
    covered === 0
      ? `no CRL of ${issuer} for ${role} ${subject}`
      : `CRLs of ${issuer} cover only some reasons for ${role} ${subject}`
  return { reason, fix }
}
