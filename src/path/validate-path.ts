import { deny } from '../errors.js'
import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import { oid } from '../x509/oid.js'
import { checkEndEntity, checkExtensions, checkIssuerExtendedKeyUsage, checkKeyCertSign } from './extension-profile.js'
import { checkPublicKey } from './key-policy.js'
import type { ResolvedProfile } from './profile.js'

/** Whether `certificate` was signed by `key`; the search remembers answers, so that no signature is computed twice. */
export type SignatureCheck = (certificate: Certificate, depth: number, key: SubjectPublicKeyInfo) => boolean

/** RFC 5280 §6.1.2, without the state of name constraints and policies, which {@link checkExtensions} refuses. */
interface State {
  workingPublicKey: SubjectPublicKeyInfo
  workingIssuer: Certificate
  /** max_path_length, and the certificate whose pathLenConstraint it comes from. */
  maxPathLength: number
  limitedBy: Certificate
}

/**
 * RFC 5280 §6.1: validates one prospective path, from the trust anchor down. Throws the first reason against it.
 *
 * @param path end entity first, the anchor not included
 * @param at milliseconds since 1970
 */
export function validatePath(
  path: readonly Certificate[],
  anchor: Certificate,
  profile: ResolvedProfile,
  at: number,
  isSignedBy: SignatureCheck,
): void {
  const state = initialize(anchor, path.length, profile, at)
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const certificate = path[depth] as Certificate
    basicCertificateProcessing(state, certificate, depth, profile, at, isSignedBy)
    if (depth > 0) prepareForNextCertificate(state, certificate, depth, profile)
    else wrapUp(certificate, profile)
  }
}

/**
 * §6.1.1 (d), §6.1.2. The RFC leaves to us whether a trust anchor's own fields restrict its paths (§6.2); the operators of private CAs
 * expect it, so that they do: validity, cA, path length, key usage and purposes.
 */
function initialize(anchor: Certificate, depth: number, profile: ResolvedProfile, at: number): State {
  checkValidity(anchor, depth, at)
  checkIsCa(anchor, depth)
  checkKeyCertSign(anchor, depth)
  checkIssuerExtendedKeyUsage(anchor, depth, profile)
  checkExtensions(anchor, depth)
  checkPublicKey(anchor, depth, profile)
  return {
    workingPublicKey: anchor.publicKey,
    workingIssuer: anchor,
    maxPathLength: anchor.extensions.basicConstraints?.pathLenConstraint ?? Number.POSITIVE_INFINITY,
    limitedBy: anchor,
  }
}

/** §6.1.3 for certificate i. */
function basicCertificateProcessing(
  state: State,
  certificate: Certificate,
  depth: number,
  profile: ResolvedProfile,
  at: number,
  isSignedBy: SignatureCheck,
): void {
  // (a)(4) the issuer's name is the working issuer name
  if (!certificate.issuer.equals(state.workingIssuer.subject)) throw new Error('path is not chained by name')
  // (a)(1) the signature verifies with the working public key
  if (!isSignedBy(certificate, depth, state.workingPublicKey)) throw refuseSignature(certificate, state, depth)
  // (a)(2) the current time is within its validity
  checkValidity(certificate, depth, at)
  // (a)(3) revocation: asked about the finished path, because it may need the network
  // (b) (c) name constraints, (d) (e) (f) policies: a path with anything to decide is refused in checkExtensions
  checkPublicKey(certificate, depth, profile)
}

/** §6.1.4 for an issuer within the path. */
function prepareForNextCertificate(
  state: State,
  certificate: Certificate,
  depth: number,
  profile: ResolvedProfile,
): void {
  // (a) anyPolicy is not mapped; (b) mapping itself has nothing to act on while no policy is required
  checkPolicyMappings(certificate, depth)
  // (c) (d) (e) (f) working issuer name and working public key
  state.workingIssuer = certificate
  state.workingPublicKey = certificate.publicKey
  // (g) name constraints, (h) (i) (j) policy counters: see (o)
  // (k) it is a CA
  checkIsCa(certificate, depth)
  // (l) unless self-issued, it takes one of max_path_length
  if (!certificate.isSelfIssued && --state.maxPathLength < 0) throw refusePathLength(state.limitedBy, depth)
  // (m) its own pathLenConstraint
  const { pathLenConstraint } = certificate.extensions.basicConstraints ?? {}
  if (pathLenConstraint !== undefined && pathLenConstraint < state.maxPathLength) {
    state.maxPathLength = pathLenConstraint
    state.limitedBy = certificate
  }
  // (n) keyUsage, if present, has keyCertSign; and beyond the RFC, its purposes include ours
  checkKeyCertSign(certificate, depth)
  checkIssuerExtendedKeyUsage(certificate, depth, profile)
  // (o) every other critical extension
  checkExtensions(certificate, depth)
}

