import { DerError, type DerReader, explicit, implicit, Tag } from '../der/reader.js'
import { checkWellFormed } from '../der/well-formed.js'
import { limits } from '../limits.js'
import { DistinguishedName } from './name.js'
import { oid } from './oid.js'
import { decodeString, slice } from './text.js'

/**
 * RFC 5280 §4.2.1.6. `userPrincipalName` and `smtpUtf8Mailbox` are the two otherName forms that are read; every other keeps
 * its DER. Domain names and addresses are as written: case is folded where they are compared, not here.
 */
export type GeneralName =
  | { readonly type: 'otherName'; readonly oid: string; readonly der: Uint8Array }
  | { readonly type: 'userPrincipalName' | 'smtpUtf8Mailbox'; readonly value: string }
  | { readonly type: 'rfc822Name' | 'dNSName' | 'uniformResourceIdentifier'; readonly value: string }
  | { readonly type: 'x400Address' | 'ediPartyName'; readonly der: Uint8Array }
  | { readonly type: 'directoryName'; readonly value: DistinguishedName }
  | { readonly type: 'iPAddress'; readonly value: string; readonly octets: Uint8Array }
  | { readonly type: 'registeredID'; readonly value: string }

/** A name that is ASCII text: screened when it was read, made a string when somebody asks for it, which most readers of a certificate do not. */
export class TextName {
  readonly type: 'rfc822Name' | 'dNSName' | 'uniformResourceIdentifier'
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #end: number

