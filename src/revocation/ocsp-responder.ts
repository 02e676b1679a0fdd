import { isClientCertError } from '../errors.js'
import { quote } from '../help.js'
import { checkExtension, mayIssue } from '../path/extension-profile.js'
import { checkPublicKey } from '../path/key-policy.js'
import type { ResolvedProfile } from '../path/profile.js'
import { verifySigned } from '../path/signature.js'
import { endOf, isWithinValidity } from '../path/validate-path.js'
import { Certificate } from '../x509/certificate.js'
import { KeyUsageBit } from '../x509/extensions.js'
import { keyHashOf } from '../x509/ocsp-request.js'
import type { BasicOcspResponse, ResponderId } from '../x509/ocsp-response.js'
import { oid } from '../x509/oid.js'

/** Who may answer for an issuer's certificates, beside the issuer itself. */
export interface ResponderPolicy {
  /** Believed by themselves: RFC 6960 §4.2.2.2, "matches a local configuration". */
  readonly responders: readonly Certificate[]
  /**
   * Delegates without id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): not believed, believed when somebody else says that they are good, believed until
   * they end.
   */
  readonly delegates: 'nocheck' | 'checked' | 'unchecked'
}

export type Authorisation =
  | {
      readonly authorised: true
      /** Milliseconds since 1970 until which the signer itself holds, inclusive. */
      readonly validUntil: number
      /** A delegate whose own status has to be known. */
      readonly unchecked?: Certificate
    }
  | {
      readonly authorised: false
      readonly flaw: 'responder' | 'signature' | 'algorithm'
      /** For the operator; what came from a peer is quoted. */
      readonly reason: string
    }

/**
 * RFC 6960 §4.2.2.2: the response was signed by the key of the issuer; by a responder that is configured here; or by a delegate whom that very key
 * has certified. Whoever it is, the responderID names them.
 */
export function authorise(
  response: BasicOcspResponse,
  issuer: Certificate,
  at: number,
  policy: ResponderPolicy,
  profile: ResolvedProfile,
): Authorisation {
  let refusal: Authorisation | undefined
  for (const signer of [issuer, ...policy.responders]) {
    if (!isNamedBy(response.responderId, signer)) continue
    const objection = signer === issuer ? undefined : objectionToConfigured(signer, at, profile)
    const verdict = objection === undefined ? verifies(response, signer, profile) : refused('responder', objection)
    // When the issuer itself ends is the path's business.
    const validUntil = signer === issuer ? Number.POSITIVE_INFINITY : endOf(signer.notAfter) - 1
    if (verdict === true) return { authorised: true, validUntil }
    refusal ??= verdict
  }
  for (const der of response.certificates) {
    const delegate = delegateOf(der, issuer)
    if (delegate === undefined || !isNamedBy(response.responderId, delegate)) continue
    const objection = objectionToDelegate(delegate, issuer, at, policy, profile)
    const verdict = objection === undefined ? verifies(response, delegate, profile) : refused('responder', objection)
    if (verdict === true) return delegated(delegate, policy)
    refusal ??= verdict
  }
  return refusal ?? refused('responder', nobody(response.responderId, issuer))
}

function delegated(delegate: Certificate, policy: ResponderPolicy): Authorisation {
  const validUntil = endOf(delegate.notAfter) - 1
  return policy.delegates === 'checked' && !saysNoCheck(delegate)
    ? { authorised: true, validUntil, unchecked: delegate }
    : { authorised: true, validUntil }
}

const refused = (flaw: 'responder' | 'signature' | 'algorithm', reason: string): Authorisation => ({
  authorised: false,
  flaw,
  reason,
})

function verifies(response: BasicOcspResponse, signer: Certificate, profile: ResolvedProfile): true | Authorisation {
  const judged = verifySigned(response, signer.publicKey, profile)
  if (judged.verdict === 'valid') return true
  if (judged.verdict === 'refused')
    return refused('algorithm', `it is signed with ${quote(judged.algorithm)}: ${judged.reason}`)
  return refused('signature', `the key of ${nameOf(signer)} did not sign it`)
}

/** RFC 6960 §4.2.1: byName is the signer's subject, byKey the SHA-1 hash of its public key. */
function isNamedBy(id: ResponderId, signer: Certificate): boolean {
  return id.type === 'byName' ? id.name.equals(signer.subject) : Buffer.compare(id.keyHash, keyHashOf(signer)) === 0
}

