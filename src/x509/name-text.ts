import { DerError, DerReader, Tag } from '../der/reader.js'
import { AttributeTypeAndValue, comparable, type RelativeDistinguishedName } from './attribute.js'
import { attributeName, attributeType } from './oid.js'

/** RFC 4514 §2.2: one relative distinguished name as text. */
export function formatRdn(rdn: RelativeDistinguishedName): string {
  return rdn.map(formatAttribute).join('+')
}

function formatAttribute(attribute: AttributeTypeAndValue): string {
  const { type, tag, value } = attribute
  const name = attributeName(type)
  // §2.4: a dotted type, or a value without a string form, is written as the hexadecimal of its encoding.
  if (name === undefined || value === undefined || !comparable.has(tag)) {
    return `${name ?? type}=#${attribute.hex}`
  }
  return `${name}=${escapeValue(value)}`
}

/** What needs no look at it: most values. */
const plainValue = /^[A-Za-z0-9](?:[A-Za-z0-9 .:/@_-]*[A-Za-z0-9])?$/

function escapeValue(value: string): string {
  if (plainValue.test(value)) return value
  let text = value
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, (run) =>
      encodeURIComponent(run).replaceAll('%', '\\'),
    )
  if (value.startsWith(' ') || value.startsWith('#')) text = `\\${text}`
  if (value.length > 1 && value.endsWith(' ')) text = `${text.slice(0, -1)}\\ `
  return text
}

/** RFC 4514 §3, in encoding order: the least specific first. Throws {@link SyntaxError}. */
export function parseText(text: string): RelativeDistinguishedName[] {
  const rdns: RelativeDistinguishedName[] = []
  let at = 0
  const fail = (reason: string) =>
    new SyntaxError(`distinguished name ${JSON.stringify(text)}, character ${at}: ${reason}`)
  if (text.trim() === '') return []
  for (;;) {
    const attributes: AttributeTypeAndValue[] = []
    for (;;) {
      const equals = text.indexOf('=', at)
      const written = text.slice(at, equals < 0 ? undefined : equals).trim()
      const type = equals < 0 ? undefined : attributeType(written)
      if (type === undefined) throw fail(equals < 0 ? 'expected TYPE=value' : `unknown attribute type "${written}"`)
      at = equals + 1
      const [attribute, next] = parseValue(text, at, type, fail)
      attributes.push(attribute)
      at = next
      if (text[at] !== '+') break
      at++
    }
    rdns.unshift(attributes)
    if (at === text.length) return rdns
    if (text[at] !== ',' && text[at] !== ';') throw fail(`unexpected ${JSON.stringify(text[at])}`)
    at++
  }
}

function parseValue(
  text: string,
  from: number,
  type: string,
  fail: (reason: string) => SyntaxError,
): [AttributeTypeAndValue, number] {
  let at = from
  while (text[at] === ' ') at++
  if (text[at] === '#') {
    const hex = /^#((?:[0-9a-fA-F]{2})+) *(?=[,;+]|$)/.exec(text.slice(at))
    if (hex === null) throw fail('expected hexadecimal octets after #')
    return [attributeFromHex(type, hex[1] as string, fail), at + hex[0].length]
  }
  const octets: number[] = []
  const quoted = text[at] === '"'
  if (quoted) at++
  let keep = 0 // octets up to here end in something other than an unescaped space
  for (;;) {
    const c = text.codePointAt(at)
    if (c === undefined) {
      if (quoted) throw fail('unclosed quotation mark')
      break
    }
    if (c >= 0xd800 && c < 0xe000) throw fail('half of a surrogate pair')
    const character = String.fromCodePoint(c)
    if (quoted ? character === '"' : ',;+'.includes(character)) break
    if (!quoted && '"<>'.includes(character)) throw fail(`${character} must be escaped with a backslash`)
    if (character === '\\') {
      const hex = /^[0-9a-fA-F]{2}/.exec(text.slice(at + 1, at + 3))
      if (hex === null && !/^[ "#+,;<=>\\]/.test(text.slice(at + 1))) throw fail('bad escape')
      octets.push(hex === null ? text.charCodeAt(at + 1) : Number.parseInt(hex[0], 16))
      at += hex === null ? 2 : 3
      keep = octets.length
      continue
    }
    octets.push(...Buffer.from(character))
    at += character.length
    if (character !== ' ' || quoted) keep = octets.length
  }
  if (quoted) {
    at++
    while (text[at] === ' ') at++
  }
  const value = Uint8Array.from(octets.slice(0, keep))
  return [fromOctets(type, Tag.utf8String, value, fail), at]
}

function attributeFromHex(type: string, hex: string, fail: (reason: string) => SyntaxError): AttributeTypeAndValue {
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
  try {
    const reader = new DerReader(bytes)
    reader.next()
    reader.finish()
    return new AttributeTypeAndValue(type, reader.tag, bytes, reader.start, reader.end)
  } catch (error) {
    if (error instanceof DerError) throw fail(`the octets after # are not DER: ${error.message}`)
    throw error
  }
}

function fromOctets(
  type: string,
  tag: number,
  octets: Uint8Array,
  fail: (reason: string) => SyntaxError,
): AttributeTypeAndValue {
  try {
    return new AttributeTypeAndValue(type, tag, octets, 0, octets.length)
  } catch (error) {
    if (error instanceof DerError) throw fail(error.message)
    throw error
  }
}
