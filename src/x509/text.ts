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
      return latin1(bytes, start, end, isPrintable, 'PrintableString')
    case Tag.ia5String:
      return latin1(bytes, start, end, isAscii, 'IA5String')
    case Tag.numericString:
      return latin1(bytes, start, end, isNumeric, 'NumericString')
    case Tag.teletexString:
      return isAll(bytes, start, end, isVisible) ? slice(bytes, start, end) : undefined
    case Tag.bmpString:
      return decodeUtf16(bytes, start, end)
    case Tag.universalString:
      return decodeUtf32(bytes, start, end)
    default:
      return undefined
  }
}

type OctetTest = (octet: number) => boolean

const isAscii: OctetTest = (c) => c > 0 && c < 0x80
const isVisible: OctetTest = (c) => c >= 0x20 && c < 0x7f
const isNumeric: OctetTest = (c) => c === 0x20 || (c >= 0x30 && c <= 0x39)

// X.680 §41.4, and * @ _ &, which X.680 does not allow: private CAs put e-mail addresses and wildcards into PrintableString,
// and OpenSSL and Go read them. Test: 'a PrintableString with @ is read'.
const printableOctets = new Uint8Array(128)
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?*@_&") {
  printableOctets[c.charCodeAt(0)] = 1
}
const isPrintable: OctetTest = (c) => printableOctets[c] === 1

function isAll(bytes: Uint8Array, start: number, end: number, test: OctetTest): boolean {
  for (let i = start; i < end; i++) if (!test(bytes[i] as number)) return false
  return true
}

function latin1(bytes: Uint8Array, start: number, end: number, test: OctetTest, type: string): string {
  for (let i = start; i < end; i++) {
    if (!test(bytes[i] as number)) throw new DerError(`${type} holds an octet it may not`, i)
  }
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
  if (isAll(bytes, start, end, isAscii)) return slice(bytes, start, end)
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
