import { OctetMemory } from '../der/octet-memory.js'
import { DerError, DerReader, explicit, implicit, Tag } from '../der/reader.js'
import { checkWellFormed } from '../der/well-formed.js'
import { limits } from '../limits.js'
import { type Extension, readFields } from './extension-list.js'
import { type GeneralName, readGeneralName, readGeneralNames } from './general-name.js'
import { oid } from './oid.js'
import {
  type AccessDescription,
  type AuthorityKeyIdentifier,
  type DistributionPoint,
  listOf,
  notEmpty,
  readAccessDescriptions,
  readAuthorityKeyIdentifier,
  readDistributionPoints,
} from './shared-extensions.js'

/** RFC 5280 §4.2.1.3: bit n of the named bit list is `1 << n`. */
export const KeyUsageBit = {
  digitalSignature: 1 << 0,
  nonRepudiation: 1 << 1,
  keyEncipherment: 1 << 2,
  dataEncipherment: 1 << 3,
  keyAgreement: 1 << 4,
  keyCertSign: 1 << 5,
  cRLSign: 1 << 6,
  encipherOnly: 1 << 7,
  decipherOnly: 1 << 8,
} as const

export type KeyUsageName = keyof typeof KeyUsageBit

/** The names of the bits that are set, in the standard's order. */
export function keyUsageNames(bits: number): KeyUsageName[] {
  return (Object.keys(KeyUsageBit) as KeyUsageName[]).filter((name) => (bits & KeyUsageBit[name]) !== 0)
}

export interface BasicConstraints {
  readonly cA: boolean
  /** Infinity where the number is larger than any path. */
  readonly pathLenConstraint?: number | undefined
}
export interface PolicyInformation {
  readonly policyIdentifier: string
  readonly qualifiers: readonly { readonly id: string; readonly der: Uint8Array }[]
}
export interface PolicyMapping {
  readonly issuerDomainPolicy: string
  readonly subjectDomainPolicy: string
}
export interface PolicyConstraints {
  readonly requireExplicitPolicy?: number
  readonly inhibitPolicyMapping?: number
}
/** RFC 5280 §4.2.1.10: `minimum` is 0 and `maximum` absent in every certificate the profile allows. */
export interface GeneralSubtree {
  readonly base: GeneralName
  readonly minimum: number
  readonly maximum?: number
}
export interface NameConstraints {
  readonly permittedSubtrees?: readonly GeneralSubtree[]
  readonly excludedSubtrees?: readonly GeneralSubtree[]
}

/**
 * Every extension of RFC 5280 §4.2 and RFC 9608, by its type; absent ones are undefined. All fields are there from the beginning: objects of one
 * shape are read and written several times as fast as those that get their fields in the order each certificate has its extensions in.
 */
export class Extensions {
  authorityKeyIdentifier: AuthorityKeyIdentifier | undefined = undefined
  subjectKeyIdentifier: Uint8Array | undefined = undefined
  /** Bits of {@link KeyUsageBit}. */
  keyUsage: number | undefined = undefined
  certificatePolicies: readonly PolicyInformation[] | undefined = undefined
  policyMappings: readonly PolicyMapping[] | undefined = undefined
  policyConstraints: PolicyConstraints | undefined = undefined
  inhibitAnyPolicy: number | undefined = undefined
  subjectAltName: readonly GeneralName[] | undefined = undefined
  issuerAltName: readonly GeneralName[] | undefined = undefined
  basicConstraints: BasicConstraints | undefined = undefined
  nameConstraints: NameConstraints | undefined = undefined
  extKeyUsage: readonly string[] | undefined = undefined
  cRLDistributionPoints: readonly DistributionPoint[] | undefined = undefined
  freshestCRL: readonly DistributionPoint[] | undefined = undefined
  authorityInfoAccess: readonly AccessDescription[] | undefined = undefined
  subjectInfoAccess: readonly AccessDescription[] | undefined = undefined
  noRevAvail: true | undefined = undefined
}

