import 'reflect-metadata'
import * as crypto from 'node:crypto'
import { promisify } from 'node:util'
import { PemConverter } from '@peculiar/x509'
import { BitString, Null } from 'asn1js'
import { type Block, context, integer, oid, sequence, toDer } from './asn1.js'
import { lookUp } from './options.js'
import type { TestEncoding, TestHash, TestKeyAlgorithm, TestKeyHolder } from './types.js'

export interface KeyPair {
  readonly privateKey: crypto.KeyObject
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** PKCS#8. */
  readonly pem: string
}

const generate = promisify(crypto.generateKeyPair)

const generators: Record<TestKeyAlgorithm, () => Promise<{ privateKey: crypto.KeyObject }>> = {
  'P-256': () => generate('ec', { namedCurve: 'prime256v1' }),
  'P-384': () => generate('ec', { namedCurve: 'secp384r1' }),
  'P-521': () => generate('ec', { namedCurve: 'secp521r1' }),
  'RSA-1024': () => generate('rsa', { modulusLength: 1024 }),
  'RSA-2048': () => generate('rsa', { modulusLength: 2048 }),
  'RSA-3072': () => generate('rsa', { modulusLength: 3072 }),
  'RSA-4096': () => generate('rsa', { modulusLength: 4096 }),
  'RSA-PSS-2048': () => generate('rsa-pss', { modulusLength: 2048 }),
  Ed25519: () => generate('ed25519'),
  Ed448: () => generate('ed448'),
  secp256k1: () => generate('ec', { namedCurve: 'secp256k1' }),
}

/** The key of `holder` if there is one, else a new one. */
export async function keyOf(holder: TestKeyHolder | undefined, kind: TestKeyAlgorithm): Promise<KeyPair> {
  if (holder) return readKey(holder)
  return keyPair((await lookUp(generators, 'keyAlgorithm', kind)()).privateKey)
}

export const readKey = (holder: TestKeyHolder): KeyPair => keyPair(crypto.createPrivateKey(holder.key.pem))

const keyPair = (privateKey: crypto.KeyObject): KeyPair => ({
  privateKey,
  publicKey: Uint8Array.from(crypto.createPublicKey(privateKey).export({ type: 'spki', format: 'der' })),
  pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
})

/**
 * SEQUENCE { toBeSigned, signatureAlgorithm, signature }: a certificate, a CRL and a CSR alike. The generators of
 * @peculiar/x509 sign by WebCrypto, which has no secp256k1.
 */
export function signed(
  label: string,
  { privateKey }: KeyPair,
  hash: TestHash | undefined,
  toBeSigned: (algorithm: Block) => Block[],
): TestEncoding {
  const { identifier, digest, ...padding } = signatureAlgorithm(privateKey, hash)
  const content = sequence(...toBeSigned(identifier))
  const signature = crypto.sign(digest, toDer(content), { key: privateKey, ...padding })
  const der = toDer(sequence(content, identifier, new BitString({ valueHex: signature })))
  return { der, pem: `${PemConverter.encode(der, label)}\n` }
}

/** Object identifiers, the last two without what all have in common. */
const hashes: Record<TestHash, { oid: string; bytes: number; rsa: number; ecdsa: string }> = {
  'SHA-1': { oid: '1.3.14.3.2.26', bytes: 20, rsa: 5, ecdsa: '1' },
  'SHA-256': { oid: '2.16.840.1.101.3.4.2.1', bytes: 32, rsa: 11, ecdsa: '3.2' },
  'SHA-384': { oid: '2.16.840.1.101.3.4.2.2', bytes: 48, rsa: 12, ecdsa: '3.3' },
  'SHA-512': { oid: '2.16.840.1.101.3.4.2.3', bytes: 64, rsa: 13, ecdsa: '3.4' },
}

const hashOfCurve: Record<string, TestHash> = { secp384r1: 'SHA-384', secp521r1: 'SHA-512' }

function signatureAlgorithm(key: crypto.KeyObject, hash: TestHash | undefined) {
  const kind = key.asymmetricKeyType
  if (kind === 'ed25519') return { identifier: sequence(oid('1.3.101.112')), digest: null }
  if (kind === 'ed448') return { identifier: sequence(oid('1.3.101.113')), digest: null }

  const digest = hash ?? hashOfCurve[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? 'SHA-256'
  const { bytes: saltLength, ...row } = lookUp(hashes, 'hash', digest)
  if (kind === 'ec') return { identifier: sequence(oid(`1.2.840.10045.4.${row.ecdsa}`)), digest }
  if (kind === 'rsa') return { identifier: sequence(oid(`1.2.840.113549.1.1.${row.rsa}`), new Null()), digest }
  if (kind !== 'rsa-pss') throw new TypeError(`no signature algorithm for a key of type "${kind}"`)

  const hashAlgorithm = sequence(oid(row.oid), new Null())
  const maskGeneration = sequence(oid('1.2.840.113549.1.1.8'), hashAlgorithm)
  // Fields that hold their default value, which are those of SHA-1, are left out (RFC 4055 §3.1).
  const parameters =
    digest === 'SHA-1' ? [] : [context(0, hashAlgorithm), context(1, maskGeneration), context(2, integer(saltLength))]
  const identifier = sequence(oid('1.2.840.113549.1.1.10'), sequence(...parameters))
  return { identifier, digest, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength }
}
