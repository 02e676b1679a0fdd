import { deny } from '../errors.js'
import type { Certificate } from '../x509/certificate.js'
import type { Extension } from '../x509/extension-list.js'
import { extensionName, KeyUsageBit, keyUsageNames } from '../x509/extensions.js'
import type { GeneralName } from '../x509/general-name.js'
import { oid, usageName } from '../x509/oid.js'
import type { ResolvedProfile } from './profile.js'

/** What becomes of an extension in a path. */
type Treatment =
  /** Its content is checked somewhere in this room; critical or not makes no difference. */
  | 'processed'
  /** It informs, or serves path building and revocation; RFC 5280 forbids CAs to mark it critical, and one that is is refused. */
  | 'non-critical'
  /** It restricts what is below a CA: refused in an end entity. */
  | 'issuers-only'

/** RFC 5280 §4.2: one row an extension. Whatever is not in the table is refused if critical and ignored if not. */
const treatments: ReadonlyMap<string, Treatment> = new Map([
  [oid.authorityKeyIdentifier, 'non-critical'], // §4.2.1.1
  [oid.subjectKeyIdentifier, 'non-critical'], // §4.2.1.2
  [oid.keyUsage, 'processed'], // §4.2.1.3
  [oid.certificatePolicies, 'processed'], // §4.2.1.4
  [oid.policyMappings, 'processed'], // §4.2.1.5
  [oid.subjectAltName, 'processed'], // §4.2.1.6: identity reads every form
  [oid.issuerAltName, 'non-critical'], // §4.2.1.7
  [oid.basicConstraints, 'processed'], // §4.2.1.9
  [oid.nameConstraints, 'issuers-only'], // §4.2.1.10
  [oid.policyConstraints, 'processed'], // §4.2.1.11
  [oid.extKeyUsage, 'processed'], // §4.2.1.12
  [oid.cRLDistributionPoints, 'processed'], // §4.2.1.13: revocation reads it; criticality does not matter to the path
  [oid.inhibitAnyPolicy, 'processed'], // §4.2.1.14
  [oid.freshestCRL, 'non-critical'], // §4.2.1.15
  [oid.authorityInfoAccess, 'non-critical'], // §4.2.2.1
  [oid.subjectInfoAccess, 'non-critical'], // §4.2.2.2
  [oid.noRevAvail, 'non-critical'], // RFC 9608
])

/** §6.1.4 (o), §6.1.5 (f): every critical extension was processed. */
export function checkExtensions(certificate: Certificate, depth: number): void {
  for (const extension of certificate.extensionList) checkExtension(certificate, extension, depth)
  checkNoRevAvail(certificate, depth)
}

/** RFC 9608 §3: what says that nothing is known of its revocation is no CA, and names nobody who would know. */
function checkNoRevAvail(certificate: Certificate, depth: number): void {
  const { noRevAvail, basicConstraints, cRLDistributionPoints, freshestCRL, authorityInfoAccess } =
    certificate.extensions
  if (noRevAvail !== true) return
  const isAsked = authorityInfoAccess?.some(({ accessMethod }) => accessMethod === oid.ocspAccess)
  const contradictions: readonly [stands: boolean | undefined, what: string][] = [
    [basicConstraints?.cA, 'basicConstraints with cA'],
    [cRLDistributionPoints !== undefined, 'cRLDistributionPoints'],
    [freshestCRL !== undefined, 'freshestCRL'],
    [isAsked, 'an OCSP responder in authorityInfoAccess'],
  ]
  const found = contradictions.find(([stands]) => stands === true)
  if (found === undefined) return
  const reason = `noRevAvail contradicts ${found[1]} (RFC 9608 §3)`
  throw refuseExtension(certificate, oid.noRevAvail, depth, reason)
}

/** The refusal of an extension that stands in the certificate; with `fix`, of one that is missed in it, or should be there in another way. */
export function refuseExtension(
  certificate: Certificate,
  identifier: string,
  depth: number,
  reason: string,
  fix?: string,
) {
  const critical = certificate.extensionList.some((extension) => extension.oid === identifier && extension.critical)
  const detail = {
    subject: certificate.subject.toString(),
    oid: identifier,
    critical,
    reason,
    ...(fix === undefined ? {} : { fix }),
  }
  return deny('ERR_CLIENT_CERT_EXTENSION', detail, { depth })
}