  constructor(type: TextName['type'], { bytes, start, end }: DerReader) {
    this.type = type
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  get value(): string {
    return slice(this.#bytes, this.#start, this.#end)
  }
}

/** What a GeneralName is read for: a constraint is a base, not a name, and is written differently. */
type Purpose = 'name' | 'constraint'

/** Reads a GeneralNames sequence whose header has been entered: at least one entry. */
export function readGeneralNames(sequence: DerReader): readonly GeneralName[] {
  const names: GeneralName[] = []
  do {
    if (names.length === limits.extensionEntries) throw new DerError('too many names', sequence.position)
    names.push(readGeneralName(sequence))
  } while (sequence.peek() !== -1)
  return names
}

export function readGeneralName(reader: DerReader, purpose: Purpose = 'name'): GeneralName {
  const from = reader.position
  reader.next()
  const { bytes, start, end } = reader
  switch (reader.tag) {
    case explicit(0):
      return readOtherName(reader.inside())
    case implicit(1):
      return readIa5(reader, purpose === 'name' ? isMailbox : isAny, 'rfc822Name')
    case implicit(2):
      return readIa5(reader, purpose === 'name' ? isDnsName : isAny, 'dNSName')
    case explicit(3):
      checkWellFormed(bytes, start, end)
      return { type: 'x400Address', der: bytes.subarray(from, end) }
    case explicit(4): {
      const inner = reader.inside()
      const value = DistinguishedName.read(inner)
      inner.finish()
      return { type: 'directoryName', value }
    }
    case explicit(5):
      checkWellFormed(bytes, start, end)
      return { type: 'ediPartyName', der: bytes.subarray(from, end) }
    case implicit(6):
      return readIa5(reader, purpose === 'name' ? isAbsoluteUri : isAny, 'uniformResourceIdentifier')
    case implicit(7): {
      const octets = bytes.subarray(start, end)
      const lengths = purpose === 'name' ? [4, 16] : [8, 32]
      if (!lengths.includes(octets.length)) throw new DerError('iPAddress has a wrong length', start)
      return { type: 'iPAddress', value: formatIp(octets, purpose), octets }
    }
    case implicit(8):
      return { type: 'registeredID', value: reader.inside().oidContents() }
    default:
      throw new DerError('unknown form of name', from)
  }
}

function readOtherName(inner: DerReader): GeneralName {
  const type = inner.oid()
  inner.expect(explicit(0))
  const value = inner.inside()
  inner.finish()
  const at = value.position
  const der = value.element()
  value.finish()
  if (type === oid.userPrincipalName) {
    // Microsoft says UTF8String; its own tools have written others. A value that is no text is no principal.
    const text = decodeString(value.tag, value.bytes, value.start, value.end)
    if (text === undefined || text === '') throw new DerError('user principal name is not a character string', at)
    return { type: 'userPrincipalName', value: text }
  }
  if (type === oid.smtpUtf8Mailbox) return { type: 'smtpUtf8Mailbox', value: readSmtpUtf8(value, at) }
  checkWellFormed(der)
  return { type: 'otherName', oid: type, der }
}

/** RFC 9598 §3: UTF8String, a local part that is not all ASCII, a domain of ASCII labels. */
function readSmtpUtf8(value: DerReader, at: number): string {
  if (value.tag !== Tag.utf8String) throw new DerError('SmtpUTF8Mailbox is not a UTF8String', at)
  const text = decodeString(value.tag, value.bytes, value.start, value.end) as string
  const sign = text.lastIndexOf('@')
  const local = text.slice(0, sign)
  const asciiLocalPart = /^[\x00-\x7f]*$/.test(local)
  const isComplete = sign > 0 && isLocalPart(local) && isHost(text.slice(sign + 1))
  if (asciiLocalPart || !isComplete || /[\p{Cc}\p{Z}]/u.test(text)) {
    throw new DerError('SmtpUTF8Mailbox is malformed', at)
  }
  return text
}

type IsLegal = (bytes: Uint8Array, start: number, end: number) => boolean

function readIa5(reader: DerReader, isLegal: IsLegal, form: TextName['type']): TextName {
  const { bytes, start, end } = reader
  for (let i = start; i < end; i++) {
    const c = bytes[i] as number
    if (c <= 0x20 || c >= 0x7f) throw new DerError(`${form} holds an octet it may not`, i)
  }
  if (!isLegal(bytes, start, end)) throw new DerError(`${form} is malformed`, start)
  return new TextName(form, reader)
}

const isAny = () => true

// RFC 1034 §3.5 preferred syntax: no `_`. `*` as the whole first label is a name like any other here: for a client it has no
// meaning, and no rule of ours expands it.
const isDnsName: IsLegal = (bytes, start, end) =>
  isHostAt(bytes, bytes[start] === star && bytes[start + 1] === dot ? start + 2 : start, end)

/** Labels of letters, digits and inner hyphens, 63 characters at most, 253 in all (RFC 1034 §3.5, RFC 1123 §2.1). */
export function isHost(text: string): boolean {
  const octets = Buffer.from(text)
  return isHostAt(octets, 0, octets.length)
}

const isHostAt: IsLegal = (bytes, start, end) => {
  if (end <= start || end - start > 253) return false
  let label = start
  for (let i = start; i <= end; i++) {
    const c = i === end ? dot : (bytes[i] as number)
    if (c === dot) {
      const isLabel = i > label && i - label <= 63 && bytes[label] !== hyphen && bytes[i - 1] !== hyphen
      if (!isLabel) return false
      label = i + 1
    } else if (((classes[c] as number) & ldh) === 0) return false
  }
  return true
}

const [star, hyphen, dot, colon, commercialAt] = [0x2a, 0x2d, 0x2e, 0x3a, 0x40]

/** What an octet may be part of, a bit each. */
const [ldh, letter, scheme, atom] = [1, 2, 4, 8]
const classes = Uint8Array.from({ length: 256 }, (_, c) => {
  const character = String.fromCharCode(c)
  return (
    (/[A-Za-z0-9-]/.test(character) ? ldh : 0) |
    (/[A-Za-z]/.test(character) ? letter : 0) |
    (/[A-Za-z0-9+.-]/.test(character) ? scheme : 0) |
    (/[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]/.test(character) ? atom : 0)
  )
})

/** RFC 5280 §4.2.1.6: a Mailbox of RFC 2821 §4.1.2, no phrase, no angle brackets. */
const isMailbox: IsLegal = (bytes, start, end) => {
  const sign = bytes.lastIndexOf(commercialAt, end - 1)
  if (sign <= start || !(isDotAtomAt(bytes, start, sign) || isLocalPart(slice(bytes, start, sign)))) return false
  return isHostAt(bytes, sign + 1, end) || /^\[[0-9A-Za-z.:]+\]$/.test(slice(bytes, sign + 1, end))
}

/** RFC 5321 §4.1.2: atoms between dots, which is what nearly all local parts are. */
const isDotAtomAt: IsLegal = (bytes, start, end) => {
  let isAtom = false
  for (let i = start; i < end; i++) {
    const isDot = bytes[i] === dot
    if (isDot ? !isAtom : ((classes[bytes[i] as number] as number) & atom) === 0) return false
    isAtom = !isDot
  }
  return isAtom
}

/** The same as text, or quoted; RFC 6531 §3.3 adds what is not ASCII to both. */
function isLocalPart(text: string): boolean {
  const dotString =
    /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\u{10ffff}-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\u{10ffff}-]+)*$/u
  return dotString.test(text) || /^"(?:[^"\\]|\\.)*"$/u.test(text)
}

/** RFC 5280 §4.2.1.6: not relative, with a scheme (RFC 3986 §3.1) and something after it. */
const isAbsoluteUri: IsLegal = (bytes, start, end) => {
  let i = start
  while (i < end && ((classes[bytes[i] as number] as number) & scheme) !== 0) i++
  const beginsWithLetter = ((classes[bytes[start] as number] as number) & letter) !== 0
  return i > start && beginsWithLetter && bytes[i] === colon && i + 1 < end
}

function formatIp(octets: Uint8Array, purpose: Purpose): string {
  if (purpose === 'name') return formatAddress(octets)
  const half = octets.length / 2
  return `${formatAddress(octets.subarray(0, half))}/${formatAddress(octets.subarray(half))}`
}

/** Dotted decimal, or RFC 5952 text for IPv6. */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((octets[2 * i] as number) << 8) | (octets[2 * i + 1] as number))
  const [runStart, runLength] = longestZeroRun(groups)
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  if (runLength < 2) return hex(groups)
  return `${hex(groups.slice(0, runStart))}::${hex(groups.slice(runStart + runLength))}`
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0]
  for (let i = 0; i < 8; i++) {
    let j = i
    while (j < 8 && groups[j] === 0) j++
    if (j - i > best[1]) best = [i, j - i]
    if (j > i) i = j
  }
  return best
}
