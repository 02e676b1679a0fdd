import { groupBy } from '../group-by.js'
import { duration, instant, quote } from '../help.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { Certificate } from '../x509/certificate.js'
import { CRLReason } from '../x509/crl-entry.js'
import type { CertificateStatus, StatusQuestion } from './certificate-status.js'
import { freshUntil } from './crl-freshness.js'
import { allReasons, isInScope, type PublicationPoint, publicationPoints, reasonsCovered } from './crl-scope.js'
import type { CrlSet } from './crl-set.js'
import { CrlSigners } from './crl-signers.js'
import { byAge, isAhead, type KnownCrl, replaces } from './known-crl.js'

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
  readonly #signers = new CrlSigners((path, question) => this.#unrevokedUntil(path, question as CrlQuestion))

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
      if (entry !== undefined && !isReleased) return revoked(entry)
      // (a) past its nextUpdate it says nothing about those it does not list
      if (!this.#isFresh(base, at)) return ended(base, this.#endOf(base), at)
      validUntil = Math.min(validUntil, this.#endOf(base))
    }
    if (bases.length > 0) return { status: 'good', validUntil }
    return complete.unsigned === undefined ? onlyDelta(question) : notSigned(complete.unsigned)
  }

  /** A forged CRL replaces none. */
  async #newest(crls: readonly KnownCrl[], question: CrlQuestion): Promise<Newest> {
    const { at } = question
    const signed: KnownCrl[] = []
    let unsigned: KnownCrl | undefined
    let until = Number.POSITIVE_INFINITY
    for (const known of [...crls].sort(byAge)) {
      const begins = known.crl.thisUpdate - this.#policy.skew
      if (!(begins <= at)) {
        until = Math.min(until, begins - 1)
        continue
      }
      if (signed.some((newer) => replaces(newer, known, !this.#isFresh(known, at)))) continue
      const signer = await this.#signers.signerOf(known.crl, question)
      if (signer === undefined) {
        known.signer ??= null
        unsigned ??= known
      } else {
        known.signer = signer.certificate.publicKey.der
        signed.push(known)
        until = Math.min(until, signer.until)
      }
    }
    return { signed, unsigned, until }
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
  /** Beside them, the newest that is not signed. */
  readonly unsigned: KnownCrl | undefined
  /** Milliseconds since 1970, inclusive: after that a signer has ended, or a CRL begins that may say otherwise. */
  readonly until: number
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

const notUsable = (known: KnownCrl, { reason, fix }: NonNullable<KnownCrl['flaw']>): Finding => ({
  status: 'silent',
  reason: `CRL of ${nameOf(known)} (${known.where}) ${reason}`,
  fix,
})

const onlyDelta = ({ certificate }: CrlQuestion): Finding => ({
  status: 'silent',
  reason: `there is no complete CRL for ${quote(certificate.subject.toString())}, whose CA issued a delta CRL only or one that has not begun`,
  fix: 'add the complete CRL',
})

function missing({ certificate, depth, crls }: CrlQuestion, covered: number) {
  const who = `${depth === 0 ? 'client' : 'intermediate'} ${quote(certificate.subject.toString())}`
  const names = publicationPoints(certificate).flatMap(({ crlIssuers }) => crlIssuers)
  const issuers = [...new Set(names.map((name) => quote(name.toString())))].join(' or ')
  const [other] = names.flatMap((name) => crls.byIssuer(name))
  if (covered === 0 && other !== undefined)
    return {
      reason: `CRL of ${nameOf(other)} (${other.where}) is about other certificates than ${who}, by its issuingDistributionPoint`,
      fix: 'add the CRL that its cRLDistributionPoints name',
    }
  const fix = depth === 0 ? `add the CRL of ${issuers}` : `add the CRL of ${issuers}, or crl({ leafOnly: true })`
  const reason =
    covered === 0 ? `no CRL of ${issuers} for ${who}` : `CRLs of ${issuers} cover only some reasons for ${who}`
  return { reason, fix }
}