/** §6.1.5 for the end entity; (a) (b) (g) concern policies. */
function wrapUp(certificate: Certificate, profile: ResolvedProfile): void {
  checkEndEntity(certificate, profile)
  // (f) every other critical extension
  checkExtensions(certificate, 0)
}

/**
 * §4.1.2.5: valid from notBefore to notAfter, both ends inclusive. The encoding knows whole seconds, so that the second notAfter names is
 * valid to its end, as Mozilla's root programme and OpenSSL read it; Go and comparing clocks to the millisecond would end it at its start.
 */
export function checkValidity(certificate: Certificate, depth: number, at: number): void {
  if (isWithinValidity(certificate, at)) return
  const seen = { subject: certificate.subject.toString(), at: new Date(at) }
  if (at < certificate.notBefore) {
    throw deny('ERR_CLIENT_CERT_NOT_YET_VALID', { ...seen, notBefore: new Date(certificate.notBefore) }, { depth })
  }
  // Also where `at` is not a number: a clock that fails admits nobody.
  throw deny('ERR_CLIENT_CERT_EXPIRED', { ...seen, notAfter: new Date(certificate.notAfter) }, { depth })
}

export const isWithinValidity = ({ notBefore, notAfter }: Certificate, at: number): boolean =>
  at >= notBefore && at < notAfter + 1000

/** §6.1.4 (k): version 3 with basicConstraints cA; a version 1 issuer has no way to say it is one. */
function checkIsCa(certificate: Certificate, depth: number): void {
  const { basicConstraints } = certificate.extensions
  if (basicConstraints?.cA === true) return
  const reason =
    certificate.version !== 3
      ? `it is an X.509 v${certificate.version} certificate`
      : basicConstraints === undefined
        ? 'it has no basicConstraints'
        : 'its basicConstraints say CA:FALSE'
  throw deny('ERR_CLIENT_CERT_BASIC_CONSTRAINTS', { subject: certificate.subject.toString(), reason }, { depth })
}

/** §6.1.4 (a). */
function checkPolicyMappings(certificate: Certificate, depth: number): void {
  const mapped = certificate.extensions.policyMappings?.some(
    ({ issuerDomainPolicy, subjectDomainPolicy }) =>
      issuerDomainPolicy === oid.anyPolicy || subjectDomainPolicy === oid.anyPolicy,
  )
  if (mapped !== true) return
  const subject = certificate.subject.toString()
  const critical = certificate.extensionList.some(
    (extension) => extension.oid === oid.policyMappings && extension.critical,
  )
  const detail = { subject, oid: oid.policyMappings, critical, reason: 'it maps anyPolicy' }
  throw deny('ERR_CLIENT_CERT_EXTENSION', detail, { depth })
}

function refusePathLength({ subject, extensions }: Certificate, depth: number) {
  const pathLenConstraint = extensions.basicConstraints?.pathLenConstraint ?? 0
  return deny('ERR_CLIENT_CERT_PATH_LENGTH', { subject: subject.toString(), pathLenConstraint }, { depth })
}

function refuseSignature(certificate: Certificate, { workingIssuer }: State, depth: number) {
  const hex = (octets: Uint8Array | undefined) =>
    octets === undefined ? undefined : Buffer.from(octets).toString('hex')
  const expectedKeyId = hex(certificate.extensions.authorityKeyIdentifier?.keyIdentifier)
  const trustedKeyId = hex(workingIssuer.extensions.subjectKeyIdentifier)
  const ids = expectedKeyId === undefined || trustedKeyId === undefined ? {} : { expectedKeyId, trustedKeyId }
  return deny('ERR_CLIENT_CERT_SIGNATURE', { issuer: certificate.issuer.toString(), ...ids }, { depth })
}
