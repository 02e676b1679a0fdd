/** Algorithms that hash by themselves: Ed25519 and Ed448 (RFC 8410), ML-DSA (RFC 9881) where the runtime has it. */
import { describe, expect, test } from '@jest/globals'
import { bitString, oid, sequence } from '../support/path-der.js'
import {
  forge,
  forgePath,
  type Key,
  type PureKeyType,
  poolKey,
  pureAlgorithms,
  pureKey,
  verdict,
} from '../support/path-forge.js'

const types: readonly PureKeyType[] = ['ed25519', 'ed448', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']

describe.each(types)('%s', (type) => {
  const [own, other, client] = [pureKey(type), pureKey(type), pureKey(type)]
  const where = own === undefined ? test.skip : test
  const keys = () => [own, other, client] as [Key, Key, Key]

  where('signs a whole path, and a client of another key', async () => {
    const [rootKey, caKey, clientKey] = keys()
    const root = forge({ subject: 'Root', key: rootKey })
    for (const key of [clientKey, poolKey(1)]) {
      const [ca, leaf] = forgePath(root, { ca: true, subject: 'CA', key: caKey }, { key })
      expect(await verdict(leaf as never, [ca as never], [root])).toBe('accepted')
    }
  })

  where('signed by another key of its type is refused', async () => {
    const [rootKey, otherKey, key] = keys()
    const root = forge({ subject: 'Root', key: rootKey })
    expect(await verdict(forge({ issuer: root, key, signer: otherKey }), [], [root])).toBe('SIGNATURE')
    expect(await verdict(forge({ issuer: root, key }), [], [root])).toBe('accepted')
  })

  where('one octet of the signature or of what was signed is another: refused', async () => {
    const [rootKey, , key] = keys()
    const root = forge({ subject: 'Root', key: rootKey })
    const leaf = forge({ issuer: root, key, subject: 'alice' })
    for (const place of [leaf.der.length - 1, Buffer.from(leaf.der).indexOf('alice') + 1]) {
      const der = Uint8Array.from(leaf.der)
      der[place] = (der[place] as number) ^ 1
      expect(await verdict({ ...leaf, der }, [], [root])).toBe('SIGNATURE')
    }
  })

  where('is refused where the profile does not name it', async () => {
    const [rootKey, , key] = keys()
    const root = forge({ subject: 'Root', key: rootKey })
    const profile = { signatureAlgorithms: ['ecdsa-with-SHA256'] }
    expect(await verdict(forge({ issuer: root, key }), [], [root], profile)).toMatch(/^ALGORITHM/)
  })

  const whereNot = own === undefined ? test : test.skip
  whereNot('is refused by name, and does nobody harm, where the runtime has not got it', async () => {
    const octets = { 'ml-dsa-44': 1312, 'ml-dsa-65': 1952, 'ml-dsa-87': 2592 }[type as 'ml-dsa-44']
    const algorithm = sequence(oid(pureAlgorithms[type]))
    const spki = sequence(algorithm, bitString(new Uint8Array(octets)))
    const root = forge({ subject: 'Root', key: { ...poolKey(0), spki, algorithm }, unsigned: true })
    // Node 22 makes no such keys, and verifies with them: its OpenSSL knows them.
    expect(await verdict(forge({ issuer: root, key: poolKey(1), unsigned: true }), [], [root])).toMatch(
      /^(ALGORITHM: this runtime cannot read the public key of its issuer|SIGNATURE)$/,
    )
    const classic = forge({ subject: 'Classic', key: poolKey(2) })
    expect(await verdict(forge({ issuer: classic, key: { ...poolKey(1), spki } }), [], [classic, root])).toBe(
      'accepted',
    )
  })
})
