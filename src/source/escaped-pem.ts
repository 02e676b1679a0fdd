import { PemError, parsePem } from '../x509/pem.js'
import { DecodingError, type HeaderDecoder } from './decoding.js'

/**
 * nginx's `$ssl_client_escaped_cert`: one PEM certificate in which everything but `A-Z a-z 0-9 - . _ ~` is `%XX` in upper case. Decoding is the
 * inverse of exactly that; form decoding, which turns `+` into a space, would corrupt base64.
 */
export const escapedPem: HeaderDecoder = {
  certificate(value) {
    if (!/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$/.test(value)) {
      throw new DecodingError(`wants $ssl_client_escaped_cert, percent-encoded PEM${describeOther(value)}`)
    }
    const text = value.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    // nginx never escapes what it need not; who does is not nginx.
    if (percentEncode(text) !== value) throw new DecodingError('holds an escape nginx does not write')
    return [readOne(text)]
  },
}

const percentEncode = (text: string) =>
  text.replace(/[^A-Za-z0-9._~-]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)

function readOne(text: string): Uint8Array {
  try {
    const [block, ...others] = parsePem(text)
    if (block === undefined || others.length > 0) throw new DecodingError('wants exactly one certificate')
    if (block.label !== 'CERTIFICATE') throw new DecodingError(`wants a CERTIFICATE, found ${block.label}`)
    return block.bytes
  } catch (error) {
    if (error instanceof PemError) throw new DecodingError(`wants PEM: ${error.message}`)
    throw error
  }
}

/** What the value looks like instead: for the operator's line only, never for the decision. */
function describeOther(value: string): string {
  if (value.startsWith(':')) return " (a value in colons is RFC 9440: preset 'rfc9440')"
  if (value.startsWith('MII')) return ' (a value that starts MII is bare base64)'
  if (value.startsWith('-----BEGIN CERT')) return ' (the value is not escaped)'
  return ''
}
