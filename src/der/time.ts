import { DerError } from './der-error.js'

/**
 * UTCTime `YYMMDDHHMMSSZ` or GeneralizedTime `YYYYMMDDHHMMSSZ` as milliseconds since 1970: seconds present, `Z`, no fraction
 * (RFC 5280 §4.1.2.5.1, §4.1.2.5.2). Second 60 is refused: no certificate needs one, and no two libraries agree on it.
 */
export function decodeTime(bytes: Uint8Array, start: number, end: number, generalized: boolean): number {
  const yearDigits = generalized ? 4 : 2
  if (end - start !== yearDigits + 11) throw new DerError('time is not in the form seconds and Z', start)
  if (bytes[end - 1] !== 0x5a) throw new DerError('time does not end in Z', end - 1)
  const century = generalized ? two(bytes, start) * 100 : 0
  const shortYear = two(bytes, start + yearDigits - 2)
  // RFC 5280 §4.1.2.5.1: YY of 50 and above is 19YY, below it is 20YY.
  const year = generalized ? century + shortYear : shortYear + (shortYear >= 50 ? 1900 : 2000)
  const at = start + yearDigits
  const month = two(bytes, at)
  const day = two(bytes, at + 2)
  const hour = two(bytes, at + 4)
  const minute = two(bytes, at + 6)
  const second = two(bytes, at + 8)
  const valid =
    month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month) && hour < 24 && minute < 60 && second < 60
  if (!valid) throw new DerError('time is not a date of the calendar', start)
  return (daysSinceEpoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1000
}

/**
 * Whether a UTCTime whose 13 octets are at `start` is a date that needs no calendar: up to the 28th. {@link decodeTime} judges the others. Words
 * instead of octets, because a CRL may have a million dates that nobody will ask for.
 */
export function isPlainUtcTime(view: DataView, start: number): boolean {
  const yearMonth = view.getUint32(start)
  const dayHour = view.getUint32(start + 4)
  const minuteSecond = view.getUint32(start + 8)
  if (!areDigits(yearMonth) || !areDigits(dayHour) || !areDigits(minuteSecond)) return false
  // Pairs of digits are in the order of the numbers they write.
  const month = yearMonth & 0xffff
  const day = dayHour >>> 16
  if (month < 0x3031 || month > 0x3132 || day < 0x3031 || day > 0x3238) return false
  const isTimeOfDay = (dayHour & 0xffff) < 0x3234 && minuteSecond >>> 16 < 0x3630 && (minuteSecond & 0xffff) < 0x3630
  return isTimeOfDay && view.getUint8(start + 12) === 0x5a
}

/** Four octets `0` to `9`: their upper halves are 3, and still are with 6 added to each. */
const areDigits = (word: number): boolean =>
  (word & 0xf0f0f0f0) === 0x30303030 && ((word + 0x06060606) & 0xf0f0f0f0) === 0x30303030

function two(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - 0x30
  const ones = (bytes[at + 1] as number) - 0x30
  if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw new DerError('time holds something other than digits', at)
  return tens * 10 + ones
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function daysIn(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === 2 && leap ? 29 : (monthDays[month - 1] as number)
}

/** Days of the proleptic Gregorian calendar; `Date.UTC` reads years 0 to 99 as 1900 to 1999. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
