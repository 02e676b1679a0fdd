import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import { oid } from '../x509/oid.js'

/** p and b of y² = x³ - 3x + b over the prime field: FIPS 186-4 D.1.2, SEC 2 §2.4 to §2.6. */
const curves: ReadonlyMap<string, { p: bigint; b: bigint }> = new Map([
  [
    oid.p256,
    {
      p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
      b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    },
  ],
  [
    oid.p384,
    {
      p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
      b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    },
  ],
  [
    oid.p521,
    {
      p: 2n ** 521n - 1n,
      b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    },
  ],
])

/**
 * Whether an EC point lies on its curve (SEC 1 §3.2.2.1). Keys that verify something are checked by the library that imports them;
 * the end entity's verifies nothing here, and importing it would cost as much as verifying its certificate. Public numbers only: nothing
 * secret is computed with. Other curves are left to whoever uses the key.
 */
export function isOnCurve({ facts, key }: SubjectPublicKeyInfo): boolean {
  const curve = facts.type === 'EC' && facts.curve !== undefined ? curves.get(facts.curve) : undefined
  if (curve === undefined) return true
  const { p, b } = curve
  const isCompressed = key[0] !== 4
  const half = isCompressed ? key.length - 1 : (key.length - 1) / 2
  const view = new DataView(key.buffer, key.byteOffset, key.length)
  const x = unsigned(view, 1, 1 + half)
  const square = (x * x - 3n) * x + b
  if (isCompressed) return x < p && isSquare(square % p, p)
  const y = unsigned(view, 1 + half, key.length)
  return x < p && y < p && (y * y - square) % p === 0n
}

/** Euler's criterion: a compressed point (SEC 1 §2.3.4) has the y of its x only if there is one. */
function isSquare(a: bigint, p: bigint): boolean {
  let power = 1n
  let base = a
  for (let rest = (p - 1n) / 2n; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) power = (power * base) % p
    base = (base * base) % p
  }
  return power <= 1n
}

/**
 * Whether an Edwards key is a point of small order: of so few multiples that a signature over anything can be written without the private key
 * (RFC 8032 §5.1.7 with A = 0 wants S·B = R). Orders 1 and 2 have y = ±1, order 4 has y = 0, and the double of one of order 8 has y = 0, which
 * is d·y⁴ + 2·y² = 1 with Ed25519's d = -121665/121666. Ed448 has none of order 8.
 */
export function isOfSmallOrder({ facts, key }: SubjectPublicKeyInfo): boolean {
  if (facts.type !== 'Ed25519' && facts.type !== 'Ed448') return false
  const isEd25519 = facts.type === 'Ed25519'
  const p = isEd25519 ? 2n ** 255n - 19n : 2n ** 448n - 2n ** 224n - 1n
  const encoded = BigInt(`0x${Buffer.from(key).reverse().toString('hex')}`)
  // The top bit is the sign of x.
  const y = BigInt.asUintN(key.length * 8 - 1, encoded) % p
  const square = (y * y) % p
  if (y === 0n || square === 1n) return true
  return isEd25519 && (121_665n * square * square - 243_332n * square + 121_666n) % p === 0n
}

/** By words of 64 bits: a third of the time it takes to write hexadecimal and read it again. P-521 begins with two octets more. */
function unsigned(view: DataView, start: number, end: number): bigint {
  const odd = (end - start) % 8
  let value = odd === 0 ? 0n : BigInt(view.getUint16(start))
  for (let at = start + odd; at < end; at += 8) value = (value << 64n) | view.getBigUint64(at)
  return value
}
