import { DerError, type DerReader, implicit } from '../der/reader.js'
import type { Extension } from './extension-list.js'
import { type GeneralName, readGeneralNames } from './general-name.js'
import { oid } from './oid.js'
import { readSerialNumber } from './serial-number.js'
import {
  type AccessDescription,
  type AuthorityKeyIdentifier,
  type DistributionPoint,
  type DistributionPointName,
  readAccessDescriptions,
  readAuthorityKeyIdentifier,
  readDistributionPointName,
  readDistributionPoints,
} from './shared-extensions.js'

/** RFC 5280 §5.2.5. At most one of the three `onlyContains…` is true. */
export interface IssuingDistributionPoint extends DistributionPointName {
  readonly onlyContainsUserCerts: boolean
  readonly onlyContainsCACerts: boolean
  /** ReasonFlags, §4.2.1.13: bit n as `1 << n`. Absent means every reason. */
  readonly onlySomeReasons?: number
  readonly indirectCRL: boolean
  readonly onlyContainsAttributeCerts: boolean
}

/** Every extension of RFC 5280 §5.2, by its type; absent ones are undefined. */
export interface CrlExtensions {
  authorityKeyIdentifier?: AuthorityKeyIdentifier
  issuerAltName?: readonly GeneralName[]
  /** Of up to 20 octets: to be compared as the integer it is. */
  cRLNumber?: bigint
  /** BaseCRLNumber: the complete CRL this delta CRL starts from. */
  deltaCRLIndicator?: bigint
  issuingDistributionPoint?: IssuingDistributionPoint
  freshestCRL?: readonly DistributionPoint[]
  authorityInfoAccess?: readonly AccessDescription[]
}

const decoders: {
  readonly [K in keyof Required<CrlExtensions>]: (reader: DerReader) => Required<CrlExtensions>[K]
} = {
  authorityKeyIdentifier: readAuthorityKeyIdentifier,
  issuerAltName: (reader) => readGeneralNames(reader.enter()),
  cRLNumber: (reader) => readCrlNumber(reader, 'cRLNumber'),
  deltaCRLIndicator: (reader) => readCrlNumber(reader, 'BaseCRLNumber'),
  issuingDistributionPoint: readIssuingDistributionPoint,
  freshestCRL: readDistributionPoints,
  authorityInfoAccess: readAccessDescriptions,
}

const byIdentifier: ReadonlyMap<string, keyof CrlExtensions> = new Map(
  (Object.keys(decoders) as (keyof CrlExtensions)[]).map((name) => [oid[name], name]),
)

/** Whether a CRL extension is one that is read. */
export const isCrlExtension = (identifier: string): boolean => byIdentifier.has(identifier)

/** Decodes those that are read; one that does not decode makes the CRL malformed, critical or not. */
export function decodeCrlExtensions(list: readonly Extension[]): CrlExtensions {
  const extensions: CrlExtensions = {}
  for (const extension of list) {
    const name = byIdentifier.get(extension.oid)
    if (name !== undefined) (extensions as Record<string, unknown>)[name] = extension.decode<unknown>(decoders[name])
  }
  return extensions
}

/** §5.2.3: INTEGER (0..MAX) of at most 20 octets, as long as a serial number may be. */
function readCrlNumber(reader: DerReader, name: string): bigint {
  const contents = readSerialNumber(reader, name)
  if (((contents[0] as number) & 0x80) !== 0) throw new DerError(`${name} is negative`, reader.start)
  return BigInt(`0x${Buffer.from(contents).toString('hex')}`)
}

/** §5.2.5: not an empty sequence. */
function readIssuingDistributionPoint(reader: DerReader): IssuingDistributionPoint {
  const sequence = reader.enter()
  if (sequence.peek() === -1) throw new DerError('issuingDistributionPoint is empty', reader.start)
  const name = readDistributionPointName(sequence)
  const onlyContainsUserCerts = readFlag(sequence, 1)
  const onlyContainsCACerts = readFlag(sequence, 2)
  const onlySomeReasons = sequence.peek() === implicit(3) ? sequence.namedBits(implicit(3)) : undefined
  const indirectCRL = readFlag(sequence, 4)
  const onlyContainsAttributeCerts = readFlag(sequence, 5)
  sequence.finish()
  if (Number(onlyContainsUserCerts) + Number(onlyContainsCACerts) + Number(onlyContainsAttributeCerts) > 1) {
    throw new DerError('issuingDistributionPoint contains only two kinds of certificates at once', reader.start)
  }
  return {
    ...name,
    onlyContainsUserCerts,
    onlyContainsCACerts,
    ...(onlySomeReasons === undefined ? {} : { onlySomeReasons }),
    indirectCRL,
    onlyContainsAttributeCerts,
  }
}

/** BOOLEAN DEFAULT FALSE. webpki reads a written FALSE; X.690 §11.5 does not let it be written. */
function readFlag(sequence: DerReader, n: number): boolean {
  if (sequence.peek() !== implicit(n)) return false
  if (!sequence.boolean(implicit(n))) throw new DerError('FALSE is the DEFAULT and must not be written', sequence.start)
  return true
}