type Decoder = (reader: DerReader) => unknown

const decoders: {
  readonly [K in keyof Extensions]: (reader: DerReader) => NonNullable<Extensions[K]>
} = {
  authorityKeyIdentifier: readAuthorityKeyIdentifier,
  subjectKeyIdentifier: (reader) => notEmpty(reader, reader.octetString()),
  keyUsage: readKeyUsage,
  certificatePolicies: (reader) => listOf(reader, readPolicyInformation, distinctPolicies),
  policyMappings: (reader) => listOf(reader, readPolicyMapping),
  policyConstraints: readPolicyConstraints,
  inhibitAnyPolicy: (reader) => reader.nonNegative(),
  subjectAltName: (reader) => readGeneralNames(reader.enter()),
  issuerAltName: (reader) => readGeneralNames(reader.enter()),
  basicConstraints: readBasicConstraints,
  nameConstraints: readNameConstraints,
  extKeyUsage: (reader) => listOf(reader, (item) => item.oid()),
  cRLDistributionPoints: readDistributionPoints,
  freshestCRL: readDistributionPoints,
  authorityInfoAccess: readAccessDescriptions,
  subjectInfoAccess: readAccessDescriptions,
  noRevAvail: (reader) => {
    reader.null()
    return true
  },
}

const byIdentifier: ReadonlyMap<string, [keyof Extensions, Decoder]> = new Map(
  (Object.keys(decoders) as (keyof Extensions)[]).map((name) => [oid[name], [name, decoders[name]]]),
)

/** The name of an extension this package reads, by its identifier. */
export const extensionName = (identifier: string): keyof Extensions | undefined => byIdentifier.get(identifier)?.[0]

/** What certificates repeat: what they may be used for, where its CRLs are. */
const repeated = new OctetMemory<Extension>(96)

/** Those whose values have no octets, which nobody can freeze, or rarely some. */
const isShared: ReadonlySet<keyof Extensions> = new Set([
  'keyUsage',
  'policyMappings',
  'policyConstraints',
  'inhibitAnyPolicy',
  'basicConstraints',
  'extKeyUsage',
  'cRLDistributionPoints',
  'freshestCRL',
  'authorityInfoAccess',
  'subjectInfoAccess',
  'noRevAvail',
] as const)

/** Reads the extension of a certificate the cursor stands on, and its value, if it is one this package reads. */
export function readCertificateExtension(sequence: DerReader): Extension {
  const at = sequence.position
  sequence.expect(Tag.sequence)
  const { bytes, end } = sequence
  const known = repeated.recall(bytes, at, end)
  if (known !== undefined) return known
  const extension = readFields(sequence.inside(), at)
  const [name, decode] = byIdentifier.get(extension.oid) ?? []
  if (name === undefined || decode === undefined) return extension
  extension.decode(decode)
  if (!isShared.has(name)) return extension
  return repeated.remember(bytes, at, end, (copy) => readFrozen(new DerReader(copy).enter(), decode)) ?? extension
}

/** For whoever's certificate has the same; undefined where its value has octets after all. */
function readFrozen(item: DerReader, decode: Decoder): Extension | undefined {
  const extension = readFields(item, 0)
  extension.decode(decode)
  return extension.freeze() ? extension : undefined
}

/** Puts the value of one extension into `target`, if it is one this package reads. */
export function decodeExtension(target: Extensions, extension: Extension): void {
  const known = byIdentifier.get(extension.oid)
  if (known === undefined) return
  const [name, decode] = known
  ;(target as unknown as Record<string, unknown>)[name] = extension.decode(decode)
}

/** §4.2.1.3: at least one bit is set. */
function readKeyUsage(reader: DerReader): number {
  const bits = reader.namedBits()
  if (bits === 0) throw new DerError('keyUsage has no bit set', reader.start)
  return bits
}

/**
 * §4.2.1.9. `cA FALSE` written out is not DER (X.690 §11.5), but CAs write it so often that OpenSSL, Go and webpki read it; it
 * means what its absence means. Test: 'cA FALSE written out is read as an end entity'.
 */
