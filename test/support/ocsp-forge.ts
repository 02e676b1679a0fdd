/** OCSP responses as no responder would write them. Made of test/support/path-der.ts, without the product. */
import { createHash, sign } from 'node:crypto'
import {
  bitString,
  constructed,
  type Extension,
  extensionDer,
  extKeyUsage,
  integer,
  octetString,
  oid,
  primitive,
  sequence,
  tlv,
} from './path-der.js'
import { type Forged, forge, fromNoon, type Key, noon, type Plan } from './path-forge.js'

export const hashOid = { sha1: '1.3.14.3.2.26', sha256: '2.16.840.1.101.3.4.2.1' } as const

export const generalizedTime = (date: Date | string): Uint8Array =>
  tlv(0x18, Buffer.from(typeof date === 'string' ? date : `${date.toISOString().slice(0, 19).replace(/\D/g, '')}Z`))

/** Fields of a CertID; each may be wrong. */
export interface CertIdPlan {
  readonly hash?: 'sha1' | 'sha256'
  readonly name: Uint8Array
  /** Contents of the issuer's subjectPublicKey. */
  readonly point: Uint8Array
  readonly serial: Uint8Array
  /** Of the hash algorithm. Default NULL. */
  readonly parameters?: Uint8Array
}

export const digest = (hash: string, octets: Uint8Array): Uint8Array => createHash(hash).update(octets).digest()

export function certIdDer({ hash = 'sha1', name, point, serial, parameters = Uint8Array.of(5, 0) }: CertIdPlan) {
  return sequence(
    sequence(oid(hashOid[hash]), parameters),
    octetString(digest(hash, name)),
    octetString(digest(hash, point)),
    tlv(2, serial),
  )
}

/** The public key of a pool key without the octet that counts unused bits: its SubjectPublicKeyInfo ends in it. */
export const pointOf = (key: Key): Uint8Array => key.spki.subarray(key.spki.length - 65)

/** The serial number of a certificate: INTEGER contents. */
export function serialOf({ tbs }: Pick<Forged, 'tbs'>): Uint8Array {
  // After the header of the signed part and five octets of version [0].
  const at = 2 + ((tbs[1] as number) >= 0x80 ? (tbs[1] as number) & 0x7f : 0) + 5
  return tbs.subarray(at + 2, at + 2 + (tbs[at + 1] as number))
}

export interface SinglePlan {
  readonly certId?: Uint8Array
  readonly status?: Uint8Array
  readonly thisUpdate?: Date | string
  /** False leaves it out. */
  readonly nextUpdate?: Date | string | false
  readonly extensions?: readonly Extension[]
}

export const good: Uint8Array = primitive(0, [])
export const unknown: Uint8Array = primitive(2, [])
export const revoked = (at: Date = fromNoon(-3600), reason?: number): Uint8Array =>
  constructed(1, generalizedTime(at), ...(reason === undefined ? [] : [constructed(0, tlv(0x0a, [reason]))]))

export interface ResponsePlan {
  /** Names the responder; default: by the hash of the signer's key. */
  readonly responderId?: Uint8Array
  readonly producedAt?: Date | string
  readonly singles?: readonly SinglePlan[]
  readonly extensions?: readonly Extension[]
  readonly signer?: Key
  readonly certificates?: readonly Uint8Array[] | false
  readonly version?: Uint8Array
  /** DER of another AlgorithmIdentifier than ecdsa-with-SHA256, and its digest. */
  readonly algorithm?: readonly [der: Uint8Array, digest: string]
}

export const byKey = (key: Key): Uint8Array => constructed(2, octetString(digest('sha1', pointOf(key))))
export const byName = (name: Uint8Array): Uint8Array => constructed(1, name)

export const ecdsaWithSha256: Uint8Array = sequence(oid('1.2.840.10045.4.3.2'))
export const nonceExtension = (value: Uint8Array, critical = false): Extension => ({
  oid: '1.3.6.1.5.5.7.48.1.2',
  critical,
  value: octetString(value),
})

const optionalExtensions = (extensions: readonly Extension[] | undefined) =>
  extensions === undefined ? [] : [constructed(1, sequence(...extensions.map(extensionDer)))]

export const singleDer = (certId: Uint8Array, plan: SinglePlan = {}): Uint8Array =>
  sequence(
    plan.certId ?? certId,
    plan.status ?? good,
    generalizedTime(plan.thisUpdate ?? fromNoon(-60)),
    ...(plan.nextUpdate === false ? [] : [constructed(0, generalizedTime(plan.nextUpdate ?? fromNoon(3600)))]),
    ...optionalExtensions(plan.extensions),
  )

/** ResponseData about the certificate with this CertID. */
export const responseData = (certId: Uint8Array, signer: Key, plan: ResponsePlan = {}): Uint8Array =>
  sequence(
    ...(plan.version === undefined ? [] : [plan.version]),
    plan.responderId ?? byKey(signer),
    generalizedTime(plan.producedAt ?? fromNoon(-60)),
    sequence(...(plan.singles ?? [{}]).map((single) => singleDer(certId, single))),
    ...optionalExtensions(plan.extensions),
  )

export const basicResponse = (
  tbs: Uint8Array,
  signer: Key,
  { certificates, algorithm = [ecdsaWithSha256, 'sha256'] }: Pick<ResponsePlan, 'certificates' | 'algorithm'> = {},
): Uint8Array =>
  sequence(
    tbs,
    algorithm[0],
    bitString(sign(algorithm[1], tbs, signer.private)),
    ...(certificates ? [constructed(0, sequence(...certificates))] : []),
  )

export const wrap = (basic: Uint8Array, responseType = '1.3.6.1.5.5.7.48.1.1'): Uint8Array =>
  sequence(tlv(0x0a, [0]), constructed(0, sequence(oid(responseType), octetString(basic))))

export const errorResponse = (status: number): Uint8Array => sequence(tlv(0x0a, [status]))

/** A whole OCSPResponse. */
export function respond(certId: Uint8Array, issuer: Forged, plan: ResponsePlan = {}): Uint8Array {
  const signer = plan.signer ?? issuer.key
  return wrap(basicResponse(responseData(certId, signer, plan), signer, plan))
}

export const ocspSigning = '1.3.6.1.5.5.7.3.9'
export const noCheck: Extension = { oid: '1.3.6.1.5.5.7.48.1.5', critical: false, value: Uint8Array.of(5, 0) }

/** A responder's certificate as its CA should make it, but for what `plan` says. */
export const delegate = (issuer: Forged, plan: Plan = {}): Forged =>
  forge({
    subject: 'responder',
    issuer,
    ...plan,
    extensions: [extKeyUsage([ocspSigning]), noCheck, ...(plan.extensions ?? [])].filter(
      (extension, i, all) => all.findLastIndex(({ oid: other }) => other === extension.oid) === i,
    ),
  })

export { fromNoon, integer, noon }
