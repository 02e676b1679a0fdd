import { constants, createVerify, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto'
import { DerError, DerReader } from '../der/reader.js'
import { deny } from '../errors.js'
import {
  type AlgorithmIdentifier,
  type PssParameters,
  type PublicKeyFacts,
  readPssParameters,
  type SubjectPublicKeyInfo,
} from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import { oid } from '../x509/oid.js'
import type { Budget } from './budget.js'
import { importPublicKey } from './import-key.js'
import type { ResolvedProfile } from './profile.js'
import { type SignatureAlgorithm, signatureAlgorithms } from './signature-algorithms.js'

/** What carries a signature: a certificate, a CRL, an OCSP response. */
export interface Signed {
  /** The octets that were signed. */
  readonly tbs: Uint8Array
  readonly signatureAlgorithm: AlgorithmIdentifier
  /** The algorithm the signed octets themselves name, where the structure has a place for it. */
  readonly tbsSignature?: AlgorithmIdentifier
  readonly signature: Uint8Array
}

/** `refused`: the algorithm or its parameters are not accepted, and nothing was computed. */
export type SignatureVerdict =
  | { readonly verdict: 'valid' | 'invalid' }
  | { readonly verdict: 'refused'; readonly algorithm: string; readonly reason: string }

const valid: SignatureVerdict = { verdict: 'valid' }
const invalid: SignatureVerdict = { verdict: 'invalid' }

/**
 * RFC 5280 §6.1.3 (a)(1): the certificate was signed with the working public key. Everything that can be refused by reading is refused
 * before a signature is computed.
 */
export function checkSignature(
  certificate: Certificate,
  depth: number,
  workingPublicKey: SubjectPublicKeyInfo,
  profile: ResolvedProfile,
  budget: Budget,
): boolean {
  const judged = verifySigned(certificate, workingPublicKey, profile, budget)
  if (judged.verdict === 'refused') throw refuseAlgorithm(certificate, judged.algorithm, judged.reason, depth)
  return judged.verdict === 'valid'
}

/** What {@link checkSignature} asks of a trust anchor, whose signature nobody verifies. */
export function checkSignedAlgorithm(certificate: Certificate, depth: number): void {
  if (namesOneAlgorithm(certificate)) return
  throw refuseAlgorithm(certificate, nameOf(certificate), otherInside, depth)
}

/** RFC 5280 §4.1.1.2, §5.1.1.2: the algorithm outside is the one that was signed, octet for octet. */
const namesOneAlgorithm = ({ signatureAlgorithm, tbsSignature = signatureAlgorithm }: Signed): boolean =>
  signatureAlgorithm.isWrittenAs(tbsSignature)

const otherInside = 'the algorithm inside the signed part is another one'

const nameOf = ({ signatureAlgorithm }: Signed): string =>
  signatureAlgorithms.get(signatureAlgorithm.oid)?.name ?? signatureAlgorithm.oid

const refuseAlgorithm = ({ subject }: Certificate, algorithm: string, reason: string, depth: number) =>
  deny('ERR_CLIENT_CERT_ALGORITHM', { subject: subject.toString(), algorithm, reason }, { depth })

/** Whether `key` signed it with an algorithm the profile accepts. The only place where a signature is computed, beside the one in slices. */
export function verifySigned(
  signed: Signed,
  key: SubjectPublicKeyInfo,
  profile: ResolvedProfile,
  budget?: Budget,
): SignatureVerdict {
  const prepared = prepare(signed, key, profile, budget)
  if ('verdict' in prepared) return prepared
  const { digest, padding, keyObject } = prepared
  try {
    // A bare key where it does: Node 24 spends a fifth of a verification on taking an options object apart.
    return verify(
      digest,
      signed.tbs,
      padding === undefined ? keyObject : { ...padding, key: keyObject },
      signed.signature,
    )
      ? valid
      : invalid
  } catch {
    return invalid
  }
}

/** Octets hashed before others get their turn: about half a millisecond. */
const sliceOctets = 1024 * 1024

/**
 * The same for megabytes, in slices between which others get their turn. Algorithms that hash by themselves (Ed25519, ML-DSA) take their octets whole.
 *
 * @param pause resolves when the next slice may be hashed
 */
export async function verifySignedInSlices(
  signed: Signed,
  key: SubjectPublicKeyInfo,
  profile: ResolvedProfile,
  pause: () => Promise<void>,
): Promise<SignatureVerdict> {
  const prepared = prepare(signed, key, profile, undefined)
  if ('verdict' in prepared) return prepared
  const { digest, padding, keyObject } = prepared
  if (digest === undefined || signed.tbs.length <= sliceOctets) return verifySigned(signed, key, profile)
  try {
    const verifier = createVerify(digest)
    for (let from = 0; from < signed.tbs.length; from += sliceOctets) {
      verifier.update(signed.tbs.subarray(from, from + sliceOctets))
      await pause()
    }
    return verifier.verify({ ...padding, key: keyObject }, signed.signature) ? valid : invalid
  } catch {
    return invalid
  }
}

interface Prepared {
  readonly digest: string | undefined
  readonly padding: Omit<VerifyKeyObjectInput, 'key'> | undefined
  readonly keyObject: KeyObject
}

/** Everything that can be refused by reading. */
function prepare(
  signed: Signed,
  key: SubjectPublicKeyInfo,
  profile: ResolvedProfile,
  budget: Budget | undefined,
): Prepared | SignatureVerdict {
  const { signatureAlgorithm } = signed
  const algorithm = signatureAlgorithms.get(signatureAlgorithm.oid)
  const refuse = (reason: string): SignatureVerdict => ({ verdict: 'refused', algorithm: nameOf(signed), reason })
  if (!namesOneAlgorithm(signed)) return refuse(otherInside)
  if (algorithm === undefined) return refuse('it is not known here')
  if (!profile.signatureAlgorithms.has(signatureAlgorithm.oid)) return refuse('it is not accepted')
  const options = verifyOptions(algorithm, signatureAlgorithm, key.facts)
  if (typeof options === 'string') return refuse(options)
  if (algorithm.kind === 'ecdsa' && !isEcdsaSignature(signed.signature)) return invalid
  budget?.spendSignature()
  const keyObject = importKey(key)
  if (keyObject === undefined) return refuse('this runtime cannot read the public key of its issuer')
  return { digest: options.digest, padding: options.padding, keyObject }
}

/** How `node:crypto` is asked; or why it is not, as text. */
function verifyOptions(
  algorithm: SignatureAlgorithm,
  identifier: AlgorithmIdentifier,
  key: PublicKeyFacts,
): Omit<Prepared, 'keyObject'> | string {
  const { digest } = algorithm
  if (!algorithm.keyTypes.includes(key.type)) return `its issuer has a key of type ${key.type}`
  const { parametersAre } = identifier
  if (algorithm.parameters === 'absent' && parametersAre !== 'absent') return 'it has parameters'
  if (algorithm.parameters === 'null' && parametersAre === 'other') return 'its parameters are not NULL'
  return algorithm.kind === 'pss' ? pssOptions(identifier, key) : { digest, padding: undefined }
}

const digestOctets: ReadonlyMap<string, [name: string, octets: number]> = new Map([
  [oid.sha256, ['sha256', 32]],
  [oid.sha384, ['sha384', 48]],
  [oid.sha512, ['sha512', 64]],
])

/** RFC 4055 §3.1: one SHA-2 digest for message and mask, a salt as long as the digest, trailer field 1, the key's own restriction kept. */
function pssOptions(identifier: AlgorithmIdentifier, key: PublicKeyFacts): Omit<Prepared, 'keyObject'> | string {
  if (identifier.parametersAre === 'absent') return 'RSA-PSS without parameters'
  const pss = readPss(identifier)
  if (typeof pss === 'string') return pss
  const known = digestOctets.get(pss.hash)
  if (known === undefined || pss.mgfHash !== pss.hash) return 'RSA-PSS digests are not one SHA-2 digest'
  const [digest, saltLength] = known
  if (pss.saltLength !== saltLength) return 'RSA-PSS salt is not as long as the digest'
  if (pss.trailerField !== 1) return 'RSA-PSS trailer field is not 1'
  const restriction = key.type === 'RSA-PSS' ? key.pss : undefined
  const fits = restriction === undefined || (restriction.hash === pss.hash && restriction.saltLength <= pss.saltLength)
  if (!fits) return 'RSA-PSS parameters are not those its issuer’s key is restricted to'
  return { digest, padding: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength } }
}

function readPss(identifier: AlgorithmIdentifier): PssParameters | string {
  try {
    return readPssParameters(identifier)
  } catch (error) {
    if (error instanceof DerError) return `RSA-PSS parameters: ${error.message}`
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
  if (info.imported === undefined) info.imported = importPublicKey(info) ?? null
  return (info.imported as KeyObject | null) ?? undefined
}
