import { checkWellFormed, DerError, DerReader, explicit, implicit, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { type GeneralName, readGeneralName, readGeneralNames } from './general-name.js'
import { DistinguishedName } from './name.js'
import { oid } from './oid.js'

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

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier?: Uint8Array
  readonly authorityCertIssuer?: readonly GeneralName[]
  readonly authorityCertSerialNumber?: Uint8Array
}
export interface BasicConstraints {
  readonly cA: boolean
  /** Infinity where the number is larger than any path. */
  readonly pathLenConstraint?: number
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
export interface DistributionPoint {
  readonly fullName?: readonly GeneralName[]
  /** To be read below the CRL issuer's name: contents of one RelativeDistinguishedName. */
  readonly nameRelativeToCRLIssuer?: Uint8Array
  /** ReasonFlags, RFC 5280 §4.2.1.13: bit n as `1 << n`. */
  readonly reasons?: number
  readonly cRLIssuer?: readonly GeneralName[]
}
export interface AccessDescription {
  readonly accessMethod: string
  readonly accessLocation: GeneralName
}

/** Every extension of RFC 5280 §4.2 and RFC 9608, by its type; absent ones are undefined. */
export interface Extensions {
  authorityKeyIdentifier?: AuthorityKeyIdentifier
  subjectKeyIdentifier?: Uint8Array
  /** Bits of {@link KeyUsageBit}. */
  keyUsage?: number
  certificatePolicies?: readonly PolicyInformation[]
  policyMappings?: readonly PolicyMapping[]
  policyConstraints?: PolicyConstraints
  inhibitAnyPolicy?: number
  subjectAltName?: readonly GeneralName[]
  issuerAltName?: readonly GeneralName[]
  basicConstraints?: BasicConstraints
  nameConstraints?: NameConstraints
  extKeyUsage?: readonly string[]
  cRLDistributionPoints?: readonly DistributionPoint[]
  freshestCRL?: readonly DistributionPoint[]
  authorityInfoAccess?: readonly AccessDescription[]
  subjectInfoAccess?: readonly AccessDescription[]
  noRevAvail?: true
}

type Decoder = (reader: DerReader) => unknown

const decoders: {
  readonly [K in keyof Required<Extensions>]: (reader: DerReader) => Required<Extensions>[K]
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
  cRLDistributionPoints: (reader) => listOf(reader, readDistributionPoint),
  freshestCRL: (reader) => listOf(reader, readDistributionPoint),
  authorityInfoAccess: (reader) => listOf(reader, readAccessDescription),
  subjectInfoAccess: (reader) => listOf(reader, readAccessDescription),
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

/**
 * Decodes one extension into `target`, if it is one this package reads. `bytes[start..end)` are the contents of extnValue, which
 * must hold exactly one element.
 */
export function decodeExtension(
  target: Extensions,
  identifier: string,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const known = byIdentifier.get(identifier)
  if (known === undefined) return
  const [name, decode] = known
  const reader = new DerReader(bytes, start, end)
  ;(target as Record<string, unknown>)[name] = decode(reader)
  reader.finish()
}

/** SEQUENCE SIZE (1..MAX) OF. */
function listOf<T>(reader: DerReader, readItem: (items: DerReader) => T, check?: (list: T[], at: number) => void): T[] {
  const at = reader.position
  const items = reader.enter()
  const list: T[] = []
  do {
    if (list.length === limits.extensionEntries) throw new DerError('too many entries', items.position)
    list.push(readItem(items))
  } while (items.peek() !== -1)
  check?.(list, at)
  return list
}

function notEmpty(reader: DerReader, octets: Uint8Array): Uint8Array {
  if (octets.length === 0) throw new DerError('key identifier is empty', reader.start)
  return octets
}

/** §4.2.1.1: issuer and serial number come together or not at all. */
function readAuthorityKeyIdentifier(reader: DerReader): AuthorityKeyIdentifier {
  const sequence = reader.enter()
  const value: { -readonly [K in keyof AuthorityKeyIdentifier]: AuthorityKeyIdentifier[K] } = {}
  if (sequence.peek() === implicit(0)) value.keyIdentifier = notEmpty(sequence, sequence.octetString(implicit(0)))
  if (sequence.peek() === explicit(1)) value.authorityCertIssuer = readGeneralNames(sequence.enter(explicit(1)))
  if (sequence.peek() === implicit(2)) value.authorityCertSerialNumber = sequence.integer(implicit(2))
  if ((value.authorityCertIssuer === undefined) !== (value.authorityCertSerialNumber === undefined)) {
    throw new DerError('authorityCertIssuer and authorityCertSerialNumber belong together', reader.start)
  }
  sequence.finish()
  return value
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
  if (sequence.peek() === -1) return { cA }
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
  if (new Set(list.map(({ policyIdentifier }) => policyIdentifier)).size !== list.length) {
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

/** §4.2.1.13: reasons alone are not a distribution point. */
function readDistributionPoint(items: DerReader): DistributionPoint {
  const at = items.position
  const sequence = items.enter()
  const value: { -readonly [K in keyof DistributionPoint]: DistributionPoint[K] } = {}
  if (sequence.peek() === explicit(0)) {
    const choice = sequence.enter(explicit(0))
    if (choice.peek() === explicit(0)) value.fullName = readGeneralNames(choice.enter(explicit(0)))
    else {
      choice.expect(explicit(1))
      value.nameRelativeToCRLIssuer = choice.contents()
      DistinguishedName.relativeTo(DistinguishedName.parse(''), choice.inside())
    }
    choice.finish()
  }
  if (sequence.peek() === implicit(1)) value.reasons = sequence.namedBits(implicit(1))
  if (sequence.peek() === explicit(2)) value.cRLIssuer = readGeneralNames(sequence.enter(explicit(2)))
  sequence.finish()
  if (value.fullName === undefined && value.nameRelativeToCRLIssuer === undefined && value.cRLIssuer === undefined) {
    throw new DerError('distribution point names nothing', at)
  }
  return value
}

function readAccessDescription(items: DerReader): AccessDescription {
  const sequence = items.enter()
  const accessMethod = sequence.oid()
  const accessLocation = readGeneralName(sequence)
  sequence.finish()
  return { accessMethod, accessLocation }
}
