import { beforeAll, describe, expect, test } from '@jest/globals'
import { DerReader } from '../../src/der/reader.js'
import { validateCertificationPath } from '../../src/path.js'
import { createTestPki, type TestKeyAlgorithm } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { bitString, integer, seq } from '../support/der-builder.js'

/**
 * The single-bit law: of a valid leaf and its intermediate, no single bit can be turned over so that the path is still accepted. Not one
 * in the signed parts, not one in the algorithm outside of them, in the signature, in a length or a tag.
 */

interface Path {
  leaf: Uint8Array
  intermediate: Uint8Array
  anchor: Uint8Array
}

async function makePath(keyAlgorithm: TestKeyAlgorithm): Promise<Path> {
  const pki = await createTestPki({ keyAlgorithm })
  const alice = await pki.issue({
    subject: 'CN=alice+UID=7,O=Acme',
    names: { uri: ['spiffe://td/alice'], email: ['alice@acme.example'], upn: ['alice@acme'] },
  })
  return {
    leaf: alice.certificate.der,
    intermediate: pki.intermediate.certificate.der,
    anchor: pki.root.certificate.der,
  }
}

const at = new Date()
const validate = ({ leaf, intermediate, anchor }: Path) =>
  validateCertificationPath({ certificate: leaf, intermediates: [intermediate], trustAnchors: [anchor], at })

const flipped = (der: Uint8Array, bit: number) => {
  const copy = Uint8Array.from(der)
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (0x80 >> (bit & 7))
  return copy
}

/** Turns over every `step`th bit of one certificate; what was accepted, and how often each code was the answer. */
async function flipAll(path: Path, which: 'leaf' | 'intermediate', step = 1) {
  const accepted: string[] = []
  const codes: Record<string, number> = {}
  let tried = 0
  for (let bit = 0; bit < path[which].length * 8; bit += step) {
    const result = await validate({ ...path, [which]: flipped(path[which], bit) })
    tried++
    if (result.valid) accepted.push(`bit ${bit & 7} of octet ${bit >> 3}`)
    else codes[result.error.code] = (codes[result.error.code] ?? 0) + 1
  }
  return { accepted, codes, tried }
}

let path: Path
beforeAll(async () => {
  path = await makePath('P-256')
})

describe('the single-bit law', () => {
  test('the path it is about is accepted', async () => {
    expect(await validate(path)).toMatchObject({ valid: true })
  })

  test.each(['leaf', 'intermediate'] as const)(
    'no bit of the %s can be turned over',
    async (which) => {
      const { accepted, codes, tried } = await flipAll(path, which)
      expect(accepted).toEqual([])
      expect(tried).toBe(path[which].length * 8)
      expect(tried).toBeGreaterThan(3000)
      // Refusals of our own, none of them "unexpected"; and the parser was not the only one to refuse.
      expect(codes).not.toHaveProperty('ERR_CLIENT_CERT_INTERNAL')
      expect(codes[which === 'leaf' ? 'ERR_CLIENT_CERT_SIGNATURE' : 'ERR_CLIENT_CERT_UNKNOWN_ISSUER']).toBeGreaterThan(
        100,
      )
    },
    60_000,
  )

  test.each<TestKeyAlgorithm>(['Ed25519', 'RSA-2048', 'RSA-PSS-2048', 'P-384'])(
    'with %s keys: every thirteenth bit',
    async (keyAlgorithm) => {
      const other = await makePath(keyAlgorithm)
      expect(await validate(other)).toMatchObject({ valid: true })
      for (const which of ['leaf', 'intermediate'] as const) {
        expect((await flipAll(other, which, 13)).accepted).toEqual([])
      }
    },
    60_000,
  )

  test('two bits turned over: the same one inside and outside of the signed part, where the algorithm stands', async () => {
    const leaf = Certificate.parse(path.leaf)
    const octets = Buffer.from(path.leaf)
    const inside = octets.indexOf(leaf.tbsSignature.der)
    const outside = octets.indexOf(leaf.signatureAlgorithm.der, octets.indexOf(leaf.tbs) + leaf.tbs.length)
    expect(inside).toBeGreaterThan(0)
    expect(outside).toBeGreaterThan(inside)
    for (let bit = 0; bit < leaf.signatureAlgorithm.der.length * 8; bit++) {
      const both = flipped(flipped(path.leaf, inside * 8 + bit), outside * 8 + bit)
      expect(await validate({ ...path, leaf: both })).toMatchObject({ valid: false })
    }
  }, 60_000)

  test('an octet taken out or put in, anywhere', async () => {
    for (let index = 0; index <= path.leaf.length; index++) {
      for (const put of [[], [path.leaf[index] ?? 0, path.leaf[index] ?? 0], [0, path.leaf[index] ?? 0]]) {
        const leaf = Uint8Array.from([...path.leaf.subarray(0, index), ...put, ...path.leaf.subarray(index + 1)])
        if (Buffer.compare(leaf, path.leaf) === 0) continue
        expect((await validate({ ...path, leaf })).valid).toBe(false)
      }
    }
  }, 60_000)

  test('the other signature of the same key: s and n - s are both valid, and the signed part is the same', async () => {
    // ECDSA signatures are malleable by arithmetic, not by a bit: so fingerprints, not signatures, are what a decision is remembered by.
    const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const leaf = Certificate.parse(path.leaf)
    const { r, s } = rAndS(leaf.signature)
    const signature = encodeSignature(r, n - s)
    const other = reassemble(leaf, signature)
    expect((await validate({ ...path, leaf: other })).valid).toBe(true)
    expect(Certificate.parse(other).fingerprint).not.toBe(leaf.fingerprint)
    expect(Buffer.compare(Certificate.parse(other).tbs, leaf.tbs)).toBe(0)
    // n + s, -s and a longer spelling of s are none.
    for (const wrong of [
      encodeSignature(r, n + s),
      encodeSignature(r, -s),
      encodeSignature(r, 0n),
      encodeSignature(s, r),
      encodeSignature(r + n, s),
    ]) {
      expect((await validate({ ...path, leaf: reassemble(leaf, wrong) })).valid).toBe(false)
    }
  })
})

function rAndS(signature: Uint8Array): { r: bigint; s: bigint } {
  const reader = new DerReader(signature).enter()
  const [r, s] = [reader.integer(), reader.integer()].map((octets) =>
    BigInt(`0x${Buffer.from(octets).toString('hex')}`),
  )
  return { r: r as bigint, s: s as bigint }
}

const encodeSignature = (r: bigint, s: bigint) => seq(integer(r), integer(s))
const reassemble = ({ tbs, signatureAlgorithm }: Certificate, signature: Uint8Array) =>
  seq(tbs, signatureAlgorithm.der, bitString(0, signature))
