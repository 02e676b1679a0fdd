import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { DerReader } from '../../src/der/reader.js'
import { importPublicKey } from '../../src/path/import-key.js'
import { SubjectPublicKeyInfo } from '../../src/x509/algorithm.js'

const kinds = [
  ['RSA-2048', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 })],
  ['P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
  ['Ed25519', () => generateKeyPairSync('ed25519')],
  ['Ed448', () => generateKeyPairSync('ed448')],
] as const

const read = (spki: Uint8Array) => new SubjectPublicKeyInfo(new DerReader(Uint8Array.from(spki)))

describe('a public key made of its SubjectPublicKeyInfo', () => {
  test.each(kinds)('%s: is the key, and verifies what its owner signed and nothing else', (kind, generate) => {
    const { publicKey, privateKey } = generate()
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const imported = importPublicKey(read(spki))
    expect(imported?.export({ type: 'spki', format: 'der' })).toEqual(spki)
    const digest = kind.startsWith('Ed') ? undefined : 'sha256'
    const message = createHash('sha256').update(kind).digest()
    const signature = sign(digest, message, privateKey)
    expect(verify(digest, message, imported as never, signature)).toBe(true)
    message[0] = (message[0] as number) ^ 1
    expect(verify(digest, message, imported as never, signature)).toBe(false)
  })

  test('an EC point that is not on its curve is no key', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    expect(importPublicKey(read(spki))).toBeDefined()
    spki[spki.length - 1] = (spki[spki.length - 1] as number) ^ 1
    expect(importPublicKey(read(spki))).toBeUndefined()
  })

  test('a compressed point is the same key', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const point = spki.subarray(-65)
    const compressed = Buffer.concat([[2 + ((point[64] as number) & 1)], point.subarray(1, 33)].map(Buffer.from))
    const header = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex')
    const imported = importPublicKey(read(Buffer.concat([header, compressed])))
    expect(imported?.equals(publicKey)).toBe(true)
  })

  test('an RSA modulus loses the octet that keeps it positive, and nothing else', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    expect(importPublicKey(read(spki))?.equals(publicKey)).toBe(true)
  })
})
