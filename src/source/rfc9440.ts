import { limits } from '../limits.js'
import { DecodingError, type HeaderDecoder } from './decoding.js'

/**
 * RFC 9440: Client-Cert is an Item, Client-Cert-Chain a List, both of Byte Sequences (RFC 9651 §3.3.5, `:base64:`). Parameters are legal and mean
 * nothing. `::` is what proxies without a condition write for no certificate.
 */
export const rfc9440: HeaderDecoder = {
  certificate(value) {
    if (value.trim() === '::') return undefined
    const [bytes, end] = readByteSequence(value, skipSpaces(value, 0))
    if (skipSpaces(value, end) !== value.length)
      throw new DecodingError('wants one byte sequence, and something follows it')
    return [bytes]
  },
  // RFC 9651 §4.2: the lines of a List are joined with commas. An empty one has no members.
  chain(lines) {
    const value = lines.join(',')
    const members: Uint8Array[] = []
    let at = skipSpaces(value, 0)
    while (at < value.length) {
      const [bytes, end] = readByteSequence(value, at)
      members.push(bytes)
      at = skipSpaces(value, end)
      if (at === value.length) break
      if (value[at] !== ',') throw new DecodingError('wants byte sequences separated by commas')
      at = skipSpaces(value, at + 1)
      if (at === value.length) throw new DecodingError('ends in a comma')
    }
    return members
  },
}

function skipSpaces(value: string, from: number): number {
  let at = from
  while (value[at] === ' ' || value[at] === '\t') at++
  return at
}

/** One `:base64:` and its parameters, which are passed over. */
function readByteSequence(value: string, from: number): [bytes: Uint8Array, end: number] {
  if (value[from] !== ':') throw new DecodingError('wants a byte sequence, :base64:')
  const close = value.indexOf(':', from + 1)
  if (close < 0) throw new DecodingError('wants a byte sequence, and its closing colon is missing')
  const bytes = decode(value.slice(from + 1, close))
  if (bytes.length === 0) throw new DecodingError('holds an empty byte sequence')
  return [bytes, skipParameters(value, close + 1)]
}

/** RFC 9651 §4.2.7: padding may be missing. Everything else is canonical base64, or an error. */
function decode(base64: string): Uint8Array {
  const padded = base64.endsWith('=') ? base64 : base64 + '='.repeat((4 - (base64.length % 4)) % 4)
  const bytes = Buffer.from(padded, 'base64')
  if (bytes.toString('base64') !== padded) throw new DecodingError('holds what is not base64')
  return bytes
}

const parameter =
  /; *[a-z*][a-z0-9_.*-]*(?:=(?:\?[01]|-?\d{1,15}(?:\.\d{1,3})?|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^_`|~:/0-9A-Za-z-]*|:[A-Za-z0-9+/=]*:))?/y

function skipParameters(value: string, from: number): number {
  let at = from
  for (let count = 0; count <= limits.headerParameters; count++) {
    parameter.lastIndex = at
    const match = parameter.exec(value)
    if (match === null) return at
    at += match[0].length
  }
  throw new DecodingError(`has more than ${limits.headerParameters} parameters`)
}
