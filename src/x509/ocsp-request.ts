import { hash } from 'node:crypto'
import { explicit, integer, nullElement, objectIdentifier, octetString, sequence } from '../der/writer.js'
import type { Certificate } from './certificate.js'
import type { DistinguishedName } from './name.js'
import { oid } from './oid.js'

/** What a CertID hashes with. It identifies, and protects nothing: SHA-1 is as good here, and what every responder knows. */
export type CertIdHash = 'sha1' | 'sha256'

/** CertID (RFC 6960 §4.1.1): which certificate is asked about. */
export interface CertId {
  readonly hash: CertIdHash
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  /** INTEGER contents. */
  readonly serialNumber: Uint8Array
  /** The CertID whole, as it is sent. */
  readonly der: Uint8Array
}

/**
 * The CertID of a certificate. The name that is hashed is the issuer field of the certificate itself, as it is written there (RFC 6960 §4.1.1, and
 * what OpenSSL sends): it may be spelt differently in the issuer's own certificate. The key is the contents of subjectPublicKey, without the octet
 * that counts unused bits.
 */
export function certIdOf(certificate: Certificate, issuer: Certificate, algorithm: CertIdHash): CertId {
  const { prefix, issuerNameHash, issuerKeyHash } = issuerHashes(certificate.issuer, issuer, algorithm)
  const { serialNumber } = certificate
  const der = sequence(prefix, integer(serialNumber))
  return { hash: algorithm, issuerNameHash, issuerKeyHash, serialNumber, der }
}

/** An OCSPRequest for one certificate, not signed (RFC 6960 §4.1.1); with a nonce, its extension (RFC 9654 §2.1). */
export function encodeOcspRequest({ der }: CertId, nonce?: Uint8Array): Uint8Array {
  const requestList = sequence(sequence(der))
  if (nonce === undefined) return sequence(sequence(requestList))
  return sequence(
    sequence(requestList, explicit(2, sequence(sequence(nonceIdentifier, octetString(octetString(nonce)))))),
  )
}

const nonceIdentifier = objectIdentifier(oid.ocspNonce)

/** The hash algorithms, with NULL parameters (RFC 3279 §2.2.1, and what OpenSSL sends). */
const algorithmIdentifiers: { readonly [H in CertIdHash]: Uint8Array } = {
  sha1: sequence(objectIdentifier(oid.sha1), nullElement),
  sha256: sequence(objectIdentifier(oid.sha256), nullElement),
}

interface IssuerHashes {
  readonly name: DistinguishedName
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  /** The fields of the CertID up to its serial number. */
  readonly prefix: Uint8Array
}

/** What all certificates of one issuer have in common, for as long as its certificate is there. Another spelling of its name takes the place. */
const remembered = {
  sha1: new WeakMap<Certificate, IssuerHashes>(),
  sha256: new WeakMap<Certificate, IssuerHashes>(),
}

function issuerHashes(name: DistinguishedName, issuer: Certificate, algorithm: CertIdHash): IssuerHashes {
  const known = remembered[algorithm].get(issuer)
  if (known?.name.isWrittenAs(name)) return known
  const issuerNameHash = hash(algorithm, name.der as Uint8Array, 'buffer')
  const issuerKeyHash = algorithm === 'sha1' ? keyHashOf(issuer) : hash(algorithm, issuer.publicKey.key, 'buffer')
  const prefix = Buffer.concat([
    algorithmIdentifiers[algorithm],
    octetString(issuerNameHash),
    octetString(issuerKeyHash),
  ])
  const made = { name, issuerNameHash, issuerKeyHash, prefix }
  remembered[algorithm].set(issuer, made)
  return made
}

const keyHashes = new WeakMap<Certificate, Uint8Array>()

/** KeyHash of a ResponderID (RFC 6960 §4.2.1): SHA-1, always. */
export function keyHashOf(certificate: Certificate): Uint8Array {
  const keyHash = keyHashes.get(certificate) ?? hash('sha1', certificate.publicKey.key, 'buffer')
  keyHashes.set(certificate, keyHash)
  return keyHash
}