/** The same for one of them. */
export function checkExtension(certificate: Certificate, extension: Extension, depth: number): void {
  const { oid: identifier, critical } = extension
  const treatment = treatments.get(identifier)
  const reason =
    treatment === 'issuers-only' && !mayIssue(certificate)
      ? `${extensionName(identifier)} is for CA certificates`
      : critical && treatment === undefined
        ? 'it is not known here'
        : critical && treatment === 'non-critical'
          ? `${extensionName(identifier)} must not be critical`
          : undefined
  if (reason !== undefined) throw refuseExtension(certificate, identifier, depth, reason)
}

/** What §4 asks of those who issue and §6 of nobody, if the profile does. */
export function checkIssuance(
  certificate: Certificate,
  depth: number,
  profile: ResolvedProfile,
  isSelfSigned?: () => boolean,
): void {
  if (profile.requireKeyIdentifiers) checkKeyIdentifiers(certificate, depth, isSelfSigned)
  if (profile.requireConformingCas) checkConformance(certificate, depth)
}

/** §4.2.1.1, §4.2.1.2: a CA states its key identifier, and what it issues states the issuer's, which in a self-signed certificate is its own. */
function checkKeyIdentifiers(
  certificate: Certificate,
  depth: number,
  isSelfSigned = () => certificate.isSelfIssued,
): void {
  const { authorityKeyIdentifier, subjectKeyIdentifier, basicConstraints } = certificate.extensions
  const missing =
    authorityKeyIdentifier?.keyIdentifier === undefined && !isSelfSigned()
      ? oid.authorityKeyIdentifier
      : basicConstraints?.cA === true && subjectKeyIdentifier === undefined
        ? oid.subjectKeyIdentifier
        : undefined
  if (missing === undefined) return
  const reason = `${extensionName(missing)} is missing (profile.requireKeyIdentifiers)`
  throw refuseExtension(certificate, missing, depth, reason, 'issue it with one')
}

/** §4.2.1.9, §4.2.1.10, §4.2.1.11, §4.2.1.14. */
const criticalInCas: ReadonlySet<string> = new Set([
  oid.basicConstraints,
  oid.nameConstraints,
  oid.policyConstraints,
  oid.inhibitAnyPolicy,
])

const signsOnly: ReadonlySet<string> = new Set(['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87', 'Ed25519', 'Ed448'])
const { keyEncipherment, dataEncipherment, keyAgreement, encipherOnly, decipherOnly } = KeyUsageBit
const establishing = keyEncipherment | dataEncipherment | keyAgreement | encipherOnly | decipherOnly

function checkConformance(certificate: Certificate, depth: number): void {
  const { serialNumber, extensionList, extensions } = certificate
  // §4.1.2.2: two's complement, so that the first bit is the sign.
  if ((serialNumber[0] as number) > 0x7f || serialNumber.every((octet) => octet === 0)) {
    const reason = 'serialNumber is not positive (profile.requireConformingCas)'
    throw deny('ERR_CLIENT_CERT_MALFORMED', { structure: 'the certificate', reason }, { depth })
  }
  // RFC 9881 §5, RFC 9295 §3: keys that sign and do nothing else.
  const { type } = certificate.publicKey.facts
  if (signsOnly.has(type) && ((extensions.keyUsage ?? 0) & establishing) !== 0) {
    const reason = `keyUsage lets a key of type ${type} encrypt or agree on keys (profile.requireConformingCas)`
    throw refuseExtension(certificate, oid.keyUsage, depth, reason, 'issue it with digitalSignature alone')
  }
  const uncritical = extensionList.find(({ oid, critical }) => criticalInCas.has(oid) && !critical)
  if (uncritical !== undefined && mayIssue(certificate)) {
    const reason = `${extensionName(uncritical.oid)} is not critical (profile.requireConformingCas)`
    throw refuseExtension(certificate, uncritical.oid, depth, reason, 'issue it critical')
  }
  // §4.2.1.6, RFC 1123 §2.1: a host name never has the form #.#.#.#.
  const isAddress = (name: GeneralName) => name.type === 'dNSName' && /^\d+\.\d+\.\d+\.\d+$/.test(name.value)
  if (extensions.subjectAltName?.some(isAddress) === true) {
    const reason = 'subjectAltName has an address for a dNSName (profile.requireConformingCas)'
    throw refuseExtension(certificate, oid.subjectAltName, depth, reason, 'issue it with an iPAddress')
  }
}

