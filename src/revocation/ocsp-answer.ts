import { DerError } from '../der/reader.js'
import type { ResolvedProfile } from '../path/profile.js'
import type { Certificate } from '../x509/certificate.js'
import type { Extension } from '../x509/extension-list.js'
import type { CertId } from '../x509/ocsp-request.js'
import {
  type BasicOcspResponse,
  type OcspResponse,
  type OcspResponseStatus,
  readOcspResponse,
  type SingleResponse,
} from '../x509/ocsp-response.js'
import { oid } from '../x509/oid.js'
import { authorise, type ResponderPolicy } from './ocsp-responder.js'

export interface OcspPolicy extends ResponderPolicy {
  /** Milliseconds that a responder's clock may be off ours. */
  readonly skew: number
  /** Milliseconds since thisUpdate for which an answer is believed: of those that say nextUpdate, and of those that do not. */
  readonly maxAge: { readonly withNextUpdate: number; readonly withoutNextUpdate: number }
  /** What becomes of a response without the nonce that was sent. */
  readonly nonce: 'none' | 'preferred' | 'required'
}

/** What was asked. */
export interface OcspQuestion {
  readonly issuer: Certificate
  readonly certId: CertId
  /** The nonce that was sent; undefined where none was. */
  readonly nonce: Uint8Array | undefined
}

/** A signed answer of somebody who may give it. Times are milliseconds since 1970. */
export interface OcspAnswer {
  readonly status: 'good' | 'revoked' | 'unknown'
  readonly thisUpdate: number
  readonly nextUpdate: number | undefined
  /** When there should be a newer one: nextUpdate, or the end of its age. */
  readonly freshUntil: number
  /** The last moment it is believed, clocks being off. */
  readonly usableUntil: number
  /** Of a revocation. */
  readonly reason?: string
  readonly since?: number
  /** A delegate signed it whose own status has to be known. */
  readonly unchecked?: Certificate
}

/** Why a response says nothing. The list is closed. */
export type OcspFlaw =
  | 'malformed'
  /** An error status. It is unsigned, so that it is no information about the certificate. */
  | Exclude<OcspResponseStatus, 'successful'>
  /** It is about others. */
  | 'other-certificate'
  | 'extension'
  | 'responder'
  | 'algorithm'
  | 'signature'
  | 'nonce'
  | 'not-yet-valid'
  | 'stale'

export type OcspJudgement =
  | { readonly usable: true; readonly answer: OcspAnswer }
  /** `reason` is for the operator; what came from a peer is quoted in it. */
  | { readonly usable: false; readonly flaw: OcspFlaw; readonly reason: string }

/**
 * What a response says about the certificate that was asked about (RFC 6960 §3.2): it is about that certificate, was signed by somebody who may
 * answer for its issuer, and is recent. Pure: the same octets at the same time are the same judgement.
 */
export function judgeOcspResponse(
  octets: Uint8Array,
  question: OcspQuestion,
  at: number,
  policy: OcspPolicy,
  profile: ResolvedProfile,
): OcspJudgement {
  const response = read(octets)
  if ('usable' in response) return response
  if (response.status !== 'successful') return unusable(response.status, `it answered ${response.status}`)
  const { basic } = response
  const matching = basic.responses.filter((single) => isAbout(single, question.certId))
  const single = weightiest(matching)
  if (single === undefined) return unusable('other-certificate', 'it answered about another certificate')
  const critical = [basic, ...matching].flatMap(({ extensions }) => extensions).find(isUnknownAndCritical)
  if (critical !== undefined)
    return unusable('extension', `it has a critical extension that is not known here: ${critical.oid}`)
  const signer = authorise(basic, question.issuer, at, policy, profile)
  if (!signer.authorised) return unusable(signer.flaw, signer.reason)
  const answer = answerOf(single, policy, signer.validUntil, signer.unchecked)
  // What was revoked for good stays so, however old the answer is that says it.
  const objection =
    objectionToTime(basic, single, at, policy) ??
    (isFinal(answer) ? undefined : objectionToAge(basic, answer, question, at, policy))
  return objection ?? { usable: true, answer }
}

const unusable = (flaw: OcspFlaw, reason: string): OcspJudgement => ({ usable: false, flaw, reason })

function read(octets: Uint8Array): OcspResponse | OcspJudgement {
  try {
    return readOcspResponse(octets)
  } catch (error) {
    if (error instanceof DerError)
      return unusable('malformed', `its answer is malformed at octet ${error.offset}: ${error.message}`)
    throw error
  }
}

