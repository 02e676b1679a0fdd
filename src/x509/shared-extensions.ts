import { DerError, type DerReader, explicit, implicit } from '../der/reader.js'
import { limits } from '../limits.js'
import { type GeneralName, readGeneralName, readGeneralNames } from './general-name.js'
import { DistinguishedName } from './name.js'

// The extensions that stand in certificates (RFC 5280 §4.2) and in CRLs (§5.2) alike.

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier?: Uint8Array
  readonly authorityCertIssuer?: readonly GeneralName[]
  readonly authorityCertSerialNumber?: Uint8Array
}
/** One of the two, or neither. */
export interface DistributionPointName {
  readonly fullName?: readonly GeneralName[]
  /** To be read below the CRL issuer's name: contents of one RelativeDistinguishedName. */
  readonly nameRelativeToCRLIssuer?: Uint8Array
}
export interface DistributionPoint extends DistributionPointName {
  /** ReasonFlags, RFC 5280 §4.2.1.13: bit n as `1 << n`. */
  readonly reasons?: number
  readonly cRLIssuer?: readonly GeneralName[]
}
export interface AccessDescription {
  readonly accessMethod: string
  readonly accessLocation: GeneralName
}

/** What a value is while its fields are read. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** SEQUENCE SIZE (1..MAX) OF. */
export function listOf<T>(
  reader: DerReader,
  readItem: (items: DerReader) => T,
  check?: (list: T[], at: number) => void,
): T[] {
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

export function notEmpty(reader: DerReader, octets: Uint8Array): Uint8Array {
  if (octets.length === 0) throw new DerError('key identifier is empty', reader.start)
  return octets
}

/** §4.2.1.1: issuer and serial number come together or not at all. */
export function readAuthorityKeyIdentifier(reader: DerReader): AuthorityKeyIdentifier {
  const sequence = reader.enter()
  const value: Mutable<AuthorityKeyIdentifier> = {}
  if (sequence.peek() === implicit(0)) value.keyIdentifier = notEmpty(sequence, sequence.octetString(implicit(0)))
  if (sequence.peek() === explicit(1)) value.authorityCertIssuer = readGeneralNames(sequence.enter(explicit(1)))
  if (sequence.peek() === implicit(2)) value.authorityCertSerialNumber = sequence.integer(implicit(2))
  if ((value.authorityCertIssuer === undefined) !== (value.authorityCertSerialNumber === undefined)) {
    throw new DerError('authorityCertIssuer and authorityCertSerialNumber belong together', reader.start)
  }
  sequence.finish()
  return value
}

/** §4.2.1.13: CRLDistributionPoints, which FreshestCRL is too (§4.2.1.15, §5.2.6). */
export const readDistributionPoints = (reader: DerReader): readonly DistributionPoint[] =>
  listOf(reader, readDistributionPoint)

/** §4.2.1.13: reasons alone are not a distribution point. */
function readDistributionPoint(items: DerReader): DistributionPoint {
  const at = items.position
  const sequence = items.enter()
  const value: Mutable<DistributionPoint> = readDistributionPointName(sequence)
  if (sequence.peek() === implicit(1)) value.reasons = sequence.namedBits(implicit(1))
  if (sequence.peek() === explicit(2)) value.cRLIssuer = readGeneralNames(sequence.enter(explicit(2)))
  sequence.finish()
  if (value.fullName === undefined && value.nameRelativeToCRLIssuer === undefined && value.cRLIssuer === undefined) {
    throw new DerError('distribution point names nothing', at)
  }
  return value
}

/** The first field of a DistributionPoint and of an IssuingDistributionPoint (§5.2.5), where it is there. */
export function readDistributionPointName(sequence: DerReader): DistributionPointName {
  if (sequence.peek() !== explicit(0)) return {}
  const choice = sequence.enter(explicit(0))
  const value: Mutable<DistributionPointName> = {}
  if (choice.peek() === explicit(0)) value.fullName = readGeneralNames(choice.enter(explicit(0)))
  else {
    choice.expect(explicit(1))
    value.nameRelativeToCRLIssuer = choice.contents()
    DistinguishedName.relativeTo(DistinguishedName.parse(''), choice.inside())
  }
  choice.finish()
  return value
}

/** §4.2.2.1, §5.2.7. */
export const readAccessDescriptions = (reader: DerReader): readonly AccessDescription[] =>
  listOf(reader, readAccessDescription)

function readAccessDescription(items: DerReader): AccessDescription {
  const sequence = items.enter()
  const accessMethod = sequence.oid()
  const accessLocation = readGeneralName(sequence)
  sequence.finish()
  return { accessMethod, accessLocation }
}