function readBasicConstraints(reader: DerReader): BasicConstraints {
  const sequence = reader.enter()
  const cA = sequence.peek() === Tag.boolean ? sequence.boolean() : false
  // Its own, if undefined: whatever an application's Object.prototype came to have lengthens no path.
  if (sequence.peek() === -1) return { cA, pathLenConstraint: undefined }
  const pathLenConstraint = sequence.nonNegative()
  sequence.finish()
  if (!cA) throw new DerError('pathLenConstraint without cA', reader.start)
  return { cA, pathLenConstraint }
}

function readPolicyInformation(items: DerReader): PolicyInformation {
  const sequence = items.enter()
  const policyIdentifier = sequence.oid()
  const qualifiers = sequence.peek() === -1 ? [] : listOf(sequence, readPolicyQualifier)
  sequence.finish()
  return { policyIdentifier, qualifiers }
}

function readPolicyQualifier(items: DerReader): { id: string; der: Uint8Array } {
  const sequence = items.enter()
  const id = sequence.oid()
  const der = sequence.element()
  checkWellFormed(der)
  sequence.finish()
  return { id, der }
}

/** §4.2.1.4: a policy must not appear twice. */
function distinctPolicies(list: readonly PolicyInformation[], at: number): void {
  if (list.length > 1 && new Set(list.map(({ policyIdentifier }) => policyIdentifier)).size !== list.length) {
    throw new DerError('a certificate policy appears twice', at)
  }
}

function readPolicyMapping(items: DerReader): PolicyMapping {
  const sequence = items.enter()
  const issuerDomainPolicy = sequence.oid()
  const subjectDomainPolicy = sequence.oid()
  sequence.finish()
  return { issuerDomainPolicy, subjectDomainPolicy }
}

/** §4.2.1.11: not an empty sequence. */
function readPolicyConstraints(reader: DerReader): PolicyConstraints {
  const sequence = reader.enter()
  const value: { -readonly [K in keyof PolicyConstraints]: PolicyConstraints[K] } = {}
  if (sequence.peek() === implicit(0)) value.requireExplicitPolicy = sequence.nonNegative(implicit(0))
  if (sequence.peek() === implicit(1)) value.inhibitPolicyMapping = sequence.nonNegative(implicit(1))
  sequence.finish()
  if (value.requireExplicitPolicy === undefined && value.inhibitPolicyMapping === undefined) {
    throw new DerError('policyConstraints is empty', reader.start)
  }
  return value
}

/** §4.2.1.10: not an empty sequence, and neither are its lists. */
function readNameConstraints(reader: DerReader): NameConstraints {
  const sequence = reader.enter()
  const value: { -readonly [K in keyof NameConstraints]: NameConstraints[K] } = {}
  if (sequence.peek() === explicit(0)) value.permittedSubtrees = readSubtrees(sequence.enter(explicit(0)))
  if (sequence.peek() === explicit(1)) value.excludedSubtrees = readSubtrees(sequence.enter(explicit(1)))
  sequence.finish()
  if (value.permittedSubtrees === undefined && value.excludedSubtrees === undefined) {
    throw new DerError('nameConstraints is empty', reader.start)
  }
  return value
}

function readSubtrees(items: DerReader): GeneralSubtree[] {
  const list: GeneralSubtree[] = []
  do {
    if (list.length === limits.extensionEntries) throw new DerError('too many subtrees', items.position)
    const sequence = items.enter()
    const base = readGeneralName(sequence, 'constraint')
    const minimum = sequence.peek() === implicit(0) ? sequence.nonNegative(implicit(0)) : 0
    const maximum = sequence.peek() === implicit(1) ? sequence.nonNegative(implicit(1)) : undefined
    sequence.finish()
    list.push(maximum === undefined ? { base, minimum } : { base, minimum, maximum })
  } while (items.peek() !== -1)
  return list
}
