import { duration, instant, quote } from '../help.js'
import type { Certificate } from '../x509/certificate.js'
import type { StatusQuestion } from './certificate-status.js'
import { publicationPoints } from './crl-scope.js'
import type { CrlSet } from './crl-set.js'
import type { KnownCrl } from './known-crl.js'

// Why CRLs leave a status unknown: for each reason the fact and the fix, as the operator reads them.

export interface Silence {
  readonly status: 'silent'
  readonly reason: string
  readonly fix: string
}

const nameOf = ({ crl }: KnownCrl) => quote(crl.issuer.toString())

export function ended(known: KnownCrl, end: number, at: number): Silence {
  const reason =
    end === Number.NEGATIVE_INFINITY
      ? `CRL of ${nameOf(known)} (${known.where}) has no nextUpdate`
      : `CRL of ${nameOf(known)} ended ${duration(at - end)} ago (${instant(new Date(end))}, ${known.where})`
  const fix =
    end === Number.NEGATIVE_INFINITY ? 'have the CA write one, or crl({ maxAge })' : 'fix the job that renews it'
  return { status: 'silent', reason, fix }
}

export const notSigned = (known: KnownCrl): Silence => ({
  status: 'silent',
  reason: `CRL of ${nameOf(known)} (${known.where}) is signed by no certificate of that name under this trust anchor that may sign CRLs`,
  fix: 'is it the CRL of another CA of the same name? A separate CRL issuer belongs into intermediates',
})

export const notUsable = (known: KnownCrl, { reason, fix }: NonNullable<KnownCrl['flaw']>): Silence => ({
  status: 'silent',
  reason: `CRL of ${nameOf(known)} (${known.where}) ${reason}`,
  fix,
})

export const notBegun = (known: KnownCrl, at: number): Silence => ({
  status: 'silent',
  reason: `CRL of ${nameOf(known)} begins in ${duration(known.crl.thisUpdate - at)} by this server's clock (${instant(new Date(known.crl.thisUpdate))}, ${known.where})`,
  fix: 'check NTP here and the clock of the CA',
})

export const onlyDelta = (known: KnownCrl): Silence => ({
  status: 'silent',
  reason: `there is a delta CRL of ${nameOf(known)} (${known.where}) and no complete one`,
  fix: 'add the complete CRL it starts from',
})

/** @param covered ReasonFlags that CRLs speak of */
export function missing({ certificate, depth }: StatusQuestion, crls: CrlSet, covered: number): Silence {
  const who = `${depth === 0 ? 'client' : 'intermediate'} ${quote(certificate.subject.toString())}`
  const names = publicationPoints(certificate).flatMap(({ crlIssuers }) => crlIssuers)
  const issuers = [...new Set(names.map((name) => quote(name.toString())))].join(' or ')
  const [other] = names.flatMap((name) => crls.byIssuer(name))
  if (covered === 0 && other !== undefined)
    return {
      status: 'silent',
      reason: `CRL of ${nameOf(other)} (${other.where}) is about other certificates than ${who}, by its issuingDistributionPoint`,
      fix: fixOfScope(certificate, other),
    }
  const fix = depth === 0 ? `add the CRL of ${issuers}` : `add the CRL of ${issuers}, or crl({ leafOnly: true })`
  const reason =
    covered === 0 ? `no CRL of ${issuers} for ${who}` : `CRLs of ${issuers} cover only some reasons for ${who}`
  return { status: 'silent', reason, fix }
}

/** A name in the CRL is looked for in the certificate (RFC 5280 §6.3.3 (b)(2)(i)): step-ca writes it into CRLs, and into no certificate by itself. */
function fixOfScope({ extensions }: Certificate, { crl }: KnownCrl): string {
  const { fullName, nameRelativeToCRLIssuer } = crl.extensions.issuingDistributionPoint ?? {}
  const isNamed = fullName !== undefined || nameRelativeToCRLIssuer !== undefined
  return isNamed && extensions.cRLDistributionPoints === undefined
    ? 'have the CA write that name into its certificates, as cRLDistributionPoints, or leave it out of the CRL'
    : 'add the CRL that its cRLDistributionPoints name'
}
