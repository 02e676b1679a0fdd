import { Tag } from '../der/reader.js'
import { decodeTime, isPlainUtcTime } from '../der/time.js'
import { limits } from '../limits.js'
import { isReason } from '../x509/crl-entry.js'

// Nearly all entries of a CRL have one of two shapes: a serial number and a UTCTime, and nothing else or a reason code alone. To know them by
// their words takes a tenth of the time `readCrlEntry` needs, and is as strict.

/** SEQUENCE { INTEGER, UTCTime }, one octet long and 13. */
export const shortestEntry = 20

/** Offset of the contents of the serial number of the well-formed entry at `at`; their length is the octet before. */
export const serialNumberAt = (bytes: Uint8Array, at: number): number => {
  const length = bytes[at + 1] as number
  return at + 4 + (length < 0x80 ? 0 : length & 0x7f)
}

/**
 * The end of the entry at `at` if it is well-formed and of a usual shape; 0 where `readCrlEntry` has to judge it. Throws {@link DerError} where
 * that would.
 */
export function usualEntryEnd(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  limit: number,
  hasExtensions: boolean,
): number {
  if (limit - at < shortestEntry) return 0
  const head = view.getUint32(at) // SEQUENCE, its length, INTEGER, its length
  if ((head & 0xff00ff00) !== 0x30000200) return 0
  const length = (head >>> 16) & 0xff
  const serialLength = head & 0xff
  const end = at + 2 + length
  const time = at + 4 + serialLength
  const rest = time + 15
  if (length >= 0x80 || end > limit || (rest !== end && rest + 14 !== end)) return 0
  if (!isUsualInteger(view, at + 4, serialLength) || view.getUint16(time) !== 0x170d) return 0
  if (!isPlainUtcTime(view, time + 2)) decodeTime(bytes, time + 2, rest, false)
  if (rest === end) return end
  return hasExtensions && isLoneReason(view, rest) ? end : 0
}

/** Of 1 to 20 octets, or 21 of which the first is the sign's, and no octet more than it needs. */
function isUsualInteger(view: DataView, start: number, length: number): boolean {
  if (length < 2) return length === 1
  const nine = view.getUint16(start) >>> 7
  if (nine === 0 || nine === 0x1ff) return false
  return length <= limits.serialNumberBytes || (length === limits.serialNumberBytes + 1 && nine === 1)
}

/** Extensions { Extension { reasonCode, OCTET STRING { ENUMERATED } } } of 14 octets. */
const isLoneReason = (view: DataView, at: number): boolean =>
  view.getUint32(at) === 0x300c300a &&
  view.getUint32(at + 4) === 0x0603551d &&
  view.getUint32(at + 8) === 0x1504030a &&
  view.getUint8(at + 12) === 1 &&
  isReason(view.getUint8(at + 13))

/** What a well-formed entry of a usual shape says; undefined where it is of another. */
export function readUsualEntry(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): { revocationDate: number; reason: number | undefined } | undefined {
  const length = bytes[at + 1] as number
  const time = at + 4 + (bytes[at + 3] as number)
  const rest = time + 15
  const end = at + 2 + length
  if (length >= 0x80 || bytes[time] !== Tag.utcTime) return undefined
  if (rest !== end && (rest + 14 !== end || !isLoneReason(view, rest))) return undefined
  const revocationDate = decodeTime(bytes, time + 2, rest, false)
  return { revocationDate, reason: rest === end ? undefined : bytes[end - 1] }
}
