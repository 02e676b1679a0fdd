import { sign } from 'node:crypto'
import {
  bitString,
  constructed,
  type Extension,
  extensionDer,
  integer,
  oid,
  primitive,
  sequence,
  time,
  tlv,
} from './path-der.js'
import { type Forged, fromNoon, type Key } from './path-forge.js'

/** A forge for CRLs, as `path-forge.ts` is one for certificates: synchronous, and nothing of the product is used. */

export const reason = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const
export type Reason = keyof typeof reason

/** ReasonFlags by their bits (RFC 5280 §4.2.1.13). */
const flagBits = {
  unused: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 7,
  aACompromise: 8,
} as const
export type ReasonFlag = keyof typeof flagBits
export const reasonFlags = Object.keys(flagBits).slice(1) as ReasonFlag[]

/** `[n] IMPLICIT ReasonFlags`. */
function flags(n: number, names: readonly ReasonFlag[]): Uint8Array {
  const bits = names.map((name) => flagBits[name])
  const last = Math.max(...bits)
  const octets = new Uint8Array((last >> 3) + 1)
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] as number) | (0x80 >> (bit & 7))
  return primitive(n, [7 - (last & 7), ...octets])
}

/** Names are GeneralNames; a relative name is the contents of a RelativeDistinguishedName: AttributeTypeAndValues. */
export interface PointName {
  readonly fullName?: readonly Uint8Array[]
  readonly relative?: Uint8Array
}
const pointName = ({ fullName, relative }: PointName): Uint8Array[] => {
  if (fullName !== undefined) return [constructed(0, constructed(0, ...fullName))]
  return relative === undefined ? [] : [constructed(0, constructed(1, relative))]
}

export interface Point extends PointName {
  readonly reasons?: readonly ReasonFlag[]
  readonly cRLIssuer?: readonly Uint8Array[]
}
const pointDer = ({ reasons, cRLIssuer, ...name }: Point) =>
  sequence(
    ...pointName(name),
    ...(reasons === undefined ? [] : [flags(1, reasons)]),
    ...(cRLIssuer === undefined ? [] : [constructed(2, ...cRLIssuer)]),
  )

export const cRLDistributionPoints = (...points: readonly Point[]): Extension => ({
  oid: '2.5.29.31',
  critical: false,
  value: sequence(...points.map(pointDer)),
})
export const freshestCRL = (...points: readonly Point[]): Extension => ({
  ...cRLDistributionPoints(...points),
  oid: '2.5.29.46',
})

export interface Issuing extends PointName {
  readonly userCerts?: boolean
  readonly cACerts?: boolean
  readonly reasons?: readonly ReasonFlag[]
  readonly indirect?: boolean
  readonly attributeCerts?: boolean
}
const flag = (n: number, value = false) => (value ? [primitive(n, [0xff])] : [])

export const issuingDistributionPoint = (scope: Issuing): Extension => ({
  oid: '2.5.29.28',
  critical: true,
  value: sequence(
    ...pointName(scope),
    ...flag(1, scope.userCerts),
    ...flag(2, scope.cACerts),
    ...(scope.reasons === undefined ? [] : [flags(3, scope.reasons)]),
    ...flag(4, scope.indirect),
    ...flag(5, scope.attributeCerts),
  ),
})

export const unknownExtension = (critical: boolean): Extension => ({ oid: '1.2.3.4', critical, value: tlv(5) })

export interface Entry {
  readonly serial: number
  readonly reason?: Reason
  readonly date?: Date
  /** GeneralNames of the certificate issuer. */
  readonly issuer?: readonly Uint8Array[]
  readonly extensions?: readonly Extension[]
}

function entryDer({ serial, reason: name, date = fromNoon(-7200), issuer, extensions = [] }: Entry): Uint8Array {
  const all: Extension[] = [
    ...(name === undefined ? [] : [{ oid: '2.5.29.21', critical: false, value: tlv(10, [reason[name]]) }]),
    ...(issuer === undefined ? [] : [{ oid: '2.5.29.29', critical: true, value: sequence(...issuer) }]),
    ...extensions,
  ]
  return sequence(integer(serial), time(date), ...(all.length > 0 ? [sequence(...all.map(extensionDer))] : []))
}

export interface CrlPlan {
  /** Absent: in a version 2 CRL 1. `null`: none. */
  readonly number?: number | null
  /** BaseCRLNumber: makes it a delta CRL. */
  readonly base?: number
  readonly version?: 1 | 2
  /** Seconds from noon. */
  readonly thisUpdate?: number
  /** Seconds from noon; `null` for none. */
  readonly nextUpdate?: number | null
  readonly entries?: readonly Entry[]
  readonly scope?: Issuing
  /** The key whose identifier it names; `null` for no authorityKeyIdentifier. Absent: the one that signs. */
  readonly names?: Key | null
  /** In place of the default of their type, or added at the end. */
  readonly extensions?: readonly Extension[]
  /** Signs in the issuer's place. */
  readonly signer?: Key
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))

export function forgeCrl({ subject, key }: Pick<Forged, 'subject' | 'key'>, plan: CrlPlan = {}): Uint8Array {
  const { version = 2, number = 1, base, entries = [], scope, extensions = [], signer = key } = plan
  const { thisUpdate = -3600, nextUpdate = 3600, names = signer } = plan
  const replaced = new Set(extensions.map((extension) => extension.oid))
  const defaults: Extension[] = [
    ...(names === null ? [] : [{ oid: '2.5.29.35', critical: false, value: sequence(primitive(0, names.id)) }]),
    ...(number === null ? [] : [{ oid: '2.5.29.20', critical: false, value: integer(number) }]),
    ...(base === undefined ? [] : [{ oid: '2.5.29.27', critical: true, value: integer(base) }]),
    ...(scope === undefined ? [] : [issuingDistributionPoint(scope)]),
  ]
  const all = [...defaults.filter((extension) => !replaced.has(extension.oid)), ...extensions]
  const tbs = sequence(
    ...(version === 1 ? [] : [integer(1)]),
    ecdsaWithSha256,
    subject,
    time(fromNoon(thisUpdate)),
    ...(nextUpdate === null ? [] : [time(fromNoon(nextUpdate))]),
    ...(entries.length > 0 ? [sequence(...entries.map(entryDer))] : []),
    ...(version === 1 || all.length === 0 ? [] : [constructed(0, sequence(...all.map(extensionDer)))]),
  )
  return sequence(tbs, ecdsaWithSha256, bitString(sign('sha256', tbs, signer.private)))
}

/** A CRL whose signature is not one over it. */
export function tampered(crl: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(crl)
  // Within s, whose last octet may be anything.
  const last = copy.length - 1
  copy[last] = (copy[last] as number) ^ 1
  return copy
}
