import { DerReader } from '../der/reader.js'
import type { Certificate } from '../x509/certificate.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import type { GeneralName } from '../x509/general-name.js'
import { DistinguishedName } from '../x509/name.js'
import type { DistributionPoint, DistributionPointName } from '../x509/shared-extensions.js'

/** Every ReasonFlag but `unused`, bit 0 (RFC 5280 §4.2.1.13). */
export const allReasons = 0b1_1111_1110

/** Where the status of a certificate is published: one of its distribution points, or what §6.3.3 adds to them. */
export interface PublicationPoint {
  /** Names one of which the CRL's own distribution point has to have, if it has one. */
  readonly names: readonly GeneralName[]
  /** Who issues the CRL. */
  readonly crlIssuers: readonly DistinguishedName[]
  /** The CRL is issued by somebody else than the certificate, and says so. */
  readonly isIndirect: boolean
  /** ReasonFlags it is said to cover. */
  readonly reasons: number
}

/**
 * The distribution points of a certificate, and at the end the one §6.3.3 assumes: the certificate issuer's own CRLs, under any of its names, for whatever
 * reasons are left.
 */
export function publicationPoints({ issuer, extensions }: Certificate): readonly PublicationPoint[] {
  const implied: PublicationPoint = {
    names: [{ type: 'directoryName', value: issuer }, ...(extensions.issuerAltName ?? [])],
    crlIssuers: [issuer],
    isIndirect: false,
    reasons: allReasons,
  }
  return [...(extensions.cRLDistributionPoints ?? []).map((point) => publicationPoint(point, issuer)), implied]
}

function publicationPoint(point: DistributionPoint, issuer: DistinguishedName): PublicationPoint {
  const directories = (point.cRLIssuer ?? []).flatMap((name) => (name.type === 'directoryName' ? [name.value] : []))
  const isIndirect = point.cRLIssuer !== undefined
  const crlIssuers = isIndirect ? directories : [issuer]
  const named = namesOf(point, crlIssuers)
  return {
    // (b)(2)(i): a distribution point without a name of its own goes by the names of its CRL issuer.
    names: named ?? point.cRLIssuer ?? [],
    crlIssuers,
    isIndirect,
    reasons: (point.reasons ?? allReasons) & allReasons,
  }
}

/** §4.2.1.13: a relative name stands below the CRL issuer's, which has to be one. */
function namesOf(
  { fullName, nameRelativeToCRLIssuer }: DistributionPointName,
  bases: readonly DistinguishedName[],
): readonly GeneralName[] | undefined {
  if (nameRelativeToCRLIssuer === undefined) return fullName
  const [base, ...others] = bases
  if (base === undefined || others.length > 0) return []
  const value = DistinguishedName.relativeTo(base, new DerReader(nameRelativeToCRLIssuer))
  return [{ type: 'directoryName', value }]
}

/** §6.3.3 (b): the CRL, issued by one of the point's CRL issuers, is about this kind of certificate and published here. */
export function isInScope(crl: CertificateRevocationList, certificate: Certificate, point: PublicationPoint): boolean {
  const scope = crl.extensions.issuingDistributionPoint
  // (b)(1): who speaks for another issuer says so.
  if (point.isIndirect && scope?.indirectCRL !== true) return false
  if (scope === undefined) return true
  // (b)(2)(i): any of the one's names is any of the other's.
  const names = namesOf(scope, [crl.issuer])
  if (names !== undefined && !names.some((name) => point.names.some((other) => isSameName(name, other)))) return false
  // (b)(2)(ii) (iii) (iv)
  const isCa = certificate.extensions.basicConstraints?.cA === true
  if (scope.onlyContainsUserCerts && isCa) return false
  if (scope.onlyContainsCACerts && !isCa) return false
  return !scope.onlyContainsAttributeCerts
}

/** §6.3.3 (d): the reasons a CRL covers at this point. */
export function reasonsCovered(crl: CertificateRevocationList, point: PublicationPoint): number {
  const { onlySomeReasons = allReasons } = crl.extensions.issuingDistributionPoint ?? {}
  return onlySomeReasons & point.reasons
}

/** §7: names of one form with one meaning. What is not compared here by its form is compared as it stands. */
function isSameName(a: GeneralName, b: GeneralName): boolean {
  if (a.type === 'directoryName') return b.type === 'directoryName' && a.value.equals(b.value)
  if (a.type === 'uniformResourceIdentifier')
    return b.type === a.type && comparableUri(a.value) === comparableUri(b.value)
  if ('value' in a && 'value' in b) return a.type === b.type && a.value === b.value
  return 'der' in a && 'der' in b && a.type === b.type && Buffer.compare(a.der, b.der) === 0
}

/** §7.4: scheme and host in any case, the rest exactly. */
const comparableUri = (uri: string) => uri.replace(/^[^:]+:(?:\/\/[^/?#]*)?/, (start) => start.toLowerCase())