/** The certificates of a response are not signed: one that cannot be read is none. The issuer itself was tried before. */
function delegateOf(der: Uint8Array, issuer: Certificate): Certificate | undefined {
  const known = verified.get(issuer)?.delegate
  if (known !== undefined && Buffer.compare(known.der, der) === 0) return known
  try {
    return Buffer.compare(der, issuer.der) === 0 ? undefined : Certificate.parse(der)
  } catch (error) {
    if (isClientCertError(error)) return undefined
    throw error
  }
}

function objectionToConfigured(signer: Certificate, at: number, profile: ResolvedProfile): string | undefined {
  if (!isWithinValidity(signer, at)) return `the configured responder ${nameOf(signer)} ${validity(signer, at)}`
  return refusalOf(() => checkPublicKey(signer, 0, profile))
}

/** Why a delegate is not believed; undefined where it is. Whatever reading tells comes before a signature is computed. */
function objectionToDelegate(
  delegate: Certificate,
  issuer: Certificate,
  at: number,
  policy: ResponderPolicy,
  profile: ResolvedProfile,
): string | undefined {
  const { extKeyUsage, keyUsage } = delegate.extensions
  // Names are written out where there is something to say: most of the time is spent on quoting otherwise.
  const objection = (fact: string) => `${nameOf(delegate)} ${fact}`
  if (!delegate.issuer.equals(issuer.subject)) return objection(`was not issued by ${nameOf(issuer)}`)
  // RFC 6960 §4.2.2.2 wants the purpose itself, so that a CA cannot make a responder without meaning to.
  if (extKeyUsage?.includes(oid.ocspSigning) !== true) return objection('lacks extendedKeyUsage OCSPSigning')
  if (keyUsage !== undefined && (keyUsage & KeyUsageBit.digitalSignature) === 0)
    return objection('lacks keyUsage digitalSignature')
  if (mayIssue(delegate)) return objection('is a CA, which no delegate has to be')
  if (!isWithinValidity(delegate, at)) return objection(validity(delegate, at))
  if (policy.delegates === 'nocheck' && !saysNoCheck(delegate))
    return objection('may have been revoked: it lacks ocsp-nocheck')
  return (
    refusalOf(() => {
      for (const extension of delegate.extensionList) {
        // RFC 6960 §4.2.2.2.1 says SHOULD NOT be critical; it is understood here all the same.
        if (extension.oid !== oid.ocspNoCheck) checkExtension(delegate, extension, 0)
      }
      checkPublicKey(delegate, 0, profile)
    }) ?? objectionToSignature(delegate, issuer, profile)
  )
}

/** The last delegate an issuer's key was seen to have signed: the same one signs every answer until it is renewed. */
const verified = new WeakMap<Certificate, { readonly delegate: Certificate; readonly profile: ResolvedProfile }>()

function objectionToSignature(
  delegate: Certificate,
  issuer: Certificate,
  profile: ResolvedProfile,
): string | undefined {
  const known = verified.get(issuer)
  if (known?.delegate === delegate && known.profile === profile) return undefined
  const judged = verifySigned(delegate, issuer.publicKey, profile)
  if (judged.verdict === 'invalid')
    return `the key of ${nameOf(issuer)} did not sign the certificate of ${nameOf(delegate)}`
  if (judged.verdict === 'refused')
    return `the certificate of ${nameOf(delegate)} is signed with ${quote(judged.algorithm)}: ${judged.reason}`
  verified.set(issuer, { delegate, profile })
  return undefined
}

/** RFC 6960 §4.2.2.2.1. Its value is NULL; a CA that writes something else there has said the same. */
const saysNoCheck = ({ extensionList }: Certificate) =>
  extensionList.some((extension) => extension.oid === oid.ocspNoCheck)

function refusalOf(check: () => void): string | undefined {
  try {
    check()
  } catch (error) {
    if (isClientCertError(error)) return `the responder's certificate: ${error.help}`
    throw error
  }
}

const nameOf = ({ subject }: Certificate) => quote(subject.toString())

const validity = ({ notBefore, notAfter }: Certificate, at: number) =>
  at < notBefore ? `is not valid before ${instant(notBefore)}` : `ended ${instant(notAfter)}`

const instant = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z')

function nobody(id: ResponderId, issuer: Certificate): string {
  const who = id.type === 'byName' ? quote(id.name.toString()) : `the key ${Buffer.from(id.keyHash).toString('hex')}`
  return `it says it is of ${who}, which is neither ${nameOf(issuer)} nor a delegate it came with`
}
