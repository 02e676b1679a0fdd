import { hash } from 'node:crypto'
import { DerError, DerReader, Tag } from '../der/reader.js'
import { element, integer, sequence } from '../der/writer.js'
import type { Certificate } from '../x509/certificate.js'
import { oid } from '../x509/oid.js'

/** The order n of each curve's group: FIPS 186-4 D.1.2; below them, for profiles that accept more, SEC 2 §2.4.1 and RFC 5639 §3. */
const orders: ReadonlyMap<string, bigint> = new Map([
  [oid.p256, 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n],
  [oid.p384, 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n],
  [
    oid.p521,
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  ],
  ['1.3.132.0.10', 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n], // secp256k1
  ['1.3.36.3.3.2.8.1.1.7', 0xa9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7n], // brainpoolP256r1
  [
    '1.3.36.3.3.2.8.1.1.11', // brainpoolP384r1
    0x8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565n,
  ],
  [
    '1.3.36.3.3.2.8.1.1.13', // brainpoolP512r1
    0xaadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069n,
  ],
])

/**
 * SHA-256 of the certificate as anybody can rewrite it, lower-case hex: of an ECDSA signature (r, s) the pair (r, n - s) is one too (SEC 1 §4.1.4), so that
 * every certificate with one has two encodings that verify. Who is denied by fingerprint must not come back as the other. Undefined where there is no
 * twin: signatures of other algorithms are not rewritten.
 */
export function twinFingerprint(certificate: Certificate, issuer: Certificate): string | undefined {
  const { facts } = issuer.publicKey
  const order = facts.type === 'EC' && facts.curve !== undefined ? orders.get(facts.curve) : undefined
  if (order === undefined) return undefined
  const pair = certificate.signatureAlgorithm.oid.startsWith(ecdsa) ? readPair(certificate.signature) : undefined
  if (pair === undefined) return undefined
  const [r, s] = pair
  if (s <= 0n || s >= order) return undefined
  const twin = sequence(integer(r), integer(toOctets(order - s)))
  const der = sequence(
    certificate.tbs,
    certificate.signatureAlgorithm.der,
    element(Tag.bitString, Uint8Array.of(0), twin),
  )
  return hash('sha256', der, 'hex')
}

/** RFC 5758 §3.2: every ecdsa-with-… lies below it. */
const ecdsa = '1.2.840.10045.4.'

/** The signature of a pinned certificate was verified by nobody, and may be anything. */
function readPair(signature: Uint8Array): [r: Uint8Array, s: bigint] | undefined {
  try {
    const sequence = new DerReader(signature).enter()
    return [sequence.integer(), toBigInt(sequence.integer())]
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

const toBigInt = (octets: Uint8Array) => BigInt(`0x${Buffer.from(octets).toString('hex')}`)

/** INTEGER contents of a positive number in the fewest octets (X.690 §8.3). */
function toOctets(value: bigint): Uint8Array {
  const hex = value.toString(16)
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return (octets[0] as number) >= 0x80 ? Buffer.concat([Uint8Array.of(0), octets]) : octets
}