const hashAlgorithms = { sha1: oid.sha1, sha256: oid.sha256 } as const

/** All four fields: the same serial number of another issuer is another certificate (CVE-2020-8286). */
function isAbout({ certId }: SingleResponse, asked: CertId): boolean {
  return (
    certId.hashAlgorithm === hashAlgorithms[asked.hash] &&
    Buffer.compare(certId.serialNumber, asked.serialNumber) === 0 &&
    Buffer.compare(certId.issuerKeyHash, asked.issuerKeyHash) === 0 &&
    Buffer.compare(certId.issuerNameHash, asked.issuerNameHash) === 0
  )
}

/** Revoked wins over everything; then the newest; then what admits nobody. */
function weightiest(matching: readonly SingleResponse[]): SingleResponse | undefined {
  const weight = ({ status }: SingleResponse) => (status.status === 'revoked' ? 1 : 0)
  const doubt = ({ status }: SingleResponse) => (status.status === 'good' ? 0 : 1)
  return matching.toSorted((a, b) => weight(b) - weight(a) || b.thisUpdate - a.thisUpdate || doubt(b) - doubt(a))[0]
}

const isUnknownAndCritical = (extension: Extension) => extension.critical && extension.oid !== oid.ocspNonce

function answerOf(
  { status: certStatus, thisUpdate, nextUpdate }: SingleResponse,
  { skew, maxAge }: OcspPolicy,
  signerEnds: number,
  unchecked: Certificate | undefined,
): OcspAnswer {
  const { status } = certStatus
  const oldest = thisUpdate + (nextUpdate === undefined ? maxAge.withoutNextUpdate : maxAge.withNextUpdate)
  const freshUntil = Math.min(nextUpdate ?? oldest, oldest)
  return {
    status,
    thisUpdate,
    nextUpdate,
    freshUntil: Math.min(freshUntil, signerEnds),
    usableUntil: Math.min(freshUntil + skew, signerEnds),
    ...(certStatus.status === 'revoked' ? { since: certStatus.revocationTime } : {}),
    ...(certStatus.status === 'revoked' && certStatus.reason !== undefined ? { reason: certStatus.reason } : {}),
    ...(unchecked === undefined ? {} : { unchecked }),
  }
}

/** RFC 5280 §5.3.1: of everything that is revoked, only what was on hold can come back. */
export const isFinal = ({ status, reason }: OcspAnswer): boolean =>
  status === 'revoked' && reason !== 'certificateHold' && reason !== 'removeFromCRL'

/** RFC 6960 §4.2.2.1: what lies in the future is not reliable. */
function objectionToTime(
  { producedAt }: BasicOcspResponse,
  { thisUpdate }: SingleResponse,
  at: number,
  { skew }: OcspPolicy,
): OcspJudgement | undefined {
  const latest = Math.max(thisUpdate, producedAt)
  if (latest <= at + skew) return undefined
  return unusable(
    'not-yet-valid',
    `its answer is of ${instant(latest)}, which is yet to come: one of the clocks is wrong`,
  )
}

/** RFC 6960 §3.2 (5), (6); RFC 9654 §2.1. */
function objectionToAge(
  { extensions }: BasicOcspResponse,
  { thisUpdate, nextUpdate, usableUntil }: OcspAnswer,
  { nonce }: OcspQuestion,
  at: number,
  policy: OcspPolicy,
): OcspJudgement | undefined {
  const returned = extensions.find((extension) => extension.oid === oid.ocspNonce)
  if (nonce !== undefined && returned !== undefined && !isNonce(returned.value, nonce))
    return unusable('nonce', 'its answer has the nonce of another request')
  if (nonce !== undefined && returned === undefined && policy.nonce === 'required')
    return unusable('nonce', "its answer has no nonce, which nonce: 'required' asks for")
  if (at <= usableUntil) return undefined
  const ended = nextUpdate !== undefined && nextUpdate + policy.skew < at
  const why = ended ? `its nextUpdate was ${instant(nextUpdate)}` : 'that is older than maxAgeSeconds allows'
  return unusable('stale', `its answer is of ${instant(thisUpdate)}, ${why}`)
}

/** RFC 9654 §2.1: an OCTET STRING inside of extnValue. */
const isNonce = (value: Uint8Array, nonce: Uint8Array) =>
  value.length === nonce.length + 2 &&
  value[0] === 4 &&
  value[1] === nonce.length &&
  Buffer.compare(value.subarray(2), nonce) === 0

const instant = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z')
