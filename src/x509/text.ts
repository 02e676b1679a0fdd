import { DerError, Tag } from '../der/reader.js'

/**
 * Decodes an ASN.1 character string (X.690 §8.23) and refuses octets its type does not allow. NUL is refused in every type:
 * it is how one name is made to look like another (CVE-2009-2408, CVE-2025-66220).
 *
 * Returns undefined for a TeletexString outside printable ASCII, whose meaning nobody agrees on, and for types that are no
 * character strings.
 */
export function decodeString(tag: number, bytes: Uint8Array, start: number, end: number): string | undefined {
  switch (tag) {
    case Tag.utf8String:
      return decodeUtf8(bytes, start, end)
    case Tag.printableString:
      return latin1(bytes, start, end, printable, 'PrintableString')
    case Tag.ia5String:
      return latin1(bytes, start, end, ascii, 'IA5String')
    case Tag.numericString:
      return latin1(bytes, start, end, numeric, 'NumericString')
    case Tag.teletexString:
      return firstOther(bytes, start, end, visible) === end ? slice(bytes, start, end) : undefined
    case Tag.bmpString:
      return decodeUtf16(bytes, start, end)
    case Tag.universalString:
      return decodeUtf32(bytes, start, end)
    default:
      return undefined
  }
}

/** What an octet may be part of, a bit each: one table and one loop for every type. */
const ascii = 1
const visible = 2
const numeric = 4
const printable = 8

// X.680 §41.4, and * @ _ &, which X.680 does not allow: private CAs put e-mail addresses and wildcards into PrintableString,
// and OpenSSL and Go read them. Test: 'a PrintableString with @ is read'.
const printableCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?*@_&"

const classes = Uint8Array.from({ length: 256 }, (_, c) => {
  const isVisible = c >= 0x20 && c < 0x7f
  const isDigit = c >= 0x30 && c <= 0x39
  return (
    (c > 0 && c < 0x80 ? ascii : 0) |
    (isVisible ? visible : 0) |
    (isDigit || c === 0x20 ? numeric : 0) |
    (isVisible && printableCharacters.includes(String.fromCharCode(c)) ? printable : 0)
  )
})

/** The first octet that is not of the class, or `end`. */
function firstOther(bytes: Uint8Array, start: number, end: number, octetClass: number): number {
  let i = start
  while (i < end && ((classes[bytes[i] as number] as number) & octetClass) !== 0) i++
  return i
}

function latin1(bytes: Uint8Array, start: number, end: number, octetClass: number, type: string): string {
  const other = firstOther(bytes, start, end, octetClass)
  if (other < end) throw new DerError(`${type} holds an octet it may not`, other)
  return slice(bytes, start, end)
}

/** One character an octet. */
export function slice(bytes: Uint8Array, start: number, end: number): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return buffer.toString('latin1', start, end)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf16 = new TextDecoder('utf-16be', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (firstOther(bytes, start, end, ascii) === end) return slice(bytes, start, end)
  try {
    return withoutNul(utf8.decode(bytes.subarray(start, end)), start)
  } catch {
    throw new DerError('UTF8String is not UTF-8 or holds NUL', start)
  }
}

function decodeUtf16(bytes: Uint8Array, start: number, end: number): string {
  try {
    return withoutNul(utf16.decode(bytes.subarray(start, end)), start)
  } catch {
    throw new DerError('BMPString is malformed or holds NUL', start)
  }
}

function decodeUtf32(bytes: Uint8Array, start: number, end: number): string {
  if ((end - start) % 4 !== 0) throw new DerError('UniversalString is not a multiple of four octets', start)
  let text = ''
  for (let i = start; i < end; i += 4) {
    const high = ((bytes[i] as number) << 8) | (bytes[i + 1] as number)
    const point = high * 0x10000 + ((bytes[i + 2] as number) << 8) + (bytes[i + 3] as number)
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      throw new DerError('UniversalString holds what is not a character', i)
    }
    text += String.fromCodePoint(point)
  }
  return withoutNul(text, start)
}

function withoutNul(text: string, offset: number): string {
  if (text.includes('\0')) throw new DerError('string holds NUL', offset)
  return text
}
