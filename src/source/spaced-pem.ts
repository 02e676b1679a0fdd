import { formatPem } from '../x509/pem.js'
import { base64, DecodingError, describeOther, type HeaderDecoder } from './decoding.js'

const opening = '-----BEGIN CERTIFICATE----- '
const closing = ' -----END CERTIFICATE-----'

/**
 * Apache's `%{SSL_CLIENT_CERT}s`: PEM in which every line break has become one space, the last one cut off. Captured. The chain comes in a
 * field for each certificate, `%{SSL_CLIENT_CERT_CHAIN_0}s` and so on, `(null)` where there is none.
 */
export const spacedPem: HeaderDecoder = {
  certificate: (value) => [read(value)],
  chain(lines) {
    const last = lines.findLastIndex((line) => line !== '' && line !== '(null)')
    return lines.slice(0, last + 1).map(read)
  },
}

function read(value: string): Uint8Array {
  if (value.length < opening.length + closing.length || !value.startsWith(opening) || !value.endsWith(closing)) {
    throw new DecodingError(`wants %{SSL_CLIENT_CERT}s, PEM with spaces for line breaks${describeOther(value)}`)
  }
  const body = value.slice(opening.length, -closing.length).replaceAll(' ', '')
  const bytes = base64(body, '%{SSL_CLIENT_CERT}s, PEM with spaces for line breaks')
  // One way to write it: 64 characters, one space.
  if (formatPem('CERTIFICATE', bytes).slice(0, -1).replaceAll('\n', ' ') !== value) {
    throw new DecodingError('wants %{SSL_CLIENT_CERT}s, and has its spaces elsewhere')
  }
  return bytes
}
