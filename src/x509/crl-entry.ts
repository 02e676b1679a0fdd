import { DerError, type DerReader, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { type Extension, readExtensionList } from './extension-list.js'
import { type GeneralName, readGeneralNames } from './general-name.js'
import { oid } from './oid.js'
import { readSerialNumber } from './serial-number.js'
import type { Mutable } from './shared-extensions.js'

/** CRLReason, RFC 5280 §5.3.1; 7 is not used. */
export const CRLReason = {
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

/** Whether a number that is not negative is one of {@link CRLReason}. */
export const isReason = (code: number): boolean => code <= CRLReason.aACompromise && code !== 7

/** One entry of revokedCertificates. */
export interface CrlEntry {
  /** INTEGER contents, two's complement. */
  readonly serialNumber: Uint8Array
  /** Milliseconds since 1970. */
  readonly revocationDate: number
  /** One of {@link CRLReason}; what is absent is unspecified. */
  readonly reason?: number
  /** Milliseconds since 1970. */
  readonly invalidityDate?: number
  /** §5.3.3: who issued the certificates of this entry and of those after it. */
  readonly certificateIssuer?: readonly GeneralName[]
  /** §5.3: the CRL must not be used for any certificate. */
  readonly unknownCriticalExtension?: string
}

/**
 * Reads the entry the cursor stands on (RFC 5280 §5.1.2.6, §5.3). Throws {@link DerError}.
 *
 * @param version of the CRL: entries have extensions from version 2 on
 */
export function readCrlEntry(reader: DerReader, version: number): CrlEntry {
  const at = reader.position
  const sequence = reader.enter()
  if (reader.end - at > limits.crlEntryBytes) {
    throw new DerError(`CRL entry is longer than ${limits.crlEntryBytes} octets`, at)
  }
  const serialNumber = readSerialNumber(sequence)
  const entry: Mutable<CrlEntry> = { serialNumber, revocationDate: sequence.time() }
  if (sequence.peek() !== -1) {
    if (version === 1) throw new DerError('CRL entry extensions in a version 1 CRL', sequence.position)
    for (const extension of readExtensionList(sequence.enter())) readExtension(extension, entry)
  }
  sequence.finish()
  return entry
}

function readExtension(extension: Extension, entry: Mutable<CrlEntry>): void {
  switch (extension.oid) {
    case oid.reasonCode:
      entry.reason = extension.decode(readReason)
      break
    case oid.invalidityDate:
      entry.invalidityDate = extension.decode(readInvalidityDate)
      break
    // Whether it is marked critical, as it must be, changes nothing: who leaves it out reads other entries than were written.
    case oid.certificateIssuer:
      entry.certificateIssuer = extension.decode((value) => readGeneralNames(value.enter()))
      break
    default:
      if (extension.critical) entry.unknownCriticalExtension ??= extension.oid
  }
}

function readReason(value: DerReader): number {
  const code = value.nonNegative(Tag.enumerated)
  if (!isReason(code)) throw new DerError('reasonCode is none of RFC 5280', value.start)
  return code
}

/** §5.3.2: GeneralizedTime, whatever the year. */
function readInvalidityDate(value: DerReader): number {
  if (value.peek() !== Tag.generalizedTime)
    throw new DerError('invalidityDate is not a GeneralizedTime', value.position)
  return value.time()
}