/** §4.2.1.12, along the whole path as Go, webpki and browsers read it: an issuer may only pass on purposes it has itself. */
export function checkIssuerExtendedKeyUsage(certificate: Certificate, depth: number, profile: ResolvedProfile): void {
  const { extKeyUsage } = certificate.extensions
  const required = profile.extendedKeyUsage
  if (required === 'any' || extKeyUsage === undefined) return
  if (extKeyUsage.includes(required) || extKeyUsage.includes(oid.anyExtendedKeyUsage)) return
  throw refuseUsage(certificate, depth, 'issuer', 'extendedKeyUsage', usageName(required), extKeyUsage.map(usageName))
}

/** §4.2.1.3: an issuer that states its key usage states keyCertSign. */
export function checkKeyCertSign(certificate: Certificate, depth: number): void {
  const { keyUsage } = certificate.extensions
  if (keyUsage === undefined || (keyUsage & KeyUsageBit.keyCertSign) !== 0) return
  throw refuseUsage(certificate, depth, 'issuer', 'keyUsage', 'keyCertSign', keyUsageNames(keyUsage))
}

/** The end entity: version, not a CA, and made for this purpose. */
export function checkEndEntity(certificate: Certificate, profile: ResolvedProfile): void {
  const { subject, version, extensions } = certificate
  if (version !== 3 && !profile.allowVersion1) {
    throw deny('ERR_CLIENT_CERT_VERSION', { subject: subject.toString(), version }, { depth: 0 })
  }
  if (mayIssue(certificate) && !profile.allowCaAsClient) {
    const detail = { subject: subject.toString(), selfIssued: certificate.isSelfIssued }
    throw deny('ERR_CLIENT_CERT_CA_AS_CLIENT', detail, { depth: 0 })
  }
  checkClientKeyUsage(certificate, profile)
  checkClientExtendedKeyUsage(certificate, extensions.extKeyUsage, profile)
}

/** cA, or keyCertSign without it, which §4.2.1.9 forbids and some verifiers take for a CA. */
export const mayIssue = ({ extensions }: Certificate): boolean =>
  extensions.basicConstraints?.cA === true || ((extensions.keyUsage ?? 0) & KeyUsageBit.keyCertSign) !== 0

/** RFC 5246 §7.4.8, RFC 8446 §4.4.3: a client signs the handshake. */
function checkClientKeyUsage(certificate: Certificate, profile: ResolvedProfile): void {
  const { keyUsage } = certificate.extensions
  if (profile.extendedKeyUsage === 'any' || keyUsage === undefined) return
  if ((keyUsage & KeyUsageBit.digitalSignature) !== 0) return
  // TLS servers may be used for key transport alone; the path API serves them too.
  if (profile.extendedKeyUsage === oid.serverAuth) return
  throw refuseUsage(certificate, 0, 'client', 'keyUsage', 'digitalSignature', keyUsageNames(keyUsage))
}

/** §4.2.1.12. anyExtendedKeyUsage alone does not make a client: the section lets a relying party ask for the purpose itself. */
function checkClientExtendedKeyUsage(
  certificate: Certificate,
  present: readonly string[] | undefined,
  profile: ResolvedProfile,
): void {
  const required = profile.extendedKeyUsage
  if (required === 'any' || present?.includes(required)) return
  if (present === undefined && !profile.requireExtendedKeyUsage) return
  // A v1 certificate has no place for the extension; a profile that admits it means it.
  if (present === undefined && certificate.version !== 3) return
  throw refuseUsage(certificate, 0, 'client', 'extendedKeyUsage', usageName(required), present?.map(usageName))
}

function refuseUsage(
  certificate: Certificate,
  depth: number,
  role: 'client' | 'issuer',
  extension: 'keyUsage' | 'extendedKeyUsage',
  required: string,
  present: readonly string[] | undefined,
) {
  const detail = { subject: certificate.subject.toString(), extension, role, required, present }
  return deny('ERR_CLIENT_CERT_KEY_USAGE', detail, { depth })
}
