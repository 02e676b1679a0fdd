import { type AnyClientCertError, deny } from '../errors.js'
import type { PublicKeyFacts, SubjectPublicKeyInfo } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import { isOfSmallOrder, isOnCurve } from './curve-point.js'
import type { ResolvedProfile } from './profile.js'

/** The profile accepts the certificate's public key: RFC 5280 §4.1.2.7, RFC 5480 §2.1.1, NIST SP 800-131A. */
export function checkPublicKey(certificate: Certificate, depth: number, profile: ResolvedProfile): void {
  const weakness = judge(certificate.publicKey, profile)
  if (weakness === undefined) return
  const detail = { subject: certificate.subject.toString(), ...weakness }
  throw deny('ERR_CLIENT_CERT_WEAK_KEY', detail, { depth }) as AnyClientCertError
}

/** SEC 1 §3.2.2.1: a point that is not on its curve is no key. */
export function checkPoint({ subject, publicKey }: Certificate, depth: number): void {
  if (isOnCurve(publicKey)) return
  const detail = { key: 'EC key', reason: 'its point is not on the curve', setting: 'SEC 1 §3.2.2.1' }
  throw deny('ERR_CLIENT_CERT_WEAK_KEY', { subject: subject.toString(), ...detail }, { depth })
}

interface Weakness {
  key: string
  reason: string
  setting: string
}

function judge(publicKey: SubjectPublicKeyInfo, profile: ResolvedProfile): Weakness | undefined {
  const { facts } = publicKey
  switch (facts.type) {
    case 'RSA':
    case 'RSA-PSS':
      return judgeRsa(facts, profile)
    case 'EC':
      if (facts.curve === undefined) {
        return { key: 'EC key', reason: 'its curve is not a named one', setting: 'RFC 5480 §2.1.1' }
      }
      if (profile.curves.has(facts.curve)) return undefined
      return {
        key: `EC key on curve ${facts.curve}`,
        reason: 'the curve is not accepted',
        setting: 'profile.curves',
      }
    case 'Ed25519':
    case 'Ed448':
      if (!isOfSmallOrder(publicKey)) return undefined
      return {
        key: `${facts.type} key`,
        reason: 'anybody can sign for its point of small order',
        setting: 'RFC 8032 §5',
      }
    case 'DSA':
      // DSA keys only verify where the profile names a DSA signature: nobody gets one by accident.
      if ([...profile.signatureAlgorithms].some((identifier) => dsaSignatures.has(identifier))) return undefined
      return { key: 'DSA key', reason: 'DSA is not accepted', setting: 'profile.signatureAlgorithms' }
    case 'unknown':
      return { key: `key of type ${facts.oid}`, reason: 'it is not known here', setting: 'RFC 5280 §4.1.2.7' }
    default:
      return undefined
  }
}

const dsaSignatures: ReadonlySet<string> = new Set(['1.2.840.10040.4.3', '2.16.840.1.101.3.4.3.2'])

function judgeRsa(
  { modulusBits, exponent, modulusIsOdd }: Extract<PublicKeyFacts, { type: 'RSA' | 'RSA-PSS' }>,
  { minimumRsaBits, maximumRsaBits, minimumRsaExponent, maximumRsaExponent }: ResolvedProfile,
): Weakness | undefined {
  const key = `RSA ${modulusBits} bits`
  if (modulusBits < minimumRsaBits) {
    return { key, reason: `minimum is ${minimumRsaBits}`, setting: 'profile.minimumRsaBits' }
  }
  if (modulusBits > maximumRsaBits) {
    return { key, reason: `maximum is ${maximumRsaBits}`, setting: 'profile.maximumRsaBits' }
  }
  if (exponent === undefined || exponent > maximumRsaExponent) {
    return {
      key,
      reason: `its exponent is above ${maximumRsaExponent}`,
      setting: 'profile.maximumRsaExponent',
    }
  }
  if (exponent < minimumRsaExponent) {
    return {
      key,
      reason: `its exponent is ${exponent}, minimum is ${minimumRsaExponent}`,
      setting: 'profile.minimumRsaExponent',
    }
  }
  if (!modulusIsOdd || exponent % 2 === 0) {
    return { key, reason: 'its modulus or exponent is even', setting: 'RFC 8017 §3.1' }
  }
  return undefined
}
