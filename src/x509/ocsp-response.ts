import { DerError, DerReader, explicit, implicit, Tag } from '../der/reader.js'
import { decodeTime } from '../der/time.js'
import { limits } from '../limits.js'
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from './algorithm.js'
import { type Extension, readExtensionList } from './extension-list.js'
import { DistinguishedName } from './name.js'
import { oid } from './oid.js'

/** RFC 6960 §4.2.1. Every one but `successful` is unsigned: whoever stands in between can send it. */
export type OcspResponseStatus =
  | 'successful'
  | 'malformedRequest'
  | 'internalError'
  | 'tryLater'
  | 'sigRequired'
  | 'unauthorized'

const statuses: readonly (OcspResponseStatus | undefined)[] = [
  'successful',
  'malformedRequest',
  'internalError',
  'tryLater',
  undefined,
  'sigRequired',
  'unauthorized',
]

export type OcspResponse =
  | { readonly status: 'successful'; readonly basic: BasicOcspResponse }
  | { readonly status: Exclude<OcspResponseStatus, 'successful'> }

/** BasicOCSPResponse (RFC 6960 §4.2.1), read and screened. Nothing in it is true before its signature and its signer were checked. */
export interface BasicOcspResponse {
  /** The signed part, ResponseData. */
  readonly tbs: Uint8Array
  readonly responderId: ResponderId
  /** Milliseconds since 1970. */
  readonly producedAt: number
  readonly responses: readonly SingleResponse[]
  readonly extensions: readonly Extension[]
  readonly signatureAlgorithm: AlgorithmIdentifier
  readonly signature: Uint8Array
  /** DER, unread. They are not signed. */
  readonly certificates: readonly Uint8Array[]
}

export type ResponderId =
  | { readonly type: 'byName'; readonly name: DistinguishedName }
  | { readonly type: 'byKey'; readonly keyHash: Uint8Array }

export interface SingleResponse {
  readonly certId: {
    readonly hashAlgorithm: string
    readonly issuerNameHash: Uint8Array
    readonly issuerKeyHash: Uint8Array
    readonly serialNumber: Uint8Array
  }
  readonly status: CertStatus
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  readonly nextUpdate: number | undefined
  readonly extensions: readonly Extension[]
}

export type CertStatus =
  | { readonly status: 'good' | 'unknown' }
  /** `reason`: the name of a CRLReason (RFC 5280 §5.3.1); undefined where absent, or a number that has no name. */
  | { readonly status: 'revoked'; readonly revocationTime: number; readonly reason: string | undefined }

/** Reads one OCSPResponse in DER. Throws {@link DerError} for whatever is none, or is none of the basic type. */
export function readOcspResponse(octets: Uint8Array): OcspResponse {
  if (octets.length > limits.ocspResponseBytes) throw new DerError(`longer than ${limits.ocspResponseBytes} octets`, 0)
  const outer = new DerReader(octets)
  const response = outer.enter()
  outer.finish()
  const status = statuses[response.nonNegative(Tag.enumerated)]
  if (status === undefined) throw new DerError('responseStatus is not one of RFC 6960', response.start)
  if (status !== 'successful') {
    // §4.2.1: an error has no responseBytes.
    response.finish()
    return { status }
  }
  const wrapper = response.enter(explicit(0))
  response.finish()
  const bytes = wrapper.enter()
  wrapper.finish()
  if (bytes.oid() !== oid.ocspBasic) throw new DerError('responseType is not id-pkix-ocsp-basic', bytes.start)
  bytes.expect(Tag.octetString)
  const inside = bytes.inside()
  bytes.finish()
  const basic = readBasic(inside.enter())
  inside.finish()
  return { status, basic }
}

function readBasic(sequence: DerReader): BasicOcspResponse {
  const from = sequence.position
  const data = sequence.enter()
  const tbs = sequence.bytes.subarray(from, sequence.position)
  const signatureAlgorithm = readAlgorithmIdentifier(sequence)
  const signature = sequence.bitStringOctets()
  const certificates = sequence.peek() === -1 ? [] : readCertificates(sequence.enter(explicit(0)))
  sequence.finish()
  return { tbs, ...readResponseData(data), signatureAlgorithm, signature, certificates }
}

/** Not SIZE (1..MAX): some responders write an empty list. Test: 'an empty list of certificates is read'. */
function readCertificates(wrapper: DerReader): Uint8Array[] {
  const sequence = wrapper.enter()
  wrapper.finish()
  const list: Uint8Array[] = []
  while (sequence.peek() !== -1) {
    if (list.length === limits.ocspCertificates) throw new DerError('too many certificates', sequence.position)
    list.push(sequence.element(Tag.sequence))
  }
  return list
}

