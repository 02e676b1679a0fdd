import { constants, createPublicKey, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto'
import { DerError, DerReader } from '../der/reader.js'
import { deny } from '../errors.js'
import {
  type AlgorithmIdentifier,
  isNull,
  type PssParameters,
  type PublicKeyFacts,
  readPssParameters,
  type SubjectPublicKeyInfo,
} from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import { oid } from '../x509/oid.js'
import { formatPem } from '../x509/pem.js'
import type { Budget } from './budget.js'
import type { ResolvedProfile } from './profile.js'
import { type SignatureAlgorithm, signatureAlgorithms } from './signature-algorithms.js'

/**
 * RFC 5280 §6.1.3 (a)(1): the certificate was signed with the working public key. Everything that can be refused by reading is refused
 * before a signature is computed; this is the only place where one is.
 */
export function checkSignature(
  certificate: Certificate,
  depth: number,
  workingPublicKey: SubjectPublicKeyInfo,
  profile: ResolvedProfile,
  budget: Budget,
): boolean {
  const algorithm = acceptedAlgorithm(certificate, depth, profile)
  const refuse = (reason: string) => refuseAlgorithm(certificate, depth, algorithm.name, reason)
  const options = verifyOptions(algorithm, certificate.signatureAlgorithm, workingPublicKey.facts, refuse)
  if (algorithm.kind === 'ecdsa' && !isEcdsaSignature(certificate.signature)) return false
  budget.spendSignature()
  const key = importKey(workingPublicKey)
  if (key === undefined) throw refuse('this runtime cannot read the public key of its issuer')
  const { digest = algorithm.digest, ...padding } = options
  try {
    // A bare key where it does: Node 24 spends a fifth of a verification on taking an options object apart.
    return verify(digest, certificate.tbs, algorithm.kind === 'pss' ? { ...padding, key } : key, certificate.signature)
  } catch {
    return false
  }
}

/** RFC 5280 §4.1.1.2: the algorithm outside is the one that was signed, octet for octet; and the profile accepts it. */
function acceptedAlgorithm(certificate: Certificate, depth: number, profile: ResolvedProfile): SignatureAlgorithm {
  const { signatureAlgorithm, tbsSignature } = certificate
  const algorithm = signatureAlgorithms.get(signatureAlgorithm.oid)
  const name = algorithm?.name ?? signatureAlgorithm.oid
  if (Buffer.compare(signatureAlgorithm.der, tbsSignature.der) !== 0) {
    throw refuseAlgorithm(certificate, depth, name, 'the algorithm inside the signed part is another one')
  }
  if (algorithm === undefined) throw refuseAlgorithm(certificate, depth, name, 'it is not known here')
  if (!profile.signatureAlgorithms.has(signatureAlgorithm.oid)) {
    throw refuseAlgorithm(certificate, depth, name, 'it is not accepted')
  }
  return algorithm
}

function refuseAlgorithm(certificate: Certificate, depth: number, algorithm: string, reason: string) {
  return deny('ERR_CLIENT_CERT_ALGORITHM', { subject: certificate.subject.toString(), algorithm, reason }, { depth })
}

function verifyOptions(
  algorithm: SignatureAlgorithm,
  { parameters }: AlgorithmIdentifier,
  key: PublicKeyFacts,
  refuse: (reason: string) => Error,
): Omit<VerifyKeyObjectInput, 'key'> & { digest?: string } {
  if (!algorithm.keyTypes.includes(key.type)) throw refuse(`its issuer has a key of type ${key.type}`)
  if (algorithm.parameters === 'absent' && parameters !== undefined) throw refuse('it has parameters')
  if (algorithm.parameters === 'null' && parameters !== undefined && !isNull(parameters)) {
    throw refuse('its parameters are not NULL')
  }
  if (algorithm.kind !== 'pss') return {}
  const [digest, saltLength] = acceptedPss(parameters, key, refuse)
  return { digest, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
}

const digestOctets: ReadonlyMap<string, [name: string, octets: number]> = new Map([
  [oid.sha256, ['sha256', 32]],
  [oid.sha384, ['sha384', 48]],
  [oid.sha512, ['sha512', 64]],
])

/** RFC 4055 §3.1: one SHA-2 digest for message and mask, a salt as long as the digest, trailer field 1, the key's own restriction kept. */
function acceptedPss(
  parameters: Uint8Array | undefined,
  key: PublicKeyFacts,
  refuse: (reason: string) => Error,
): [digest: string, saltLength: number] {
  if (parameters === undefined) throw refuse('RSA-PSS without parameters')
  const pss = readPss(parameters, refuse)
  const digest = digestOctets.get(pss.hash)
  if (digest === undefined || pss.mgfHash !== pss.hash) throw refuse('RSA-PSS digests are not one SHA-2 digest')
  if (pss.saltLength !== digest[1]) throw refuse('RSA-PSS salt is not as long as the digest')
  if (pss.trailerField !== 1) throw refuse('RSA-PSS trailer field is not 1')
  const restriction = key.type === 'RSA-PSS' ? key.pss : undefined
  const fits = restriction === undefined || (restriction.hash === pss.hash && restriction.saltLength <= pss.saltLength)
  if (!fits) throw refuse('RSA-PSS parameters are not those its issuer’s key is restricted to')
  return digest
}

function readPss(parameters: Uint8Array, refuse: (reason: string) => Error): PssParameters {
  try {
    return readPssParameters(parameters)
  } catch (error) {
    if (error instanceof DerError) throw refuse(`RSA-PSS parameters: ${error.message}`)
    throw error
  }
}

/** RFC 3279 §2.2.3: SEQUENCE { r, s } in DER, both positive. Zeros are refused here (CVE-2022-21449). */
function isEcdsaSignature(signature: Uint8Array): boolean {
  try {
    const outer = new DerReader(signature)
    const sequence = outer.enter()
    outer.finish()
    const r = sequence.nonNegative()
    const s = sequence.nonNegative()
    sequence.finish()
    return r > 0 && s > 0
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

/** Importing a key costs as much as verifying with it, so that it is remembered for as long as its certificate is. */
function importKey(info: SubjectPublicKeyInfo): KeyObject | undefined {
  if (info.imported !== undefined) return (info.imported as KeyObject | null) ?? undefined
  let key: KeyObject | null
  try {
    // As text: Node 24 takes an options object apart by catching exceptions, which costs more than reading the key.
    key = createPublicKey(formatPem('PUBLIC KEY', info.der))
  } catch {
    // A point that is not on its curve, or a key type this runtime has not got: ML-DSA before Node 24.7.
    key = null
  }
  info.imported = key
  return key ?? undefined
}
