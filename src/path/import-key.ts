import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { DerReader } from '../der/reader.js'
import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import { oid } from '../x509/oid.js'
import { formatPem } from '../x509/pem.js'

/** The key as `node:crypto` uses it; undefined for a point that is not on its curve, or a type this runtime has not got (ML-DSA with OpenSSL before 3.5). */
export function importPublicKey(info: SubjectPublicKeyInfo): KeyObject | undefined {
  try {
    const jwk = isSlowAtPem(info) ? toJwk(info) : undefined
    // As text: Node 24 takes an options object apart by catching exceptions, which costs more than reading the key.
    return jwk === undefined
      ? createPublicKey(formatPem('PUBLIC KEY', info.der))
      : createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

const [major] = process.versions.node.split('.').map(Number) as [number]

/**
 * OpenSSL 3.0, which Node 20 has, looks for a decoder through every provider it knows: 150 µs for any key. A JWK names its numbers, and an RSA or
 * Edwards key is there in 3. On Node 22 that still holds for RSA; P-384 and P-521 points it checks the slow way.
 */
function isSlowAtPem({ facts }: SubjectPublicKeyInfo): boolean {
  if (facts.type === 'RSA') return major < 24
  const isQuickCurve = facts.type === 'EC' && facts.curve === oid.p256
  return major < 22 && (isQuickCurve || facts.type === 'Ed25519' || facts.type === 'Ed448')
}

/** The numbers of our own reading, as RFC 7518 §6.2.1, §6.3.1 and RFC 8037 §2 write them. A compressed point (SEC 1 §2.3.3) has no y to name. */
function toJwk({ facts, key }: SubjectPublicKeyInfo): JsonWebKey | undefined {
  switch (facts.type) {
    case 'RSA': {
      const sequence = new DerReader(key).enter()
      return { kty: 'RSA', n: unsigned(sequence.integer()), e: unsigned(sequence.integer()) }
    }
    case 'EC':
      if (key[0] !== 4) return undefined
      return { kty: 'EC', crv: 'P-256', x: base64url(key.subarray(1, 33)), y: base64url(key.subarray(33)) }
    default:
      return { kty: 'OKP', crv: facts.type, x: base64url(key) }
  }
}

/** RFC 7518 §2, Base64urlUInt: without the octet that keeps a DER INTEGER positive. */
const unsigned = (integer: Uint8Array) => base64url(integer[0] === 0 ? integer.subarray(1) : integer)

const base64url = (octets: Uint8Array) =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('base64url')