function readResponseData(data: DerReader) {
  readVersion(data)
  const responderId = readResponderId(data)
  const producedAt = generalizedTime(data)
  const list = data.enter()
  const responses: SingleResponse[] = []
  do {
    if (responses.length === limits.ocspResponses) throw new DerError('too many responses', list.position)
    responses.push(readSingleResponse(list.enter()))
  } while (list.peek() !== -1)
  const extensions = readExtensions(data)
  data.finish()
  return { responderId, producedAt, responses, extensions }
}

/**
 * Version 1 is the DEFAULT, which DER does not write (X.690 §11.5); responders write it so often that OpenSSL and BoringSSL read it. It means what
 * its absence means. Test: 'version 1 written out is read'.
 */
function readVersion(data: DerReader): void {
  if (data.peek() !== explicit(0)) return
  const wrapper = data.enter(explicit(0))
  if (wrapper.nonNegative() !== 0) throw new DerError('version is not 1', wrapper.start)
  wrapper.finish()
}

/** Tags are EXPLICIT in RFC 6960's module. */
function readResponderId(data: DerReader): ResponderId {
  const isName = data.peek() === explicit(1)
  const wrapper = data.enter(explicit(isName ? 1 : 2))
  const id: ResponderId = isName
    ? { type: 'byName', name: DistinguishedName.read(wrapper) }
    : { type: 'byKey', keyHash: wrapper.octetString() }
  if (id.type === 'byKey' && id.keyHash.length !== 20) throw new DerError('KeyHash is no SHA-1 hash', wrapper.start)
  wrapper.finish()
  return id
}

function readSingleResponse(single: DerReader): SingleResponse {
  const certId = readCertId(single.enter())
  const status = readCertStatus(single)
  const thisUpdate = generalizedTime(single)
  let nextUpdate: number | undefined
  if (single.peek() === explicit(0)) {
    const wrapper = single.enter(explicit(0))
    nextUpdate = generalizedTime(wrapper)
    wrapper.finish()
    if (nextUpdate < thisUpdate) throw new DerError('nextUpdate is before thisUpdate', wrapper.start)
  }
  const extensions = readExtensions(single)
  single.finish()
  return { certId, status, thisUpdate, nextUpdate, extensions }
}

function readCertId(sequence: DerReader): SingleResponse['certId'] {
  const { oid: hashAlgorithm, parametersAre } = readAlgorithmIdentifier(sequence)
  if (parametersAre === 'other') throw new DerError('hashAlgorithm has parameters', 0)
  const issuerNameHash = sequence.octetString()
  const issuerKeyHash = sequence.octetString()
  const serialNumber = sequence.integer()
  sequence.finish()
  return { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber }
}

/** CertStatus is a CHOICE of IMPLICIT NULL, RevokedInfo and NULL. */
function readCertStatus(single: DerReader): CertStatus {
  single.next()
  switch (single.tag) {
    case implicit(0):
    case implicit(2):
      if (single.start !== single.end) throw new DerError('certStatus is not an empty NULL', single.start)
      return { status: single.tag === implicit(0) ? 'good' : 'unknown' }
    case explicit(1):
      return readRevokedInfo(single.inside())
    default:
      throw new DerError('certStatus is not good, revoked or unknown', single.start)
  }
}

/** RFC 5280 §5.3.1; 7 is not used. */
const reasons: readonly (string | undefined)[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  undefined,
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
]

/** A reason without a name does not make a revocation unreadable: it would then be worth less than one that gives none. */
function readRevokedInfo(info: DerReader): CertStatus {
  const revocationTime = generalizedTime(info)
  let reason: string | undefined
  if (info.peek() === explicit(0)) {
    const wrapper = info.enter(explicit(0))
    reason = reasons[wrapper.nonNegative(Tag.enumerated)]
    wrapper.finish()
  }
  info.finish()
  return { status: 'revoked', revocationTime, reason }
}

function readExtensions(sequence: DerReader): readonly Extension[] {
  if (sequence.peek() !== explicit(1)) return []
  const wrapper = sequence.enter(explicit(1))
  const extensions = readExtensionList(wrapper.enter())
  wrapper.finish()
  return extensions
}

/** RFC 6960 §4.2.2.1: times are GeneralizedTime, as RFC 5280 §4.1.2.5.2 writes it. */
function generalizedTime(reader: DerReader): number {
  reader.expect(Tag.generalizedTime)
  return decodeTime(reader.bytes, reader.start, reader.end, true)
}
